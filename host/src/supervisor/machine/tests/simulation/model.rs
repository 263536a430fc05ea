//! What the simulation has in the place of components, pipelines and servers.

use super::super::super::group_of;
use super::{Dice, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use streamhost_core::job::JobRecord;
use streamhost_core::protocol::beginning::Beginning;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::recovery_policy::{
    RecoveryFacts, RecoveryStep, SinkFacts, decide, holds_now,
};
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog, Marker};
use streamhost_core::state::Delta;
use streamhost_core::types::{Guarantee, Span, TopicOffsets};
use streamhost_engine::pipeline::{Numbered, PipelineExit, Slot, Stop};

/// The one topic, which has one partition, and the one sink of each job.
pub(super) const TOPIC: &str = "t";
const SINK: &str = "s";

pub(super) fn at(offset: i64) -> TopicOffsets {
    [(TOPIC.to_owned(), [(0, offset)].into())].into()
}

pub(super) fn offset_of(offsets: &TopicOffsets) -> i64 {
    offsets[TOPIC][&0]
}

/// A deployment, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    pub(super) job: String,
    pub(super) deployment: u64,
    pub(super) digest: String,
    pub(super) group: String,
    pub(super) target: String,
    until_end: bool,
    reset_at: Option<u64>,
}

impl Version {
    pub(super) fn of(record: &JobRecord, number: u64) -> Arc<Version> {
        let found = record.deployments.iter().find(|d| d.number == number);
        let deployment = found.expect("a deployment of the record");
        Arc::new(Version {
            job: record.name.clone(),
            deployment: number,
            digest: deployment.digest.clone(),
            group: group_of(deployment, &record.name),
            target: deployment.settings["target"].clone(),
            until_end: deployment.settings.contains_key("until"),
            reset_at: record.reset_at(number),
        })
    }

    /// A job of this name has a keyed stage.
    pub(super) fn is_keyed(&self) -> bool {
        is_keyed(&self.job)
    }

    pub(super) fn can_hot_swap(&self, other: &Version) -> bool {
        let parts = |v: &Version| (v.group.clone(), v.target.clone(), v.until_end, v.reset_at);
        parts(self) == parts(other)
    }

    pub(super) fn resets(&self, checkpoint: Option<&Checkpoint>) -> bool {
        match checkpoint {
            Some(checkpoint) => self.reset_at.is_some_and(|at| checkpoint.deployment < at),
            None => self.reset_at == Some(self.deployment),
        }
    }

    pub(super) fn has_finished(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.finished && checkpoint.deployment == self.deployment
    }
}

pub(super) fn is_keyed(job: &str) -> bool {
    job == "keyed"
}

impl Numbered for Version {
    fn number(&self) -> u64 {
        self.deployment
    }
}

/// What a job's sink holds by its newest marker.
#[derive(Clone)]
struct Held {
    target: String,
    marker: Marker,
    committed: i64,
}

/// The servers. They outlive the host.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) is_away: bool,
    /// Records of the topic.
    pub(super) end: i64,
    /// What consumer groups hold.
    pub(super) groups: BTreeMap<String, i64>,
    /// What the sinks of jobs hold.
    held: BTreeMap<String, Held>,
    /// By job and target, the records whose rows are there, and the epochs that wrote them.
    rows: BTreeMap<(String, String), BTreeMap<i64, u64>>,
    /// By job and target, from which record on it was written when it last took another's place.
    since: BTreeMap<(String, String), i64>,
}

impl Outside {
    pub(super) fn group(&self, group: &str) -> TopicOffsets {
        self.groups
            .get(group)
            .map_or_else(TopicOffsets::new, |&offset| at(offset))
    }

    /// What a job's sink says of itself, where it writes this target.
    pub(super) fn sink(&self, job: &str, target: &str) -> SinkFacts {
        let held = self.held.get(job);
        let is_own = |held: &&Held| held.target == target;
        let own = held.filter(is_own);
        let elsewhere = held.filter(|held| !is_own(held));
        SinkFacts {
            name: SINK.to_owned(),
            guarantee: Guarantee::Marked,
            marker_expires: false,
            marker: own.map(|held| held.marker.clone()),
            elsewhere: elsewhere.map(|held| held.marker.clone()),
            committed: own.map_or_else(TopicOffsets::new, |held| at(held.committed)),
        }
    }

    /// A batch's rows, with its marker.
    fn deliver(&mut self, version: &Version, intent: &BatchIntent) {
        let (job, target) = (version.job.clone(), version.target.clone());
        let Span { from, to, .. } = intent.spans[TOPIC][&0];
        let place = (job.clone(), target.clone());
        let held = self.held.get(&job);
        if held.is_none_or(|held| held.target != target) {
            self.since.insert(place.clone(), from);
        }
        let rows = self.rows.entry(place).or_default();
        for offset in from..to {
            let before = rows.insert(offset, intent.epoch);
            assert_ne!(before, Some(intent.epoch), "`{job}`: {offset} twice");
        }
        let marker = Marker {
            epoch: intent.epoch,
            batch: intent.batch,
            digest: intent.digests[SINK].clone(),
        };
        let committed = to;
        self.held.insert(
            job,
            Held {
                target,
                marker,
                committed,
            },
        );
    }

    /// Where a job begins by its marker, its target must have what stands before.
    fn has_before(&self, version: &Version, from: i64) -> bool {
        let key = (version.job.clone(), version.target.clone());
        let (since, rows) = (self.since.get(&key), self.rows.get(&key));
        let has_last = |rows: &BTreeMap<i64, u64>| rows.contains_key(&(from - 1));
        since.is_some_and(|&since| from <= since) || rows.is_some_and(has_last)
    }
}

/// Where a pipeline is.
enum Phase {
    Opening,
    Replaying(Vec<BatchIntent>),
    Gathering,
    Planned(BatchIntent, Arc<Version>),
    Delivered(BatchIntent),
    /// It has come to its end, and its slot is open still.
    Ending(PipelineExit),
    Ended,
}

/// Whether a pipeline begins where the deploy said so. One that goes on from what another pipeline
/// of the job has written meanwhile does not begin.
fn is_as_told(next: &RecoveryStep, told: &Beginning) -> bool {
    match (next, told) {
        (RecoveryStep::Replay { .. }, _) => true,
        (RecoveryStep::Begin, Beginning::AtStart | Beginning::Anew) => true,
        (RecoveryStep::ResumeFromGroup, Beginning::AtGroup) => true,
        (RecoveryStep::ResumeAt { from, .. }, Beginning::AtMarkers { from: told, .. }) => {
            from == told
        }
        _ => false,
    }
}

/// A pipeline, a step at a time.
pub(super) struct ModelPipeline {
    pub(super) job: String,
    pub(super) life: u64,
    pub(super) version: Arc<Version>,
    pub(super) replay_only: bool,
    pub(super) reads_on: bool,
    pub(super) stop: Option<Stop>,
    record: JobRecord,
    slot: Slot<Version>,
    log: Rc<MemoryStore>,
    phase: Phase,
    checkpoint: Option<Checkpoint>,
    /// What its user was told of where it begins.
    pub(super) told: Option<Told>,
    /// The deployment that its newest batch says is over its budget.
    pub(super) over_budget: Option<u64>,
}

impl ModelPipeline {
    pub(super) fn new(
        (job, life): (&str, u64),
        slot: Slot<Version>,
        record: &JobRecord,
        (replay_only, reads_on): (bool, bool),
        log: Rc<MemoryStore>,
    ) -> Self {
        slot.open();
        let version = slot.get();
        ModelPipeline {
            job: job.to_owned(),
            life,
            version,
            replay_only,
            reads_on,
            stop: None,
            record: record.clone(),
            slot,
            log,
            phase: Phase::Opening,
            checkpoint: None,
            told: None,
            over_budget: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// It has nothing to do.
    pub(super) fn is_quiet(&self, outside: &Outside) -> bool {
        let reached = self.checkpoint.as_ref().map(|c| offset_of(&c.committed));
        matches!(self.phase, Phase::Gathering) && reached == Some(outside.end)
    }

    /// One step. Some: it has ended, so, and whether it held a deployment that it did not run.
    pub(super) fn tick(
        &mut self,
        outside: &mut Outside,
        dice: &mut Dice,
        (faults, now_ms): (bool, i64),
    ) -> Option<(PipelineExit, bool)> {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        self.phase = match phase {
            Phase::Ending(exit) => {
                let overtaken = self.slot.close();
                return Some((exit, overtaken));
            }
            Phase::Opening if outside.is_away && self.stop.is_none() => Phase::Opening,
            Phase::Planned(intent, by) if outside.is_away && self.stop.is_none() => {
                Phase::Planned(intent, by)
            }
            // What is planned stays planned.
            Phase::Opening | Phase::Planned(..) if outside.is_away => {
                Phase::Ending(PipelineExit::Stopped)
            }
            Phase::Opening if self.stop.is_some() => Phase::Ending(PipelineExit::Stopped),
            Phase::Opening => self.recover(outside, now_ms),
            Phase::Replaying(left) => self.replay(outside, left),
            Phase::Gathering if self.stop.is_some() => Phase::Ending(PipelineExit::Stopped),
            Phase::Gathering if faults && dice.roll(60) == 0 => {
                Phase::Ending(PipelineExit::Failed("injected".to_owned()))
            }
            Phase::Gathering => self.gather(outside, dice, now_ms),
            Phase::Planned(intent, by) => {
                outside.deliver(&by, &intent);
                Phase::Delivered(intent)
            }
            Phase::Delivered(intent) => self.settle(outside, &intent),
            Phase::Ended => Phase::Ended,
        };
        None
    }

    fn recover(&mut self, outside: &Outside, now_ms: i64) -> Phase {
        let (mut checkpoint, mut intents) = self.log.load().expect("a store in memory");
        let reset = self.version.resets(checkpoint.as_ref());
        let floor = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.epoch);
        if reset {
            (checkpoint, intents) = (None, Vec::new());
        }
        let sinks = [outside.sink(&self.job, &self.version.target)];
        let numbers = self.record.deployments.iter().map(|d| d.number);
        let facts = RecoveryFacts {
            checkpoint: checkpoint.as_ref(),
            intents: &intents,
            sinks: &sinks,
            group: &outside.group(&self.version.group),
            deployments: &numbers.collect::<BTreeSet<_>>(),
            reset,
            keyed: self.version.is_keyed(),
            now_ms,
            skip_lost: false,
            rereads: false,
            start_said: false,
        };
        let next = decide(&facts);
        let told = self.told.take();
        if let Some((told, _)) = told.filter(|(_, group)| group == facts.group) {
            assert!(
                is_as_told(&next, &told),
                "`{}`: {next:?}, not {told:?}",
                self.job
            );
        }
        let from = match next {
            RecoveryStep::Stop(error) => {
                return Phase::Ending(PipelineExit::Failed(error.to_string()));
            }
            RecoveryStep::Begin => 0,
            RecoveryStep::ResumeFromGroup => outside.groups[&self.version.group],
            RecoveryStep::ResumeAt { from, .. } => {
                let from = offset_of(&from);
                let has_all = outside.has_before(&self.version, from);
                assert!(has_all, "`{}` begins at {from}: rows are missing", self.job);
                from
            }
            RecoveryStep::Replay { held, .. } => {
                self.checkpoint = checkpoint;
                let left = intents.into_iter().zip(held);
                let left = left.filter(|(_, by)| by.is_empty()).map(|(i, _)| i);
                let left: Vec<_> = left.collect();
                return Phase::Replaying(left);
            }
        };
        let marked = sinks
            .iter()
            .flat_map(|s| [&s.marker, &s.elsewhere])
            .flatten();
        let newest = marked
            .map(|marker| marker.epoch)
            .max()
            .unwrap_or(0)
            .max(floor);
        let epoch = u64::try_from(now_ms).unwrap_or(1).max(newest + 1);
        let begun = Checkpoint::begin(epoch, self.version.deployment, now_ms, at(from));
        self.log.begin(&begun).expect("a store in memory");
        self.checkpoint = Some(begun);
        Phase::Replaying(Vec::new())
    }

    /// Delivers what was planned before, one batch a step.
    fn replay(&mut self, outside: &mut Outside, mut left: Vec<BatchIntent>) -> Phase {
        let (_, intents) = self.log.load().expect("a store in memory");
        if let Some(intent) = intents.first() {
            if self.stop.is_some() || outside.is_away {
                return match self.stop {
                    Some(_) => Phase::Ending(PipelineExit::Stopped),
                    None => Phase::Replaying(left),
                };
            }
            let by = Version::of(&self.record, intent.deployment);
            let is_left = |i: &BatchIntent| i.batch == intent.batch;
            if left.first().is_some_and(is_left) {
                outside.deliver(&by, &left.remove(0));
            }
            self.settle(outside, intent);
            return Phase::Replaying(left);
        }
        let checkpoint = self.checkpoint.as_ref().expect("it has begun");
        match () {
            () if self.replay_only => Phase::Ending(PipelineExit::Stopped),
            () if self.version.has_finished(checkpoint) && !self.reads_on => {
                Phase::Ending(PipelineExit::Finished)
            }
            () => Phase::Gathering,
        }
    }

    fn gather(&mut self, outside: &Outside, dice: &mut Dice, now_ms: i64) -> Phase {
        let checkpoint = self.checkpoint.as_ref().expect("it has begun");
        let from = offset_of(&checkpoint.committed);
        let left = outside.end - from;
        if left == 0 && !self.version.until_end {
            return Phase::Gathering;
        }
        let by = self.slot.name();
        if by.digest.starts_with("bad") {
            return Phase::Ending(PipelineExit::VersionFault {
                deployment: by.deployment,
                reason: "it traps".to_owned(),
                by_policy: false,
            });
        }
        let records = match left {
            0 => 0,
            left => 1 + dice.roll(left as u64) as i64,
        };
        let batch = checkpoint.batch + 1;
        let span = Span {
            from,
            to: from + records,
            records: records as u64,
        };
        let intent = BatchIntent {
            epoch: checkpoint.epoch,
            batch,
            deployment: by.deployment,
            time_ms: checkpoint.next_time_ms(now_ms),
            spans: [(TOPIC.to_owned(), [(0, span)].into())].into(),
            digests: [(SINK.to_owned(), batch.to_string())].into(),
            finished: left == 0,
            ..streamhost_core::testing::intent(1)
        };
        checkpoint.check_next(&intent).expect("batches follow");
        self.log
            .write(None, Some(&intent))
            .expect("a store in memory");
        Phase::Planned(intent, by)
    }

    fn settle(&mut self, outside: &mut Outside, intent: &BatchIntent) -> Phase {
        let before = self.checkpoint.as_ref().expect("it has begun");
        let after = before.after(intent).expect("batches follow");
        let by = Version::of(&self.record_of(intent), intent.deployment);
        let sink = outside.sink(&self.job, &by.target);
        let is_held = holds_now(sink.marker.as_ref(), intent, SINK);
        assert_eq!(is_held, Ok(true), "a checkpoint follows its delivery");
        let none = Delta::default();
        let written = self.log.write(Some((&after, &none)), None);
        written.expect("a store in memory");
        outside
            .groups
            .insert(by.group.clone(), offset_of(&after.committed));
        let ends = after.finished;
        let is_over = by.digest.starts_with("over");
        self.over_budget = is_over.then_some(by.deployment);
        self.checkpoint = Some(after);
        match ends {
            true => Phase::Ending(PipelineExit::Finished),
            false => Phase::Gathering,
        }
    }

    /// A record that has the deployment of a batch: the slot's is newer than the one it began with.
    fn record_of(&self, intent: &BatchIntent) -> JobRecord {
        let mut record = self.record.clone();
        let known = record
            .deployments
            .iter()
            .any(|d| d.number == intent.deployment);
        if !known {
            let mut deployment = record.active().clone();
            deployment.number = intent.deployment;
            record.deployments.push(deployment);
        }
        record
    }
}
