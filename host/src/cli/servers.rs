//! The servers of verbs that go to Kafka and HBase themselves: those of `dev`, or of a
//! configuration.

use super::CliError;
use crate::config::Config;
use clap::Args;
use std::path::PathBuf;
use streamhost_connectors::hbase::HbaseSettings;
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::kafka::topics::TopicError;
use streamhost_engine::sink::SinkError;

/// Why a topic or table is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nobody answers there.
    #[error("{0}: start `streamhost dev`, or name the servers: --config streamhost.toml")]
    Away(String),
    /// The server says no.
    #[error("{0}")]
    Refused(String),
    /// There is no such topic, and it would be made if that was asked.
    #[error(
        "there is no topic `{topic}`: `--create` makes it, or `deploy --create-tables` those of a job"
    )]
    NoTopic {
        /// Its name.
        topic: String,
    },
    /// A line is no record.
    #[error("line {line}: {reason}; what stands before it is in the topic")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<SinkError> for ServerError {
    fn from(error: SinkError) -> ServerError {
        let words = error.to_string();
        match error {
            SinkError::Away { .. } => ServerError::Away(words),
            _ => ServerError::Refused(words),
        }
    }
}

impl From<TopicError> for ServerError {
    fn from(error: TopicError) -> ServerError {
        let words = error.to_string();
        match error {
            TopicError::Away { .. } => ServerError::Away(words),
            _ => ServerError::Refused(words),
        }
    }
}

/// Which Kafka.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Kafka {
    /// The configuration that names the Kafka [default: that of `streamhost dev`, 127.0.0.1:9092]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Kafka's brokers
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config")]
    kafka: Option<String>,
}

/// Which HBase.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Hbase {
    /// The configuration that names the HBase [default: that of `streamhost dev`, 127.0.0.1:9090]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of the HBase's Thrift gateway
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config")]
    hbase: Option<String>,
}

/// What a file says; without one the servers of `dev`, even where a `streamhost.toml` is at hand:
/// what a person tries must not go to servers that he did not name.
fn configured(config: Option<&PathBuf>) -> Result<Config, CliError> {
    match config {
        Some(path) => Ok(Config::load(Some(path))?),
        None => Ok(Config::default()),
    }
}

impl Kafka {
    pub(super) fn settings(&self) -> Result<KafkaSettings, CliError> {
        let mut settings = configured(self.config.as_ref())?.kafka;
        if let Some(brokers) = &self.kafka {
            settings.brokers.clone_from(brokers);
        }
        let faults = settings.check();
        match faults.is_empty() {
            true => Ok(settings),
            false => Err(CliError::Host(faults.join("; ").into())),
        }
    }
}

impl Hbase {
    pub(super) fn settings(&self) -> Result<HbaseSettings, CliError> {
        let mut settings = configured(self.config.as_ref())?.hbase;
        if let Some(address) = &self.hbase {
            settings.name_gateways(address);
        }
        Ok(settings)
    }
}
