//! What became of the records of a call.

use super::KeyOutcome;
use crate::types::{Keyed, Rows};

/// A record that ends in no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its position in the chunk.
    pub position: u32,
    /// Why: the author's words, or what the guest did.
    pub reason: String,
    /// The guest broke on it; a replay quarantines it again without trying.
    pub by_host: bool,
    /// It is the canary's, where the job has one.
    pub canary: bool,
}

/// A record on which one of two versions broke, and what the other one made of it counts. A replay
/// does not ask the one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its position in the chunk.
    pub position: u32,
    /// What the guest did.
    pub reason: String,
    /// It was the canary's guest.
    pub canary: bool,
}

/// What became of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkAnswer {
    /// For each sink its rows, in the records' order.
    pub rows: Vec<Vec<Rows>>,
    /// One a record, ascending.
    pub faults: Vec<Fault>,
    /// For keyed stages, in the records' order.
    pub keyed: Vec<Keyed>,
    /// Records that came too late for a window or join.
    pub late: u64,
    /// The largest event time of the partition after these records.
    pub largest_ms: i64,
    /// Records that ended neither in a row, nor in a keyed stage, nor in a fault, and were not
    /// late.
    pub dropped: u64,
    /// Positions before which calls were cut, as more at once was too much; where it matters. A
    /// replay cuts them there.
    pub splits: Vec<u32>,
    /// The same of a canary's calls.
    pub canary_splits: Vec<u32>,
    /// Records that one of two versions broke on, without a fault for the record.
    pub passed_over: Vec<PassedOver>,
    /// Of keys: what became of each.
    pub outcomes: Vec<KeyOutcome>,
}

/// What one call answered, not yet checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Positions in the call's records, and the author's words.
    pub faults: Vec<(u32, String)>,
    /// One for each sink.
    pub rows: Vec<Rows>,
    /// For keyed stages, at most one for each stage and side.
    pub keyed: Vec<Keyed>,
    /// Positions of records that came too late, ascending.
    pub late: Vec<u32>,
    /// The largest event time of the partition after these records.
    pub largest_ms: i64,
    /// Of keys: what became of each, in their order.
    pub outcomes: Vec<KeyOutcome>,
}
