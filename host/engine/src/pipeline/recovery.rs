//! What a pipeline does before its first batch: opens its sinks, decides from what it finds, and finishes what was
//! planned before.

use super::board::{Backoff, Board};
use super::committer::{Committer, failed};
use super::deliver::{self, Sinks};
use super::execute::{Given, Runs, Watermark, group_verdicts};
use super::losses::{is_anew, made_anew, moved};
use super::outcome::Outcome;
use super::{Active, Deployments, Ended};
use crate::batch::{Cut, Gather};
use crate::guest::Lanes;
use crate::source::{Source, SourceError};
use std::collections::BTreeSet;
use std::sync::Arc;
use streamhost_core::contract::Verdicts;
use streamhost_core::job::SourceKind;
use streamhost_core::job::settings::Start;
use streamhost_core::protocol::recovery_policy::{Found, FoundSink, LeaveOut, Step, beyond, next_step};
use streamhost_core::protocol::{CheckpointLog, Ledger, Plan};
use streamhost_core::types::{Partition, Positions, Spans, by_partition, by_topic, spans};
use streamhost_core::{clock, limits};
use tracing::Level;

/// What a pipeline starts from.
pub(super) struct Recovery<'a> {
    pub(super) job: &'a str,
    pub(super) active: Arc<Active>,
    pub(super) deployments: &'a Deployments,
    pub(super) known: &'a BTreeSet<u64>,
    pub(super) source: &'a mut dyn Source,
    pub(super) store: Arc<dyn CheckpointLog>,
    pub(super) board: &'a Board,
    pub(super) skip_lost: bool,
}

/// A ledger that has no plan after it, its sinks, and what runs batches after it.
pub(super) struct Recovered {
    pub(super) ledger: Ledger,
    pub(super) sinks: Sinks,
    pub(super) runs: Runs,
}

/// Why a planned batch cannot be run again.
enum Again {
    /// Its records are gone.
    Lost(String),
    Ends(Ended),
}

impl From<Ended> for Again {
    fn from(end: Ended) -> Self {
        Again::Ends(end)
    }
}

/// What a ledger that begins anew must be above: or new cells would lie under older ones, and a marker would seem newer.
#[derive(Clone, Copy, Default)]
struct Floor {
    incarnation: u64,
    time_ms: i64,
}

impl Floor {
    fn of(ledger: Option<&Ledger>, plans: &[Plan]) -> Floor {
        let ledger = ledger.map_or(Floor::default(), |l| Floor { incarnation: l.incarnation, time_ms: l.time_ms });
        let newest = plans.iter().map(|plan| plan.time_ms).max().unwrap_or(0);
        Floor { time_ms: ledger.time_ms.max(newest), ..ledger }
    }

    /// Also above the incarnations that the sinks' markers are of: where the ledger is lost, they alone tell.
    fn above(self, sinks: &[FoundSink]) -> Floor {
        let newest = sinks.iter().filter_map(|sink| Some(sink.marker.as_ref()?.incarnation)).max();
        Floor { incarnation: self.incarnation.max(newest.unwrap_or(0)), ..self }
    }
}

/// Tries a call of the source until it is answered, or has no remedy, or a stop comes.
pub(super) fn asked<T>(board: &Board, mut ask: impl FnMut() -> Result<T, SourceError>) -> Result<T, Ended> {
    let mut backoff = Backoff::new();
    loop {
        match ask() {
            Ok(answer) => {
                board.goes_on("source");
                return Ok(answer);
            }
            Err(error @ SourceError::Away { .. }) => board.waits("source", &error.to_string()),
            Err(error) => return Err(Ended::Failed(error.to_string())),
        }
        if backoff.wait(board) {
            return Err(Ended::Stopped);
        }
    }
}

impl Recovery<'_> {
    /// Leaves a ledger that has no plan after it, and its sinks.
    pub(super) fn run(mut self, mut sinks: Sinks, lanes: Lanes, replay_only: bool) -> Result<Recovered, Ended> {
        let (mut ledger, mut plans) = self.store.load().map_err(|error| failed(&error))?;
        let reset = self.active.resets(ledger.as_ref());
        let floor = Floor::of(ledger.as_ref(), &plans);
        if reset {
            (ledger, plans) = (None, Vec::new());
        }
        if let Some(ledger) = &ledger {
            self.board.settle(ledger);
        }
        let found = self.open(&mut sinks)?;
        let (ledger, held) = self.decide(ledger, &plans, &found, reset, floor.above(&found))?;
        self.board.settle(&ledger);
        let mut runs = Runs::after(&ledger, lanes, self.store.clone());
        let (store, board) = (self.store.clone(), self.board);
        let mut committer = Committer { store: store.as_ref(), sinks, board, ledger, unsettled: None, keeps: false };
        let ids = asked(self.board, || self.source.topic_ids())?;
        let anew = made_anew(&committer.ledger.topic_ids, &ids);
        for (plan, held) in plans.iter().zip(&held) {
            match moved(plan, &anew) {
                None => self.replay(&mut committer, &mut runs, plan, held)?,
                Some(topic) => self.lost(&mut committer, &mut runs, plan, &is_anew(topic))?,
            }
        }
        let (mut ledger, sinks) = (committer.ledger, committer.sinks);
        if !replay_only {
            self.pass_over(&mut ledger, &anew, ids)?;
            runs.follow(&ledger);
            runs.adopt(&self.active, ledger.incarnation, self.store.clone(), self.board)?;
        }
        Ok(Recovered { ledger, sinks, runs })
    }

    fn open(&self, sinks: &mut Sinks) -> Result<Vec<FoundSink>, Ended> {
        let mut found = Vec::new();
        for (sink, plan) in sinks.sinks.iter_mut().zip(&self.active.plan.sinks) {
            let marker = deliver::open(&plan.name, sink.as_mut(), self.board)?;
            let (name, guarantee, reached) = (plan.name.clone(), sink.guarantee(), sink.reached());
            found.push(FoundSink { name, guarantee, marker, reached });
        }
        Ok(found)
    }

    /// The ledger to go on from, and for each plan the sinks that hold it.
    fn decide(
        &mut self,
        ledger: Option<Ledger>,
        plans: &[Plan],
        sinks: &[FoundSink],
        reset: bool,
        floor: Floor,
    ) -> Result<(Ledger, Vec<BTreeSet<String>>), Ended> {
        let topics = self.active.topics();
        // With a ledger the group is worth a warning, and no waiting.
        let group = match &ledger {
            Some(_) => self.source.group().unwrap_or_default(),
            None => asked(self.board, || self.source.group())?,
        };
        let group = by_topic(&topics, &group);
        let facts = Found {
            ledger: ledger.as_ref(),
            plans,
            sinks,
            group: &group,
            deployments: self.known,
            reset,
            keyed: !self.active.plan.stages.is_empty(),
            rereads: self.active.plan.sources.iter().any(|s| matches!(s.kind, SourceKind::File | SourceKind::Rate)),
            now_ms: clock::now_ms(),
            skip_lost: self.skip_lost,
        };
        Ok(match next_step(&facts) {
            Step::Stop(halt) => return Err(Ended::Failed(halt.to_string())),
            Step::Begin => (self.begin(self.active.start, Positions::new(), floor, LeaveOut::new())?, Vec::new()),
            Step::ResumeFromGroup => {
                let before = by_partition(&topics, &group);
                (self.begin(self.active.start, before, floor, LeaveOut::new())?, Vec::new())
            }
            Step::ResumeAt { from, leave_out } => {
                let leave_out = beyond(&leave_out, &from);
                (self.begin(None, by_partition(&topics, &from), floor, leave_out)?, Vec::new())
            }
            Step::Replay { held, group_ahead } => {
                if group_ahead {
                    let group = &self.active.group;
                    let text = format!("somebody moved the offsets of group `{group}`; the ledger counts");
                    self.board.say(Level::WARN, &text);
                }
                (ledger.expect("a replay has a ledger"), held)
            }
        })
    }

    /// Begins a ledger at `start` if the user says so; else at the positions of before, and where there are none, at the
    /// first record.
    fn begin(
        &mut self,
        start: Option<Start>,
        before: Positions,
        floor: Floor,
        leave_out: LeaveOut,
    ) -> Result<Ledger, Ended> {
        let now = clock::now_ms();
        let incarnation = u64::try_from(now).unwrap_or(1).max(floor.incarnation + 1);
        let topic_ids = asked(self.board, || self.source.topic_ids())?; // first: a topic made anew after it is noticed
        let mut at = asked(self.board, || self.source.start(start.unwrap_or(Start::Earliest)))?;
        if start.is_none() && !before.is_empty() {
            let n = before.len();
            let text = format!("no ledger, but Kafka holds its offsets of {n} partitions: it goes on from them");
            self.board.say(Level::WARN, &text);
            at.extend(before.into_iter().filter(|(partition, _)| at.contains_key(partition)).collect::<Positions>());
        }
        let reached = by_topic(&self.active.topics(), &at);
        let time_ms = now.max(floor.time_ms + 2);
        let begun = Ledger::begin(incarnation, self.active.deployment, time_ms, reached);
        let ledger = Ledger { leave_out, topic_ids, ..begun };
        self.store.begin(&ledger).map_err(|error| failed(&error))?;
        Ok(ledger)
    }

    /// Runs a planned batch again, with the version and the verdicts of its plan.
    fn replay(
        &mut self,
        committer: &mut Committer<'_>,
        runs: &mut Runs,
        plan: &Plan,
        held: &BTreeSet<String>,
    ) -> Result<(), Ended> {
        let missing = || Ended::Failed(format!("the component of deployment {} cannot be loaded", plan.deployment));
        let active = (self.deployments)(plan.deployment).ok_or_else(missing)?;
        let n = plan.batch;
        let cut = match self.fetch(&active, plan) {
            Ok(cut) => cut,
            Err(Again::Ends(end)) => return Err(end),
            Err(Again::Lost(reason)) => return self.lost(committer, runs, plan, &reason),
        };
        runs.replay_on(&plan.stages, self.store.as_ref(), self.board)?;
        let given = Given {
            clock_ms: plan.times.clock_ms,
            watermark: if plan.finished { Watermark::End } else { Watermark::Planned(plan.times.watermark_ms) },
            verdicts: Some(verdicts(&active.topics(), plan)),
            group_verdicts: group_verdicts(&plan.groups_aside),
        };
        let again = runs.batch(&active, cut, given, self.board);
        let again = again.map_err(|error| {
            let failed = self.fails_again(plan, &format!("cannot be run again: {error}"));
            if error.ends(plan.deployment) == Ended::Stopped { Ended::Stopped } else { failed }
        })?;
        self.check_same(plan, &again)?;
        committer.sinks.deliver(plan, &again, held, self.board)?;
        committer.acknowledged(plan, again.delta);
        committer.settle().map_err(|error| failed(&error))?;
        runs.state.settled(n);
        Ok(())
    }

    /// A failure that may not come again: the guest's time and memory depend on what else the machine does.
    fn fails_again(&self, plan: &Plan, what: &str) -> Ended {
        let (n, job) = (plan.batch, self.job);
        Ended::Failed(format!("batch {n} {what}: `streamhost resume {job}` tries once more"))
    }

    /// Whether a batch that was run again gave what its plan says.
    fn check_same(&self, plan: &Plan, again: &Outcome) -> Result<(), Ended> {
        let is_same = again.digests == plan.digests && again.counts == plan.counts && again.times == plan.times;
        if is_same && again.stages == plan.stages {
            return Ok(());
        }
        let records = again.set_aside.iter().filter(|aside| !plan.set_aside.contains(aside)).map(|aside| &aside.reason);
        let groups =
            again.groups_aside.iter().filter(|aside| !plan.groups_aside.contains(aside)).map(|aside| &aside.reason);
        if let Some(reason) = records.chain(groups).flatten().next() {
            return Err(self.fails_again(plan, &format!("broke now and not when it was run first ({reason})")));
        }
        let (n, job) = (plan.batch, self.job);
        Err(Ended::Failed(format!(
            "batch {n}, run again, gives another result: the component is not deterministic, and what its sinks hold of it may be from the first run: `streamhost resume {job}` tries once more; if it ends so again, deploy a mended one with --reset-state to begin anew"
        )))
    }

    /// Fetches exactly the records of a plan's spans; those that cannot be read twice are kept with it.
    fn fetch(&mut self, active: &Active, plan: &Plan) -> Result<Cut, Again> {
        let all = spans(&active.topics(), &plan.spans);
        let (again, kept): (Spans, Spans) = all.iter().partition(|(p, _)| self.source.replays(p.source));
        let mut gather = Gather::exactly(&again);
        let moved: Positions =
            again.iter().filter(|(_, span)| span.to > span.from).map(|(&p, span)| (p, span.from)).collect();
        if !moved.is_empty() {
            asked(self.board, || self.source.assign(&moved))?;
        }
        while !gather.is_complete() {
            self.ask_for(&mut gather)?;
            if self.board.stopping().is_some() {
                return Err(Ended::Stopped.into());
            }
        }
        let mut cut = gather.cut();
        for (partition, span) in &cut.spans {
            if span.records != all[partition].records {
                let topic = &active.topics()[usize::from(partition.source)];
                let (n, wanted, id) = (span.records, all[partition].records, partition.id);
                return Err(Again::Lost(format!(
                    "topic `{topic}` partition {id} has {n} records where there were {wanted}: they are gone (retention or compaction)"
                )));
            }
        }
        cut.spans.extend(kept);
        cut.chunks.extend(plan.kept.iter().cloned());
        cut.chunks.sort_by_key(|chunk| (chunk.partition, chunk.offsets.first().copied()));
        Ok(cut)
    }

    fn ask_for(&mut self, gather: &mut Gather) -> Result<(), Again> {
        let mut gone = None;
        asked(self.board, || match self.source.fetch(gather, limits::FETCH_WAIT) {
            Err(SourceError::Gone { what, offset, reason }) => {
                gone = Some(format!("{what}: offset {offset} is gone ({reason})"));
                Ok(())
            }
            other => other,
        })?;
        gone.map_or(Ok(()), |reason| Err(Again::Lost(reason)))
    }
}

fn verdicts(topics: &[String], plan: &Plan) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for aside in &plan.set_aside {
        if let Some(source) = topics.iter().position(|topic| *topic == aside.topic) {
            let partition = Partition { source: source as u16, id: aside.partition };
            verdicts.insert((partition, aside.offset), aside.reason.clone());
        }
    }
    verdicts
}
