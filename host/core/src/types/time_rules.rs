//! What is made of times in a batch.

use serde::{Deserialize, Serialize};

/// What is made of times in a batch. It is in the batch's intent, so that a replay goes by the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRules {
    /// How far ahead of its record's own time an event time may be, in milliseconds; 0: however
    /// far.
    pub ahead_ms: u64,
    /// The batches' times are a clock's. Without servers they count from 0.
    pub by_clock: bool,
}
