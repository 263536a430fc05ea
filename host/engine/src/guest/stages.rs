//! Runs a chunk, or what a keyed stage finished, through the operators of its stage, and gathers
//! what came of the calls.

use super::lane::{Budget, KnownFaults, Lane, Splittable};
use super::{Guest, GuestVersion};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{
    Answer, Asked, ChunkAnswer, Fault, Finished, GuestFault, Moment, RecordQuarantines, Sliced,
    VersionFault, take_unfit, truncate,
};
use streamhost_core::limits;
use streamhost_core::types::{Chunk, Offset};

impl Lane {
    /// Runs a chunk to its end.
    pub(super) fn run(
        &mut self,
        version: &Arc<GuestVersion>,
        chunk: &Chunk,
        moment: Moment,
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
        self.run_stage(
            version,
            StageRun::new(version, (stage, moment), Input::Chunk(chunk), budget),
            known,
        )
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
        let canonical = version.rules().feeds(run.stage);
        self.ask(
            version,
            run.input.items(),
            &mut known,
            canonical,
            run.budget,
            &mut run,
        )?;
        Ok(run.end(known))
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
    answer: ChunkAnswer,
    /// How much of the budget it holds.
    bytes: usize,
    /// For each item, whether something became of it.
    touched: Vec<bool>,
}

impl<'a> StageRun<'a> {
    fn new(
        version: &'a GuestVersion,
        (stage, moment): (u32, Moment),
        input: Input<'a>,
        budget: &'a Budget,
    ) -> Self {
        let (answer, touched) = (ChunkAnswer::default(), Vec::new());
        StageRun {
            version,
            stage,
            moment,
            input,
            budget,
            answer,
            bytes: 0,
            touched,
        }
    }

    fn fault(&mut self, at: usize, reason: String, by_host: bool) {
        self.touched[at] = true;
        self.answer.faults.push(Fault {
            position: at as u32,
            reason,
            by_host,
        });
    }

    fn take(&mut self, answer: Answer, base: usize) {
        for (position, reason) in answer.faults {
            self.fault(base + position as usize, reason, false);
        }
        for (sink, mut rows) in answer.rows.into_iter().enumerate() {
            for (position, reason) in take_unfit(&mut rows, &self.version.rules().shapes[sink]) {
                self.fault(base + position as usize, reason, false);
            }
            self.touch(base, &rows.positions);
            if !rows.is_empty() {
                rows.positions
                    .iter_mut()
                    .for_each(|position| *position += base as u32); // of all, not of this call
                self.answer.rows[sink].push(rows);
            }
        }
        for mut keyed in answer.keyed {
            // They count this call's records, and nobody else asks.
            self.touch(base, &std::mem::take(&mut keyed.positions));
            if !keyed.keys.is_empty() {
                self.answer.keyed.push(keyed);
            }
        }
        self.touch(base, &answer.late);
        self.answer.late += answer.late.len() as u64;
        self.answer.largest_ms = answer.largest_ms;
    }

    fn touch(&mut self, base: usize, positions: &[u32]) {
        for &position in positions {
            self.touched[base + position as usize] = true;
        }
    }

    /// Faults of one record in several branches are one fault.
    fn end(mut self, known: KnownFaults) -> ChunkAnswer {
        for (at, quarantine) in known {
            match quarantine {
                Some(reason) => self.fault(at, reason, true),
                None => self.answer.splits.push(at as u32),
            }
        }
        self.answer.dropped = self.touched.iter().filter(|touched| !**touched).count() as u64;
        let faults = &mut self.answer.faults;
        faults.sort_by_key(|fault| fault.position); // stable: the main chain's first
        faults.dedup_by(|next, first| {
            let same = next.position == first.position;
            if same && next.reason != first.reason {
                first.reason = format!("{}; {}", first.reason, next.reason);
                first.reason =
                    truncate(std::mem::take(&mut first.reason), limits::REASON_BYTES_MAX);
            }
            same
        });
        self.answer
    }
}

impl Splittable for StageRun<'_> {
    fn begin(&mut self) {
        self.budget.release(std::mem::take(&mut self.bytes));
        let rows = vec![Vec::new(); self.version.rules().shapes.len()];
        let largest_ms = self.moment.partition_ms;
        self.answer = ChunkAnswer {
            rows,
            largest_ms,
            ..ChunkAnswer::default()
        };
        self.touched = vec![false; self.input.items()];
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
            partition_ms: self.answer.largest_ms,
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
        let held = self.budget.hold(bytes, rules.name(self.stage));
        self.bytes += bytes;
        self.take(answer, range.start);
        Ok(held)
    }
}
