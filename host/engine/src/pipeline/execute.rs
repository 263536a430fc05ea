//! Runs closed batches on the job's lanes, with the version that each batch names.

use super::{LoadedDeployment, PipelineExit, PipelineStatus};
use crate::guest::{Lanes, LargeTurn, VersionLanes};
use std::sync::Arc;
use streamhost_core::contract::VersionFault;
use streamhost_core::executor::{
    Batch, BatchExecutor, BatchInputs, BatchJob, BatchOutcome, ExecutorError,
};
use streamhost_core::job::settings::OnError;
use streamhost_core::protocol::{Checkpoint, CheckpointLog, MarkedLetter};
use streamhost_core::types::{Chunk, TopicMarks, by_topic};
use streamhost_core::{clock, limits};

/// What runs a job's batches: the executor, and the lanes that call the guest for it.
pub(super) struct LaneExecutor {
    pub(super) lanes: Lanes,
    pub(super) executor: BatchExecutor,
}

/// A batch that was run, on its way to the sinks.
pub(super) struct ExecutedBatch {
    /// The deployment that ran it.
    pub(super) active: Arc<LoadedDeployment>,
    pub(super) outcome: BatchOutcome,
    /// Records of sources that cannot be read twice, and that of a retried letter.
    pub(super) retained_records: Vec<Chunk>,
    /// What its sources know partitions by.
    pub(super) marks: TopicMarks,
    /// The dead letter that it retries, if it is one.
    pub(super) retried: Option<MarkedLetter>,
    /// Held for as long as its rows are, if they are many.
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    pub(super) turn: Option<LargeTurn>,
}

impl LaneExecutor {
    /// Goes on after a checkpoint.
    pub(super) fn after(
        checkpoint: &Checkpoint,
        lanes: Lanes,
        store: Arc<dyn CheckpointLog>,
    ) -> LaneExecutor {
        LaneExecutor {
            lanes,
            executor: BatchExecutor::after(checkpoint, store, limits::STATE_CACHE_BYTES),
        }
    }

    /// The time of a batch that is closed now.
    pub(super) fn clock_ms(&self) -> i64 {
        self.executor.clock_ms(clock::now_ms())
    }

    /// Runs a batch, unless a stop comes meanwhile. After an error the state is that of before.
    pub(super) fn run_batch(
        &mut self,
        active: &Arc<LoadedDeployment>,
        batch: Batch,
        given: BatchInputs,
        status: &PipelineStatus,
    ) -> Result<ExecutedBatch, ExecutorError> {
        let began = clock::monotonic();
        let job = BatchJob {
            spec: &active.spec,
            memory_bytes: active.settings.limits.memory_bytes,
            // A letter that is refused again is a letter again, and stops no job.
            on_error: match given.retries {
                true => OnError::DeadLetter,
                false => active.settings.on_error,
            },
        };
        let marks = by_topic(&active.topics(), &batch.marks);
        let mut workers = VersionLanes::new(&mut self.lanes, &active.guest_version);
        let stopped = || status.stop.abandons_batch(began);
        let outcome = self
            .executor
            .run_batch(job, batch, given, &mut workers, &stopped);
        let turn = self.lanes.take_turn(); // it ends with a batch that came to nothing
        let outcome = outcome?;
        Ok(ExecutedBatch {
            active: active.clone(),
            outcome,
            retained_records: Vec::new(),
            marks,
            retried: None,
            turn,
        })
    }
}

/// How a pipeline ends by a batch that could not be run.
pub(super) fn exit_of(error: &ExecutorError, deployment: u64) -> PipelineExit {
    match error {
        ExecutorError::Version(VersionFault::Stopped) | ExecutorError::Stopped => {
            PipelineExit::Stopped
        }
        ExecutorError::Version(fault) => PipelineExit::VersionFault {
            deployment,
            reason: fault.to_string(),
            by_policy: matches!(fault, VersionFault::Stop(_)),
        },
        ExecutorError::Store(error) => PipelineExit::Failed(error.to_string()),
    }
}
