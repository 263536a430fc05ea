//! Keyed stages under random jobs, records, cuts into batches and deaths, against the model. `SEED=42` replays one,
//! `SEEDS=5000` tries as many.

use super::*;
use crate::job::{Join, SourceKind, SourcePlan, StageKind, StagePlan, Window, WindowForm};
use crate::job::{SinkKind, SinkPlan};
use crate::state::memory::MemoryState;
use guest::{Fold, Guest, Onward, Rekey};
use model::{Event, Model};
use std::collections::BTreeMap;
use std::time::Duration;

mod agreement;
mod cases;
mod guest;
mod model;

/// Small, fast, and the same everywhere: xorshift.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
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
    plan: JobPlan,
    folds: Vec<Fold>,
    rekeys: Vec<Rekey>,
    /// By source: stage and side.
    feeds: Vec<(usize, u8)>,
}

fn source(table: bool) -> SourcePlan {
    SourcePlan {
        kind: SourceKind::Kafka,
        name: "s".into(),
        place: "s".into(),
        table,
        timed: !table,
        ..Default::default()
    }
}

fn stage(name: &str, kind: StageKind, inputs: Vec<u32>) -> StagePlan {
    let empty = String::new;
    let (key_shape, value_shape, other_shape) = (empty(), empty(), empty());
    StagePlan { name: name.into(), kind, inputs, key_shape, value_shape, other_shape, version: 0, migrates: None }
}

fn plan(sources: Vec<SourcePlan>, stages: Vec<StagePlan>) -> JobPlan {
    let sink = SinkPlan {
        kind: SinkKind::Console,
        name: "out".into(),
        place: "out".into(),
        keyed: false,
        dynamic: false,
        columns: Vec::new(),
        exactly_once: false,
    };
    JobPlan { name: "j".into(), every: Duration::ZERO, sources, stages, sinks: vec![sink] }
}

fn roll_lateness(dice: &mut Dice) -> i64 {
    if dice.one_in(2) { 0 } else { dice.between(0, 15) }
}

fn roll_kind(dice: &mut Dice, after: Option<StageKind>, is_last: bool) -> StageKind {
    let untimed_only = matches!(after, Some(StageKind::EachBatch | StageKind::Running { .. }))
        || matches!(after, Some(StageKind::Window(window)) if window.processing_time);
    match if untimed_only { dice.roll(3) } else { dice.roll(10) } {
        0 => StageKind::EachBatch,
        1 => StageKind::Running { expire_ms: dice.one_in(2).then(|| dice.roll(5000)) },
        2 => StageKind::Lookup,
        3 | 4 => StageKind::Join(Join {
            within_ms: dice.between(0, 20),
            lateness_ms: roll_lateness(dice),
            left: dice.one_in(2),
        }),
        _ => {
            let hop_ms = dice.between(1, 15);
            let form = match dice.roll(3) {
                0 => WindowForm::Session { gap_ms: dice.between(0, 15) },
                1 => WindowForm::Panes { size_ms: hop_ms, hop_ms },
                _ => WindowForm::Panes { size_ms: hop_ms * dice.between(2, 5), hop_ms },
            };
            let early = is_last && dice.one_in(4);
            StageKind::Window(Window { form, lateness_ms: roll_lateness(dice), processing_time: dice.one_in(5), early })
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
    let sources = feeds.iter().map(|&(i, side)| source(side == 1 && kinds[i] == StageKind::Lookup)).collect();
    let stages = kinds.into_iter().enumerate().map(|(i, kind)| {
        let of_sources = feeds.iter().enumerate().filter(|(_, feed)| feed.0 == i).map(|(source, _)| source as u32);
        let before = (i > 0).then(|| (feeds.len() + i - 1) as u32);
        stage(&format!("stage{i}"), kind, of_sources.chain(before).collect())
    });
    let plan = plan(sources, stages.collect());
    let fold = |dice: &mut Dice| [Fold::Sorted, Fold::Sum, Fold::Max][dice.roll(3) as usize];
    let rekey = |dice: &mut Dice| [Rekey::Same, Rekey::Time, Rekey::All][dice.roll(3) as usize];
    let folds = (0..count).map(|_| fold(dice)).collect();
    let rekeys = (0..count).map(|_| rekey(dice)).collect();
    Job { plan, folds, rekeys, feeds }
}

struct Record {
    key: Vec<u8>,
    time_ms: i64,
    value: u64,
    deleted: bool,
}

/// Records by source and partition.
type Records = BTreeMap<(usize, usize), Vec<Record>>;

fn roll_records(dice: &mut Dice, job: &Job) -> Records {
    let mut records = Records::new();
    let keys = [1, 3, 20][dice.roll(3) as usize];
    let (spread, pace) = (dice.between(0, 25), dice.between(0, 6));
    for source in 0..job.feeds.len() {
        for id in 0..1 + dice.roll(3) as usize {
            let mut base_ms = dice.between(-100, 0);
            let of_partition = (0..dice.roll(40)).map(|_| {
                base_ms += dice.between(0, pace) + if dice.one_in(15) { dice.between(0, 60) } else { 0 };
                Record {
                    key: format!("k{}", dice.roll(keys)).into_bytes(),
                    time_ms: base_ms - dice.between(0, spread),
                    value: 1 + dice.roll(1000),
                    deleted: dice.one_in(4),
                }
            });
            records.insert((source, id), of_partition.collect());
        }
    }
    records
}

/// A job over its records, batch after batch: real and told.
struct World<'a> {
    job: &'a Job,
    records: &'a Records,
    ids: Vec<StageId>,
    dice: Dice,
    state: MemoryState,
    reached: BTreeMap<(usize, usize), usize>,
    own_ms: BTreeMap<(usize, usize), i64>,
    /// A partition that the watermark does not wait for.
    let_go: Option<(usize, usize)>,
    /// By stage, what its sources had for it that was not late.
    events: Vec<Vec<Event>>,
    clocks: Vec<i64>,
    watermarks: Vec<i64>,
    rows: Vec<Vec<String>>,
    seed: u64,
}

impl<'a> World<'a> {
    fn new(job: &'a Job, records: &'a Records, dice: Dice, let_go: Option<(usize, usize)>, seed: u64) -> Self {
        World {
            job,
            records,
            ids: (0..job.plan.stages.len() as u64).map(|i| 7 + i).collect(),
            dice,
            state: MemoryState::default(),
            reached: records.keys().map(|&partition| (partition, 0)).collect(),
            own_ms: records.keys().map(|&partition| (partition, i64::MIN)).collect(),
            let_go,
            events: vec![Vec::new(); job.plan.stages.len()],
            clocks: Vec::new(),
            watermarks: Vec::new(),
            rows: Vec::new(),
            seed,
        }
    }

    fn run(&mut self) {
        let greed = 1 + self.dice.roll(20);
        while self.reached.iter().any(|(partition, &at)| at < self.records[partition].len()) {
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
            self.job.plan.sources[partition.0].timed && Some(partition) != self.let_go
        };
        let least = self.own_ms.iter().filter(counts).map(|(_, &own)| own).min();
        least.unwrap_or(i64::MIN).max(self.watermarks.last().copied().unwrap_or(i64::MIN))
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
            let to = (from + self.dice.roll(greed + 1) as usize).min(self.records[&partition].len());
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
        let times = BatchTimes { batch: 1 + batch as u64, clock_ms, before_ms, watermark_ms };
        self.clocks.push(clock_ms);
        self.watermarks.push(watermark_ms);
        let rows = self.keyed(parts, times, is_empty);
        self.rows.push(rows);
    }

    /// Runs the batch twice, in other portions, from the same state: its outcome must be the same.
    fn keyed(&mut self, parts: Vec<Keyed>, times: BatchTimes, is_empty: bool) -> Vec<String> {
        let seed = self.seed;
        let is_due = is_due(&self.job.plan, &self.ids, times, &mut self.state).unwrap();
        let old = self.state.clone();
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let portion = Portion {
                groups: 1 + self.dice.roll(6) as usize,
                bytes: if self.dice.one_in(2) { 40 } else { 1 << 20 },
                entries: 1 + self.dice.roll(4) as usize,
                pairs: 1 << 20,
            };
            let (plan, folds, rekeys) = (&self.job.plan, &self.job.folds[..], &self.job.rekeys[..]);
            let slice = 1 + self.dice.roll(5) as usize;
            let mut guest = Guest { plan, folds, rekeys, slice, asked: 0 };
            let mut state = old.clone();
            let made = run_in(plan, &self.ids, parts.clone(), times, &mut state, &mut guest, portion).unwrap();
            assert_eq!(made.letters, [], "SEED={seed}");
            let mut rows = texts(&made);
            rows.extend((0..made.late).map(|_| LATE.to_string()));
            outcomes.push((rows, state.entries));
        }
        let (second, first) = (outcomes.pop().unwrap(), outcomes.pop().unwrap());
        assert_eq!(first, second, "SEED={seed}: a batch that is run again has the same outcome");
        if is_empty {
            let is_changed = first.1 != old.entries || !first.0.is_empty();
            assert_eq!(is_changed, is_due, "SEED={seed}: an empty batch does something if it is due, and only then");
        }
        self.state.entries = first.1;
        let mut rows = first.0;
        rows.sort();
        rows
    }

    fn is_late(&self, stage: usize, time_ms: i64, seen_ms: i64) -> bool {
        match self.job.plan.stages[stage].kind {
            StageKind::Window(Window { processing_time: true, .. }) => false,
            StageKind::Window(Window { form: WindowForm::Panes { hop_ms, .. }, lateness_ms, .. }) => {
                (time_ms.div_euclid(hop_ms) + 1) * hop_ms + lateness_ms <= seen_ms
            }
            StageKind::Window(Window { form: WindowForm::Session { .. }, lateness_ms, .. })
            | StageKind::Join(Join { lateness_ms, .. }) => time_ms + lateness_ms < seen_ms,
            StageKind::EachBatch | StageKind::Running { .. } | StageKind::Lookup => false,
        }
    }

    /// What a guest would make of records: what is late left out, the rest merged by key and pane or session.
    fn transform(
        &mut self,
        partition: (usize, usize),
        range: std::ops::Range<usize>,
        batch: usize,
        before_ms: i64,
        clock_ms: i64,
    ) -> Keyed {
        let (to, side) = self.job.feeds[partition.0];
        let plan = &self.job.plan;
        let mut things: Vec<Onward> = Vec::new();
        let mut deleted = Vec::new();
        for record in &self.records[&partition][range] {
            let own_ms = self.own_ms[&partition];
            if plan.sources[partition.0].timed {
                self.own_ms.insert(partition, own_ms.max(record.time_ms));
            }
            if self.is_late(to, record.time_ms, own_ms.max(before_ms)) {
                continue;
            }
            let (key, time_ms, values) = (record.key.clone(), record.time_ms, vec![record.value]);
            let is_deleted = record.deleted && side == 1 && plan.stages[to].kind == StageKind::Lookup;
            if is_deleted {
                deleted.push(things.len() as u32);
            }
            things.push((key.clone(), values.clone(), time_ms));
            self.events[to].push(Event { side, key, time_ms, values, batch, deleted: is_deleted });
        }
        let mut part = guest::keyed(plan, self.job.folds[to], to, side, clock_ms, &things);
        part.deleted = deleted;
        if matches!(plan.stages[to].kind, StageKind::Join(_) | StageKind::Lookup) {
            return part;
        }
        aggregated(part, self.job.folds[to], plan.stages[to].kind)
    }

    /// What the model gives for the batches that there were, by batch.
    fn told(&self) -> Vec<Vec<String>> {
        let plan = &self.job.plan;
        let mut rows = vec![Vec::new(); self.clocks.len()];
        let mut onward: Vec<Event> = Vec::new();
        let mut marks_before: Vec<Option<i64>> = Vec::new();
        for (i, stage) in plan.stages.iter().enumerate() {
            let has_timed_source =
                self.job.feeds.iter().enumerate().any(|(source, feed)| feed.0 == i && plan.sources[source].timed);
            let mut marks = Vec::new();
            for (batch, &watermark) in self.watermarks.iter().enumerate() {
                let from_stage = marks_before.get(batch).copied().flatten().map(|mark| match mark {
                    i64::MIN | i64::MAX => mark,
                    _ => mark - plan.stages[i - 1].delay_ms(),
                });
                marks.push(has_timed_source.then_some(watermark).into_iter().chain(from_stage).min());
            }
            let by_clock = matches!(stage.kind, StageKind::Window(window) if window.processing_time);
            let goes_by: Vec<i64> = (0..marks.len())
                .map(|batch| match self.watermarks[batch] {
                    i64::MAX => i64::MAX,
                    _ if by_clock => self.clocks[batch],
                    watermark => marks[batch].unwrap_or(watermark),
                })
                .collect();
            // A lookup's lefts are never late, so what comes of them may be, for a stage behind it.
            let is_late = |event: &Event| {
                let before_ms = if event.batch == 0 { i64::MIN } else { marks[event.batch - 1].unwrap_or(i64::MIN) };
                self.is_late(i, event.time_ms, before_ms)
            };
            let (late, on_time): (Vec<_>, Vec<_>) = std::mem::take(&mut onward).into_iter().partition(is_late);
            assert!(late.is_empty() || plan.stages[i - 1].kind == StageKind::Lookup, "SEED={}: {late:?}", self.seed);
            late.iter().for_each(|event| rows[event.batch].push(LATE.to_string()));
            let mut events = self.events[i].clone();
            events.extend(on_time);
            let (fold, clocks) = (self.job.folds[i], &self.clocks[..]);
            let model = Model { stage: i, plan: stage, fold, events: &events, clocks, marks: &goes_by };
            for given in model.given() {
                rows[given.batch].push(given.row);
                let key = self.job.rekeys[i].of(&given.key, given.at_ms);
                let (time_ms, values, batch) = (given.time_ms, given.values, given.batch);
                onward.push(Event { side: 0, key, time_ms, values, batch, deleted: false });
            }
            marks_before = marks;
        }
        rows.iter_mut().for_each(|rows| rows.sort());
        rows
    }
}

fn texts(made: &Made) -> Vec<String> {
    let rows = made.rows.iter().flatten();
    rows.flat_map(|rows| rows.cells.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap())).collect()
}

/// Merges what one call has for one key and pane, or for one session, in order of first sight.
fn aggregated(part: Keyed, fold: Fold, kind: StageKind) -> Keyed {
    let gap_ms = match kind {
        StageKind::Window(Window { form: WindowForm::Session { gap_ms }, .. }) => Some(gap_ms),
        _ => None,
    };
    let mut groups: Vec<(Vec<u8>, i64, i64, Vec<u64>)> = Vec::new();
    for i in 0..part.keys.len() {
        let (key, values, time_ms) = (part.keys.get(i), guest::numbers(part.values.get(i)), part.times_ms[i]);
        let reach = gap_ms.unwrap_or(0);
        let belongs = |group: &(Vec<u8>, i64, i64, Vec<u64>)| {
            group.0 == key && group.1 - reach <= time_ms && time_ms <= group.2 + reach
        };
        let found: Vec<usize> = (0..groups.len()).filter(|&g| belongs(&groups[g])).collect();
        let Some(&first) = found.first() else {
            groups.push((key.to_vec(), time_ms, time_ms, values));
            continue;
        };
        for &other in found[1..].iter().rev() {
            let (_, from, until, values) = groups.remove(other);
            let group = &mut groups[first];
            (group.1, group.2) = (group.1.min(from), group.2.max(until));
            group.3.extend(values);
        }
        let group = &mut groups[first];
        (group.1, group.2) = (group.1.min(time_ms), group.2.max(time_ms));
        group.3.extend(values);
    }
    let mut out = Keyed { stage: part.stage, side: part.side, ..Keyed::default() };
    for (key, from, until, values) in groups {
        out.keys.push(&key);
        out.values.push(&guest::bytes(&fold.of(values)));
        out.times_ms.push(from);
        if gap_ms.is_some() {
            out.until_ms.push(until);
        }
    }
    out
}

/// All that counts goes by event time, so that the cut into batches must not show.
fn is_free_of_cuts(job: &Job) -> bool {
    job.plan.stages.iter().all(|stage| match stage.kind {
        StageKind::Window(window) => !window.processing_time && !window.early,
        StageKind::Join(_) => true,
        StageKind::EachBatch | StageKind::Running { .. } | StageKind::Lookup => false,
    })
}

fn live_through(seed: u64) {
    let mut dice = Dice::new(seed);
    let job = roll_job(&mut dice);
    let records = roll_records(&mut dice, &job);
    let let_go = dice.one_in(5).then_some((0, 0));
    let mut all = Vec::new();
    for cut in 0..2 {
        let mut world = World::new(&job, &records, Dice::new(seed ^ (cut + 1) << 40), let_go, seed);
        world.run();
        for (batch, (rows, told)) in world.rows.iter().zip(world.told()).enumerate() {
            assert_eq!(*rows, told, "SEED={seed}: batch {batch} of {:?}", job.plan.stages);
        }
        let mut rows: Vec<String> = world.rows.concat();
        rows.sort();
        all.push(rows);
        let kept = world.state.entries.iter().filter(|((id, key), _)| {
            let kind = job.plan.stages[(*id - 7) as usize].kind;
            key[0] != entry::NOTE && !matches!(kind, StageKind::Running { .. } | StageKind::Lookup)
        });
        assert_eq!(kept.count(), 0, "SEED={seed}: nothing is left of windows and joins at the end");
    }
    if let_go.is_none() && is_free_of_cuts(&job) {
        assert_eq!(all[0], all[1], "SEED={seed}: the cut into batches shows");
    }
}

#[test]
fn stages_give_what_the_model_gives_however_batches_are_cut() {
    let number = |name| std::env::var(name).ok().map(|n: String| n.parse().expect("SEED and SEEDS are numbers"));
    match number("SEED") {
        Some(seed) => live_through(seed),
        None => (1..=number("SEEDS").unwrap_or(500)).for_each(live_through),
    }
}
