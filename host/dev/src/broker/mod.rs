//! The embedded broker of `streamhost dev`: Kafka's protocol over the host's own store, for one
//! machine.
//!
//! ```text
//! server ─► wire ─► calls ─┬► produce, fetch, list ─► topics ─► log (one lock a partition) ─┐
//!                          ├► group_calls ─► groups (one lock a group), offsets ────────────┼─► store (fjall)
//!                          ├► txn_calls ─► txns (one lock a transactional id) ──────────────┤
//!                          └► admin, configs, metadata ─────────────────────────────────────┘
//! ```
//!
//! **Supported**: producing (idempotent and transactional too) and fetching record batches of
//! format 2 in any compression; offsets by time (in a compressed batch its first record, which may
//! be some records too early, as batches are never opened), earliest and latest; consumer groups of
//! the classic protocol, static members among them, and commits without a group's membership;
//! transactions with fencing, markers, last stable offset and aborted transactions for
//! `read_committed`; committed metadata strings, `require_stable`; retention by size and by age
//! (since a record came, whatever time it bears, so that old data can be tried out); topics:
//! create, delete, more partitions, delete records, describe; groups: list, describe, delete,
//! delete offsets. Works with librdkafka and what is built on it (kcat), kafka-python, and the Java
//! clients and tools of Kafka 4.
//!
//! **Refused**, with the protocol's own error: compaction and every other topic setting that would
//! change what a reader sees (INVALID_CONFIG), more than one replica, record formats before 2, the
//! consumer protocol of KIP-848, share groups, and whatever ApiVersions does not list. There is no
//! TLS, no SASL and no quota: it is for loopback. Bytes that are no request, or are too many, close
//! their connection and harm nothing else.
//!
//! **Durability**: what is acknowledged survives `kill -9` at any moment. Each change is one atomic
//! write: a batch with its partition's end and its producer's sequence number; a transaction's end
//! with its markers in all partitions, its offsets and its new state, so that a transaction is
//! never half ended. The ends of transactions, committed offsets and changes of topics survive a
//! power loss as well, with all that was written before them. Everything else reaches the disk
//! about once a second, so a power loss may take the last second of records; it takes the newest
//! and leaves no gap.
//!
//! **Locks** are taken in this order: transactional id, group, partitions (ascending); topics and
//! the lists of groups and transactional ids are held only to look something up.

mod server;
mod wire;
pub mod calls;
mod metadata;
mod configs;
mod admin;
mod produce;
mod fetch;
mod list;
mod topics;
mod log;
mod read;
mod retention;
mod record_batch;
mod producers;
mod groups;
mod group_list;
mod group_calls;
mod group_admin;
mod offset_calls;
mod offsets;
mod txns;
mod txn_calls;
mod signal;
mod store;
#[cfg(test)]
mod tests;

use self::group_list::Groups;
use self::store::Store;
use self::topics::Topics;
use self::txns::Transactions;
use kafka_protocol::ResponseError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits::{
    BROKER_PARTITIONS_DEFAULT, BROKER_RETENTION_BYTES_DEFAULT, BROKER_RETENTION_DEFAULT,
    BROKER_TOPIC_PARTITIONS_MAX,
};
use streamhost_core::state::StoreError;

pub use self::server::Listening;

/// What may be set of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Partitions of topics whose creator names no number; at least 1.
    pub partitions_default: u32,
    /// Whether the first use of a topic creates it.
    pub auto_create_topics: bool,
    /// How long records stay in topics that do not say it themselves.
    pub retention: Duration,
    /// Bytes of records that stay in each partition of topics that do not say it themselves.
    pub retention_bytes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            partitions_default: BROKER_PARTITIONS_DEFAULT,
            auto_create_topics: true,
            retention: BROKER_RETENTION_DEFAULT,
            retention_bytes: BROKER_RETENTION_BYTES_DEFAULT,
        }
    }
}

/// Why the broker cannot start, or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The store cannot read or write.
    #[error(
        "the embedded broker's store failed: {0}; look after the disk of the data folder, then start again"
    )]
    Storage(#[from] fjall::Error),
    /// What is to be written is not begun.
    #[error("the embedded broker takes nothing: {0}")]
    Full(StoreError),
    /// What is stored is not what the broker stores.
    #[error(
        "{what} in the embedded broker's store is damaged; restore the data folder from a copy, or start with another one"
    )]
    Damaged {
        /// What cannot be read.
        what: &'static str,
    },
    /// A setting that cannot be.
    #[error(
        "{partitions} partitions for new topics: the embedded broker needs 1 to {BROKER_TOPIC_PARTITIONS_MAX}"
    )]
    PartitionsDefault {
        /// The number that was asked for.
        partitions: u32,
    },
}

/// Why one part of a request is refused.
#[derive(Debug)]
enum CallError {
    /// By the protocol's rules.
    Refused(ResponseError),
    /// Because the store failed.
    Broken(BrokerError),
}

impl From<ResponseError> for CallError {
    fn from(error: ResponseError) -> CallError {
        CallError::Refused(error)
    }
}

impl From<BrokerError> for CallError {
    fn from(error: BrokerError) -> CallError {
        CallError::Broken(error)
    }
}

impl CallError {
    /// The error's number in the protocol. A failure of the store is logged here, as clients do not
    /// learn the reason.
    fn code(&self) -> i16 {
        match self {
            CallError::Refused(error) => error.code(),
            CallError::Broken(error) => {
                tracing::error!("{error}");
                ResponseError::KafkaStorageError.code()
            }
        }
    }
}

/// The protocol's number for how a call ended.
fn code_of<T>(result: &Result<T, CallError>) -> i16 {
    result.as_ref().map_or_else(CallError::code, |_| 0)
}

/// The broker: topics, groups and transactions in one store. It serves nobody before
/// [`Broker::listen`].
pub struct Broker {
    settings: Settings,
    store: Store,
    topics: Topics,
    groups: Groups,
    transactions: Transactions,
}

impl Broker {
    /// Opens the broker in a database that it may share with others: its keyspaces begin with
    /// `broker-`. Loads the list of topics and the state of partitions, not the records.
    ///
    /// # Errors
    /// When the store fails, holds something else than it should, or a setting cannot be.
    pub fn open(db: &fjall::Database, settings: Settings) -> Result<Arc<Broker>, BrokerError> {
        let partitions = settings.partitions_default;
        if !(1..=BROKER_TOPIC_PARTITIONS_MAX).contains(&partitions) {
            return Err(BrokerError::PartitionsDefault { partitions });
        }
        let store = Store::open(db)?;
        let topics = Topics::load(&store)?;
        let transactions = Transactions::load(&store)?;
        Ok(Arc::new(Broker {
            settings,
            store,
            topics,
            groups: Groups::default(),
            transactions,
        }))
    }

    /// Serves clients on `address` (port 0: a free one) until what is returned is dropped. Clients
    /// are sent to the address by which they came.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn listen(self: &Arc<Self>, address: SocketAddr) -> io::Result<Listening> {
        Listening::start(self.clone(), address)
    }
}
