//! What a pipeline measures of its batches: their steps, their sinks, the age of their records. It
//! is told a few times a batch and never for a record, and keeps the last batches alone.

use super::LoadedDeployment;
use super::execute::ExecutedBatch;
use super::histogram::TimeHistogram;
use super::trace::{BatchStep, BatchTrace, SinkTime, StepTime};
use crate::batch::Batch;
use crate::guest::{LaneFigures, SideFigures};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::executor::BatchOutcome;
use streamhost_core::job::budget::watch::{BudgetChange, Sums, Watched};
use streamhost_core::job::{MetricSpec, MetricValues};
use streamhost_core::protocol::Counters;
use streamhost_core::types::{BatchNumber, DeadLetter};
use streamhost_core::{clock, limits};

mod budgets;
mod under_way;

use budgets::{Budgeted, watched};
pub use under_way::BatchUnderWay;

/// A batch on its way.
struct OpenBatch {
    trace: BatchTrace,
    began: Instant,
    /// When the last step that was told ended.
    last: Instant,
    /// The oldest record's time, as far as its partitions' first ones tell.
    oldest_ms: Option<i64>,
    /// Times of some of its records, each of which stands for `stands_for`.
    times_ms: Vec<i64>,
    stands_for: u64,
    records_of: Vec<u64>,
    rows: BTreeMap<String, MadeRows>,
    letters: BTreeMap<String, StageLetters>,
    /// The job's own.
    metrics: MetricValues,
    known_metrics: Vec<MetricSpec>,
    /// Whose it is, since when that has had records, and what of this is held against its budgets.
    watched: Watched,
    since_ms: i64,
    sums: Sums,
    /// What the active version did for it, and a canary.
    sides: Option<[SideFigures; 2]>,
}

impl OpenBatch {
    fn step(&mut self, step: BatchStep, from: Instant, to: Instant) {
        self.trace.steps.push(StepTime {
            step,
            at: from.saturating_duration_since(self.began),
            took: to.saturating_duration_since(from),
        });
        self.last = to;
    }

    fn ends(&mut self, step: BatchStep) {
        self.step(step, self.last, clock::monotonic());
    }
}

/// Sums of all that a meter was told since it began, for rates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeterTotals {
    /// How long the lanes were at work on records, all lanes together.
    pub transform: Duration,
    /// How long the keyed stages were.
    pub stages: Duration,
    /// How long each sink had a delivery, by its name.
    pub sinks: BTreeMap<String, Duration>,
    /// The same of the dead letters.
    pub dead_letters: Duration,
    /// Records of each source, by its number.
    pub records: Vec<u64>,
    /// Rows for each sink, by its name.
    pub rows: BTreeMap<String, MadeRows>,
    /// Dead letters of each source and keyed stage, by its name.
    pub letters: BTreeMap<String, StageLetters>,
    /// What the job's own metrics came to, of all of its versions.
    pub metrics: MetricValues,
    /// How long each step took, in the order of [`BatchStep::ALL`].
    pub steps: [TimeHistogram; 7],
    /// Ages of records when the last sink had acknowledged them.
    pub latency: TimeHistogram,
    /// How often a delivery was tried again.
    pub retries: u64,
    /// How often each source, sink or dead-letter topic was away, by who waits for it.
    pub errors: BTreeMap<String, u64>,
    /// CPU time of the job's threads.
    pub cpu: Duration,
}

/// Dead letters of one source or keyed stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageLetters {
    /// The job's code refused them, or a sink cannot hold their rows.
    pub refused: u64,
    /// The guest broke on them.
    pub broke: u64,
}

/// Rows for one sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MadeRows {
    /// All of them.
    pub all: u64,
    /// Those that `transform` made; the others are of keyed stages.
    pub transform: u64,
}

/// What a meter was told since it was asked last.
#[derive(Clone, Debug, Default)]
pub struct MeterInterval {
    /// Batches that became durable.
    pub batches: u64,
    /// How long each step took in them, together, in the order of [`BatchStep::ALL`].
    pub steps: [Duration; 7],
    /// Ages in milliseconds that half of their records, and 99 of 100, had at most when the last
    /// sink had acknowledged them.
    pub latency_ms: Option<(u64, u64)>,
}

#[derive(Default)]
struct Measured {
    /// Since when a batch is gathered, and its oldest record's time.
    gathers: Option<(Instant, i64, Option<i64>)>,
    open: BTreeMap<BatchNumber, OpenBatch>,
    done: VecDeque<BatchTrace>,
    /// How many were done since the meter began.
    count: u64,
    durable_ms: Option<i64>,
    totals: MeterTotals,
    interval: MeterInterval,
    ages: Option<Histogram<u64>>,
    guest_memory_bytes: u64,
    budgeted: Budgeted,
    /// What both versions of the newest deployment with a canary did.
    sides: (u64, [SideFigures; 2]),
}

/// What a job's pipelines, one after the other, measure.
#[derive(Default)]
pub struct PipelineMeter {
    measured: Mutex<Measured>,
}

impl PipelineMeter {
    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Batches that became durable after the first `count` of them, oldest first, as far as they
    /// are kept, and how many there were in all.
    pub fn batches_after(&self, count: u64) -> (Vec<BatchTrace>, u64) {
        let measured = self.lock();
        let new = usize::try_from(measured.count.saturating_sub(count)).unwrap_or(usize::MAX);
        let from = measured.done.len().saturating_sub(new);
        (
            measured.done.iter().skip(from).cloned().collect(),
            measured.count,
        )
    }

    /// Sums of what it was told.
    pub fn totals(&self) -> MeterTotals {
        self.lock().totals.clone()
    }

    /// What it was told since this was asked last. One asks.
    pub fn take_interval(&self) -> MeterInterval {
        let mut measured = self.lock();
        let ages = measured.ages.take().filter(|ages| !ages.is_empty());
        let quantiles =
            |ages: Histogram<u64>| (ages.value_at_quantile(0.5), ages.value_at_quantile(0.99));
        MeterInterval {
            latency_ms: ages.map(quantiles),
            ..std::mem::take(&mut measured.interval)
        }
    }

    /// When a batch became durable last, in milliseconds since 1970; none since the host started.
    pub fn durable_ms(&self) -> Option<i64> {
        self.lock().durable_ms
    }

    /// The time of the oldest record that was read and is not durable, in milliseconds since 1970,
    /// as its source says it; none where nothing is on its way.
    pub fn oldest_ms(&self) -> Option<i64> {
        let measured = self.lock();
        let open = measured.open.values().filter_map(|open| open.oldest_ms);
        let gathered = measured.gathers.and_then(|(_, _, oldest_ms)| oldest_ms);
        open.chain(gathered).min()
    }

    /// Memory that the guests of all lanes hold.
    pub fn guest_memory_bytes(&self) -> u64 {
        self.lock().guest_memory_bytes
    }

    /// The guests hold so much memory now.
    pub(super) fn holds(&self, bytes: u64) {
        self.lock().guest_memory_bytes = bytes;
    }

    /// A thread of the job used so much more of a processor.
    pub(super) fn used(&self, cpu: Duration) {
        self.lock().totals.cpu += cpu;
    }

    /// What `who` waits for was away once more.
    pub(super) fn erred(&self, who: &str) {
        *named(&mut self.lock().totals.errors, who) += 1;
    }

    /// A pipeline begins: what was on its way is read again.
    pub(super) fn begins(&self) {
        let mut measured = self.lock();
        measured.open.clear();
        measured.gathers = None;
    }

    /// The first record of a batch has come.
    pub(super) fn gathers(&self, oldest_ms: Option<i64>) {
        let mut measured = self.lock();
        if measured.gathers.is_none() {
            measured.gathers = Some((clock::monotonic(), clock::now_ms(), oldest_ms));
        }
    }

    /// A batch was closed.
    pub(super) fn closed(&self, number: BatchNumber, active: &LoadedDeployment, batch: &Batch) {
        let (now, records) = (clock::monotonic(), batch.records());
        let mut measured = self.lock();
        let none = || (now, clock::now_ms(), None);
        let (began, began_ms, _) = measured.gathers.take().unwrap_or_else(none);
        let mut records_of = vec![0; active.spec.sources.len()];
        for (partition, span) in &batch.spans {
            if let Some(of) = records_of.get_mut(usize::from(partition.source)) {
                *of += span.records;
            }
        }
        let (times_ms, stands_for) = some_times(batch, records);
        let since_ms = measured.budgeted.closed(active.deployment, began_ms);
        let mut open = OpenBatch {
            trace: BatchTrace {
                number,
                version: active.version,
                deployment: active.deployment,
                began_ms,
                records,
                bytes: batch.chunks.iter().map(|chunk| chunk.bytes() as u64).sum(),
                rows: 0,
                dropped: 0,
                late: 0,
                dead_letters: 0,
                retries: 0,
                steps: Vec::with_capacity(BatchStep::ALL.len()),
                sinks: Vec::new(),
            },
            began,
            last: now,
            oldest_ms: firsts(batch).min(),
            times_ms,
            stands_for,
            records_of,
            rows: BTreeMap::new(),
            letters: BTreeMap::new(),
            metrics: MetricValues::default(),
            known_metrics: Vec::new(),
            watched: watched(active),
            since_ms,
            sums: Sums::default(),
            sides: None,
        };
        open.step(BatchStep::Gather, began, now);
        measured.open.insert(number, open);
    }

    /// A batch was run.
    pub(super) fn ran(&self, lanes: &LaneFigures, batch: &ExecutedBatch) {
        let outcome = &batch.outcome;
        let mut measured = self.lock();
        let Some(open) = measured.open.get_mut(&outcome.batch) else {
            return;
        };
        let (from, now) = (open.last, clock::monotonic());
        let transformed = (from + lanes.took).min(now);
        open.step(BatchStep::Transform, from, transformed);
        let keyed = !batch.active.spec.stages.is_empty();
        if keyed {
            open.step(BatchStep::Stages, transformed, now);
        }
        open.last = now;
        let counts = &outcome.counts;
        open.trace.rows = counts.rows.values().sum();
        open.trace.dropped = counts.dropped + counts.skipped;
        open.trace.late = counts.late;
        open.trace.dead_letters = counts.dead_letters;
        for (i, sink) in batch.active.spec.sinks.iter().enumerate() {
            let made = MadeRows {
                all: counts.rows.get(&sink.name).copied().unwrap_or(0),
                transform: lanes.rows.get(i).copied().unwrap_or(0),
            };
            open.rows.insert(sink.name.clone(), made);
        }
        open.letters = letters_of(outcome);
        open.sides = batch.sides;
        open.metrics = batch.metrics.clone();
        open.known_metrics.clone_from(&batch.active.spec.metrics);
        measured.totals.transform += lanes.busy;
        if keyed {
            measured.totals.stages += now.saturating_duration_since(transformed);
        }
    }

    /// A step of a batch ended that began when the step before it did.
    pub(super) fn ended(&self, number: BatchNumber, step: BatchStep) {
        if let Some(open) = self.lock().open.get_mut(&number) {
            open.ends(step);
        }
    }

    /// A delivery was tried once more.
    pub(super) fn retried(&self, number: BatchNumber) {
        let mut measured = self.lock();
        measured.totals.retries += 1;
        if let Some(open) = measured.open.get_mut(&number) {
            open.trace.retries += 1;
        }
    }

    /// A sink has a batch. `None`: the dead letters.
    pub(super) fn sunk(&self, number: BatchNumber, sink: Option<&str>, rows: u64, took: Duration) {
        let mut measured = self.lock();
        match sink {
            Some(sink) => {
                *measured.totals.sinks.entry(sink.to_owned()).or_default() += took;
            }
            None => measured.totals.dead_letters += took,
        }
        if let Some(open) = measured.open.get_mut(&number) {
            let sink = sink.map(str::to_owned);
            open.trace.sinks.push(SinkTime { sink, rows, took });
        }
    }

    /// Servers refused rows of these records for what is in them.
    pub(super) fn refused(&self, number: BatchNumber, letters: &[DeadLetter]) {
        let mut measured = self.lock();
        let Some(open) = measured.open.get_mut(&number) else {
            return;
        };
        open.trace.dead_letters += letters.len() as u64;
        for letter in letters {
            open.letters
                .entry(letter.stage.clone())
                .or_default()
                .refused += 1;
        }
    }

    /// All sinks have acknowledged a batch: its records have the age that they are told by.
    pub(super) fn delivered(&self, number: BatchNumber) {
        let (mut measured, now_ms) = (self.lock(), clock::now_ms());
        let measured = &mut *measured;
        let Some(open) = measured.open.get_mut(&number) else {
            return;
        };
        open.ends(BatchStep::Deliver);
        let times_ms = std::mem::take(&mut open.times_ms);
        if times_ms.is_empty() {
            return;
        }
        if measured.ages.is_none() {
            measured.ages = Histogram::new_with_max(limits::LATENCY_MS_MAX, 2).ok();
        }
        let mut left = open.trace.records;
        for time_ms in times_ms {
            let stands_for = open.stands_for.min(left); // the last one for fewer
            left -= stands_for;
            if time_ms < 0 {
                continue; // its age is not known
            }
            open.aged(time_ms, now_ms, stands_for);
            let age = u64::try_from(now_ms.saturating_sub(time_ms)).unwrap_or(0);
            let latency = &mut measured.totals.latency;
            latency.add(Duration::from_millis(age), stands_for);
            if let Some(ages) = &mut measured.ages {
                ages.saturating_record_n(age, stands_for);
            }
        }
    }

    /// All batches up to this one are durable, and the job has so much. What has changed about
    /// budgets.
    pub(super) fn durable(&self, number: BatchNumber, job: &Counters) -> Vec<BudgetChange> {
        let mut measured = self.lock();
        let measured = &mut *measured;
        let mut changes = Vec::new();
        while let Some(entry) = measured.open.first_entry()
            && *entry.key() <= number
        {
            let mut open = entry.remove();
            open.ends(BatchStep::Checkpoint);
            measured.add_sides(&open);
            changes.extend(measured.judge(&open, job));
            measured.durable_ms = Some(clock::now_ms());
            measured.interval.batches += 1;
            for time in &open.trace.steps {
                measured.interval.steps[time.step as usize] += time.took;
                measured.totals.steps[time.step as usize].add(time.took, 1);
            }
            add(&mut measured.totals.records, &open.records_of);
            for (sink, made) in open.rows {
                let sum = measured.totals.rows.entry(sink).or_default();
                sum.all += made.all;
                sum.transform += made.transform;
            }
            for (stage, letters) in open.letters {
                let sum = named(&mut measured.totals.letters, &stage);
                sum.refused += letters.refused;
                sum.broke += letters.broke;
            }
            measured.totals.metrics.add(&open.metrics);
            measured.totals.metrics.bound(&open.known_metrics);
            measured.count += 1;
            measured.done.push_back(open.trace);
            if measured.done.len() > limits::BATCHES_KEPT_MAX {
                measured.done.pop_front();
            }
        }
        changes
    }
}

/// Times of at most [`limits::LATENCY_SAMPLES_MAX`] of the batch's records, and for how many each
/// of them stands.
fn some_times(batch: &Batch, records: u64) -> (Vec<i64>, u64) {
    let stride = records.div_ceil(limits::LATENCY_SAMPLES_MAX).max(1);
    let (mut times_ms, mut skip) = (Vec::new(), 0_usize);
    for chunk in &batch.chunks {
        let stride = usize::try_from(stride).unwrap_or(usize::MAX);
        times_ms.extend(chunk.times_ms.iter().skip(skip).step_by(stride));
        let left = chunk.len().saturating_sub(skip);
        skip = (skip.saturating_sub(chunk.len())) + (stride - left % stride) % stride;
    }
    (times_ms, stride)
}

/// The times of the first records of the batch's chunks: within a partition they rise, as a rule.
fn firsts(batch: &Batch) -> impl Iterator<Item = i64> {
    batch
        .chunks
        .iter()
        .filter_map(|chunk| chunk.times_ms.first().copied())
}

/// Dead letters by the source or keyed stage that they are of.
fn letters_of(outcome: &BatchOutcome) -> BTreeMap<String, StageLetters> {
    let mut all: BTreeMap<String, StageLetters> = BTreeMap::new();
    for letter in &outcome.dead_letters {
        match all.get_mut(&letter.stage) {
            Some(of) => of.refused += 1,
            None => {
                let one = StageLetters {
                    refused: 1,
                    broke: 0,
                };
                all.insert(letter.stage.clone(), one);
            }
        }
    }
    for (stage, broke) in &outcome.broken {
        if let Some(of) = all.get_mut(stage) {
            of.broke = *broke;
            of.refused = of.refused.saturating_sub(*broke);
        }
    }
    all
}

/// What is counted under a name. Versions come with names of their own, for as long as the host
/// runs: beyond [`limits::METER_NAMES_MAX`] they are counted together.
fn named<'m, T: Default>(counted: &'m mut BTreeMap<String, T>, name: &str) -> &'m mut T {
    let is_full = counted.len() >= limits::METER_NAMES_MAX && !counted.contains_key(name);
    let name = if is_full { "others" } else { name };
    counted.entry(name.to_owned()).or_default()
}

fn add(sums: &mut Vec<u64>, more: &[u64]) {
    sums.resize(sums.len().max(more.len()), 0);
    sums.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::{Chunk, Partition, Record};

    fn batch(lengths: &[u64]) -> Batch {
        let mut batch = Batch::default();
        let mut time_ms = 0;
        for &length in lengths {
            let mut chunk = Chunk::new(Partition { source: 0, id: 0 });
            for _ in 0..length {
                chunk.push(Record {
                    offset: time_ms,
                    time_ms,
                    key: None,
                    value: None,
                    headers: &[],
                });
                time_ms += 1;
            }
            batch.chunks.push(chunk);
        }
        batch
    }

    #[test]
    fn the_records_whose_ages_are_looked_at_are_few_and_lie_evenly() {
        let most = limits::LATENCY_SAMPLES_MAX;
        let cases: &[&[u64]] = &[
            &[],
            &[1],
            &[most],
            &[most, 1],
            &[3, 5000, 2, 4096],
            &[100; 40],
        ];
        for lengths in cases {
            let records = lengths.iter().sum();
            let (times_ms, stride) = some_times(&batch(lengths), records);
            let want: Vec<i64> = (0..records as i64).step_by(stride as usize).collect();
            assert_eq!(times_ms, want, "{lengths:?}");
            assert!(times_ms.len() as u64 <= most);
        }
    }
}
