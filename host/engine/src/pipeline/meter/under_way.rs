//! What a pipeline is at just now: a batch that takes long is seen before it is durable.

use super::{Measured, OpenBatch, PipelineMeter};
use crate::pipeline::trace::BatchStep;
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::types::BatchNumber;

/// The oldest batch that is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchUnderWay {
    /// Its number.
    pub number: BatchNumber,
    /// Its records.
    pub records: u64,
    /// The step that it is in. Of a job with keyed stages `transform` is that step too, until both
    /// are done.
    pub step: BatchStep,
    /// For how long it has been in it.
    pub took: Duration,
}

impl PipelineMeter {
    /// The oldest batch that was closed and is not durable; none where nothing is on its way.
    pub fn under_way(&self) -> Option<BatchUnderWay> {
        let measured = self.lock();
        let Measured { open, .. } = &*measured;
        let (number, open) = open.first_key_value()?;
        Some(BatchUnderWay {
            number: *number,
            records: open.trace.records,
            step: step_after(open),
            took: clock::monotonic().saturating_duration_since(open.last),
        })
    }
}

/// The step that follows the last one that has ended.
fn step_after(open: &OpenBatch) -> BatchStep {
    match open.trace.steps.last().map(|time| time.step) {
        None => BatchStep::Gather,
        Some(BatchStep::Gather) => BatchStep::Transform,
        Some(BatchStep::Transform | BatchStep::Stages) => BatchStep::Queue,
        Some(BatchStep::Queue) => BatchStep::Intent,
        Some(BatchStep::Intent) => BatchStep::Deliver,
        Some(BatchStep::Deliver | BatchStep::Checkpoint) => BatchStep::Checkpoint,
    }
}
