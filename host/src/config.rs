//! `streamhost.toml`: read once, unknown keys refused, all faults told at once with their lines.

mod cluster;
mod credentials;
mod hbase;
mod kafka;
mod databases;
mod elasticsearch;
mod reader;

use crate::access::Guard;
use crate::allow::Allow;
use crate::telemetry::TraceSettings;
pub use cluster::ClusterSettings;
use reader::Reader;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use streamhost_connectors::elasticsearch::ElasticsearchSettings;
use streamhost_connectors::hbase::HbaseSettings;
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::sql::DatabaseSettings;
use streamhost_core::job::settings::JobLimits;
use streamhost_core::limits;
use streamhost_guest::signature::TrustedKeys;
use toml::de::DeTable;

/// Where the control API listens, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Its address; beyond loopback only with a token.
    pub listen: SocketAddr,
    /// Its tokens and its certificate.
    pub guard: Guard,
    /// The keys of which one must have signed what is deployed; none: anything is taken.
    pub trusted: Option<TrustedKeys>,
}

/// The host's configuration, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the host keeps all it must not lose.
    pub data_dir: PathBuf,
    /// The control API.
    pub control: ControlConfig,
    /// The hosts that it shares its jobs with; none: it is by itself.
    pub cluster: Option<ClusterSettings>,
    /// Kafka.
    pub kafka: KafkaSettings,
    /// HBase.
    pub hbase: HbaseSettings,
    /// Other clusters of HBase, by their names.
    pub other_hbase: BTreeMap<String, HbaseSettings>,
    /// PostgreSQL's databases, by their names; the usual one has none.
    pub postgres: BTreeMap<String, DatabaseSettings>,
    /// Databases of MySQL or MariaDB, by their names; the usual one has none.
    pub mysql: BTreeMap<String, DatabaseSettings>,
    /// Elasticsearch's clusters, by their names; the usual one has none.
    pub elasticsearch: BTreeMap<String, ElasticsearchSettings>,
    /// What components may read and write.
    pub allow: Allow,
    /// Worker threads of one job; none: as many as the machine has processors.
    pub lanes: Option<usize>,
    /// Limits of jobs whose settings say nothing else.
    pub limits: JobLimits,
    /// Memory that the host and its jobs may take; none: what the system has for it, and jobs that
    /// may take more are warned of, not refused.
    pub host_memory: Option<usize>,
    /// Bytes that a savepoint may have.
    pub savepoint_bytes: u64,
    /// Who is told of what the host does about jobs by itself.
    pub webhook: Option<String>,
    /// Traces of batches.
    pub telemetry: TraceSettings,
    /// What is taken as it is, and could be safer.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./streamhost-data"),
            control: ControlConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
                guard: Guard::default(),
                trusted: None,
            },
            cluster: None,
            kafka: KafkaSettings::default(),
            hbase: HbaseSettings::default(),
            other_hbase: BTreeMap::new(),
            postgres: BTreeMap::new(),
            mysql: BTreeMap::new(),
            elasticsearch: BTreeMap::new(),
            allow: Allow::all(),
            lanes: None,
            limits: JobLimits::default(),
            host_memory: None,
            savepoint_bytes: limits::SAVEPOINT_BYTES_MAX,
            webhook: None,
            telemetry: TraceSettings::default(),
            warnings: Vec::new(),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}; name the configuration with --config FILE", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is read, and wrong.
    #[error("{}", told(path, faults))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// All that is wrong, in the file's order.
        faults: Vec<Fault>,
    },
}

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its line, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// What is wrong, and what would do.
    pub what: String,
}

fn told(path: &Path, faults: &[Fault]) -> String {
    let say = |fault: &Fault| match fault.line {
        0 => format!("{}: {}", path.display(), fault.what),
        line => format!("{}:{line}: {}", path.display(), fault.what),
    };
    faults.iter().map(say).collect::<Vec<_>>().join("\n")
}

/// The file that is read when none is named.
pub const USUAL_FILE: &str = "streamhost.toml";

impl Config {
    /// Says in the log what could be safer.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Reads the named file; without a name `./streamhost.toml`, and without that the defaults.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(USUAL_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(path, &text),
            Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            Err(error) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Reads a file's text. Relative paths in it begin at the file's folder; the token's file is
    /// read at once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let faulty = |faults| ConfigError::Faulty {
            path: path.to_owned(),
            faults,
        };
        let table = DeTable::parse(text).map_err(|e| {
            let line = e.span().map_or(0, |span| line_of(text, span.start));
            faulty(vec![Fault {
                line,
                what: e.message().to_owned(),
            }])
        })?;
        let mut reader = Reader {
            text,
            folder: path.parent().unwrap_or(Path::new("")),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        let mut config = reader.file(table.into_inner());
        config.warnings = std::mem::take(&mut reader.warnings);
        reader.faults.sort_by_key(|fault| fault.line);
        if reader.faults.is_empty() {
            Ok(config)
        } else {
            Err(faulty(reader.faults))
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|&&b| b == b'\n')
        .count()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
