//! The control API: HTTP and JSON before the trait `Jobs`, with metrics and a status page. No
//! request can take the host down: everything a client may do has a bound, and calls of the host
//! run apart from the connections.

use crate::access::{Guard, Tokens};
use crate::api::Jobs;
use crate::monitor::Monitor;
use crate::telemetry::{TraceSettings, Tracer};
use axum::http::StatusCode;
use rates::Rates;
use reply::Fault;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

mod audit;
mod check;
mod connections;
mod deploy;
mod events;
mod forward;
mod gate;
mod handlers;
mod hosts;
mod roles;
mod replay;
mod savepoint;
mod shadow;
mod letters;
mod me;
mod openapi;
mod page;
mod rates;
mod reply;
mod request_id;
mod requests;
mod retry;
mod shown;
mod state;
mod views;

#[cfg(test)]
pub(crate) mod fake;

/// What clients may do; tests take smaller ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    connections_max: usize,
    uploads_max: usize,
    changes_max: usize,
    upload_bytes_max: usize,
    uploads_bytes_max: usize,
    burst_max: u32,
    head_time: Duration,
    body_time: Duration,
    write_time: Duration,
    turn_time: Duration,
    stop_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections_max: limits::HTTP_CONNECTIONS_MAX,
            uploads_max: limits::HTTP_UPLOADS_MAX,
            changes_max: limits::HTTP_CHANGES_MAX,
            upload_bytes_max: limits::COMPONENT_BYTES_MAX,
            uploads_bytes_max: limits::HTTP_UPLOADS_BYTES_MAX,
            burst_max: limits::HTTP_BURST_MAX,
            head_time: limits::HTTP_HEAD_TIME,
            body_time: limits::HTTP_BODY_TIME,
            write_time: limits::HTTP_WRITE_TIME,
            turn_time: limits::HTTP_TURN_TIME,
            stop_time: limits::HTTP_STOP_TIME,
        }
    }
}

/// What all requests share.
struct App {
    jobs: Arc<dyn Jobs>,
    tokens: Option<Tokens>,
    /// Nobody but this machine can reach the listener.
    loopback: bool,
    bounds: Bounds,
    calls: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// Bytes that uploads under way may still send.
    upload_bytes: Arc<Semaphore>,
    rates: Rates,
    streams: Arc<Semaphore>,
    /// Savepoints that come and go.
    savepoints: Arc<Semaphore>,
    monitor: Arc<Monitor>,
    /// The machine's name.
    name: String,
    /// Turns true when the host stops.
    closing: watch::Receiver<bool>,
}

/// Runs a call of the host. Its panic is this request's affair alone.
async fn in_turn<T: Send + 'static>(
    app: &App,
    turns: &Arc<Semaphore>,
    work: impl FnOnce(&dyn Jobs) -> T + Send + 'static,
) -> Result<T, Fault> {
    let turn = tokio::time::timeout(app.bounds.turn_time, Arc::clone(turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(Fault::busy("requests"));
    };
    let jobs = Arc::clone(&app.jobs);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn; // goes back when the work is done, though its client may be gone by then
        work(&*jobs)
    });
    done.await.map_err(|e| {
        tracing::error!("a call of the control API broke: {e}");
        Fault::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this call broke inside the host, whose log says more; jobs go on",
        )
    })
}

/// Answers until `stop` is done, then lets requests under way end within
/// [`limits::HTTP_STOP_TIME`]. `Err`: beyond loopback without a token, or the listener is broken.
pub async fn serve(
    listener: TcpListener,
    jobs: Arc<dyn Jobs>,
    guard: Guard,
    traces: &TraceSettings,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let tracer = Tracer::start(traces, &machine_name())?;
    serve_within(Bounds::default(), listener, (jobs, tracer), guard, stop).await
}

async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    (jobs, tracer): (Arc<dyn Jobs>, Option<Tracer>),
    guard: Guard,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let Guard { tokens, tls } = guard;
    let address = listener.local_addr()?;
    let loopback = address.ip().is_loopback();
    if !loopback {
        open_to_others(address, tokens.is_some(), tls.is_some())?;
    }
    let watched = Arc::clone(&jobs);
    let monitor = tokio::task::spawn_blocking(move || Monitor::start(watched, tracer)).await;
    let (close, closing) = watch::channel(false);
    let app = Arc::new(App {
        streams: Arc::new(Semaphore::new(limits::EVENT_STREAMS_MAX)),
        savepoints: Arc::new(Semaphore::new(limits::SAVEPOINTS_AT_ONCE_MAX)),
        monitor: monitor.map_err(io::Error::other)??,
        name: machine_name(),
        closing,
        jobs,
        tokens,
        loopback,
        bounds,
        calls: Arc::new(Semaphore::new(limits::HTTP_CALLS_MAX)),
        changes: Arc::new(Semaphore::new(bounds.changes_max)),
        uploads: Arc::new(Semaphore::new(bounds.uploads_max)),
        upload_bytes: Arc::new(Semaphore::new(bounds.uploads_bytes_max)),
        rates: Rates::new(bounds.burst_max, limits::HTTP_CLIENTS_MAX),
    });
    // Streams of events end first: a connection under way is waited for.
    let stop = async move {
        stop.await;
        close.send_replace(true);
    };
    let monitor = Arc::clone(&app.monitor);
    connections::serve(listener, tls, handlers::router(app), bounds, stop).await;
    let kept = tokio::task::spawn_blocking(move || monitor.keep());
    kept.await.map_err(io::Error::other)
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "streamhost".to_owned(),
        name => name.to_owned(),
    }
}

fn open_to_others(address: SocketAddr, token: bool, tls: bool) -> io::Result<()> {
    if !token {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{address} is open to other machines: name a token-file under [control], or listen on 127.0.0.1"
            ),
        ));
    }
    if !tls {
        tracing::warn!(
            "the control API at {address} is open to other machines without TLS: name a `certificate` and a `key` under [control], or put a proxy with TLS before it"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod forward_tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod contract_tests;

#[cfg(test)]
mod openapi_tests;
