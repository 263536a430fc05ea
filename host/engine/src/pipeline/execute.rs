//! Runs closed batches on the job's lanes, with the version that each batch names.

use super::{LoadedDeployment, PipelineExit, PipelineStatus};
use crate::guest::{
    CanaryLanes, CanaryQuarantines, LaneFigures, Lanes, LargeTurn, SideFigures, SideLanes,
    VersionLanes,
};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{GuestFault, RecordQuarantines, VersionFault};
use streamhost_core::executor::{
    Batch, BatchExecutor, BatchInputs, BatchJob, BatchOutcome, ExecutorError,
};
use streamhost_core::job::MetricValues;
use streamhost_core::job::settings::OnError;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog, MarkedLetter};
use streamhost_core::types::{Chunk, Partition, TopicMarks, by_topic};
use streamhost_core::{clock, limits, system};

/// What runs a job's batches: the executor, and the lanes that call the guest for it.
pub(super) struct LaneExecutor {
    pub(super) lanes: Lanes,
    pub(super) executor: BatchExecutor,
    second: SecondLanes,
    /// What the lanes did in the transform of the last batch.
    figures: LaneFigures,
}

/// The lanes of a canary, once there is one.
pub(super) struct SecondLanes {
    start: StartLanes,
    lanes: Option<Lanes>,
}

/// Starts lanes as the job's own are.
type StartLanes = Box<dyn Fn() -> std::io::Result<Lanes> + Send>;

impl SecondLanes {
    /// None yet.
    pub(super) fn new(start: StartLanes) -> SecondLanes {
        SecondLanes { start, lanes: None }
    }

    fn get(&mut self) -> Result<&mut Lanes, ExecutorError> {
        if self.lanes.is_none() {
            let started = (self.start)().map_err(|error| {
                let text = system::with_limit(format_args!("no threads can be started: {error}"));
                VersionFault::Start(GuestFault::Trap(text)).of_canary()
            });
            self.lanes = Some(started?);
        }
        match &mut self.lanes {
            Some(lanes) => Ok(lanes),
            None => unreachable!("set a line ago"),
        }
    }
}

/// A batch that was run, on its way to the sinks.
pub(super) struct ExecutedBatch {
    /// The deployment that ran it.
    pub(super) active: Arc<LoadedDeployment>,
    pub(super) outcome: BatchOutcome,
    /// What the active version did, and a canary beside it.
    pub(super) sides: Option<[SideFigures; 2]>,
    /// What the job's own metrics came to.
    pub(super) metrics: MetricValues,
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
        (lanes, second): (Lanes, SecondLanes),
        store: Arc<dyn CheckpointLog>,
    ) -> LaneExecutor {
        LaneExecutor {
            lanes,
            executor: BatchExecutor::after(checkpoint, store, limits::STATE_CACHE_BYTES),
            second,
            figures: LaneFigures::default(),
        }
    }

    /// The time of a batch that is closed now.
    pub(super) fn clock_ms(&self) -> i64 {
        self.executor.clock_ms(clock::now_ms())
    }

    /// What the lanes did in the transform of the batch that was run last.
    pub(super) fn figures(&self) -> &LaneFigures {
        &self.figures
    }

    /// Memory that the guests of all lanes hold.
    pub(super) fn memory_bytes(&self) -> u64 {
        let second = self.second.lanes.as_ref().map_or(0, Lanes::memory_bytes);
        self.lanes.memory_bytes() + second
    }

    /// CPU time that the lanes but the caller's own have used so far.
    pub(super) fn others_cpu(&self) -> Duration {
        let second = self.second.lanes.as_ref().map(Lanes::others_cpu);
        self.lanes.others_cpu() + second.unwrap_or_default()
    }

    /// Runs a batch, unless a stop comes meanwhile. After an error the state is that of before.
    pub(super) fn run_batch(
        &mut self,
        active: &Arc<LoadedDeployment>,
        batch: Batch,
        given: BatchInputs,
        status: &PipelineStatus,
    ) -> Result<ExecutedBatch, ExecutorError> {
        self.run_again(active, batch, given, CanaryQuarantines::default(), status)
    }

    /// The same, given what an earlier run decided on what its canary ran.
    pub(super) fn run_again(
        &mut self,
        active: &Arc<LoadedDeployment>,
        batch: Batch,
        given: BatchInputs,
        of_canary: CanaryQuarantines,
        status: &PipelineStatus,
    ) -> Result<ExecutedBatch, ExecutorError> {
        let began = clock::monotonic();
        let job = BatchJob {
            spec: &active.spec,
            memory_bytes: active.settings.limits.memory_bytes,
            canary: active
                .canary
                .as_ref()
                .map(|canary| (&canary.plan, canary.version)),
            // A letter that is refused again is a letter again, and stops no job.
            on_error: match given.retries {
                true => OnError::DeadLetter,
                false => active.settings.on_error,
            },
        };
        let marks = by_topic(&active.topics(), &batch.marks);
        let stopped = || status.stop.abandons_batch(began);
        let mut sides = None;
        let outcome = match &active.canary {
            None => {
                self.second.lanes = None; // a canary's, which is over
                let mut workers = VersionLanes::new(&mut self.lanes, &active.guest_version);
                let (executor, workers) = (&mut self.executor, &mut workers);
                let outcome = executor.run_batch(job, batch, given, workers, &stopped);
                self.figures.clone_from(self.lanes.figures());
                outcome
            }
            Some(canary) => {
                let of = |lanes, version| SideLanes { lanes, version };
                let both = [
                    of(&mut self.lanes, &active.guest_version),
                    of(self.second.get()?, &canary.guest_version),
                ];
                let mut workers = CanaryLanes::new(&canary.plan, both, of_canary);
                let executor = &mut self.executor;
                let outcome = executor.run_batch(job, batch, given, &mut workers, &stopped);
                self.figures = workers.lane_figures();
                sides = Some(workers.figures());
                outcome
            }
        };
        let turn = self.lanes.take_turn(); // it ends with a batch that came to nothing
        let outcome = outcome?;
        let mut metrics = self.lanes.take_metrics();
        if let (Some(_), Some(second)) = (&active.canary, &self.second.lanes) {
            metrics.add(&second.take_metrics());
        }
        Ok(ExecutedBatch {
            active: active.clone(),
            outcome,
            sides,
            metrics,
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

/// What the run of a planned batch decided on records: of a canary, or of the active version.
pub(super) fn quarantines(
    topics: &[String],
    intent: &BatchIntent,
    canary: bool,
) -> RecordQuarantines {
    let mut quarantines = RecordQuarantines::new();
    let of_side = intent
        .quarantined
        .iter()
        .filter(|aside| aside.canary == canary);
    for aside in of_side {
        if let Some(source) = topics.iter().position(|topic| *topic == aside.topic) {
            let partition = Partition {
                source: source as u16,
                id: aside.partition,
            };
            quarantines.insert((partition, aside.offset), aside.reason.clone());
        }
    }
    quarantines
}
