//! Runs one cut batch to its end: the lanes' transform, then the keyed stages. The same for a new
//! batch and for one that is run again.

use super::outcome::BatchOutcome;
use super::{LoadedDeployment, PipelineExit, PipelineStatus};
use crate::batch::Batch;
use crate::guest::{Lanes, RunTimes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamhost_core::contract::{
    ChunkAnswer, GroupQuarantines, QuarantinedGroup, RecordQuarantines, VersionFault,
};
use streamhost_core::keyed::{self, BatchTimes, KeyedError};
use streamhost_core::protocol::recovery_policy::AlreadyWritten;
use streamhost_core::protocol::{Checkpoint, CheckpointLog, EventTimes};
use streamhost_core::state::{StageId, Stages, StateOverlay, StoreError};
use streamhost_core::types::{
    BatchNumber, END_OF_TIME_MS, NO_TIME_MS, Partition, Rows, by_partition, by_topic,
};
use streamhost_core::{clock, limits};

/// What fixes a batch beside its records and the state before it.
pub(super) struct BatchInputs {
    pub(super) clock_ms: i64,
    pub(super) watermark: Watermark,
    /// Of its first run, if it is run again.
    pub(super) quarantines: Option<RecordQuarantines>,
    pub(super) group_quarantines: GroupQuarantines,
}

/// Where the watermark after a batch comes from.
pub(super) enum Watermark {
    /// The least event time of the partitions that count: all that are timed, but these.
    Least { idle: BTreeSet<Partition> },
    /// Every source has ended.
    End,
    /// An intent says it, as partitions were let go by the wall clock.
    Planned(i64),
}

/// Why a batch could not be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// The version's.
    #[error(transparent)]
    Version(#[from] VersionFault),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job is to stop; the batch is run again later.
    #[error("the job is to stop")]
    Stopped,
}

impl From<KeyedError> for RunError {
    fn from(error: KeyedError) -> Self {
        match error {
            KeyedError::Version(fault) => RunError::Version(fault),
            KeyedError::Store(error) => RunError::Store(error),
            KeyedError::Stopped => RunError::Stopped,
        }
    }
}

impl RunError {
    /// How a pipeline ends by it.
    pub(super) fn ends(self, deployment: u64) -> PipelineExit {
        match self {
            RunError::Version(VersionFault::Stopped) => PipelineExit::Stopped,
            RunError::Version(fault) => PipelineExit::VersionFault {
                deployment,
                reason: fault.to_string(),
                by_policy: matches!(fault, VersionFault::Stop(_)),
            },
            RunError::Store(error) => PipelineExit::Failed(error.to_string()),
            RunError::Stopped => PipelineExit::Stopped,
        }
    }
}

/// What is carried from batch to batch, and does not wait for the sinks.
pub(super) struct BatchExecutor {
    pub(super) lanes: Lanes,
    pub(super) state: StateOverlay,
    /// After the last batch that was run.
    pub(super) times: EventTimes,
    pub(super) stages: Stages,
    /// The number of the next batch.
    pub(super) next: BatchNumber,
    /// What exactly-once sinks held already when an older checkpoint was lost.
    held_before: AlreadyWritten,
}

impl BatchExecutor {
    /// Goes on after a checkpoint.
    pub(super) fn after(
        checkpoint: &Checkpoint,
        lanes: Lanes,
        store: Arc<dyn CheckpointLog>,
    ) -> BatchExecutor {
        let mut state = StateOverlay::new(store, limits::STATE_CACHE_BYTES);
        for facts in checkpoint.stages.values() {
            state.count_from(facts.id, facts.keys, facts.bytes);
        }
        let (times, stages) = (checkpoint.times.clone(), checkpoint.stages.clone());
        BatchExecutor {
            lanes,
            state,
            times,
            stages,
            next: checkpoint.batch + 1,
            held_before: checkpoint.already_written.clone(),
        }
    }

    /// Goes on after a checkpoint that was changed between two batches: positions were passed over,
    /// or topics begun.
    pub(super) fn follow(&mut self, checkpoint: &Checkpoint) {
        self.times.clone_from(&checkpoint.times);
        self.held_before.clone_from(&checkpoint.already_written);
    }

    /// Whether a partition that is over for good no longer counts for the watermark: its largest
    /// time is not above it.
    pub(super) fn may_forget(&self, active: &LoadedDeployment, partition: Partition) -> bool {
        let own = || {
            by_partition(&active.topics(), &self.times.event_ms)
                .get(&partition)
                .copied()
        };
        !is_timed(active, partition) || own().unwrap_or(NO_TIME_MS) <= self.times.watermark_ms
    }

    /// The time of a batch that is cut now. It rises from batch to batch, so that rows with it in
    /// their keys differ.
    pub(super) fn clock_ms(&self) -> i64 {
        clock::now_ms().max(self.times.clock_ms.saturating_add(1))
    }

    /// Runs a batch, unless a stop comes meanwhile. After an error the state is that of before.
    pub(super) fn run_batch(
        &mut self,
        active: &Arc<LoadedDeployment>,
        batch: Batch,
        given: BatchInputs,
        status: &PipelineStatus,
    ) -> Result<BatchOutcome, RunError> {
        let began = clock::monotonic();
        let done = self.attempt(active, batch, given, &|| status.stop.abandons_batch(began));
        match &done {
            Ok(outcome) => {
                self.times = outcome.times.clone();
                self.stages = outcome.stages.clone();
                self.next += 1;
            }
            Err(_) => self.state.abandon(),
        }
        done
    }

    fn attempt(
        &mut self,
        active: &Arc<LoadedDeployment>,
        batch: Batch,
        given: BatchInputs,
        stopped: &dyn Fn() -> bool,
    ) -> Result<BatchOutcome, RunError> {
        let times = RunTimes {
            batch_ms: given.clock_ms,
            watermark_ms: self.times.watermark_ms,
            partitions: by_partition(&active.topics(), &self.times.event_ms),
        };
        let mut outcome = BatchOutcome::begin(active.clone(), self.next, batch.spans.clone());
        let (chunks, answers) = self.lanes.run(
            &active.guest_version,
            batch.chunks,
            given.quarantines,
            &times,
        );
        let batch = Batch {
            chunks,
            spans: batch.spans,
        };
        let mut answers = answers?;
        outcome.times =
            self.times_after(active, &batch, &answers, given.clock_ms, &given.watermark);
        outcome.finished = matches!(given.watermark, Watermark::End);
        let parts = answers
            .iter_mut()
            .flat_map(|answer| std::mem::take(&mut answer.keyed))
            .collect();
        self.already_written(active, &batch, &mut answers);
        outcome.take_answers(&batch, answers)?;
        if !active.spec.stages.is_empty() {
            let batch_times = BatchTimes {
                batch: self.next,
                clock_ms: given.clock_ms,
                before_ms: self.times.watermark_ms,
                watermark_ms: outcome.times.watermark_ms,
                late_thresholds_ms: &self.times.late_thresholds_ms,
            };
            outcome.times.late_thresholds_ms =
                keyed::late_thresholds_after(&active.spec, batch_times);
            let ids = ids(active, &self.stages);
            let mut calls = self
                .lanes
                .calls(&active.guest_version, given.group_quarantines);
            let made = keyed::run(
                &active.spec,
                &ids,
                parts,
                batch_times,
                &mut self.state,
                &mut calls,
                stopped,
            )?;
            outcome.quarantined_groups = calls.quarantined();
            outcome.take_keyed(made)?;
        }
        outcome.delta = self.state.take(self.next);
        outcome.stages = self.stages_now();
        Ok(outcome.close())
    }

    /// Whether a batch without records would do something now.
    pub(super) fn is_due(
        &mut self,
        active: &LoadedDeployment,
        clock_ms: i64,
        watermark_ms: i64,
    ) -> Result<bool, StoreError> {
        if active.spec.stages.is_empty() {
            return Ok(false);
        }
        let (before_ms, late_thresholds_ms) =
            (self.times.watermark_ms, &self.times.late_thresholds_ms);
        let times = BatchTimes {
            batch: self.next,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms,
        };
        keyed::is_due(
            &active.spec,
            &ids(active, &self.stages),
            times,
            &mut self.state,
        )
    }

    /// The watermark if these partitions are let go and nothing more comes.
    pub(super) fn watermark(
        &self,
        active: &LoadedDeployment,
        all: impl Iterator<Item = Partition>,
        idle: &BTreeSet<Partition>,
    ) -> i64 {
        let own = by_partition(&active.topics(), &self.times.event_ms);
        least(active, all, &own, idle).max(self.times.watermark_ms)
    }

    fn times_after(
        &self,
        active: &LoadedDeployment,
        batch: &Batch,
        answers: &[ChunkAnswer],
        clock_ms: i64,
        watermark: &Watermark,
    ) -> EventTimes {
        let topics = active.topics();
        let mut own: BTreeMap<Partition, i64> = by_partition(&topics, &self.times.event_ms);
        for (chunk, answer) in batch.chunks.iter().zip(answers) {
            if is_timed(active, chunk.partition) && answer.largest_ms > NO_TIME_MS {
                // The very end of time is what the host says when all sources have ended, never a
                // record.
                let largest_ms = answer.largest_ms.min(END_OF_TIME_MS - 1);
                let own = own.entry(chunk.partition).or_insert(largest_ms);
                *own = largest_ms.max(*own);
            }
        }
        own.retain(|partition, _| batch.spans.contains_key(partition)); // others are over for good
        let mut event_ms = self.times.event_ms.clone();
        event_ms.retain(|topic, _| !topics.contains(topic));
        event_ms.extend(by_topic(&topics, &own));
        let watermark_ms = match watermark {
            Watermark::Least { idle } => least(active, batch.spans.keys().copied(), &own, idle),
            Watermark::End => END_OF_TIME_MS,
            Watermark::Planned(watermark_ms) => *watermark_ms,
        };
        let watermark_ms = watermark_ms.max(self.times.watermark_ms);
        EventTimes {
            clock_ms,
            watermark_ms,
            event_ms,
            late_thresholds_ms: BTreeMap::new(),
        }
    }

    /// Drops the rows that exactly-once sinks hold from before the checkpoint was lost. Such a job
    /// has no keyed stages.
    fn already_written(
        &self,
        active: &LoadedDeployment,
        batch: &Batch,
        answers: &mut [ChunkAnswer],
    ) {
        for (sink, spec) in active.spec.sinks.iter().enumerate() {
            let Some(held) = self.held_before.get(&spec.name) else {
                continue;
            };
            let held = by_partition(&active.topics(), held);
            for (chunk, answer) in batch.chunks.iter().zip(answers.iter_mut()) {
                let Some(&below) = held.get(&chunk.partition) else {
                    continue;
                };
                let first = chunk.offsets.partition_point(|&offset| offset < below) as u32;
                answer.rows[sink] = without_first(std::mem::take(&mut answer.rows[sink]), first);
            }
        }
    }

    /// The stages' facts with what is kept now.
    fn stages_now(&self) -> Stages {
        let mut stages = self.stages.clone();
        for facts in stages.values_mut() {
            (facts.keys, facts.bytes) = self.state.counts(facts.id);
        }
        stages
    }
}

/// The rows of records from a position on.
fn without_first(rows: Vec<Rows>, first: u32) -> Vec<Rows> {
    let kept = rows.into_iter().map(|mut rows| {
        rows.drop_first(rows.positions.partition_point(|&position| position < first));
        rows
    });
    kept.filter(|rows| !rows.is_empty()).collect()
}

fn is_timed(active: &LoadedDeployment, partition: Partition) -> bool {
    active
        .spec
        .sources
        .get(usize::from(partition.source))
        .is_some_and(|source| source.timed)
}

/// The least event time of the timed partitions that are not let go. One that has had no record yet
/// holds it back. Where all are let go the one that came furthest counts, as if it had been the
/// last to fall silent.
fn least(
    active: &LoadedDeployment,
    all: impl Iterator<Item = Partition>,
    own: &BTreeMap<Partition, i64>,
    idle: &BTreeSet<Partition>,
) -> i64 {
    let reached = |partition: &Partition| own.get(partition).copied().unwrap_or(NO_TIME_MS);
    let (silent, speaking): (Vec<_>, Vec<_>) = all
        .filter(|partition| is_timed(active, *partition))
        .partition(|partition| idle.contains(partition));
    let least = speaking.iter().map(reached).min();
    least
        .or_else(|| silent.iter().map(reached).max())
        .unwrap_or(NO_TIME_MS)
}

/// Where each stage's state is, in the intent's order. A stage that keeps none has no place.
fn ids(active: &LoadedDeployment, stages: &Stages) -> Vec<StageId> {
    active
        .spec
        .stages
        .iter()
        .map(|stage| stages.get(&stage.name).map_or(0, |facts| facts.id))
        .collect()
}

/// An intent's decisions on groups.
pub(super) fn group_quarantines(aside: &[QuarantinedGroup]) -> GroupQuarantines {
    aside
        .iter()
        .map(|group| {
            (
                (group.stage, group.phase, group.index),
                group.reason.clone(),
            )
        })
        .collect()
}
