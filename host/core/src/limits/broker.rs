//! The embedded broker.

use std::time::Duration;

/// Connections to the embedded broker, a thread each; more are refused.
pub const BROKER_CONNECTIONS_MAX: usize = 256;
/// A connection to the embedded broker that says nothing for so long, or does not take its answer,
/// is closed.
pub const BROKER_IDLE_TIME: Duration = Duration::from_secs(600);
/// One request to the embedded broker.
pub const BROKER_REQUEST_BYTES_MAX: usize = 32 << 20;
/// A request to the embedded broker up to this size is always received, one on each connection.
pub const BROKER_SMALL_REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of all larger requests that are under way; beyond them a connection that brings one more
/// is closed.
pub const BROKER_LARGE_REQUESTS_BYTES_MAX: usize = 256 << 20;
/// Array elements and tagged fields in one request, so that few bytes cannot claim much memory.
pub const BROKER_REQUEST_ITEMS_MAX: usize = 100_000;
/// One record batch in the embedded broker, dead letters among them.
pub const BROKER_BATCH_BYTES_MAX: usize = 15 << 20;
/// Records in one answer of the embedded broker, whatever the client allows.
pub const BROKER_FETCH_BYTES_MAX: usize = 16 << 20;
/// How long the embedded broker holds a fetch that finds nothing, whatever the client allows.
pub const BROKER_FETCH_WAIT_MAX: Duration = Duration::from_secs(60);
/// Topics of the embedded broker.
pub const BROKER_TOPICS_MAX: usize = 1000;
/// Partitions of one topic of the embedded broker.
pub const BROKER_TOPIC_PARTITIONS_MAX: u32 = 1000;
/// Partitions of all topics of the embedded broker.
pub const BROKER_PARTITIONS_MAX: u32 = 10_000;
/// Partitions of a topic that is created by its first use.
pub const BROKER_PARTITIONS_DEFAULT: u32 = 4;
/// How long the embedded broker keeps a record, unless the topic says otherwise.
pub const BROKER_RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of records that the embedded broker keeps in a partition, unless the topic says otherwise.
pub const BROKER_RETENTION_BYTES_DEFAULT: u64 = 1 << 30;
/// Batches that retention or a deletion removes in one write.
pub const BROKER_SWEEP_BATCHES_MAX: usize = 1000;
/// Producers whose sequence numbers a partition remembers; the longest silent one is forgotten
/// first.
pub const BROKER_PRODUCERS_PER_PARTITION_MAX: usize = 1000;
/// Consumer groups with members.
pub const BROKER_GROUPS_MAX: usize = 1000;
/// Members of one consumer group.
pub const BROKER_GROUP_MEMBERS_MAX: usize = 250;
/// Session timeouts that a group's member may ask for. Shorter than Kafka's least of 6 s, for quick
/// trials.
pub const BROKER_SESSION_TIME: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(1800));
/// How long an empty group waits for more members before its first assignment (Kafka: 3 s).
pub const BROKER_FIRST_JOIN_WAIT: Duration = Duration::from_millis(200);
/// Bytes of the metadata string beside a committed offset.
pub const BROKER_OFFSET_METADATA_BYTES_MAX: usize = 4096;
/// Transactional ids.
pub const BROKER_TRANSACTIONAL_IDS_MAX: usize = 10_000;
/// Partitions, and likewise offsets, in one transaction.
pub const BROKER_TRANSACTION_ITEMS_MAX: usize = 10_000;
/// The longest transaction timeout that a producer may ask for.
pub const BROKER_TRANSACTION_TIME_MAX: Duration = Duration::from_secs(900);
/// How often the embedded broker looks for silent members, overdue transactions and old records.
pub const BROKER_CARE_PERIOD: Duration = Duration::from_millis(200);
/// How much of the embedded broker's work a power loss may take, at most about.
pub const BROKER_SYNC_PERIOD: Duration = Duration::from_secs(1);
/// How often the embedded broker applies retention.
pub const BROKER_RETENTION_PERIOD: Duration = Duration::from_secs(10);

const _: () = assert!(
    BROKER_BATCH_BYTES_MAX <= BROKER_FETCH_BYTES_MAX
        && BROKER_BATCH_BYTES_MAX <= BROKER_REQUEST_BYTES_MAX
);
// Or one could never come.
const _: () = assert!(BROKER_REQUEST_BYTES_MAX <= BROKER_LARGE_REQUESTS_BYTES_MAX);
