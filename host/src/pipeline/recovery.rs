//! What a pipeline does before its first batch: opens its sinks, decides from what it finds, and finishes what was
//! planned before.

use super::board::{Backoff, Board};
use super::committer::{Committer, failed};
use super::deliver::{self, Sinks};
use super::outcome::outcome;
use super::{Active, Deployments, Ended};
use crate::batch::{Cut, Gather};
use crate::checkpoint::step::{Found, FoundSink, Step, next_step};
use crate::checkpoint::{Ledger, Plan, Store, by_partition, by_topic, spans};
use crate::clock;
use crate::guest::lanes::Lanes;
use crate::guest::run::Verdicts;
use crate::limits;
use crate::record::{Partition, Positions};
use crate::source::{Source, SourceError, Start};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a pipeline starts from.
pub(super) struct Recovery<'a> {
    pub(super) job: &'a str,
    pub(super) active: Arc<Active>,
    pub(super) deployments: &'a Deployments,
    pub(super) known: &'a BTreeSet<u64>,
    pub(super) source: &'a mut dyn Source,
    pub(super) lanes: &'a mut Lanes,
    pub(super) store: &'a dyn Store,
    pub(super) board: &'a Board,
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
    pub(super) fn run(mut self, mut sinks: Sinks) -> Result<(Ledger, Sinks), Ended> {
        let (mut ledger, mut plans) = self.store.load().map_err(|error| failed(&error))?;
        let reset = self.active.resets(ledger.as_ref());
        let floor = Floor::of(ledger.as_ref(), &plans);
        if reset {
            (ledger, plans) = (None, Vec::new());
        }
        if let Some(ledger) = &ledger {
            self.board.settle(ledger);
        }
        let mut found = Vec::new();
        for (sink, plan) in sinks.sinks.iter_mut().zip(&self.active.plan.sinks) {
            let marker = deliver::open(&plan.name, sink.as_mut(), self.board)?;
            let (name, guarantee, reached) = (plan.name.clone(), sink.guarantee(), sink.reached());
            found.push(FoundSink { name, guarantee, marker, reached });
        }
        let topics = self.active.topics();
        let group = asked(self.board, || self.source.group())?;
        let group = by_topic(&topics, &group);
        let deployments = self.known;
        let facts = Found { ledger: ledger.as_ref(), plans: &plans, sinks: &found, group: &group, deployments, reset };
        let (ledger, held) = match next_step(&facts) {
            Step::Stop(halt) => return Err(Ended::Failed(halt.to_string())),
            Step::Begin => (self.begin(self.active.start, Positions::new(), floor)?, Vec::new()),
            Step::ResumeFromGroup => (self.begin(self.active.start, by_partition(&topics, &group), floor)?, Vec::new()),
            Step::ResumeAt(reached) => (self.begin(None, by_partition(&topics, &reached), floor)?, Vec::new()),
            Step::Replay { held, group_ahead } => {
                if group_ahead {
                    let group = &self.active.group;
                    tracing::warn!("{}: somebody moved the offsets of group `{group}`; the ledger counts", self.job);
                }
                (ledger.expect("a replay has a ledger"), held)
            }
        };
        self.board.settle(&ledger);
        let (store, board) = (self.store, self.board);
        let mut committer = Committer { store, sinks, board, ledger, unsettled: false };
        for (plan, held) in plans.iter().zip(&held) {
            self.replay(&mut committer, plan, held)?;
        }
        Ok((committer.ledger, committer.sinks))
    }

    /// Begins a ledger at `start` if the user says so; else at the positions of before, and where there are none, at the
    /// first record.
    fn begin(&mut self, start: Option<Start>, before: Positions, floor: Floor) -> Result<Ledger, Ended> {
        let now = clock::now_ms();
        let incarnation = u64::try_from(now).unwrap_or(1).max(floor.incarnation + 1);
        let mut at = asked(self.board, || self.source.start(start.unwrap_or(Start::Earliest)))?;
        if start.is_none() && !before.is_empty() {
            let (job, n) = (self.job, before.len());
            tracing::warn!("{job}: no ledger, but Kafka holds its offsets of {n} partitions: it goes on from them");
            at.extend(before.into_iter().filter(|(partition, _)| at.contains_key(partition)).collect::<Positions>());
        }
        let reached = by_topic(&self.active.topics(), &at);
        let time_ms = now.max(floor.time_ms + 2);
        let ledger = Ledger::begin(incarnation, self.active.deployment, time_ms, reached);
        self.store.begin(&ledger).map_err(|error| failed(&error))?;
        Ok(ledger)
    }

    /// Runs a planned batch again, with the version and the verdicts of its plan.
    fn replay(&mut self, committer: &mut Committer<'_>, plan: &Plan, held: &BTreeSet<String>) -> Result<(), Ended> {
        let missing = || Ended::Failed(format!("the component of deployment {} cannot be loaded", plan.deployment));
        let active = (self.deployments)(plan.deployment).ok_or_else(missing)?;
        let cut = self.fetch(&active, plan)?;
        let topics = active.topics();
        let mut verdicts = Verdicts::new();
        for aside in &plan.set_aside {
            if let Some(source) = topics.iter().position(|topic| *topic == aside.topic) {
                let partition = Partition { source: source as u16, id: aside.partition };
                verdicts.insert((partition, aside.offset), aside.reason.clone());
            }
        }
        let (chunks, answers) = self.lanes.run(&active.runnable, cut.chunks, verdicts);
        let cut = Cut { chunks, ..cut };
        let again = answers.and_then(|answers| outcome(active.clone(), cut, answers));
        let again =
            again.map_err(|fault| Ended::Failed(format!("batch {} cannot be run again: {fault}", plan.batch)))?;
        if again.digests != plan.digests || again.counts != plan.counts {
            let n = plan.batch;
            return Err(Ended::Failed(format!(
                "batch {n}, run again, gives another result: the component is not deterministic; what its sinks hold of it may be from the first run"
            )));
        }
        committer.sinks.deliver(plan, &again, held, self.board)?;
        committer.acknowledged(plan);
        committer.settle().map_err(|error| failed(&error))
    }

    /// Fetches exactly the records of a plan's spans.
    fn fetch(&mut self, active: &Active, plan: &Plan) -> Result<Cut, Ended> {
        let spans = spans(&active.topics(), &plan.spans);
        let mut gather = Gather::exactly(&spans);
        let moved: Positions =
            spans.iter().filter(|(_, span)| span.to > span.from).map(|(&p, span)| (p, span.from)).collect();
        if !moved.is_empty() {
            asked(self.board, || self.source.assign(&moved))?;
        }
        while !gather.is_complete() {
            asked(self.board, || self.source.fetch(&mut gather, limits::FETCH_WAIT))?;
            if self.board.stopping().is_some() {
                return Err(Ended::Stopped);
            }
        }
        let cut = gather.cut();
        for (partition, span) in &cut.spans {
            if span.records != spans[partition].records {
                let topic = &active.topics()[usize::from(partition.source)];
                let (n, wanted, id) = (span.records, spans[partition].records, partition.id);
                return Err(Ended::Failed(format!(
                    "topic `{topic}` partition {id} has {n} records where batch {} had {wanted}: they are gone (retention or compaction); restore the topic, or deploy with --reset-state to begin anew at `start`",
                    plan.batch
                )));
            }
        }
        Ok(cut)
    }
}
