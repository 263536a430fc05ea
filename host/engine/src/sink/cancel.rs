//! A way to end calls that hang: connections of ours are shut down under them, and Kafka's client,
//! which has its own, is no longer waited for.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Shared between a job's sinks and whoever stops it. Once cut, it stays so: a new pipeline has a
/// new one.
#[derive(Clone, Debug, Default)]
pub struct CancelSignal(Arc<Mutex<Connections>>);

#[derive(Debug, Default)]
struct Connections {
    is_cancelled: bool,
    /// As many as the sinks hold; those that are gone make room when one is added.
    open: Vec<Weak<TcpStream>>,
}

impl CancelSignal {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all calls that are under way, each with an error, and all that are still to come.
    pub fn cancel(&self) {
        let mut connections = self.lock();
        connections.is_cancelled = true;
        for stream in connections
            .open
            .drain(..)
            .filter_map(|stream| stream.upgrade())
        {
            if let Err(error) = stream.shutdown(Shutdown::Both) {
                tracing::debug!(%error, "a connection was closed already");
            }
        }
    }

    /// Whether the job is to stop, and nothing is worth a wait any more.
    pub fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// From here on a cut ends the stream's calls.
    pub fn watch(&self, stream: &Arc<TcpStream>) {
        let mut connections = self.lock();
        if connections.is_cancelled {
            let _ = stream.shutdown(Shutdown::Both); // it may be closed already
            return;
        }
        connections.open.retain(|open| open.strong_count() > 0);
        connections.open.push(Arc::downgrade(stream));
    }

    /// How many connections are open.
    #[cfg(any(test, feature = "testing"))]
    pub fn open(&self) -> usize {
        self.lock()
            .open
            .iter()
            .filter(|open| open.strong_count() > 0)
            .count()
    }
}
