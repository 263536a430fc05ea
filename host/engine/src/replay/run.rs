//! A version that runs history, from a position on, with a state of its own.

use super::pace::Pace;
use super::{JobLedger, Replay, ReplayVersion};
use crate::batch::BatchBuilder;
use crate::guest::{Lanes, LargeBatches, VersionLanes};
use crate::pipeline::LoadedDeployment;
use crate::source::{Source, SourceError};
use std::collections::BTreeSet;
use std::sync::Arc;
use streamhost_core::contract::{GroupQuarantines, VersionFault};
use streamhost_core::executor::{
    Batch, BatchExecutor, BatchInputs, BatchJob, BatchOutcome, ExecutorError, Watermark,
    restore_state,
};
use streamhost_core::job::settings::{BatchLimits, OnError};
use streamhost_core::protocol::{Checkpoint, CheckpointLog, EventTimes};
use streamhost_core::state::Stages;
use streamhost_core::types::{END_OF_TIME_MS, Partition, Positions, by_topic};
use streamhost_core::{clock, limits};

/// Why a replay does not go on. None: it was told to end.
pub(super) type Broken = Option<String>;

/// The number of the only life of its state, where it begins with none.
const EPOCH: u64 = 1;

/// A version at work.
pub(super) struct Run<'a> {
    pub(super) loaded: Arc<LoadedDeployment>,
    replay: &'a Replay,
    source: Box<dyn Source>,
    store: Arc<dyn CheckpointLog>,
    checkpoint: Checkpoint,
    executor: BatchExecutor,
    lanes: Lanes,
    /// Where the next batch begins.
    pub(super) at: Positions,
    /// Records of a batch: fewer once one was too much.
    records_max: usize,
}

/// What takes what came of a batch.
pub(super) type Takes<'t> = dyn FnMut(&LoadedDeployment, &BatchOutcome) -> Result<(), Broken> + 't;

impl<'a> Run<'a> {
    /// Begins at these positions with an empty state, or that of a savepoint, which is made this
    /// version's as a deploy makes it.
    pub(super) fn begin(
        replay: &'a Replay,
        version: ReplayVersion,
        from: &Positions,
    ) -> Result<Run<'a>, Broken> {
        let ReplayVersion {
            loaded,
            source,
            store,
            saved,
        } = version;
        let name = format!("{} replay", loaded.spec.name);
        let lanes = Lanes::start(&name, 1, replay.stop.clone());
        let lanes = lanes.map_err(|error| Some(format!("no thread can be started: {error}")))?;
        // It has no turns: what needs more memory than each job has for itself is cut in parts.
        let large = LargeBatches::new(0, limits::BATCH_ANSWERS_OWN_BYTES);
        let mut lanes = lanes.in_turns(large, Arc::new(|_| {}));
        let committed = by_topic(&loaded.topics(), from);
        let (epoch, times, before) = match saved {
            Some(saved) => (saved.epoch, saved.times, saved.stages),
            None => (EPOCH, EventTimes::default(), Stages::new()),
        };
        let mut checkpoint = Checkpoint::begin(epoch, loaded.deployment, 0, committed);
        checkpoint.times = times;
        store.begin(&checkpoint).map_err(said)?;
        let mut calls = lanes.calls(&loaded.guest_version, GroupQuarantines::new());
        let stages = restore_state(&loaded.spec, &before, epoch, &*store, &mut calls, &|| {
            replay.is_stopped()
        });
        drop(calls);
        checkpoint.stages = stages.map_err(said)?;
        let executor = BatchExecutor::after(&checkpoint, store.clone(), limits::REPLAY_CACHE_BYTES);
        let records_max = loaded.settings.limits.batch_records;
        let mut run = Run {
            loaded,
            replay,
            source,
            store,
            checkpoint,
            executor,
            lanes,
            at: from.clone(),
            records_max,
        };
        run.assign()?;
        Ok(run)
    }

    fn assign(&mut self) -> Result<(), Broken> {
        let at = self.at.clone();
        self.patiently(|source| source.assign(&at))
    }

    /// Runs everything up to these positions. Tables are read first, to where the job is in them.
    pub(super) fn advance(
        &mut self,
        until: &Positions,
        ledger: &JobLedger,
        pace: &mut Pace,
        take: &mut Takes<'_>,
    ) -> Result<(), Broken> {
        let sources = &self.loaded.spec.sources;
        let is_table = |partition: &Partition| {
            let source = sources.get(usize::from(partition.source));
            source.is_some_and(|source| source.table)
        };
        let tables: Positions = ledger
            .planned
            .iter()
            .filter(|(partition, _)| is_table(partition))
            .map(|(partition, end)| (*partition, *end))
            .collect();
        if !tables.is_empty() {
            self.read(&tables, ledger, pace, take)?;
        }
        self.read(until, ledger, pace, take)
    }

    fn read(
        &mut self,
        until: &Positions,
        ledger: &JobLedger,
        pace: &mut Pace,
        take: &mut Takes<'_>,
    ) -> Result<(), Broken> {
        // What is not named stays where it is.
        let end = |(partition, at): (&Partition, &i64)| {
            (*partition, until.get(partition).copied().unwrap_or(*at))
        };
        let ends: Positions = self.at.iter().map(end).collect();
        while self.at.iter().any(|(partition, at)| *at < ends[partition]) {
            let began = clock::monotonic();
            let batch = self.gather(&ends, pace)?;
            let (records, reached) = (batch.records(), batch.end_positions());
            match self.run_batch(batch, ledger)? {
                Some(outcome) => take(&self.loaded, &outcome)?,
                None => {
                    self.assign()?; // it is gathered anew in parts
                    continue;
                }
            }
            self.at = reached;
            pace.rest(self.replay, records, clock::since(began));
        }
        Ok(())
    }

    /// Gathers a batch that does not go beyond these ends.
    fn gather(&mut self, ends: &Positions, pace: &Pace) -> Result<Batch, Broken> {
        let most = BatchLimits {
            records_max: pace.batch(self.records_max),
            bytes_max: self.loaded.settings.limits.batch_bytes,
        };
        let mut builder = BatchBuilder::open(&self.at, most);
        builder.bound(ends);
        while !builder.is_full() && builder.wanted().next().is_some() {
            if self.replay.is_stopped() {
                return Err(None);
            }
            self.patiently(|source| source.fetch(&mut builder, limits::REPLAY_FETCH_TIME))?;
        }
        Ok(builder.close())
    }

    /// Asks the source, and again while its servers are away, but not for ever.
    fn patiently<T>(
        &mut self,
        mut ask: impl FnMut(&mut dyn Source) -> Result<T, SourceError>,
    ) -> Result<T, Broken> {
        let began = clock::monotonic();
        loop {
            let error = match ask(self.source.as_mut()) {
                Ok(answer) => {
                    self.replay.report().waits = None;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if !error.may_pass() || clock::since(began) >= limits::REPLAY_AWAY_TIME {
                return Err(Some(source_words(&error)));
            }
            self.replay.report().waits = Some(error.to_string());
            if self.replay.is_stopped() {
                return Err(None);
            }
            std::thread::sleep(limits::BACKOFF.0);
        }
    }

    /// Runs a batch. None: it makes too much at once.
    fn run_batch(
        &mut self,
        batch: Batch,
        ledger: &JobLedger,
    ) -> Result<Option<BatchOutcome>, Broken> {
        let loaded = self.loaded.clone();
        let job = BatchJob {
            spec: &loaded.spec,
            memory_bytes: loaded.settings.limits.memory_bytes,
            canary: None,
            // A replay counts what a job would stop at.
            on_error: match loaded.settings.on_error {
                OnError::Stop => OnError::DeadLetter,
                other => other,
            },
        };
        let records = batch.records() as usize;
        let given = self.inputs(&batch, ledger);
        let mut workers = VersionLanes::new(&mut self.lanes, &loaded.guest_version);
        let stopped = || self.replay.is_stopped();
        let done = self
            .executor
            .run_batch(job, batch, given, &mut workers, &stopped);
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(ExecutorError::Stopped | ExecutorError::Version(VersionFault::Stopped)) => {
                return Err(None);
            }
            Err(ExecutorError::Version(VersionFault::TooMuch { .. })) if records > 1 => {
                self.records_max = records / 2;
                return Ok(None);
            }
            Err(error) => return Err(Some(error.to_string())),
        };
        self.keep(&outcome)?;
        Ok(Some(outcome))
    }

    /// What fixes a batch beside its records: its time is that of its newest record, and its watermark
    /// goes no further than the job's. Partitions that have come to where the job is hold it back no
    /// more.
    fn inputs(&self, batch: &Batch, ledger: &JobLedger) -> BatchInputs {
        let times = batch.chunks.iter().flat_map(|chunk| &chunk.times_ms);
        let newest_ms = times.copied().max().unwrap_or(0).min(clock::now_ms());
        let is_there = |(partition, end): (&Partition, &i64)| {
            let is_there = ledger.planned.get(partition).is_some_and(|at| end >= at);
            is_there.then_some(*partition)
        };
        let reached = batch.end_positions();
        let idle: BTreeSet<Partition> = reached.iter().filter_map(is_there).collect();
        let most_ms = ledger.watermark_ms;
        // A job that has finished gave out all there was.
        let watermark = match most_ms == END_OF_TIME_MS && idle.len() == reached.len() {
            true => Watermark::Planned(most_ms),
            false => Watermark::Bounded { idle, most_ms },
        };
        BatchInputs {
            clock_ms: self.executor.clock_ms(newest_ms),
            watermark,
            quarantines: None,
            group_quarantines: GroupQuarantines::new(),
            retries: false,
            time_rules: Some(self.loaded.settings.time_rules(true)),
        }
    }

    /// Keeps what a batch changed of the state.
    fn keep(&mut self, outcome: &BatchOutcome) -> Result<(), Broken> {
        if !outcome.delta.is_empty() {
            self.checkpoint.batch = outcome.batch;
            self.checkpoint.stages.clone_from(&outcome.stages);
            let written = self
                .store
                .write(Some((&self.checkpoint, &outcome.delta)), None);
            written.map_err(said)?;
        }
        self.executor.state.settled(outcome.batch);
        Ok(())
    }
}

/// An error in words.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(super) fn said(error: impl ToString) -> Broken {
    Some(error.to_string())
}

/// A source's error; one of records that are gone tells jobs what to do, and a replay is none.
fn source_words(error: &SourceError) -> String {
    match error {
        SourceError::Gone {
            what,
            offset,
            reason,
        } => format!(
            "{what}: offset {offset} is gone ({reason}): begin behind it, with another --from"
        ),
        other => other.to_string(),
    }
}
