//! Calls the job for the host's executor, on the test's own thread: once as a whole, checked in all
//! cuts, and again for each other way of cutting its calls.

use super::ahead::Ahead;
use super::cuts;
use super::guest::Guest;
use super::shown::Shown;
use streamhost_core::contract::{
    Answer, Calls, ChunkAnswer, Combined, Finished, GroupFault, GroupQuarantines, Made, Moment,
    Partials, QuarantinedGroup, RecordQuarantines, Sliced, VersionFault,
};
use streamhost_core::executor::{AnswerBuilder, RunTimes, StageCalls, Workers};
use streamhost_core::keyed::StageWorkers;
use streamhost_core::types::{Chunk, Column, NO_TIME_MS};

/// What calls the job.
pub(super) struct NativeWorkers<'a> {
    guest: &'a Guest<'a>,
    /// None: calls are whole, and what they make is compared with what other cuts make.
    way: Option<Way<'a>>,
    /// How many ways to cut the batch's calls there are.
    pub(super) ways: usize,
    /// By chunk and way what other cuts make of the chunks.
    pub(super) transformed: Vec<Vec<ChunkAnswer>>,
    /// What was finished, with the stage that did.
    pub(super) finished: Vec<(u32, Finished)>,
    /// Records that were late for a source's own stages.
    pub(super) late: u64,
}

/// Calls are cut in this way.
#[derive(Clone, Copy)]
struct Way<'a> {
    number: usize,
    /// What the whole run found this way makes of the chunks.
    transformed: &'a [Vec<ChunkAnswer>],
}

impl<'a> NativeWorkers<'a> {
    /// Calls are whole.
    pub(super) fn whole(guest: &'a Guest<'a>) -> Self {
        NativeWorkers {
            guest,
            way: None,
            ways: 0,
            transformed: Vec::new(),
            finished: Vec::new(),
            late: 0,
        }
    }

    /// Calls are cut as another way says, after a whole run.
    pub(super) fn cut(whole: &'a NativeWorkers<'a>, number: usize) -> Self {
        let transformed = &whole.transformed;
        NativeWorkers {
            way: Some(Way {
                number,
                transformed,
            }),
            ..NativeWorkers::whole(whole.guest)
        }
    }

    fn builder(&self, items: usize, largest_ms: i64) -> AnswerBuilder {
        AnswerBuilder::new(self.guest.spec.sinks.len(), items, largest_ms)
    }

    /// Runs an input whole, and in its other ways, quietly. `call` is given a range of it, and the
    /// largest event time before that. Panics where what is made of it depends on the cut. Gives
    /// what became of it, and what would in each other way.
    fn in_all_ways(
        &mut self,
        count: usize,
        largest_ms: i64,
        call: impl Fn(&Guest<'_>, std::ops::Range<usize>, i64) -> Answer,
    ) -> (ChunkAnswer, Vec<ChunkAnswer>) {
        let (guest, spec) = (self.guest, self.guest.spec);
        let whole = call(guest, 0..count, largest_ms);
        let shown = Shown::of(&whole, spec).without_accumulators(spec);
        let mut others = Vec::new();
        for way in 0..cuts::ways(count) {
            let mut joined = Shown::of(&Answer::default(), spec);
            let mut builder = self.builder(count, largest_ms);
            for piece in cuts::pieces(count, way) {
                let first = piece.start;
                let answer = guest.quietly(|| call(guest, piece, builder.largest_ms()));
                joined.append(&answer, first, spec);
                builder.take(answer, first, &guest.rules.shapes);
            }
            assert_eq!(
                shown,
                joined.without_accumulators(spec),
                "the job depends on how its records are cut into batches: what it makes of one batch (left) and of the \
                 same records {} (right) differ. Does it keep something between two records?",
                cuts::in_words(count, way)
            );
            others.push(builder.finish([]));
        }
        self.ways = self.ways.max(others.len());
        let mut builder = self.builder(count, largest_ms);
        builder.take(whole, 0, &guest.rules.shapes);
        (builder.finish([]), others)
    }

    fn transform_chunk(&mut self, at: usize, chunk: &Chunk, times: &RunTimes) -> ChunkAnswer {
        if let Some(way) = self.way {
            let answers = &way.transformed[at];
            return answers[way.number.min(answers.len() - 1)].clone();
        }
        let partition_ms = times.partitions.get(&chunk.partition).copied();
        let partition_ms = partition_ms.unwrap_or(NO_TIME_MS);
        let source = u32::from(chunk.partition.source);
        let call = |guest: &Guest<'_>, chunk: &Chunk, partition_ms| {
            let moment = Moment {
                batch_ms: times.batch_ms,
                watermark_ms: times.watermark_ms,
                partition_ms,
            };
            guest.transform(source, moment, chunk)
        };
        let ahead = Ahead::find(self.guest, chunk, partition_ms, times.ahead, call);
        let kept = ahead.leave_out(chunk);
        let (mut answer, mut others) =
            self.in_all_ways(kept.len(), partition_ms, |guest, range, partition_ms| {
                call(guest, &kept.part(&range), partition_ms)
            });
        ahead.add_to(&mut answer);
        others.iter_mut().for_each(|other| ahead.add_to(other));
        self.transformed.push(if others.is_empty() {
            vec![answer.clone()]
        } else {
            others
        });
        answer
    }
}

impl<'a> Workers for NativeWorkers<'a> {
    type Calls<'c>
        = &'c mut NativeWorkers<'a>
    where
        Self: 'c;

    fn transform(
        &mut self,
        chunks: Vec<Chunk>,
        _: Option<RecordQuarantines>,
        times: &RunTimes,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>) {
        let mut answers = Vec::with_capacity(chunks.len());
        for (at, chunk) in chunks.iter().enumerate() {
            answers.push(self.transform_chunk(at, chunk, times));
        }
        self.late = answers.iter().map(|answer| answer.late).sum();
        (chunks, Ok(answers))
    }

    fn calls(&mut self, _: GroupQuarantines) -> &mut NativeWorkers<'a> {
        self
    }
}

impl StageCalls for &mut NativeWorkers<'_> {
    fn quarantined(self) -> Vec<QuarantinedGroup> {
        Vec::new() // a panic ends the test
    }
}

impl StageWorkers for &mut NativeWorkers<'_> {}

impl Calls for &mut NativeWorkers<'_> {
    /// Panics where a group's outcome depends on the groups beside it.
    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault> {
        let guest = self.guest;
        if self.way.is_some() {
            return Ok(Combined {
                accumulators: guest.quietly(|| guest.combine(stage, partials)),
                faults: Vec::new(),
            });
        }
        let accumulators = guest.combine(stage, partials);
        let groups = partials.items();
        for group in (0..groups).filter(|_| groups > 1) {
            let alone = guest.quietly(|| guest.combine(stage, &partials.part(&(group..group + 1))));
            assert_eq!(
                accumulators.get(group),
                alone.get(0),
                "merging a group of stage `{}` depends on the groups that are merged beside it",
                guest.rules.name(stage)
            );
        }
        Ok(Combined {
            accumulators,
            faults: Vec::new(),
        })
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        self.finished.push((stage, finished.clone()));
        let count = finished.len();
        let answer = match self.way {
            None => {
                let finish = |guest: &Guest<'_>, range: std::ops::Range<usize>, _| {
                    guest.finish(stage, moment, &finished.part(&range))
                };
                self.in_all_ways(count, NO_TIME_MS, finish).0
            }
            Some(way) => {
                let mut builder = self.builder(count, NO_TIME_MS);
                for piece in cuts::pieces(count, way.number) {
                    let (guest, first) = (self.guest, piece.start);
                    let part = finished.part(&piece);
                    let answer = guest.quietly(|| guest.finish(stage, moment, &part));
                    builder.take(answer, first, &guest.rules.shapes);
                }
                builder.finish([])
            }
        };
        Ok(made(answer))
    }

    fn migrate(&mut self, stage: u32, accumulators: &Column) -> Result<Column, VersionFault> {
        Ok(self.guest.migrate(stage, accumulators))
    }
}

fn made(answer: ChunkAnswer) -> Made {
    let fault = |fault: streamhost_core::contract::Fault| GroupFault {
        at: fault.position as usize,
        reason: fault.reason,
        by_host: fault.by_host,
    };
    Made {
        rows: answer.rows,
        keyed: answer.keyed,
        faults: answer.faults.into_iter().map(fault).collect(),
        outcomes: answer.outcomes,
    }
}
