//! What a shadow has come to.

use std::collections::VecDeque;
use std::time::Duration;
use streamhost_core::compare::{Difference, Pair};
use streamhost_core::limits;
use streamhost_core::types::BatchNumber;

/// How a shadow came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowEnd {
    /// It has run as long as it was to.
    Done,
    /// It cannot go on, for this reason.
    Broke(String),
    /// It was ended from outside, for this reason.
    Told(String),
}

/// One batch that both versions ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDifference {
    /// Its number.
    pub batch: BatchNumber,
    /// Its records.
    pub records: u64,
    /// Rows that are alike.
    pub alike: u64,
    /// Rows and dead letters that are not.
    pub differing: u64,
    /// Its dead letters.
    pub dead_letters: Pair,
}

/// What a shadow has come to, so far.
#[derive(Clone, Debug, Default)]
pub struct ShadowReport {
    /// When it was started, in milliseconds since 1970.
    pub began_ms: i64,
    /// When it ended, and how.
    pub ended: Option<(i64, ShadowEnd)>,
    /// Batches that both versions ran.
    pub batches: u64,
    /// Batches that it left out, as it could not keep up.
    pub skipped: u64,
    /// How often it began as the active version was: the first time, behind batches that it left out,
    /// and after it broke.
    pub forks: u64,
    /// Whole batches that it broke on.
    pub faults: u64,
    /// What it broke on last.
    pub last_fault: Option<String>,
    /// How the two versions differ, in sum.
    pub difference: Difference,
    /// The last batches.
    pub recent: VecDeque<BatchDifference>,
    /// CPU time that the active version took for these batches.
    pub active_cpu: Duration,
    /// The same of the shadow.
    pub shadow_cpu: Duration,
    /// Memory of the largest of the active version's guests.
    pub active_memory_bytes: u64,
    /// Memory of the shadow's guest.
    pub shadow_memory_bytes: u64,
    /// Memory that its own state takes.
    pub state_bytes: u64,
}

impl ShadowReport {
    /// Takes how a batch differs.
    pub(super) fn take(&mut self, batch: BatchNumber, difference: Difference) {
        self.batches += 1;
        self.recent.push_back(BatchDifference {
            batch,
            records: difference.records,
            alike: difference.alike(),
            differing: difference.differing(),
            dead_letters: difference.dead_letters,
        });
        while self.recent.len() > limits::SHADOW_BATCHES_KEPT_MAX {
            self.recent.pop_front();
        }
        self.difference.add(difference);
    }
}
