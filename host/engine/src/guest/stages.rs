//! Runs a chunk, or what a keyed stage finished, through the operators of its stage, and gathers
//! what came of the calls.

use super::lane::{Budget, KnownFaults, Lane, Splittable};
use super::{Guest, GuestVersion};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{
    AheadRule, Answer, Asked, ChunkAnswer, Finished, GuestFault, Moment, RecordQuarantines, Sliced,
    VersionFault,
};
use streamhost_core::executor::AnswerBuilder;
use streamhost_core::types::{Chunk, Offset};

impl Lane {
    /// Runs a chunk to its end.
    pub(super) fn run(
        &mut self,
        version: &Arc<GuestVersion>,
        chunk: &Chunk,
        (moment, ahead): (Moment, Option<AheadRule>),
        quarantines: &RecordQuarantines,
        budget: &Budget,
    ) -> Result<ChunkAnswer, VersionFault> {
        let mut known = KnownFaults::new();
        if !quarantines.is_empty() {
            let quarantine =
                |&offset: &Offset| quarantines.get(&(chunk.partition, offset)).cloned();
            let quarantines = chunk
                .offsets
                .iter()
                .enumerate()
                .filter_map(|(at, offset)| Some((at, quarantine(offset)?)));
            known.extend(quarantines);
        }
        let stage = u32::from(chunk.partition.source);
        let mut run = StageRun::new(version, (stage, moment), Input::Chunk(chunk), budget);
        let in_order = version.rules().in_order(chunk.partition.source);
        run.ahead = ahead.filter(|_| in_order);
        self.run_stage(version, run, known)
    }

    /// Runs what follows keyed stage `stage`, beside what is known of it.
    pub(super) fn finish(
        &mut self,
        version: &Arc<GuestVersion>,
        at: (u32, Moment),
        finished: &Finished,
        known: KnownFaults,
        budget: &Budget,
    ) -> Result<ChunkAnswer, VersionFault> {
        self.run_stage(
            version,
            StageRun::new(version, at, Input::Finished(finished), budget),
            known,
        )
    }

    fn run_stage(
        &mut self,
        version: &Arc<GuestVersion>,
        mut run: StageRun<'_>,
        mut known: KnownFaults,
    ) -> Result<ChunkAnswer, VersionFault> {
        let canonical = version.minds_cuts(run.stage);
        // Neither these cuts nor what is too far ahead is told to a replay, which finds the same.
        let cuts: Vec<usize> = run.cuts();
        cuts.iter().for_each(|&at| {
            known.entry(at).or_default();
        });
        self.ask(
            version,
            run.input.items(),
            &mut known,
            canonical,
            run.budget,
            &mut run,
        )?;
        for at in cuts {
            if known.get(&at).is_some_and(Option::is_none) {
                known.remove(&at);
            }
        }
        for at in run.refused {
            if let Some(reason) = known.remove(&at).flatten() {
                run.answer.refuse(at, reason);
            }
        }
        Ok(run.answer.finish(known))
    }
}

/// What a stage runs over.
#[derive(Clone, Copy)]
enum Input<'a> {
    Chunk(&'a Chunk),
    Finished(&'a Finished),
}

impl Input<'_> {
    fn items(&self) -> usize {
        match self {
            Input::Chunk(chunk) => chunk.items(),
            Input::Finished(finished) => finished.items(),
        }
    }

    fn call(
        &self,
        guest: &mut dyn Guest,
        (stage, moment): (u32, Moment),
        range: &Range<usize>,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        let whole = range.len() == self.items();
        match self {
            Input::Chunk(chunk) if whole => guest.transform(stage, moment, chunk, time),
            Input::Chunk(chunk) => guest.transform(stage, moment, &chunk.part(range), time),
            Input::Finished(finished) if whole => guest.finish(stage, moment, finished, time),
            Input::Finished(finished) => guest.finish(stage, moment, &finished.part(range), time),
        }
    }
}

/// One stage's run over a chunk, or over what a keyed stage finished.
struct StageRun<'a> {
    version: &'a GuestVersion,
    stage: u32,
    /// Of the first call.
    moment: Moment,
    input: Input<'a>,
    budget: &'a Budget,
    /// What the records' event times are held against.
    ahead: Option<AheadRule>,
    /// Records that are set aside for their event time.
    refused: BTreeSet<usize>,
    answer: AnswerBuilder,
    /// How much of the budget it holds.
    bytes: usize,
}

impl<'a> StageRun<'a> {
    fn new(
        version: &'a GuestVersion,
        (stage, moment): (u32, Moment),
        input: Input<'a>,
        budget: &'a Budget,
    ) -> Self {
        StageRun {
            version,
            stage,
            moment,
            input,
            budget,
            ahead: None,
            refused: BTreeSet::new(),
            answer: AnswerBuilder::default(),
            bytes: 0,
        }
    }

    /// Where calls are cut in any case.
    fn cuts(&self) -> Vec<usize> {
        match (self.ahead, self.input) {
            (Some(rule), Input::Chunk(chunk)) => rule.cuts(&chunk.times_ms),
            _ => Vec::new(),
        }
    }

    /// Whether what the records of a range brought in event time may be.
    fn check_ahead(
        &mut self,
        range: &Range<usize>,
        before_ms: i64,
        largest_ms: i64,
    ) -> Result<(), GuestFault> {
        let (Some(rule), Input::Chunk(chunk)) = (self.ahead, self.input) else {
            return Ok(());
        };
        let checked = rule.check(&chunk.times_ms[range.clone()], before_ms, largest_ms);
        if checked.is_err() && range.len() == 1 {
            self.refused.insert(range.start);
        }
        checked
    }
}

impl Splittable for StageRun<'_> {
    fn begin(&mut self) {
        self.budget.release(std::mem::take(&mut self.bytes));
        self.answer = AnswerBuilder::new(
            self.version.rules().shapes.len(),
            self.input.items(),
            self.moment.partition_ms,
        );
    }

    fn ask(
        &mut self,
        guest: &mut dyn Guest,
        range: &Range<usize>,
        time: Duration,
    ) -> Result<Result<(), VersionFault>, GuestFault> {
        // What the parts before this one brought in event time is what this one's records are
        // judged by.
        let moment = Moment {
            partition_ms: self.answer.largest_ms(),
            ..self.moment
        };
        let answer = self.input.call(guest, (self.stage, moment), range, time)?;
        let asked = Asked {
            stage: self.stage,
            items: range.len(),
            partition_ms: moment.partition_ms,
        };
        let rules = self.version.rules();
        if let Err(broken) = rules.check(&answer, asked) {
            return Ok(Err(VersionFault::Contract(broken)));
        }
        let bytes = rules.size(&answer)?;
        let before_ms = moment.partition_ms;
        self.check_ahead(range, before_ms, answer.largest_ms)?;
        let held = self.budget.hold(bytes, rules.name(self.stage));
        self.bytes += bytes;
        self.answer.take(answer, range.start, &rules.shapes);
        Ok(held)
    }
}
