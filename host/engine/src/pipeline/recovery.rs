//! What a pipeline does before its first batch: opens its sinks, decides from what it finds, and
//! finishes what was planned before.

use super::committer::{Committer, failed, with_room};
use super::data_loss::{is_anew, made_anew, moved};
use super::deliver::{self, Sinks};
use super::execute::{LaneExecutor, SecondLanes, exit_of, quarantines};
use super::{Backoff, Deployments, LoadedDeployment, PipelineExit, PipelineStatus};
use crate::batch::{Batch, BatchBuilder};
use crate::guest::{CanaryQuarantines, Lanes};
use crate::source::{Source, SourceError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::executor::{BatchInputs, BatchOutcome, Watermark, group_quarantines};
use streamhost_core::job::settings::StartPosition;
use streamhost_core::protocol::recovery_policy::{
    AlreadyWritten, RecoveryFacts, RecoveryStep, SinkFacts, beyond, decide,
};
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::types::{Positions, Spans, by_partition, by_topic, spans};
use streamhost_core::{clock, limits};
use tracing::Level;

/// What a pipeline starts from.
pub(super) struct Recovery<'a> {
    pub(super) job: &'a str,
    pub(super) active: Arc<LoadedDeployment>,
    pub(super) deployments: &'a Deployments,
    pub(super) known: &'a BTreeSet<u64>,
    pub(super) source: &'a mut dyn Source,
    pub(super) store: Arc<dyn CheckpointLog>,
    pub(super) status: &'a PipelineStatus,
    pub(super) skip_lost: bool,
}

/// A checkpoint that has no intent after it, its sinks, and what runs batches after it.
pub(super) struct Recovered {
    pub(super) checkpoint: Checkpoint,
    pub(super) sinks: Sinks,
    pub(super) runs: LaneExecutor,
}

/// Why a planned batch cannot be run again.
enum Again {
    /// Its records are gone.
    Lost(String),
    Ends(PipelineExit),
}

impl From<PipelineExit> for Again {
    fn from(end: PipelineExit) -> Self {
        Again::Ends(end)
    }
}

/// What a checkpoint that begins anew must be above: or new cells would lie under older ones, and a
/// marker would seem newer.
#[derive(Clone, Copy, Default)]
struct Floor {
    epoch: u64,
    time_ms: i64,
}

impl Floor {
    fn of(checkpoint: Option<&Checkpoint>, intents: &[BatchIntent]) -> Floor {
        let checkpoint = checkpoint.map_or(Floor::default(), |l| Floor {
            epoch: l.epoch,
            time_ms: l.time_ms,
        });
        let newest = intents
            .iter()
            .map(|intent| intent.time_ms)
            .max()
            .unwrap_or(0);
        Floor {
            time_ms: checkpoint.time_ms.max(newest),
            ..checkpoint
        }
    }

    /// Also above a life of the job that was forgotten.
    fn or_at(self, forgotten_ms: Option<i64>) -> Floor {
        let time_ms = self.time_ms.max(forgotten_ms.unwrap_or(0));
        Floor { time_ms, ..self }
    }

    /// Also above the epochs that the sinks' markers are of: where the checkpoint is lost, they
    /// alone tell.
    fn above(self, sinks: &[SinkFacts]) -> Floor {
        let newest = sinks
            .iter()
            .flat_map(|sink| [&sink.marker, &sink.elsewhere])
            .flatten()
            .map(|marker| marker.epoch)
            .max();
        Floor {
            epoch: self.epoch.max(newest.unwrap_or(0)),
            ..self
        }
    }
}

/// Tries a call of the source until it is answered, or has no remedy, or a stop comes.
pub(super) fn asked<T>(
    status: &PipelineStatus,
    mut ask: impl FnMut() -> Result<T, SourceError>,
) -> Result<T, PipelineExit> {
    let mut backoff = Backoff::new();
    loop {
        match ask() {
            Ok(answer) => {
                status.resumed("source");
                return Ok(answer);
            }
            Err(error) if error.may_pass() => status.waiting("source", &error.to_string()),
            Err(error) => return Err(PipelineExit::Failed(error.to_string())),
        }
        if backoff.wait(&status.stop) {
            return Err(PipelineExit::Stopped);
        }
    }
}

impl Recovery<'_> {
    /// Leaves a checkpoint that has no intent after it, and its sinks.
    pub(super) fn run(
        mut self,
        mut sinks: Sinks,
        lanes: (Lanes, SecondLanes),
        replay_only: bool,
    ) -> Result<Recovered, PipelineExit> {
        let (mut checkpoint, mut intents) = self.store.load().map_err(|error| failed(&error))?;
        let reset = self.active.resets(checkpoint.as_ref());
        let forgotten_ms = self.store.forgotten_ms().map_err(|error| failed(&error))?;
        let floor = Floor::of(checkpoint.as_ref(), &intents).or_at(forgotten_ms);
        if reset {
            (checkpoint, intents) = (None, Vec::new());
        }
        if let Some(checkpoint) = &checkpoint {
            self.status.settle(checkpoint);
        }
        let found = self.open(&mut sinks)?;
        if self.active.replans(&intents) {
            (checkpoint, intents) = self.replan(checkpoint, intents, &found)?;
        }
        checkpoint = self.minding_savepoint(checkpoint, &intents, &found)?;
        let (checkpoint, held) =
            self.decide(checkpoint, &intents, &found, reset, floor.above(&found))?;
        self.status.settle(&checkpoint);
        let mut runs = LaneExecutor::after(&checkpoint, lanes, self.store.clone());
        let (store, status) = (self.store.clone(), self.status);
        let mut committer = Committer {
            store: store.as_ref(),
            sinks,
            status,
            checkpoint,
            unsettled: None,
            keeps: false,
        };
        self.recognize(&committer.checkpoint);
        let ids = asked(self.status, || self.source.topic_ids())?;
        let anew = made_anew(&committer.checkpoint.topic_ids, &ids);
        for (intent, held) in intents.iter().zip(&held) {
            match moved(intent, &anew) {
                None => self.replay(&mut committer, &mut runs, intent, held)?,
                Some(topic) => self.lost(&mut committer, &mut runs, intent, &is_anew(topic))?,
            }
        }
        let (mut checkpoint, sinks) = (committer.checkpoint, committer.sinks);
        if !replay_only {
            self.recognize(&checkpoint);
            self.pass_over(&mut checkpoint, &anew, ids)?;
            runs.executor.follow(&checkpoint);
            runs.restore_state(
                &self.active,
                checkpoint.epoch,
                self.store.clone(),
                self.status,
            )?;
        }
        Ok(Recovered {
            checkpoint,
            sinks,
            runs,
        })
    }

    /// Tells the sources what they knew their partitions by at a checkpoint.
    fn recognize(&mut self, checkpoint: &Checkpoint) {
        let topics = self.active.topics();
        self.source
            .recognize(&by_partition(&topics, &checkpoint.marks));
    }

    fn open(&self, sinks: &mut Sinks) -> Result<Vec<SinkFacts>, PipelineExit> {
        let mut found = Vec::new();
        for (sink, intent) in sinks.sinks.iter_mut().zip(&self.active.spec.sinks) {
            let marker = deliver::open(&intent.name, sink.as_mut(), self.status)?;
            found.push(SinkFacts {
                name: intent.name.clone(),
                guarantee: sink.guarantee(),
                marker_expires: sink.marker_expires(),
                marker,
                elsewhere: sink.elsewhere(),
                committed: sink.committed(),
            });
        }
        Ok(found)
    }

    /// The checkpoint to go on from, and for each intent the sinks that hold it.
    fn decide(
        &mut self,
        checkpoint: Option<Checkpoint>,
        intents: &[BatchIntent],
        sinks: &[SinkFacts],
        reset: bool,
        floor: Floor,
    ) -> Result<(Checkpoint, Vec<BTreeSet<String>>), PipelineExit> {
        let topics = self.active.topics();
        // With a checkpoint the group is worth a warning, and no waiting.
        let group = match &checkpoint {
            Some(_) => self.source.group().unwrap_or_default(),
            None => asked(self.status, || self.source.group())?,
        };
        let group = by_topic(&topics, &group);
        let mut sources = (0..).take(self.active.spec.sources.len());
        let rereads = sources.any(|source| self.source.rereads(source));
        let facts = RecoveryFacts {
            checkpoint: checkpoint.as_ref(),
            intents,
            sinks,
            group: &group,
            deployments: self.known,
            reset,
            keyed: !self.active.spec.stages.is_empty(),
            rereads,
            start_said: self.active.start.is_some(),
            now_ms: clock::now_ms(),
            skip_lost: self.skip_lost,
        };
        Ok(match decide(&facts) {
            RecoveryStep::Stop(halt) => return Err(PipelineExit::Failed(halt.to_string())),
            RecoveryStep::Begin => (
                self.begin(
                    self.active.start,
                    Positions::new(),
                    floor,
                    AlreadyWritten::new(),
                )?,
                Vec::new(),
            ),
            RecoveryStep::ResumeFromGroup => {
                let before = by_partition(&topics, &group);
                (
                    self.begin(None, before, floor, AlreadyWritten::new())?,
                    Vec::new(),
                )
            }
            RecoveryStep::ResumeAt {
                from,
                already_written,
            } => {
                let already_written = beyond(&already_written, &from);
                (
                    self.begin(None, by_partition(&topics, &from), floor, already_written)?,
                    Vec::new(),
                )
            }
            RecoveryStep::Replay { held, group_ahead } => {
                let own = checkpoint.expect("a replay has a ledger");
                if group_ahead && own.restored.is_none() {
                    let group = &self.active.group;
                    let text =
                        format!("somebody moved the offsets of group `{group}`; the ledger counts");
                    self.status.say(Level::WARN, &text);
                }
                (own, held)
            }
        })
    }

    /// Begins a checkpoint at `start` if the user says so; else at the positions of before, and
    /// where there are none, at the first record.
    fn begin(
        &mut self,
        start: Option<StartPosition>,
        before: Positions,
        floor: Floor,
        already_written: AlreadyWritten,
    ) -> Result<Checkpoint, PipelineExit> {
        let now = clock::now_ms();
        let epoch = u64::try_from(now).unwrap_or(1).max(floor.epoch + 1);
        // First: a topic made anew after it is noticed.
        let topic_ids = asked(self.status, || self.source.topic_ids())?;
        let mut at = asked(self.status, || {
            self.source.start(start.unwrap_or(StartPosition::Earliest))
        })?;
        if start.is_none() && !before.is_empty() {
            let n = before.len();
            let text = format!(
                "no ledger, but Kafka holds its offsets of {n} partitions: it goes on from them"
            );
            self.status.say(Level::WARN, &text);
            at.extend(
                before
                    .into_iter()
                    .filter(|(partition, _)| at.contains_key(partition))
                    .collect::<Positions>(),
            );
        }
        let reached = by_topic(&self.active.topics(), &at);
        let time_ms = now.max(floor.time_ms + 2);
        let ahead_ms = u64::try_from(time_ms - now).unwrap_or(0);
        if Duration::from_millis(ahead_ms) > limits::CLOCK_AHEAD_MAX {
            let text = format!(
                "rows are given times from {} on, so that those do not hide them which the job has written before by a clock that was ahead",
                clock::rfc3339(time_ms)
            );
            self.status.say(Level::WARN, &text);
        }
        let begun = Checkpoint::begin(epoch, self.active.deployment, time_ms, reached);
        let checkpoint = Checkpoint {
            already_written,
            topic_ids,
            ..begun
        };
        with_room(self.status, || self.store.begin(&checkpoint))?;
        Ok(checkpoint)
    }

    /// Runs a planned batch again, with the version and the decisions of its intent.
    fn replay(
        &mut self,
        committer: &mut Committer<'_>,
        runs: &mut LaneExecutor,
        intent: &BatchIntent,
        held: &BTreeSet<String>,
    ) -> Result<(), PipelineExit> {
        let missing = || {
            PipelineExit::Failed(format!(
                "the component of deployment {} cannot be loaded",
                intent.deployment
            ))
        };
        let active = (self.deployments)(intent.deployment).ok_or_else(missing)?;
        let n = intent.batch;
        let batch = match self.fetch(&active, intent) {
            Ok(batch) => batch,
            Err(Again::Ends(end)) => return Err(end),
            Err(Again::Lost(reason)) => return self.lost(committer, runs, intent, &reason),
        };
        runs.replay_on(&intent.stages, self.store.as_ref(), self.status)?;
        let given = BatchInputs {
            clock_ms: intent.times.clock_ms,
            watermark: if intent.finished {
                Watermark::End
            } else {
                Watermark::Planned(intent.times.watermark_ms)
            },
            quarantines: Some(quarantines(&active.topics(), intent, false)),
            group_quarantines: group_quarantines(&intent.quarantined_groups, false),
            retries: intent.retried.is_some(),
            time_rules: intent.time_rules,
        };
        let of_canary = CanaryQuarantines {
            records: quarantines(&active.topics(), intent, true),
            groups: group_quarantines(&intent.quarantined_groups, true),
        };
        let again = runs.run_again(&active, batch, given, of_canary, self.status);
        let again = again.map_err(|error| {
            let failed = self.fails_again(intent, &format!("cannot be run again: {error}"));
            if exit_of(&error, intent.deployment) == PipelineExit::Stopped {
                PipelineExit::Stopped
            } else {
                failed
            }
        })?;
        self.check_same(intent, &again.outcome)?;
        let store = committer.store;
        let delivered = committer
            .sinks
            .deliver(store, intent, &again, held, self.status);
        committer.acknowledged(intent, again.outcome.delta, &delivered?);
        committer.settle()?;
        runs.executor.state.settled(n);
        Ok(())
    }

    /// A failure that may not come again: the guest's time and memory depend on what else the
    /// machine does.
    fn fails_again(&self, intent: &BatchIntent, what: &str) -> PipelineExit {
        let (n, job) = (intent.batch, self.job);
        PipelineExit::Failed(format!(
            "batch {n} {what}: `streamhost resume {job}` tries once more"
        ))
    }

    /// Whether a batch that was run again gave what its intent says.
    fn check_same(&self, intent: &BatchIntent, again: &BatchOutcome) -> Result<(), PipelineExit> {
        let is_same = again.digests == intent.digests
            && again.counts == intent.counts
            && again.times == intent.times;
        if is_same && again.stages == intent.stages {
            return Ok(());
        }
        let records = again
            .quarantined
            .iter()
            .filter(|aside| !intent.quarantined.contains(aside))
            .map(|aside| &aside.reason);
        let groups = again
            .quarantined_groups
            .iter()
            .filter(|aside| !intent.quarantined_groups.contains(aside))
            .map(|aside| &aside.reason);
        if let Some(reason) = records.chain(groups).flatten().next() {
            return Err(self.fails_again(
                intent,
                &format!("broke now and not when it was run first ({reason})"),
            ));
        }
        let (n, job) = (intent.batch, self.job);
        Err(PipelineExit::Failed(format!(
            "batch {n}, run again, gives another result: the component is not deterministic, and what its sinks hold of it may be from the first run: `streamhost resume {job}` tries once more; if it ends so again, deploy a mended one with --replan, or with --reset-state to begin anew"
        )))
    }

    /// Fetches exactly the records of an intent's spans; those that cannot be read twice are kept
    /// with it.
    fn fetch(&mut self, active: &LoadedDeployment, intent: &BatchIntent) -> Result<Batch, Again> {
        let all = spans(&active.topics(), &intent.spans);
        let (again, kept): (Spans, Spans) = all
            .iter()
            .partition(|(p, _)| self.source.is_replayable(p.source));
        let mut builder = BatchBuilder::exactly(&again);
        let moved: Positions = again
            .iter()
            .filter(|(_, span)| span.to > span.from)
            .map(|(&p, span)| (p, span.from))
            .collect();
        if !moved.is_empty() {
            asked(self.status, || self.source.assign(&moved))?;
        }
        while !builder.is_complete() {
            self.ask_for(&mut builder)?;
            if self.status.stop.requested().is_some() {
                return Err(PipelineExit::Stopped.into());
            }
        }
        let mut batch = builder.close();
        for (partition, span) in &batch.spans {
            if span.records != all[partition].records {
                let topic = &active.topics()[usize::from(partition.source)];
                let (n, wanted, id) = (span.records, all[partition].records, partition.id);
                return Err(Again::Lost(format!(
                    "topic `{topic}` partition {id} has {n} records where there were {wanted}: they are gone (retention or compaction)"
                )));
            }
        }
        batch.spans.extend(kept);
        batch.chunks.extend(intent.retained_records.iter().cloned());
        batch
            .chunks
            .sort_by_key(|chunk| (chunk.partition, chunk.offsets.first().copied()));
        Ok(batch)
    }

    fn ask_for(&mut self, builder: &mut BatchBuilder) -> Result<(), Again> {
        let mut gone = None;
        asked(self.status, || {
            match self.source.fetch(builder, limits::FETCH_WAIT) {
                Err(SourceError::Gone {
                    what,
                    offset,
                    reason,
                }) => {
                    gone = Some(format!("{what}: offset {offset} is gone ({reason})"));
                    Ok(())
                }
                other => other,
            }
        })?;
        gone.map_or(Ok(()), |reason| Err(Again::Lost(reason)))
    }
}
