//! A compacted topic of one partition as a log of keys and values: what hosts of a cluster share.
//!
//! One writer at a time has a topic by its transactional id: [`LogWriter::open`] ends what another
//! one has begun, and that one is told so at its next write. A write is a transaction, so that it is
//! there whole or not at all. [`LogReader`] reads what was committed, from an offset to the end, and
//! goes on.
//!
//! Values are cut into parts that brokers take by their defaults:
//!
//! | | bytes |
//! |---|---|
//! | key of a record | the key, the part's number (2, big-endian) |
//! | value of a record | format (1), how many parts the value has (2), the write's stamp (8), the part |
//!
//! Compaction keeps the newest record of each key, so it keeps all parts of the newest value; older
//! parts that it may leave have another stamp.

mod parts;
mod reader;
mod writer;

pub use reader::{LogRead, LogReader};
pub use writer::{LogWriter, PlainLog};

use super::{Fault, KafkaSettings, Quiet};
use crate::kafka;
use crate::kafka::topic_ids::topic_ids;
use rdkafka::consumer::{BaseConsumer, Consumer};
use streamhost_core::limits;
use streamhost_engine::sink::SinkError;

/// Why a log is not read or written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LogError {
    /// The brokers are away, or do not let the host in: it may pass.
    #[error("{0}")]
    Away(String),
    /// Another host writes this log now.
    #[error("another host writes it now")]
    Fenced,
    /// It would be so again.
    #[error("{0}")]
    Refused(String),
}

impl LogError {
    pub(super) fn of(topic: &str, (fault, reason): (Fault, String)) -> Self {
        let words = format!("topic `{topic}`: {reason}");
        match fault {
            Fault::Away | Fault::Denied => LogError::Away(words),
            Fault::Fenced => LogError::Fenced,
            Fault::Missing | Fault::Gone | Fault::Refused => LogError::Refused(words),
        }
    }

    fn of_sink(error: SinkError) -> Self {
        match error {
            SinkError::Fenced { .. } => LogError::Fenced,
            SinkError::Refused { .. } => LogError::Refused(error.to_string()),
            other => LogError::Away(other.to_string()),
        }
    }
}

/// Settings of a topic that is a log. A removal stays for a day: a reader that was away for longer
/// reads from the beginning.
const CONFIG: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "67108864"),
    ("max.compaction.lag.ms", "3600000"),
    ("delete.retention.ms", "86400000"),
];

/// Makes the topic of a log, where there is none, and gives its id; none where the brokers tell
/// none.
pub fn make_log(settings: &KafkaSettings, topic: &str) -> Result<Option<String>, LogError> {
    let failed = |error| LogError::of(topic, error);
    settings
        .create_topic_of(topic, Some(1), &CONFIG)
        .map_err(failed)?;
    let asker = settings.asker(None);
    let asker = asker.map_err(|e| failed((kafka::fault(&e), kafka::words(&e))))?;
    let count = kafka::partitions(&asker, topic).map_err(failed)?;
    if count != 1 {
        return Err(LogError::Refused(format!(
            "topic `{topic}` has {count} partitions, and a log of a cluster has one: make it anew, or name the cluster otherwise"
        )));
    }
    let client = BaseConsumer::<Quiet>::client(&asker);
    let ids = topic_ids(client, &[topic.to_owned()], limits::CONNECT_TIME);
    Ok(ids.unwrap_or_default().remove(topic))
}
