//! Connections to servers, for connectors that speak with theirs by themselves: TCP, TLS over it where
//! that is set, and HTTP over both. Each call has an end: an answer, its deadline, or the job's.
//!
//! ```text
//! connector ─► (http: ureq) ─► Link ─► TLS ─► TimedStream ─► socket, which a stop shuts down
//! ```

mod dial;
mod deadline;
mod tls;
mod http;

pub(crate) use deadline::CallDeadline;
pub(crate) use dial::{Link, dial};
pub(crate) use http::{Failed, agent, take_failure};
pub(crate) use tls::denial;

/// What a server and its settings are called.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// The server, such as `the gateway`.
    pub(crate) server: &'static str,
    /// Its section of the configuration, such as `hbase`.
    pub(crate) section: String,
    /// The setting that names it, such as `thrift`.
    pub(crate) named_in: &'static str,
    /// What to do where no TLS comes back.
    pub(crate) no_tls: String,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// There may be one later.
    Away(String),
    /// The server does not let the host in, or the host does not trust it; why, and what to do.
    Denied(String),
    /// Its address cannot be.
    Refused(String),
}
