//! Where HBase's gateways are, and how one speaks to them.

use crate::secret::Secret;
use crate::tls_files::TlsFiles;
use std::fmt;
use std::sync::Arc;
use streamhost_core::limits;

/// How messages go to the gateway and come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// One after the other; the gateway's default.
    #[default]
    Buffered,
    /// Each with its length before it (`hbase.regionserver.thrift.framed`).
    Framed,
    /// Each as a request over HTTP (`hbase.regionserver.thrift.http`).
    Http,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Buffered, Transport::Framed, Transport::Http];

    /// As the configuration says it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Buffered => "buffered",
            Transport::Framed => "framed",
            Transport::Http => "http",
        }
    }
}

/// How the gateway writes messages (`hbase.regionserver.thrift.compact`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The gateway's default.
    #[default]
    Binary,
    /// Fewer bytes.
    Compact,
}

impl Protocol {
    /// As the configuration says it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Binary => "binary",
            Protocol::Compact => "compact",
        }
    }
}

/// What is said over HTTP beside the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAccess {
    /// The path that calls go to.
    pub path: String,
    /// A user of the gateway, or of the proxy before it, and where the password stands. It is read
    /// whenever a connection is made.
    pub user: Option<(String, Secret)>,
    /// The user in whose name the gateway asks HBase.
    pub do_as: Option<String>,
}

impl Default for HttpAccess {
    fn default() -> Self {
        HttpAccess {
            path: "/".to_owned(),
            user: None,
            do_as: None,
        }
    }
}

/// Where HBase's Thrift gateways are, and how they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaseSettings {
    /// `HOST:PORT` of each, at least one; any of them serves any call. In the configuration
    /// `thrift`.
    pub gateways: Vec<String>,
    /// As the gateways are set.
    pub transport: Transport,
    /// As the gateways are set.
    pub protocol: Protocol,
    /// TLS, where they speak it.
    pub tls: Option<TlsFiles>,
    /// For [`Transport::Http`].
    pub http: HttpAccess,
    /// Connections of one sink; from 1 to [`limits::HBASE_CONNECTIONS_MAX`], and what lies outside
    /// counts as the nearest.
    pub connections: usize,
    /// A way past the gateway, which cannot add families to a table; the embedded store has one.
    pub add_families: Option<AddFamilies>,
}

impl HbaseSettings {
    /// These gateways instead: `HOST:PORT`, several with commas between.
    pub fn name_gateways(&mut self, addresses: &str) {
        let addresses = addresses.split(',').map(|one| one.trim().to_owned());
        self.gateways = addresses.collect();
    }

    /// All gateways, with commas between.
    pub fn addresses(&self) -> String {
        self.gateways.join(",")
    }
}

/// Adds families to a table. `Err` says why not.
#[derive(Clone)]
pub struct AddFamilies(pub(super) Arc<AddingFamilies>);

type AddingFamilies = dyn Fn(&str, &[String]) -> Result<(), String> + Send + Sync;

impl AddFamilies {
    /// Given a table and the families that it lacks.
    pub fn new(
        add: impl Fn(&str, &[String]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        AddFamilies(Arc::new(add))
    }
}

impl fmt::Debug for AddFamilies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddFamilies")
    }
}

impl PartialEq for AddFamilies {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for AddFamilies {}

impl Default for HbaseSettings {
    fn default() -> Self {
        HbaseSettings {
            gateways: vec!["127.0.0.1:9090".to_owned()],
            transport: Transport::default(),
            protocol: Protocol::default(),
            tls: None,
            http: HttpAccess::default(),
            connections: limits::HBASE_CONNECTIONS_DEFAULT,
            add_families: None,
        }
    }
}
