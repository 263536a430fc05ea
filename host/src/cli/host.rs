//! What the verbs need of the host proper.

use crate::api::Jobs;
use crate::config::Config;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use streamhost_guest::Compiler;

/// Why the host does not start; its words say how to mend it.
pub type HostError = Box<dyn std::error::Error + Send + Sync>;

/// Starts hosts.
pub trait Host {
    /// Opens the data folder and starts every job that was acknowledged last. Blocks until calls
    /// can be taken.
    fn serve(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError>;

    /// Opens the data folder of one job in the foreground. Nothing in it is started but what is
    /// deployed or resumed.
    fn foreground(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError>;

    /// Like [`Host::serve`], with an embedded broker and table store in the same data folder;
    /// `config` says the rest.
    fn dev(&self, config: Config, addresses: DevAddresses) -> Result<Dev, HostError>;

    /// What compiles components that are only looked at or tried.
    fn compiler(&self) -> std::io::Result<Compiler>;
}

/// A host that runs.
pub trait Engine: Jobs {
    /// Stops all jobs after the batch under way, then what is embedded, and closes the data folder.
    /// Blocks. A second call does nothing.
    fn stop(&self);
}

/// Where the embedded servers are to listen; port 0 is a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevAddresses {
    /// The broker.
    pub kafka: SocketAddr,
    /// The table store.
    pub hbase: SocketAddr,
}

/// A host with embedded servers, and where they listen.
pub struct Dev {
    /// The host; stopping it stops the servers too.
    pub engine: Arc<dyn Engine>,
    /// Where they are.
    pub addresses: DevAddresses,
}

/// The folder of one job that `run` runs, beside the daemon's.
pub(super) fn run_folder(config: &Config, name: &str) -> PathBuf {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '_'
        }
    };
    config
        .data_dir
        .join("run")
        .join(name.chars().map(plain).collect::<String>())
}
