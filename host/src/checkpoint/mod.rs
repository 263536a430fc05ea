//! What is safe, what comes next, and where both are kept: ledger, plan, checkpoint.
//!
//! The order of a batch's steps is the protocol: cut, run, plan (durable), sinks, checkpoint (durable), group.

use crate::record::{BatchNumber, Offset, Partition, Positions, Span, Spans};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub mod ledger;
pub mod memory;
pub mod step;
pub mod store;

/// Offsets by topic and partition: how positions are stored, as a job's sources may change their order.
pub type TopicOffsets = BTreeMap<String, BTreeMap<i32, Offset>>;
/// Spans by topic and partition.
pub type TopicSpans = BTreeMap<String, BTreeMap<i32, Span>>;

/// Counts of a job's durable batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records read.
    pub records_in: u64,
    /// Records that their author filtered away.
    pub dropped: u64,
    /// Records sent to the dead letters.
    pub dead_letters: u64,
    /// Records that a policy of `skip` left out.
    pub skipped: u64,
    /// Rows, by the sink's name.
    pub rows: BTreeMap<String, u64>,
}

impl Totals {
    /// These and those.
    pub fn plus(&self, batch: &Totals) -> Totals {
        let mut sum = self.clone();
        sum.records_in += batch.records_in;
        sum.dropped += batch.dropped;
        sum.dead_letters += batch.dead_letters;
        sum.skipped += batch.skipped;
        for (sink, rows) in &batch.rows {
            *sum.rows.entry(sink.clone()).or_default() += rows;
        }
        sum
    }
}

/// The newest checkpoint of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Changes whenever the job's ledger begins anew.
    pub incarnation: u64,
    /// The last batch whose outcome is durable; 0: none.
    pub batch: BatchNumber,
    /// The deployment that ran it.
    pub deployment: u64,
    /// Its HBase time.
    pub time_ms: i64,
    /// The next offset to read of every partition.
    pub reached: TopicOffsets,
    /// Counts up to here.
    pub totals: Totals,
}

/// A record that the host set aside, as the guest broke on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// What the guest did.
    pub reason: String,
}

/// What a batch is; written after its run and before its first outside effect. A replay has this outcome and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The ledger's life.
    pub incarnation: u64,
    /// The batch.
    pub batch: BatchNumber,
    /// The deployment that ran it: version, digest and settings.
    pub deployment: u64,
    /// HBase deletes at this millisecond, puts at the next one.
    pub time_ms: i64,
    /// What it passed, of every partition.
    pub spans: TopicSpans,
    /// Records that the host set aside: verdicts by time and memory may differ the next time.
    pub set_aside: Vec<SetAside>,
    /// A digest of each sink's rows, by the sink's name.
    pub digests: BTreeMap<String, String>,
    /// The batch's own counts.
    pub counts: Totals,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the store above it.
    #[error("the data folder cannot be written or read: {0}")]
    Io(String),
    /// What stands there is not what was written.
    #[error("the data folder is damaged: {0}")]
    Damaged(String),
}

/// Where one job's ledger and plans are kept.
pub trait Store: Send + Sync {
    /// One snapshot of the ledger and the plans after it, in order of their numbers.
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError>;

    /// One atomic write, durable at return: the ledger (which deletes the plan of its batch) and the next plan, or
    /// either alone. The caller has checked that they follow what is there.
    fn write(&self, ledger: Option<&Ledger>, plan: Option<&Plan>) -> Result<(), StoreError>;

    /// One atomic write, durable at return: this ledger, and none of the plans of before.
    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError>;

    /// Forgets the ledger and all plans.
    fn forget(&self) -> Result<(), StoreError>;
}

/// Positions by topic, given the sources' topics in order.
pub fn by_topic<T: Copy>(topics: &[String], all: &BTreeMap<Partition, T>) -> BTreeMap<String, BTreeMap<i32, T>> {
    let mut out: BTreeMap<String, BTreeMap<i32, T>> = BTreeMap::new();
    for (partition, &value) in all {
        if let Some(topic) = topics.get(usize::from(partition.source)) {
            out.entry(topic.clone()).or_default().insert(partition.id, value);
        }
    }
    out
}

/// The reverse: what is stored for topics that the job does not read now is left out.
pub fn by_partition<T: Copy>(topics: &[String], all: &BTreeMap<String, BTreeMap<i32, T>>) -> BTreeMap<Partition, T> {
    let mut out = BTreeMap::new();
    for (source, topic) in topics.iter().enumerate() {
        for (&id, &value) in all.get(topic).into_iter().flatten() {
            out.insert(Partition { source: source as u16, id }, value);
        }
    }
    out
}

/// Positions as a running job holds them.
pub fn positions(topics: &[String], reached: &TopicOffsets) -> Positions {
    by_partition(topics, reached)
}

/// Spans as a running job holds them.
pub fn spans(topics: &[String], all: &TopicSpans) -> Spans {
    by_partition(topics, all)
}
