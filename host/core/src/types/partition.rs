//! The unit of order before the shuffle, and how far it was read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place in a partition: the number of the next record to read, as Kafka commits it.
pub type Offset = i64;

/// A batch's number within its job's epoch. The first is 1; a checkpoint at 0 has seen none.
pub type BatchNumber = u64;

/// The unit of order before the shuffle: one partition of one of the job's sources.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Partition {
    /// Counts the job's sources from 0.
    pub source: u16,
    /// The partition's number in its topic.
    pub id: i32,
}

/// Positions of a job, for each partition the next offset to read.
pub type Positions = BTreeMap<Partition, Offset>;

/// What one batch passed of one partition: offsets `from..to`, of which `records` were there. Kafka
/// leaves offsets out by itself (compaction, marks of transactions), so a span says what was
/// passed, not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The next offset before the batch.
    pub from: Offset,
    /// The next offset after it. Never below `from`.
    pub to: Offset,
    /// How many records were read in between.
    pub records: u64,
}

/// A batch's spans: every partition of the job, unmoved ones too.
pub type Spans = BTreeMap<Partition, Span>;
