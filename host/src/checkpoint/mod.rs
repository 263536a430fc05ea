//! What is safe, what comes next, and where both are kept: ledger, plan, checkpoint.
//!
//! The order of a batch's steps is the protocol: cut, run, plan (durable), sinks, checkpoint (durable), group.

use crate::record::{BatchNumber, Chunk, NO_TIME_MS, Offset, Partition, Positions, Span, Spans};
use crate::state::{Delta, Entries, Most, StageId, Stages};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Records that came too late for a window or join.
    #[serde(default)]
    pub late: u64,
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
        sum.late += batch.late;
        for (sink, rows) in &batch.rows {
            *sum.rows.entry(sink.clone()).or_default() += rows;
        }
        sum
    }
}

/// What a job knows of time after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The batch's own time. It never falls.
    pub clock_ms: i64,
    /// The job's watermark. It never falls.
    pub watermark_ms: i64,
    /// The largest event time of each partition that has one.
    pub event_ms: TopicOffsets,
    /// How far each keyed stage that goes by event time let go what it kept, by the stage's name. It never falls.
    #[serde(default)]
    pub lines_ms: BTreeMap<String, i64>,
}

impl Default for Times {
    fn default() -> Self {
        let (event_ms, lines_ms) = (TopicOffsets::new(), BTreeMap::new());
        Times { clock_ms: NO_TIME_MS, watermark_ms: NO_TIME_MS, event_ms, lines_ms }
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
    /// What is known of time.
    #[serde(default)]
    pub times: Times,
    /// Where the stages' state is, and how much.
    #[serde(default)]
    pub stages: Stages,
    /// Every source has ended, and this was the last batch.
    #[serde(default)]
    pub finished: bool,
    /// The ids of the topics, where the brokers know some: a topic that is made anew has another.
    #[serde(default)]
    pub topic_ids: BTreeMap<String, String>,
    /// What exactly-once sinks held already when an older ledger was lost, and are not given again.
    #[serde(default)]
    pub leave_out: step::LeaveOut,
}

/// Which call of a keyed stage a group was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was merged.
    Combine,
    /// It was finished.
    Finish,
}

/// A verdict on a group or pair: the host set it aside, as the guest broke on it, or cut calls before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAside {
    /// The stage's number in the job, sources included.
    pub stage: u32,
    /// Which call it was in.
    pub phase: Phase,
    /// It was so many-th of the batch's groups in that stage and phase, from 0.
    pub index: u64,
    /// What the guest did. None: it is not set aside, but calls were cut before it, as more at once was too much.
    pub reason: Option<String>,
}

/// A verdict on a record: the host set it aside, as the guest broke on it, or cut calls before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// What the guest did. None: it is not set aside, but calls were cut before it, as more at once was too much.
    pub reason: Option<String>,
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
    /// Verdicts on records: those by time and memory may differ the next time.
    pub set_aside: Vec<SetAside>,
    /// A digest of each sink's rows, by the sink's name.
    pub digests: BTreeMap<String, String>,
    /// The batch's own counts.
    pub counts: Totals,
    /// Verdicts on groups of keyed stages.
    #[serde(default)]
    pub groups_aside: Vec<GroupAside>,
    /// What is known of time after it.
    #[serde(default)]
    pub times: Times,
    /// Where the stages' state is after it, and how much.
    #[serde(default)]
    pub stages: Stages,
    /// Every source has ended with it.
    #[serde(default)]
    pub finished: bool,
    /// The records of sources that cannot be read twice. Kept beside the plan, not in it.
    #[serde(skip)]
    pub kept: Vec<Chunk>,
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
    /// A key of a stage's state is longer than [`limits::STATE_KEY_BYTES_MAX`](crate::limits::STATE_KEY_BYTES_MAX).
    #[error("a key of {bytes} bytes cannot be kept: {max} at most")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
}

/// Where one job's ledger and plans are kept.
pub trait Store: Send + Sync {
    /// One snapshot of the ledger and the plans after it, in order of their numbers.
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError>;

    /// One atomic write, durable at return: a checkpoint (the ledger, which deletes the plan of its batch, and what the
    /// batch changed in the stages' state) and the next plan, or either alone. The caller has checked that they follow
    /// what is there.
    fn write(&self, checkpoint: Option<(&Ledger, &Delta)>, plan: Option<&Plan>) -> Result<(), StoreError>;

    /// One atomic write, durable at return: this ledger, and none of the plans of before.
    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError>;

    /// Forgets the ledger, all plans and all state.
    fn forget(&self) -> Result<(), StoreError>;

    /// An entry of a stage's state.
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Entries of a stage's state with keys from `from` on and below `to` (none: to the end), ascending, `most` at most.
    fn states(&self, stage: StageId, from: &[u8], to: Option<&[u8]>, most: Most) -> Result<Entries, StoreError>;

    /// Writes entries of a stage that no ledger names yet. Need not be durable at return; a later [`Store::write`] makes
    /// it so.
    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError>;

    /// Removes what stands under a stage that no ledger and no plan names: what a migration that failed has left.
    fn discard(&self, stage: StageId) -> Result<(), StoreError>;

    /// Removes what stands under stages above `last`, which no ledger and no plan names: what migrations of versions that
    /// were rolled back have left. Never beside a [`Store::prepare`].
    fn discard_above(&self, last: StageId) -> Result<(), StoreError>;

    /// Removes the state of stages that neither `kept` nor the stored ledger and plans name, in portions. May run beside
    /// the job, however late: stages above all that are named may be under way (see [`Store::prepare`]), and stay.
    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError>;
}

/// Whether a sweep leaves a stage's state, given all stages that are named. Those above them are being prepared.
fn stays(named: &BTreeSet<StageId>, id: StageId) -> bool {
    named.contains(&id) || named.last().is_some_and(|&last| id > last)
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
