//! What is told of a durable batch: its steps, its sinks, its counts.

use std::time::Duration;
use streamhost_core::types::BatchNumber;

/// A step of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchStep {
    /// From its first record until it is closed.
    Gather,
    /// It was run, and batches before it are still under way.
    Queue,
    /// The guest's calls on records, on all lanes.
    Transform,
    /// Keyed stages: shuffle, state, and their calls of the guest.
    Stages,
    /// Its intent is made durable.
    Intent,
    /// All sinks and dead letters, side by side, until the last has acknowledged.
    Deliver,
    /// Its checkpoint is made durable.
    Checkpoint,
}

impl BatchStep {
    /// All of them, in the order in which the API names them.
    pub const ALL: [BatchStep; 7] = [
        BatchStep::Gather,
        BatchStep::Queue,
        BatchStep::Transform,
        BatchStep::Stages,
        BatchStep::Intent,
        BatchStep::Deliver,
        BatchStep::Checkpoint,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            BatchStep::Gather => "gather",
            BatchStep::Queue => "queue",
            BatchStep::Transform => "transform",
            BatchStep::Stages => "stages",
            BatchStep::Intent => "intent",
            BatchStep::Deliver => "deliver",
            BatchStep::Checkpoint => "checkpoint",
        }
    }
}

/// When a step of a batch began, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTime {
    /// Which step.
    pub step: BatchStep,
    /// Since the batch began.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What one sink had of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkTime {
    /// Its name; `None`: the dead letters.
    pub sink: Option<String>,
    /// Rows, or letters.
    pub rows: u64,
    /// How long its delivery took, with all its attempts.
    pub took: Duration,
}

/// A batch that became durable.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchTrace {
    /// Its number.
    pub number: BatchNumber,
    /// The version that ran it.
    pub version: u64,
    /// The deployment that ran it.
    pub deployment: u64,
    /// When its first record came, in milliseconds since 1970.
    pub began_ms: i64,
    /// Records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Rows, all sinks together.
    pub rows: u64,
    /// Records that the author filtered away, or that a policy left out.
    pub dropped: u64,
    /// Late items.
    pub late: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// How often a delivery was tried again.
    pub retries: u64,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepTime>,
    /// Its sinks.
    pub sinks: Vec<SinkTime>,
}
