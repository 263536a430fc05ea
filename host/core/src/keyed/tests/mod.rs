//! Keyed stages under random jobs, records, cuts into batches and deaths, against the model: over
//! the real state with a cache that holds next to nothing. `SEED=42` replays one, `SEEDS=5000`
//! tries as many.

use super::*;
use crate::job::{Join, Partners, SinkSpec, SourceSpec, StageKind, StageSpec, Window, WindowForm};
use crate::protocol::memory::MemoryStore;
use crate::protocol::{Checkpoint, CheckpointLog};
use crate::state::{Delta, Entries, Most, StateOverlay, StateStore, is_kept};
use crate::testing::xorshift;
use crate::types::TopicOffsets;
use guest::{FAILS_IN_COMBINE, FAILS_IN_FINISH, Fold, Guest, Onward, Rekey};
use model::{Event, Model};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod cases;
mod chains;
mod guest;
mod model;
mod processes;

/// Draws from a seed, the same everywhere.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        (xorshift(&mut self.0) >> 11) % below
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.roll((to - from + 1) as u64) as i64
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.roll(of) == 0
    }
}

/// Stands among the rows for an item that came too late for its stage.
const LATE: &str = "late";

/// A job whose stages stand in a chain; each source feeds one side of one stage.
struct Job {
    spec: JobSpec,
    /// Another version, which takes over in between.
    next: Option<JobSpec>,
    folds: Vec<Fold>,
    rekeys: Vec<Rekey>,
    /// By source: stage and side.
    feeds: Vec<(usize, u8)>,
}

fn source(table: bool) -> SourceSpec {
    SourceSpec {
        connector: "kafka".into(),
        name: "s".into(),
        target: "s".into(),
        table,
        timed: !table,
        ..Default::default()
    }
}

fn stage(name: &str, kind: StageKind, inputs: Vec<u32>) -> StageSpec {
    let empty = String::new;
    let (key_shape, value_shape, other_shape) = (empty(), empty(), empty());
    StageSpec {
        name: name.into(),
        kind,
        inputs,
        key_shape,
        value_shape,
        other_shape,
        version: 0,
        migrates: None,
    }
}

fn spec(sources: Vec<SourceSpec>, stages: Vec<StageSpec>) -> JobSpec {
    let sink = SinkSpec {
        connector: "console".into(),
        name: "out".into(),
        target: "out".into(),
        dynamic: false,
        columns: Vec::new(),
        ..Default::default()
    };
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "j".into(),
        every: Duration::ZERO,
        sources,
        stages,
        sinks: vec![sink],
    }
}

fn roll_lateness(dice: &mut Dice) -> i64 {
    if dice.one_in(2) {
        0
    } else {
        dice.between(0, 15)
    }
}

fn roll_kind(dice: &mut Dice, after: Option<StageKind>, is_last: bool) -> StageKind {
    let untimed_only = matches!(
        after,
        Some(StageKind::EachBatch | StageKind::Running { .. })
    ) || matches!(after, Some(StageKind::Window(window)) if window.processing_time);
    match if untimed_only {
        dice.roll(3)
    } else {
        dice.roll(10)
    } {
        0 => StageKind::EachBatch,
        1 => StageKind::Running {
            expire_ms: dice.one_in(2).then(|| dice.roll(5000)),
        },
        2 => StageKind::Lookup,
        3 | 4 => StageKind::Join(Join {
            partners: match dice.roll(4) {
                0 => Partners::Window {
                    size_ms: dice.between(1, 20),
                },
                1 => Partners::Between {
                    before_ms: dice.between(0, 20),
                    after_ms: dice.between(0, 20),
                },
                _ => Partners::within(dice.between(0, 20)),
            },
            lateness_ms: roll_lateness(dice),
            left: dice.one_in(2),
            right: dice.one_in(3),
        }),
        _ => {
            let hop_ms = dice.between(1, 15);
            let form = match dice.roll(3) {
                0 => WindowForm::Session {
                    gap_ms: dice.between(0, 15),
                },
                1 => WindowForm::Panes {
                    size_ms: hop_ms,
                    hop_ms,
                },
                _ => WindowForm::Panes {
                    size_ms: hop_ms * dice.between(2, 5),
                    hop_ms,
                },
            };
            let early = is_last && dice.one_in(4);
            let (lateness_ms, processing_time) = (roll_lateness(dice), dice.one_in(5));
            let is_panes = matches!(form, WindowForm::Panes { .. });
            let updates = is_last && is_panes && !processing_time && dice.one_in(3);
            let hop_ms = is_panes.then_some(hop_ms).filter(|_| dice.one_in(3));
            StageKind::Window(Window {
                form,
                offset_ms: hop_ms.map_or(0, |hop_ms| dice.between(0, hop_ms - 1)),
                lateness_ms,
                updates_ms: match updates {
                    true => dice.between(0, lateness_ms),
                    false => 0,
                },
                processing_time,
                early,
            })
        }
    }
}

fn roll_job(dice: &mut Dice) -> Job {
    let count = 1 + dice.roll(3) as usize;
    let mut kinds: Vec<StageKind> = Vec::new();
    for i in 0..count {
        kinds.push(roll_kind(dice, kinds.last().copied(), i + 1 == count));
    }
    let mut feeds = Vec::new();
    for (i, kind) in kinds.iter().enumerate() {
        if i == 0 || dice.one_in(3) {
            feeds.push((i, 0));
        }
        if matches!(kind, StageKind::Join(_) | StageKind::Lookup) {
            feeds.push((i, 1));
        }
    }
    let sources = feeds
        .iter()
        .map(|&(i, side)| source(side == 1 && kinds[i] == StageKind::Lookup))
        .collect();
    let stages = kinds.into_iter().enumerate().map(|(i, kind)| {
        let of_sources = feeds
            .iter()
            .enumerate()
            .filter(|(_, feed)| feed.0 == i)
            .map(|(source, _)| source as u32);
        let before = (i > 0).then(|| (feeds.len() + i - 1) as u32);
        stage(
            &format!("stage{i}"),
            kind,
            of_sources.chain(before).collect(),
        )
    });
    let spec = spec(sources, stages.collect());
    let fold = |dice: &mut Dice| [Fold::Sorted, Fold::Sum, Fold::Max][dice.roll(3) as usize];
    let rekey = |dice: &mut Dice| [Rekey::Same, Rekey::Time, Rekey::All][dice.roll(3) as usize];
    let folds = (0..count).map(|_| fold(dice)).collect();
    let rekeys = (0..count).map(|_| rekey(dice)).collect();
    let mut job = Job {
        spec,
        next: None,
        folds,
        rekeys,
        feeds,
    };
    job.next = dice.one_in(3).then(|| roll_next(dice, &job.spec));
    job
}

/// A version that carries on the state of `spec` and allows less.
fn roll_next(dice: &mut Dice, spec: &JobSpec) -> JobSpec {
    let mut next = spec.clone();
    for stage in &mut next.stages {
        match &mut stage.kind {
            StageKind::Running { expire_ms } if dice.one_in(2) => {
                *expire_ms = Some(dice.roll(expire_ms.unwrap_or(5000) + 1));
            }
            StageKind::Window(window) => {
                window.lateness_ms = dice.between(0, window.lateness_ms);
                if window.updates_ms > 0 {
                    window.updates_ms = dice.between(0, window.lateness_ms);
                }
            }
            StageKind::Join(join) => {
                join.lateness_ms = dice.between(0, join.lateness_ms);
                roll_nearer(dice, join);
            }
            StageKind::Running { .. }
            | StageKind::EachBatch
            | StageKind::Lookup
            | StageKind::Process(_) => {}
        }
    }
    next
}

/// Partners that are no further apart, of what may carry on the join's state.
fn roll_nearer(dice: &mut Dice, join: &mut Join) {
    if let Partners::Between {
        before_ms,
        after_ms,
    } = &mut join.partners
    {
        let is_even = before_ms == after_ms;
        if is_even || !(join.left && join.right) {
            *before_ms = dice.between(0, *before_ms);
            *after_ms = match is_even {
                true => *before_ms,
                false => dice.between(0, *after_ms),
            };
        }
    }
}

struct Record {
    key: Vec<u8>,
    time_ms: i64,
    value: u64,
    deleted: bool,
}

/// Records by source and partition.
type Records = BTreeMap<(usize, usize), Vec<Record>>;

fn roll_records(dice: &mut Dice, job: &Job, fails: bool) -> Records {
    let mut records = Records::new();
    let keys = [1, 3, 20][dice.roll(3) as usize];
    let (spread, pace) = (dice.between(0, 25), dice.between(0, 6));
    for source in 0..job.feeds.len() {
        for id in 0..1 + dice.roll(3) as usize {
            let mut base_ms = dice.between(-100, 0);
            let of_partition = (0..dice.roll(40)).map(|_| {
                base_ms += dice.between(0, pace)
                    + if dice.one_in(15) {
                        dice.between(0, 60)
                    } else {
                        0
                    };
                let value = match dice.roll(6) {
                    0 if fails => FAILS_IN_COMBINE,
                    1 if fails => FAILS_IN_FINISH,
                    _ => 1 + dice.roll(1000),
                };
                Record {
                    key: format!("k{}", dice.roll(keys)).into_bytes(),
                    time_ms: base_ms - dice.between(0, spread),
                    value,
                    deleted: dice.one_in(4),
                }
            });
            records.insert((source, id), of_partition.collect());
        }
    }
    records
}

/// Bytes of the state's cache: a few entries.
const CACHE_BYTES: usize = 300;

/// A batch that ran and is not durable.
struct Ran {
    batch: u64,
    clock_ms: i64,
    before_ms: i64,
    watermark_ms: i64,
    late_thresholds_ms: BTreeMap<String, i64>,
    parts: Vec<Keyed>,
    /// What came of it.
    rows: Vec<String>,
    delta: Arc<Delta>,
}

impl Ran {
    fn times(&self) -> BatchTimes<'_> {
        let Ran {
            batch,
            clock_ms,
            before_ms,
            watermark_ms,
            ref late_thresholds_ms,
            ..
        } = *self;
        BatchTimes {
            batch,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms,
            gives_timers: true,
        }
    }
}

/// A job over its records, batch after batch: real and told.
struct World<'a> {
    job: &'a Job,
    records: &'a Records,
    ids: Vec<StageId>,
    dice: Dice,
    store: Arc<MemoryStore>,
    state: StateOverlay,
    waiting: VecDeque<Ran>,
    expiries: usize,
    /// The first batch of the next version, if there is one.
    swap_at: usize,
    reached: BTreeMap<(usize, usize), usize>,
    own_ms: BTreeMap<(usize, usize), i64>,
    /// A partition that the watermark does not wait for.
    purge: Option<(usize, usize)>,
    /// By stage, what its sources had for it that was not late.
    events: Vec<Vec<Event>>,
    clocks: Vec<i64>,
    watermarks: Vec<i64>,
    late_thresholds_ms: BTreeMap<String, i64>,
    rows: Vec<Vec<String>>,
    seed: u64,
}

impl<'a> World<'a> {
    fn new(
        job: &'a Job,
        records: &'a Records,
        mut dice: Dice,
        purge: Option<(usize, usize)>,
        seed: u64,
    ) -> Self {
        let store = Arc::new(MemoryStore::default());
        World {
            state: StateOverlay::new(store.clone(), CACHE_BYTES),
            store,
            waiting: VecDeque::new(),
            expiries: 1 + dice.roll(10) as usize,
            swap_at: dice.roll(12) as usize,
            job,
            records,
            ids: (0..job.spec.stages.len() as u64).map(|i| 7 + i).collect(),
            dice,
            reached: records.keys().map(|&partition| (partition, 0)).collect(),
            own_ms: records
                .keys()
                .map(|&partition| (partition, i64::MIN))
                .collect(),
            purge,
            events: vec![Vec::new(); job.spec.stages.len()],
            clocks: Vec::new(),
            watermarks: Vec::new(),
            late_thresholds_ms: BTreeMap::new(),
            rows: Vec::new(),
            seed,
        }
    }

    /// What runs a batch, counted from 0.
    fn spec(&self, batch: usize) -> &'a JobSpec {
        let next = self.job.next.as_ref().filter(|_| batch >= self.swap_at);
        next.unwrap_or(&self.job.spec)
    }

    fn run(&mut self) {
        let greed = 1 + self.dice.roll(20);
        while self
            .reached
            .iter()
            .any(|(partition, &at)| at < self.records[partition].len())
        {
            self.batch(greed, false);
        }
        if self.dice.one_in(2) {
            self.batch(0, false);
        }
        self.batch(0, true);
        assert!(self.watermarks.ends_with(&[i64::MAX]));
    }

    fn watermark(&self) -> i64 {
        let counts = |&(&partition, _): &(&(usize, usize), &i64)| {
            self.job.spec.sources[partition.0].timed && Some(partition) != self.purge
        };
        let least = self.own_ms.iter().filter(counts).map(|(_, &own)| own).min();
        least
            .unwrap_or(i64::MIN)
            .max(self.watermarks.last().copied().unwrap_or(i64::MIN))
    }

    fn batch(&mut self, greed: u64, is_end: bool) {
        let before_ms = self.watermarks.last().copied().unwrap_or(i64::MIN);
        let step = if self.dice.one_in(6) { 1500 } else { 8 };
        let clock_ms = self.clocks.last().copied().unwrap_or(1000) + self.dice.between(0, step);
        let batch = self.clocks.len();
        let mut parts = Vec::new();
        let mut is_empty = true;
        for &partition in self.records.keys() {
            let from = self.reached[&partition];
            let to =
                (from + self.dice.roll(greed + 1) as usize).min(self.records[&partition].len());
            is_empty &= from == to;
            self.reached.insert(partition, to);
            let mut at = from;
            while at < to {
                let end = (at + 1 + self.dice.roll(8) as usize).min(to);
                parts.push(self.transform(partition, at..end, batch, before_ms, clock_ms));
                at = end;
            }
        }
        let watermark_ms = if is_end { i64::MAX } else { self.watermark() };
        let late_thresholds_ms = std::mem::take(&mut self.late_thresholds_ms);
        let (rows, delta) = (Vec::new(), Arc::default());
        let number = 1 + batch as u64;
        let mut ran = Ran {
            batch: number,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms,
            parts,
            rows,
            delta,
        };
        self.clocks.push(clock_ms);
        self.watermarks.push(watermark_ms);
        self.keyed(&mut ran, is_empty);
        self.late_thresholds_ms = late_thresholds_after(self.spec(batch), ran.times());
        let mut rows = ran.rows.clone();
        rows.sort();
        self.rows.push(rows);
        self.waiting.push_back(ran);
        while self.dice.one_in(2) {
            self.settle();
        }
        if self.dice.one_in(8) {
            self.die();
        }
    }

    /// Runs the batch twice, in other portions, from the same state: its outcome must be the same.
    fn keyed(&mut self, ran: &mut Ran, is_empty: bool) {
        let seed = self.seed;
        let spec = self.spec(ran.batch as usize - 1);
        let is_due = is_due(spec, &self.ids, ran.times(), &mut self.state).unwrap();
        let old = self.kept();
        let first = (self.attempt(ran), self.kept());
        self.state.abandon();
        assert_eq!(
            self.kept(),
            old,
            "SEED={seed}: what is abandoned leaves nothing"
        );
        let second = (self.attempt(ran), self.kept());
        assert_eq!(
            first, second,
            "SEED={seed}: a batch that is run again has the same outcome"
        );
        if is_empty {
            let is_changed = first.1 != old || !first.0.is_empty();
            assert_eq!(
                is_changed, is_due,
                "SEED={seed}: an empty batch does something if it is due, and only then"
            );
        }
        ran.rows = first.0;
        ran.delta = self.state.take(ran.batch);
    }

    fn attempt(&mut self, ran: &Ran) -> Vec<String> {
        let portion = Portion {
            groups: 1 + self.dice.roll(6) as usize,
            bytes: if self.dice.one_in(2) { 40 } else { 1 << 20 },
            look: Most {
                entries: 1 + self.dice.roll(4) as usize,
                bytes: [1, 100, 1 << 20][self.dice.roll(3) as usize],
            },
            group_bytes: 1 << 20,
            pairs: 1 << 20,
            early: 1 << 20,
            expiries: self.expiries,
        };
        let (spec, folds, rekeys) = (
            self.spec(ran.batch as usize - 1),
            &self.job.folds[..],
            &self.job.rekeys[..],
        );
        let mut guest = Guest {
            spec,
            folds,
            rekeys,
            slice: 1 + self.dice.roll(5) as usize,
            asked: 0,
        };
        let parts = ran.parts.clone();
        let how: (_, &dyn Fn() -> bool) = (portion, &|| false);
        let made = run_in(
            spec,
            &self.ids,
            parts,
            ran.times(),
            &mut self.state,
            &mut guest,
            how,
        )
        .unwrap();
        let mut rows = texts(&made);
        // In which order failed merges and failed results stand depends on the portions.
        let mut letters: Vec<_> = made
            .dead_letters
            .iter()
            .map(|letter| format!("{letter:?}"))
            .collect();
        letters.sort();
        rows.extend(letters);
        rows.extend((0..made.late).map(|_| LATE.to_string()));
        rows
    }

    /// All that the stages keep, which must be as much as is counted.
    fn kept(&mut self) -> Vec<(StageId, Entries)> {
        let state = &mut self.state;
        let of_stage = |&id: &StageId| {
            let all = state
                .scan(id, &[], &[u8::MAX], Most::entries(usize::MAX))
                .unwrap();
            let keys = all.iter().filter(|(key, _)| is_kept(key)).count() as u64;
            let bytes = all
                .iter()
                .map(|(key, value)| (key.len() + value.len()) as u64)
                .sum();
            assert_eq!(
                state.counts(id),
                (keys, bytes),
                "SEED={}: counts",
                self.seed
            );
            (id, all)
        };
        self.ids.iter().map(of_stage).collect()
    }

    /// The oldest batch becomes durable.
    fn settle(&mut self) {
        let Some(ran) = self.waiting.pop_front() else {
            return;
        };
        let checkpoint = Checkpoint {
            batch: ran.batch,
            ..Checkpoint::begin(7, 3, 1000, TopicOffsets::new())
        };
        self.store
            .write(Some((&checkpoint, &ran.delta)), None)
            .unwrap();
        if self.dice.one_in(2) {
            self.state.settled(ran.batch);
        }
    }

    /// The host dies, and runs again what is not durable.
    fn die(&mut self) {
        self.state = StateOverlay::new(self.store.clone(), CACHE_BYTES);
        for &id in &self.ids {
            let all = self
                .store
                .states(id, &[], None, Most::entries(usize::MAX))
                .unwrap();
            let bytes = all
                .iter()
                .map(|(key, value)| (key.len() + value.len()) as u64)
                .sum();
            self.state.count_from(
                id,
                all.iter().filter(|(key, _)| is_kept(key)).count() as u64,
                bytes,
            );
        }
        for ran in std::mem::take(&mut self.waiting) {
            assert_eq!(
                self.attempt(&ran),
                ran.rows,
                "SEED={}: batch {} after a death",
                self.seed,
                ran.batch
            );
            assert_eq!(self.state.take(ran.batch), ran.delta, "SEED={}", self.seed);
            self.waiting.push_back(ran);
        }
    }

    /// What a guest would make of records: what is late left out, the rest merged by key and pane
    /// or session.
    fn transform(
        &mut self,
        partition: (usize, usize),
        range: std::ops::Range<usize>,
        batch: usize,
        before_ms: i64,
        clock_ms: i64,
    ) -> Keyed {
        let (to, side) = self.job.feeds[partition.0];
        let spec = &self.job.spec;
        let mut things: Vec<Onward> = Vec::new();
        let (mut deleted, mut firsts) = (Vec::new(), Vec::new());
        for record in &self.records[&partition][range] {
            let own_ms = self.own_ms[&partition];
            if spec.sources[partition.0].timed {
                self.own_ms.insert(partition, own_ms.max(record.time_ms));
            }
            let stage = &self.spec(batch).stages[to];
            let threshold_ms = earlier(own_ms.max(before_ms), stage.lateness_ms());
            if is_late(stage.kind, record.time_ms, threshold_ms) {
                continue;
            }
            let (key, time_ms, values) = (record.key.clone(), record.time_ms, vec![record.value]);
            let is_deleted =
                record.deleted && side == 1 && spec.stages[to].kind == StageKind::Lookup;
            if is_deleted {
                deleted.push(things.len() as u32);
            }
            things.push((key.clone(), values.clone(), time_ms));
            firsts.push(first_window(stage.kind, time_ms, threshold_ms));
            self.events[to].push(Event {
                side,
                key,
                time_ms,
                over_ms: threshold_ms,
                values,
                batch,
                deleted: is_deleted,
            });
        }
        let mut part = guest::keyed(spec, self.job.folds[to], to, side, clock_ms, &things);
        part.deleted = deleted;
        if let Some(firsts) = firsts.into_iter().collect() {
            part.until_ms = firsts;
        }
        if matches!(spec.stages[to].kind, StageKind::Join(_) | StageKind::Lookup) {
            return part;
        }
        aggregated(part, self.job.folds[to], spec.stages[to].kind)
    }

    /// What the model gives for the batches that there were, by batch.
    fn told(&self) -> Vec<Vec<String>> {
        let spec = &self.job.spec;
        let mut rows = vec![Vec::new(); self.clocks.len()];
        let mut onward: Vec<Event> = Vec::new();
        // By batch, what the stage before gives is not before this.
        let mut results_before: Vec<Option<i64>> = vec![None; self.clocks.len()];
        for (i, stage) in spec.stages.iter().enumerate() {
            let has_timed_source = self
                .job
                .feeds
                .iter()
                .enumerate()
                .any(|(source, feed)| feed.0 == i && spec.sources[source].timed);
            let by_clock =
                matches!(stage.kind, StageKind::Window(window) if window.processing_time);
            let kinds: Vec<StageKind> = (0..self.clocks.len())
                .map(|batch| self.spec(batch).stages[i].kind)
                .collect();
            let (mut lines, mut goes_by, mut gives_by) = (Vec::new(), Vec::new(), Vec::new());
            for (batch, &watermark) in self.watermarks.iter().enumerate() {
                let stage = &self.spec(batch).stages[i];
                let own = has_timed_source
                    .then_some(watermark)
                    .into_iter()
                    .chain(results_before[batch])
                    .min();
                let own_line = earlier(own.unwrap_or(watermark), stage.lateness_ms());
                let line = own_line.max(lines.last().copied().unwrap_or(i64::MIN));
                lines.push(line);
                goes_by.push(match watermark {
                    i64::MAX => i64::MAX,
                    _ if by_clock => self.clocks[batch],
                    _ => line,
                });
                let updates_ms = match stage.kind {
                    StageKind::Window(window) => window.updates_ms,
                    _ => 0,
                };
                let goes_by = goes_by.last().copied().unwrap_or(i64::MIN);
                gives_by.push(match by_clock {
                    true => goes_by,
                    false => earlier(own_line, -updates_ms).max(goes_by),
                });
                results_before[batch] = own.map(|_| earlier(line, stage.behind_ms()));
            }
            // A lookup's lefts are never late, so what comes of them may be, for a stage behind it.
            let (late, on_time): (Vec<_>, Vec<_>) = std::mem::take(&mut onward)
                .into_iter()
                .map(|event: Event| Event {
                    over_ms: match event.batch {
                        0 => i64::MIN,
                        batch => lines[batch - 1],
                    },
                    ..event
                })
                .partition(|event| is_late(stage.kind, event.time_ms, event.over_ms));
            assert!(
                late.is_empty() || spec.stages[i - 1].kind == StageKind::Lookup,
                "SEED={}: {late:?}",
                self.seed
            );
            late.iter()
                .for_each(|event| rows[event.batch].push(LATE.to_string()));
            let mut events = self.events[i].clone();
            events.extend(on_time);
            let (fold, clocks) = (self.job.folds[i], &self.clocks[..]);
            let model = Model {
                stage: i,
                kinds: &kinds,
                fold,
                events: &events,
                clocks,
                lines: &goes_by,
                given: &gives_by,
            };
            for given in model.given() {
                rows[given.batch].push(given.row);
                let key = self.job.rekeys[i].of(&given.key, given.at_ms);
                let (time_ms, values, batch) = (given.time_ms, given.values, given.batch);
                onward.push(Event {
                    side: 0,
                    key,
                    time_ms,
                    over_ms: i64::MIN, // as the next stage says
                    values,
                    batch,
                    deleted: false,
                });
            }
        }
        rows.iter_mut().for_each(|rows| rows.sort());
        rows
    }
}

/// The ends of time stay where they are.
fn earlier(time_ms: i64, by_ms: i64) -> i64 {
    if time_ms == i64::MIN || time_ms == i64::MAX {
        time_ms
    } else {
        time_ms - by_ms
    }
}

fn is_late(kind: StageKind, time_ms: i64, late_threshold_ms: i64) -> bool {
    match kind {
        StageKind::Window(Window {
            processing_time: true,
            ..
        }) => false,
        StageKind::Window(Window {
            form: WindowForm::Panes { size_ms, hop_ms },
            offset_ms,
            ..
        }) => pane(time_ms, hop_ms, offset_ms) + size_ms <= late_threshold_ms,
        StageKind::Window(Window {
            form: WindowForm::Session { .. },
            ..
        }) => time_ms < late_threshold_ms,
        StageKind::Join(join) => join.partners.is_late(time_ms, late_threshold_ms),
        StageKind::EachBatch
        | StageKind::Running { .. }
        | StageKind::Lookup
        | StageKind::Process(_) => false,
    }
}

/// Where the pane of a time begins.
fn pane(time_ms: i64, hop_ms: i64, offset_ms: i64) -> i64 {
    (time_ms - offset_ms).div_euclid(hop_ms) * hop_ms + offset_ms
}

/// Of hopping windows by event time the first one that an item counts for.
fn first_window(kind: StageKind, time_ms: i64, late_threshold_ms: i64) -> Option<i64> {
    let StageKind::Window(Window {
        form: WindowForm::Panes { size_ms, hop_ms },
        offset_ms,
        processing_time: false,
        ..
    }) = kind
    else {
        return None;
    };
    let pane_ms = pane(time_ms, hop_ms, offset_ms);
    let all = (0..size_ms / hop_ms)
        .rev()
        .map(|back| pane_ms - back * hop_ms);
    (size_ms > hop_ms).then(|| {
        let mut open = all.filter(|first| first + size_ms > late_threshold_ms);
        open.next().expect("it is not late")
    })
}

fn texts(made: &Made) -> Vec<String> {
    let rows = made.rows.iter().flatten();
    rows.flat_map(|rows| {
        rows.cells
            .iter()
            .map(|cell| String::from_utf8(cell.to_vec()).unwrap())
    })
    .collect()
}

/// Merges what one call has for one key and pane, or for one session, in order of first sight.
fn aggregated(part: Keyed, fold: Fold, kind: StageKind) -> Keyed {
    let gap_ms = match kind {
        StageKind::Window(Window {
            form: WindowForm::Session { gap_ms },
            ..
        }) => Some(gap_ms),
        _ => None,
    };
    let mut groups: Vec<(Vec<u8>, i64, i64, Vec<u64>)> = Vec::new();
    for i in 0..part.keys.len() {
        let (key, values, time_ms) = (
            part.keys.get(i),
            guest::numbers(part.values.get(i)),
            part.times_ms[i],
        );
        let first = part.until_ms.get(i).copied().unwrap_or(time_ms);
        let belongs = |group: &(Vec<u8>, i64, i64, Vec<u64>)| {
            group.0 == key
                && match gap_ms {
                    Some(gap_ms) => group.1 - gap_ms <= time_ms && time_ms <= group.2 + gap_ms,
                    None => (group.1, group.2) == (time_ms, first),
                }
        };
        let found: Vec<usize> = (0..groups.len()).filter(|&g| belongs(&groups[g])).collect();
        let Some(&place) = found.first() else {
            groups.push((key.to_vec(), time_ms, first, values));
            continue;
        };
        for &other in found[1..].iter().rev() {
            let (_, from, until, values) = groups.remove(other);
            let group = &mut groups[place];
            (group.1, group.2) = (group.1.min(from), group.2.max(until));
            group.3.extend(values);
        }
        let group = &mut groups[place];
        if gap_ms.is_some() {
            (group.1, group.2) = (group.1.min(time_ms), group.2.max(time_ms));
        }
        group.3.extend(values);
    }
    let mut out = Keyed {
        stage: part.stage,
        side: part.side,
        ..Keyed::default()
    };
    for (key, from, until, values) in groups {
        out.keys.push(&key);
        out.values.push(&guest::bytes(&fold.of(values)));
        out.times_ms.push(from);
        if !part.until_ms.is_empty() {
            out.until_ms.push(until);
        }
    }
    out
}

/// All that counts goes by event time, so that the cut into batches must not show.
fn is_free_of_cuts(job: &Job) -> bool {
    job.spec.stages.iter().all(|stage| match stage.kind {
        StageKind::Window(window) => {
            !window.processing_time && !window.early && window.updates_ms == 0
        }
        StageKind::Join(_) => true,
        StageKind::EachBatch
        | StageKind::Running { .. }
        | StageKind::Lookup
        | StageKind::Process(_) => false,
    })
}

fn live_through(seed: u64) {
    let mut dice = Dice::new(seed);
    let job = roll_job(&mut dice);
    let fails = dice.one_in(5);
    let records = roll_records(&mut dice, &job, fails);
    let purge = dice.one_in(5).then_some((0, 0));
    let mut all = Vec::new();
    for cut in 0..2 {
        let mut world = World::new(
            &job,
            &records,
            Dice::new(seed ^ (cut + 1) << 40),
            purge,
            seed,
        );
        world.run();
        // What fails depends on what met what, which the model does not know.
        if !fails {
            for (batch, (rows, told)) in world.rows.iter().zip(world.told()).enumerate() {
                assert_eq!(
                    *rows, told,
                    "SEED={seed}: batch {batch} of {:?}",
                    job.spec.stages
                );
            }
        }
        let mut rows: Vec<String> = world.rows.concat();
        rows.sort();
        all.push(rows);
        for ((_, kept), stage) in world.kept().into_iter().zip(&job.spec.stages) {
            let stays = matches!(stage.kind, StageKind::Running { .. } | StageKind::Lookup);
            let left = kept.iter().filter(|(key, _)| key[0] != entry::NOTE).count();
            assert!(
                stays || left == 0,
                "SEED={seed}: {left} are left of {stage:?} at the end"
            );
        }
    }
    if !fails && purge.is_none() && job.next.is_none() && is_free_of_cuts(&job) {
        assert_eq!(all[0], all[1], "SEED={seed}: the cut into batches shows");
    }
}

#[test]
fn stages_give_what_the_model_gives_however_batches_are_cut() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|n: String| n.parse().expect("SEED and SEEDS are numbers"))
    };
    match number("SEED") {
        Some(seed) => live_through(seed),
        None => (1..=number("SEEDS").unwrap_or(500)).for_each(live_through),
    }
}
