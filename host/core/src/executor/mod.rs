//! Runs one closed batch to its end: `transform` over its chunks, then the keyed stages. The same
//! for a new batch and for one that is replayed.
//!
//! ```text
//! batch ─► workers: transform ─► keyed stages (state, workers) ─► outcome: rows, letters, delta
//! ```
//! Who calls the guest is behind [`Workers`], and where state is behind
//! [`StateStore`]: no thread, no clock, no I/O is here. The host's
//! lanes and the SDK's test driver both run this code.

mod batch;
mod workers;
mod answers;
mod times;
mod outcome;
mod refused;
mod restore_state;

pub use answers::AnswerBuilder;
pub use batch::Batch;
pub use outcome::BatchOutcome;
pub use restore_state::{RestoreError, restore_state};
pub use times::Watermark;
pub use workers::{RunTimes, StageCalls, Workers};

use crate::canary::CanaryPlan;
use crate::contract::{
    AheadRule, ChunkAnswer, GroupQuarantines, QuarantinedGroup, RecordQuarantines, VersionFault,
};
use crate::job::JobSpec;
use crate::job::settings::OnError;
use crate::keyed::{self, BatchTimes, KeyedError};
use crate::protocol::recovery_policy::AlreadyWritten;
use crate::protocol::{Checkpoint, EventTimes};
use crate::state::{StageId, Stages, StateFork, StateOverlay, StateStore, StoreError};
use crate::types::{BatchNumber, NO_TIME_MS, Partition, Rows, TimeRules, by_partition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a batch is run for.
#[derive(Clone, Copy, Debug)]
pub struct BatchJob<'a> {
    /// The job that its version describes.
    pub spec: &'a JobSpec,
    /// What becomes of records that fail.
    pub on_error: OnError,
    /// Linear memory that a guest may have: no more is merged for one key.
    pub memory_bytes: usize,
    /// The canary that runs a part of it, and its version.
    pub canary: Option<(&'a CanaryPlan, u64)>,
}

/// What fixes a batch beside its records and the state before it.
#[derive(Clone, Debug)]
pub struct BatchInputs {
    /// The batch's own time. It rises from batch to batch.
    pub clock_ms: i64,
    /// Where the watermark after the batch comes from.
    pub watermark: Watermark,
    /// What the first run decided on records, if this is a replay.
    pub quarantines: Option<RecordQuarantines>,
    /// The same for groups; empty in a first run.
    pub group_quarantines: GroupQuarantines,
    /// It is the record of a dead letter that is given once more: no sink has it from before,
    /// though its position lies behind.
    pub retries: bool,
    /// What is made of times. None: what a host did before there were such rules, for what it has
    /// planned.
    pub time_rules: Option<TimeRules>,
}

/// Why a batch could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
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

impl From<KeyedError> for ExecutorError {
    fn from(error: KeyedError) -> Self {
        match error {
            KeyedError::Version(fault) => ExecutorError::Version(fault),
            KeyedError::Store(error) => ExecutorError::Store(error),
            KeyedError::Stopped => ExecutorError::Stopped,
        }
    }
}

/// What is carried from batch to batch, and does not wait for the sinks.
pub struct BatchExecutor {
    /// What the stages keep.
    pub state: StateOverlay,
    /// The number of the next batch.
    pub next: BatchNumber,
    /// After the last batch that was run.
    times: EventTimes,
    stages: Stages,
    /// What exactly-once sinks held already when an older checkpoint was lost.
    held_before: AlreadyWritten,
}

/// Where an executor was between two batches.
pub struct ExecutorFork {
    /// The number of the next batch.
    pub next: BatchNumber,
    /// The stages, with what they keep.
    pub stages: Stages,
    /// What they keep, as a state of its own.
    pub state: Arc<StateFork>,
    times: EventTimes,
    held_before: AlreadyWritten,
}

impl BatchExecutor {
    /// Goes on after a checkpoint. `cache_bytes` bounds what is kept in memory of the state, beside
    /// what is not durable yet.
    pub fn after(
        checkpoint: &Checkpoint,
        store: Arc<dyn StateStore>,
        cache_bytes: usize,
    ) -> BatchExecutor {
        let mut executor = BatchExecutor {
            state: StateOverlay::new(store, cache_bytes),
            next: checkpoint.batch + 1,
            times: checkpoint.times.clone(),
            stages: Stages::new(),
            held_before: checkpoint.already_written.clone(),
        };
        executor.begin_stages(checkpoint.stages.clone());
        executor
    }

    /// Where a second version can begin beside this one, between two batches.
    pub fn fork(&mut self) -> ExecutorFork {
        ExecutorFork {
            next: self.next,
            times: self.times.clone(),
            stages: self.stages_now(),
            held_before: self.held_before.clone(),
            state: self.state.fork(),
        }
    }

    /// Begins where another one was. Its stages are those of the other's version.
    pub fn after_fork(fork: &ExecutorFork, cache_bytes: usize) -> BatchExecutor {
        let mut executor = BatchExecutor {
            state: StateOverlay::new(fork.state.clone(), cache_bytes),
            next: fork.next,
            times: fork.times.clone(),
            stages: Stages::new(),
            held_before: fork.held_before.clone(),
        };
        executor.begin_stages(fork.stages.clone());
        executor
    }

    /// Goes on after a checkpoint that was changed between two batches: positions were passed over,
    /// or topics begun.
    pub fn follow(&mut self, checkpoint: &Checkpoint) {
        self.times.clone_from(&checkpoint.times);
        self.held_before.clone_from(&checkpoint.already_written);
    }

    /// After the last batch that was run.
    pub fn times(&self) -> &EventTimes {
        &self.times
    }

    /// What is kept after the last batch that was run.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Goes over to these stages between two batches, and counts their entries from what is said of
    /// them.
    pub fn begin_stages(&mut self, stages: Stages) {
        for facts in stages.values() {
            self.state.count_from(facts.id, facts.keys, facts.bytes);
        }
        self.stages = stages;
    }

    /// Goes over to a planned batch's stages for its replay; entries are counted on.
    pub fn replay_stages(&mut self, stages: &Stages) {
        self.stages.clone_from(stages);
    }

    /// Whether a partition that is over for good no longer counts for the watermark: its largest
    /// time is not above it.
    pub fn may_forget(&self, spec: &JobSpec, partition: Partition) -> bool {
        let own = || {
            by_partition(&spec.topics(), &self.times.event_ms)
                .get(&partition)
                .copied()
        };
        !times::is_timed(spec, partition) || own().unwrap_or(NO_TIME_MS) <= self.times.watermark_ms
    }

    /// The time of a batch that is closed at `now_ms`. It rises from batch to batch, so that rows
    /// with it in their keys differ.
    pub fn clock_ms(&self, now_ms: i64) -> i64 {
        now_ms.max(self.times.clock_ms.saturating_add(1))
    }

    /// The watermark if these partitions are let go and nothing more comes.
    pub fn watermark(
        &self,
        spec: &JobSpec,
        all: impl Iterator<Item = Partition>,
        idle: &BTreeSet<Partition>,
    ) -> i64 {
        let own = by_partition(&spec.topics(), &self.times.event_ms);
        times::least(spec, all, &own, idle).max(self.times.watermark_ms)
    }

    /// Runs a batch. `stopped` is asked again and again whether to leave it. After an error the
    /// state is that of before.
    pub fn run_batch<W: Workers>(
        &mut self,
        job: BatchJob<'_>,
        batch: Batch,
        given: BatchInputs,
        workers: &mut W,
        stopped: &dyn Fn() -> bool,
    ) -> Result<BatchOutcome, ExecutorError> {
        let done = self.attempt(job, batch, given, workers, stopped);
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

    fn attempt<W: Workers>(
        &mut self,
        job: BatchJob<'_>,
        mut batch: Batch,
        given: BatchInputs,
        workers: &mut W,
        stopped: &dyn Fn() -> bool,
    ) -> Result<BatchOutcome, ExecutorError> {
        let run_times = self.run_times(job.spec, &given);
        let timeless = times::give_times(&mut batch.chunks, given.time_rules, given.clock_ms);
        let mut outcome = BatchOutcome::begin(job.spec, self.next, batch.spans.clone());
        // Of a retried letter no partition moves.
        outcome.counts.records_in += u64::from(given.retries);
        outcome.time_rules = given.time_rules;
        outcome.counts.timeless = timeless;
        let (chunks, answers) = workers.transform(batch.chunks, given.quarantines, &run_times);
        let batch = Batch {
            chunks,
            spans: batch.spans,
            marks: batch.marks,
        };
        let mut answers = answers?;
        outcome.times = self.times_after(
            job.spec,
            &batch,
            &answers,
            (given.clock_ms, &given.watermark),
        );
        outcome.finished = matches!(given.watermark, Watermark::End);
        let parts = answers
            .iter_mut()
            .flat_map(|answer| std::mem::take(&mut answer.keyed))
            .collect();
        if !given.retries {
            self.leave_out_written(job.spec, &batch, &mut answers);
        }
        outcome.take_answers(job, &batch, answers)?;
        if !job.spec.stages.is_empty() {
            let batch_times = BatchTimes {
                batch: self.next,
                clock_ms: given.clock_ms,
                before_ms: self.times.watermark_ms,
                watermark_ms: outcome.times.watermark_ms,
                late_thresholds_ms: &self.times.late_thresholds_ms,
                gives_timers: given.time_rules.is_some(),
            };
            outcome.times.late_thresholds_ms = keyed::late_thresholds_after(job.spec, batch_times);
            let ids = ids(job.spec, &self.stages);
            let mut calls = workers.calls(given.group_quarantines);
            let made = keyed::run(
                job.spec,
                &ids,
                parts,
                batch_times,
                &mut self.state,
                &mut calls,
                (job.memory_bytes, stopped),
            )?;
            outcome.quarantined_groups = calls.quarantined();
            outcome.take_keyed(job, made)?;
        }
        outcome.records = batch.chunks;
        outcome.delta = self.state.take(self.next);
        outcome.stages = self.stages_now();
        Ok(outcome.close(job.spec))
    }

    /// What the records of a batch are judged by.
    fn run_times(&self, spec: &JobSpec, given: &BatchInputs) -> RunTimes {
        let rules = given.time_rules;
        RunTimes {
            batch_ms: given.clock_ms,
            watermark_ms: self.times.watermark_ms,
            partitions: by_partition(&spec.topics(), &self.times.event_ms),
            ahead: rules.and_then(|rules| AheadRule::of(rules, given.clock_ms)),
        }
    }

    /// Whether a batch without records would do something at these times.
    pub fn is_due(
        &mut self,
        spec: &JobSpec,
        clock_ms: i64,
        watermark_ms: i64,
    ) -> Result<bool, StoreError> {
        if spec.stages.is_empty() {
            return Ok(false);
        }
        let times = BatchTimes {
            batch: self.next,
            clock_ms,
            before_ms: self.times.watermark_ms,
            watermark_ms,
            late_thresholds_ms: &self.times.late_thresholds_ms,
            gives_timers: true,
        };
        keyed::is_due(spec, &ids(spec, &self.stages), times, &mut self.state)
    }

    /// Drops the rows that exactly-once sinks hold from before the checkpoint was lost. Such a job
    /// has no keyed stages.
    fn leave_out_written(&self, spec: &JobSpec, batch: &Batch, answers: &mut [ChunkAnswer]) {
        for (sink, described) in spec.sinks.iter().enumerate() {
            let Some(held) = self.held_before.get(&described.name) else {
                continue;
            };
            let held = by_partition(&spec.topics(), held);
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

/// Where each stage's state is, in the job's order. A stage that keeps none has no place.
fn ids(spec: &JobSpec, stages: &Stages) -> Vec<StageId> {
    spec.stages
        .iter()
        .map(|stage| stages.get(&stage.name).map_or(0, |facts| facts.id))
        .collect()
}

/// A planned batch's decisions on groups, for its replay: of a canary, or of the active version.
pub fn group_quarantines(quarantined: &[QuarantinedGroup], canary: bool) -> GroupQuarantines {
    quarantined
        .iter()
        .filter(|group| group.canary == canary)
        .map(|group| {
            (
                (group.stage, group.phase, group.index),
                group.reason.clone(),
            )
        })
        .collect()
}
