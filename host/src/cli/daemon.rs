//! What `serve`, `dev` and `run` share: the listener, the runtime, the way to the end.

use super::{CliError, Engine};
use crate::access::Guard;
use crate::api::Jobs;
use crate::control;
use crate::telemetry::TraceSettings;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// When a host ends.
pub(super) enum Until {
    /// At SIGINT or SIGTERM. A second one ends the process at once.
    Signal,
    /// When a test says so.
    #[cfg(test)]
    Told(watch::Receiver<bool>),
}

/// The status of a process that was told twice to end.
const EXIT_INTERRUPTED: i32 = 130;

/// The threads of the control API and of its calls, and when they end.
pub(super) struct Daemon {
    pub(super) runtime: Runtime,
    ending: watch::Receiver<bool>,
}

impl Daemon {
    /// Signals are heeded from here on, also while the host still starts.
    pub(super) fn new(until: Until) -> Result<Self, CliError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(2)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(CliError::Control)?;
        let ending = match until {
            Until::Signal => {
                let _inside = runtime.enter();
                signals().map_err(CliError::Control)?
            }
            #[cfg(test)]
            Until::Told(told) => told,
        };
        Ok(Daemon { runtime, ending })
    }

    /// Is done when the host is to end.
    pub(super) fn ending(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ending = self.ending.clone();
        async move {
            // Or nobody is left to say it, which means the same.
            let _ = ending.wait_for(|ending| *ending).await;
        }
    }

    /// Says whether the host is to end.
    pub(super) fn is_ending(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let ending = self.ending.clone();
        move || *ending.borrow()
    }

    /// Answers until the end, then stops the engine.
    pub(super) fn answer(
        self,
        listener: TcpListener,
        engine: Arc<dyn Engine>,
        guard: Guard,
        traces: TraceSettings,
    ) -> Result<(), CliError> {
        let (jobs, ending): (Arc<dyn Jobs>, _) = (engine.clone(), self.ending());
        if guard.has_files() {
            let _inside = self.runtime.enter();
            reload_at_hangup(guard.clone()).map_err(CliError::Control)?;
        }
        let served = self.runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            control::serve(listener, jobs, guard, &traces, ending).await
        });
        engine.stop(); // while a second signal is still heeded
        self.runtime.shutdown_background(); // a call of the API may hang; the process must not
        served.map_err(CliError::Control)
    }
}

/// SIGHUP reads tokens and certificate anew. It would end the process where there are none.
fn reload_at_hangup(guard: Guard) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            guard.reload();
        }
    });
    Ok(())
}

/// Turns true at the first signal; the second one ends the process.
fn signals() -> io::Result<watch::Receiver<bool>> {
    let (mut int, mut term) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let (end, ending) = watch::channel(false);
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
        };
        tracing::info!("{name}: ending after the batches under way; once more ends at once");
        end.send_replace(true);
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        std::process::exit(EXIT_INTERRUPTED); // what is durable stays so
    });
    Ok(ending)
}

/// Takes the control API's address, before anything else is started.
pub(super) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CliError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        let mend = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another daemon may run here: stop it, or choose another port"
            }
            io::ErrorKind::PermissionDenied => "choose a port from 1024 on",
            _ => "choose an address of this machine",
        };
        CliError::Listen {
            address,
            error,
            mend,
        }
    })
}
