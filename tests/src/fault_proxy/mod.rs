//! A TCP proxy that does to connections what networks and dying servers do. Tests put it before a server, and tell it what
//! to do by lines of text, in process ([`FaultProxy::tell`]) or over a control socket (`fault-proxy`, `tests/services/proxy.sh`).
//!
//! ```text
//!  client ──up──► proxy ──up──► server     a request: what the client sends until the server answers
//!         ◄─down─       ◄─down─            an answer: what comes back until the client sends again
//! ```
//!
//! | command | what it does |
//! |---|---|
//! | `pass` | ends all faults, lets held bytes through, accepts connections |
//! | `delay MS [up\|down]` | each byte is that late, both ways by default; 0 ends it |
//! | `throttle BYTES [up\|down]` | so many bytes a second and connection; 0 ends it |
//! | `hold [up\|down]` | keeps all bytes back until `release` or `pass`; clients may give up meanwhile, their bytes stay |
//! | `hold-next [TIMES] [min=BYTES] [max=BYTES]` | keeps the next request back and what follows on its connection; others pass |
//! | `release` | ends `hold` and lets through what is held, also of clients that have gone |
//! | `drop-answer [TIMES] [min=BYTES] [max=BYTES]` | the next request reaches the server; its connection ends when the answer begins |
//! | `cut BYTES [up\|down] [TIMES] [min=BYTES] [max=BYTES]` | lets so many bytes of the next request (or of its answer) through, then resets |
//! | `close` | ends all connections in good order |
//! | `reset` | ends all connections by a reset |
//! | `refuse` | accepts no connections until `pass`; those that are there stay |
//! | `random SEED PERCENT` | so many of a hundred requests meet a fault that the seed draws; 0 ends it |
//! | `status` | connections, requests, held bytes, faults by their kind |
//! | `events` | the faults that requests met, in order: `FAULT connection N request N` |
//!
//! `min`: only a request of at least so many bytes, for instance one that carries data; the fault begins when that many have
//! come. `max`: only one that has come to no more bytes when its first ones come. Connections and their requests count from 1, and what a seed draws depends on these two numbers alone.

mod command;
mod connection;
mod faults;
mod pipe;
mod serve;

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long its tasks may take to end; they wait for nothing but bytes and time.
const END_TIME: Duration = Duration::from_secs(10);

/// A running proxy. It ends with its connections when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    runtime: Option<Runtime>,
    control: serve::Control,
    address: SocketAddr,
}

impl FaultProxy {
    /// Listens at a free port of 127.0.0.1 and forwards to `target` (`host:port`). Errors if it cannot listen.
    pub fn before(target: &str) -> Result<FaultProxy> {
        FaultProxy::listen("127.0.0.1:0", target)
    }

    /// Listens at `address` and forwards to `target`. Errors if it cannot listen.
    pub fn listen(address: &str, target: &str) -> Result<FaultProxy> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let start = serve::start(address.to_owned(), target.to_owned());
        let (address, control) = runtime
            .block_on(start)
            .with_context(|| format!("the proxy cannot listen at {address}"))?;
        Ok(FaultProxy {
            runtime: Some(runtime),
            control,
            address,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries out a command and gives its answer, which is empty for most. Errors if it is not understood.
    pub fn tell(&self, command: &str) -> Result<String> {
        let runtime = self.runtime.as_ref().context("the proxy has ended")?;
        runtime.block_on(self.control.execute(command))
    }

    /// Takes commands at `address`, one a line; each is answered by one line, `ok …` or `error …`. Gives the address that it
    /// listens at. Errors if it cannot.
    pub fn serve_control(&self, address: &str) -> Result<SocketAddr> {
        let runtime = self.runtime.as_ref().context("the proxy has ended")?;
        let serve = serve::serve_control(address.to_owned(), self.control.clone());
        runtime
            .block_on(serve)
            .with_context(|| format!("the proxy cannot take commands at {address}"))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It listens no more then, so that the next one may do so at the same port.
            runtime.shutdown_timeout(END_TIME);
        }
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
