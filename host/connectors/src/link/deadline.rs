//! How long a call may take, whichever of its reads and writes is under way.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::clock;

/// When the call that is under way must have ended. Shared by both directions of a connection and
/// whoever calls.
#[derive(Clone)]
pub(crate) struct CallDeadline(Arc<Mutex<Instant>>);

impl CallDeadline {
    /// A deadline so far from now.
    pub(crate) fn after(time: Duration) -> Self {
        CallDeadline(Arc::new(Mutex::new(clock::monotonic() + time)))
    }

    /// A call begins, which may take so long.
    pub(crate) fn restart(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clock::monotonic() + time;
    }

    /// The time that is left; an error if there is none.
    fn left(&self) -> std::io::Result<Duration> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, "no answer in time"));
        }
        Ok(left)
    }
}

/// One direction of a connection, each of whose reads and writes ends with the call's deadline.
pub(super) struct TimedStream {
    stream: Arc<TcpStream>,
    deadline: CallDeadline,
}

impl TimedStream {
    pub(super) fn new(stream: Arc<TcpStream>, deadline: CallDeadline) -> Self {
        TimedStream { stream, deadline }
    }
}

impl Read for TimedStream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.deadline.left()?))?;
        (&*self.stream).read(out)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(self.deadline.left()?))?;
        (&*self.stream).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        (&*self.stream).flush()
    }
}
