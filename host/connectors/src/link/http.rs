//! HTTP is ureq's, over connections of ours, which end with a call's deadline and when the job is cut.

use super::{CallDeadline, Called, Link, LinkError, dial};
use crate::tls_files::TlsFiles;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use streamhost_engine::sink::CancelSignal;
use ureq::Agent;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Of ureq's buffers for one connection, in each direction.
const BUFFER_BYTES: usize = 64 << 10;

/// Why a connection for a request was not made, for which its error has no room.
pub(crate) type Failed = Arc<Mutex<Option<LinkError>>>;

/// Why the last connection was not made, if it was not.
pub(crate) fn take_failure(failed: &Failed) -> Option<LinkError> {
    failed.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// One connection at a time to the server at `address`; it is connected to at the first request.
pub(crate) fn agent(
    address: &str,
    tls: Option<&TlsFiles>,
    called: &Called,
    cancel: &CancelSignal,
    (deadline, failed): (&CallDeadline, &Failed),
) -> Agent {
    let dialer = Dialer {
        address: address.to_owned(),
        tls: tls.cloned(),
        called: called.clone(),
        cancel: cancel.clone(),
        deadline: deadline.clone(),
        failed: Arc::clone(failed),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0) // a call goes where it is sent, and nowhere else
        .proxy(None) // the environment's is for the web
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .user_agent("streamhost")
        .build();
    Agent::with_parts(config, dialer, NoResolver)
}

/// Makes connections for ureq.
struct Dialer {
    address: String,
    tls: Option<TlsFiles>,
    called: Called,
    cancel: CancelSignal,
    deadline: CallDeadline,
    failed: Failed,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Connector for Dialer {
    type Out = HttpStream;

    fn connect(
        &self,
        _: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<HttpStream>, ureq::Error> {
        let tls = self.tls.as_ref().map(|files| (files, &self.called));
        match dial(&self.address, tls, &self.cancel, &self.deadline) {
            Ok(link) => Ok(Some(HttpStream {
                link,
                buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES),
            })),
            Err(error) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = Some(error);
                Err(ureq::Error::ConnectionFailed)
            }
        }
    }
}

/// A connection, for ureq. Its times are the call's, not ureq's.
struct HttpStream {
    link: Link,
    buffers: LazyBuffers,
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpStream")
    }
}
impl Transport for HttpStream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.link.write_all(&self.buffers.output()[..amount])?;
        Ok(self.link.flush()?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let read = self.link.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.link.is_open()
    }

    fn is_tls(&self) -> bool {
        self.link.is_tls()
    }
}

/// Names are resolved where the connection is made.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut none = self.empty();
        none.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(none)
    }
}
