//! The whole pipeline under faults drawn from a seed, against a model that a child could read.
//! `SEED=42` replays one.

mod canary;
mod cases;
mod ends;
mod fake;
mod data_loss;
mod measures;
mod retries;
mod refused;
mod replan;
mod savepoint;
mod shadow;

use super::*;
use crate::sink::memory::{Fault, Landed, Memory, MemoryDeadLetters, MemorySink};
use crate::source::memory::{MemorySource, MemoryTopics, Trouble};
use fake::{Dying, Kept, SINKS, active, active_with};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use streamhost_core::job::budget::watch::OverBudget;
use streamhost_core::limits::BATCH_ANSWERS_BYTES_MAX;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::testing::xorshift;
use streamhost_core::types::{DeadLetter, Guarantee, Rows};

/// Draws from a seed, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        xorshift(&mut self.0) % below
    }
}
struct World {
    dice: Dice,
    topics: MemoryTopics,
    store: Arc<MemoryStore>,
    cell: DeploymentSlot,
    deployments: Arc<AtomicU64>,
    sinks: [Memory<Rows>; 5],
    letters: Memory<DeadLetter>,
    sent: BTreeMap<i32, Vec<String>>,
    skip_lost: bool,
    replay_only: bool,
    /// What versions are like when planned batches are run again.
    again: Kept,
    logged: Arc<Mutex<Vec<String>>>,
    /// Bytes that may be answered for one batch.
    answers_max: usize,
    /// By how many milliseconds the machine's clock was set ahead.
    set_ahead_ms: Arc<AtomicI64>,
    /// Whether the last pipeline that ended held a deployment that it did not come to run.
    overtaken: Arc<AtomicBool>,
    /// What was told of budgets.
    over_budget: Arc<Mutex<Vec<OverBudget>>>,
    shadow: ShadowSlot,
    /// What its deployments are, by their numbers.
    made: Arc<dyn Fn(u64) -> Arc<LoadedDeployment> + Send + Sync>,
}

impl World {
    fn new(seed: u64) -> Self {
        let topics = MemoryTopics::default();
        topics.create("t", 2);
        World {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            topics,
            store: Arc::default(),
            cell: DeploymentSlot::new(active(1)),
            deployments: Arc::new(AtomicU64::new(1)),
            sinks: std::array::from_fn(|_| Memory::new()),
            letters: Memory::new(),
            sent: BTreeMap::new(),
            skip_lost: false,
            replay_only: false,
            again: Kept::Counts,
            logged: Arc::default(),
            answers_max: BATCH_ANSWERS_BYTES_MAX,
            set_ahead_ms: Arc::default(),
            overtaken: Arc::default(),
            over_budget: Arc::default(),
            shadow: ShadowSlot::default(),
            made: Arc::new(active),
        }
    }

    /// Appends so many records that are counted.
    fn put(&mut self, id: i32, count: usize) {
        for _ in 0..count {
            let sent = self.sent.entry(id).or_default();
            let value = format!("a{id}-{}", sent.len());
            self.topics.append("t", id, 0, None, Some(value.as_bytes()));
            sent.push(value);
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        self.store.load().unwrap().0.expect("the job has begun")
    }

    fn sinks(&self) -> Vec<Box<dyn Sink>> {
        let sink = |(memory, (_, guarantee)): (&Memory<Rows>, (&str, Guarantee))| -> Box<dyn Sink> {
            Box::new(MemorySink::new(memory, guarantee).reading(&["t".to_string()]))
        };
        self.sinks.iter().zip(SINKS).map(sink).collect()
    }

    fn send(&mut self, count: u64) {
        for _ in 0..count {
            let id = self.dice.roll(2) as i32;
            let sent = self.sent.entry(id).or_default();
            let kind = b"aaabbbcccTFD"[self.dice.roll(12) as usize] as char;
            let value = format!("{kind}{id}-{}", sent.len());
            self.topics.append("t", id, 0, None, Some(value.as_bytes()));
            sent.push(value);
        }
    }

    fn deploy(&mut self) {
        let next = self.deployments.fetch_add(1, Ordering::SeqCst) + 1;
        self.cell.set((self.made)(next));
    }

    fn start(&mut self, lives: Option<(usize, bool)>) -> Pipeline {
        let spec = self.cell.get().spec.clone();
        let (writes, after) = lives.unwrap_or((usize::MAX, false));
        let store = Dying {
            inner: self.store.clone(),
            writes_left: AtomicUsize::new(writes),
            after,
        };
        let newest = self.deployments.load(Ordering::SeqCst);
        let (again, made) = (self.again, self.made.clone());
        let parts = PipelineParts {
            job: "j".into(),
            active: self.cell.clone(),
            deployments: Box::new(move |number| match again {
                Kept::Counts => Some(made(number)),
                again => Some(active_with(number, again)),
            }),
            known: (1..=newest).collect(),
            source: Box::new(MemorySource::new(&self.topics, &spec.sources, "g")),
            sinks: self.sinks(),
            dead_letters: Box::new(MemoryDeadLetters::new(&self.letters, Guarantee::Marked)),
            store: Arc::new(store),
            lanes: 1 + self.dice.roll(3) as usize,
            large: LargeBatches::new(1, self.answers_max),
            replay_only: self.replay_only,
            skip_lost: self.skip_lost,
            reads_on: false,
            shadow: self.shadow.clone(),
        };
        let logged = self.logged.clone();
        let status = PipelineStatus::telling(Box::new(move |_, text| {
            logged.lock().unwrap().push(text.to_string())
        }));
        let over_budget = self.over_budget.clone();
        let status = status.judging(Box::new(move |over| over_budget.lock().unwrap().push(over)));
        let set_ahead_ms = self.set_ahead_ms.clone();
        let status = status.watching(Arc::new(move || set_ahead_ms.load(Ordering::SeqCst)));
        let told = self.overtaken.clone();
        let ended = move |_: &PipelineExit, overtaken| told.store(overtaken, Ordering::SeqCst);
        Pipeline::start(parts, Arc::new(status), ended).unwrap()
    }

    /// One life of the host, with faults and at most one death.
    fn live(&mut self) {
        let count = self.dice.roll(12);
        self.send(count);
        for sink in 0..=SINKS.len() {
            let fault = [
                Fault::BeforeLanding,
                Fault::AfterLanding,
                Fault::Refused,
                Fault::Open,
            ];
            let fault = fault[self.dice.roll(4) as usize];
            match self.sinks.get(sink) {
                _ if self.dice.roll(3) > 0 => {}
                Some(sink) => sink.fail(1, fault),
                None => self.letters.fail(1, fault),
            }
        }
        let life = (1 + self.dice.roll(8) as usize, self.dice.roll(2) == 0);
        let pipeline = self.start(Some(life));
        let count = self.dice.roll(12);
        self.send(count);
        if self.dice.roll(2) == 0 {
            self.deploy();
        }
        let how = [None, Some(Stop::Soon), Some(Stop::Drain)][self.dice.roll(3) as usize];
        let (is_away, comes_back) = (self.dice.roll(4) == 0, self.dice.roll(2) == 0);
        if is_away {
            self.topics.trouble(Some(Trouble::Away("gone".into())));
            self.until(&pipeline, |facts| facts.waiting.contains_key("source"));
            if comes_back || how != Some(Stop::Soon) {
                self.topics.trouble(None);
            }
        }
        let end = match how {
            Some(how) => pipeline.stop(how),
            None => self.until_quiet(pipeline),
        };
        self.topics.trouble(None);
        assert!(!matches!(end, PipelineExit::VersionFault { .. }), "{end:?}");
    }

    /// Waits until the board says so, or the pipeline ended.
    fn until(&self, pipeline: &Pipeline, is_so: impl Fn(&status::StatusSnapshot) -> bool) {
        while !pipeline.has_ended() && !is_so(&pipeline.status.snapshot()) {
            // A look, not a wait: the condition ends it.
            pipeline.status.stop.pause(Duration::from_millis(1));
        }
    }

    /// From now on no sink fails.
    fn calm(&self) {
        self.sinks.iter().for_each(|sink| sink.forget_faults());
        self.letters.forget_faults();
    }

    /// A last life, without a fault, delivers all that was sent.
    fn ends_quietly(&mut self, seed: u64) {
        let last = self.start(None);
        assert_eq!(self.until_quiet(last), PipelineExit::Stopped, "SEED={seed}");
    }

    /// Waits until all that was sent is durable, or the host died.
    fn until_quiet(&self, pipeline: Pipeline) -> PipelineExit {
        let ends: BTreeMap<i32, i64> = self
            .sent
            .iter()
            .map(|(&id, sent)| (id, sent.len() as i64))
            .collect();
        let is_done = |facts: &status::StatusSnapshot| {
            ends.iter()
                .all(|(id, end)| facts.committed.get("t").and_then(|t| t.get(id)) == Some(end))
        };
        self.until(&pipeline, is_done);
        pipeline.stop(Stop::Soon)
    }
}

/// `key=version:value` of a delivery's rows, in order.
fn texts(landed: &Landed<Rows>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = |rows: &Rows| {
        (0..rows.len())
            .map(|row| {
                (
                    text(rows.cells.get(2 * row)),
                    text(rows.cells.get(2 * row + 1)),
                )
            })
            .collect::<Vec<_>>()
    };
    landed.items.iter().flat_map(rows).collect()
}

/// Values of the rows that a sink holds, in the order of landing.
fn values(world: &World, sink: usize) -> Vec<String> {
    let rows = world.sinks[sink].landed();
    let rows = rows.iter().flat_map(texts);
    rows.map(|(_, cell)| cell.split_once(':').expect("version:value").1.to_owned())
        .collect()
}

/// What a table holds whose cells carry the deliveries' times, whatever arrived in which order.
fn table(landed: &[Landed<Rows>]) -> BTreeMap<String, String> {
    let mut cells: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for delivery in landed {
        for (key, value) in texts(delivery) {
            let newest = cells.entry(key).or_insert((i64::MIN, String::new()));
            if delivery.time_ms >= newest.0 {
                *newest = (delivery.time_ms, value);
            }
        }
    }
    cells
        .into_iter()
        .map(|(key, (_, value))| (key, value))
        .collect()
}

fn check(world: &World, seed: u64) {
    check_by(world, seed, &|v| v.starts_with(['T', 'F']));
}

/// `is_letter`: which values are dead letters.
fn check_by(world: &World, seed: u64, is_letter: &dyn Fn(&str) -> bool) {
    let marked = world.sinks[1].landed();
    let batches: Vec<_> = marked.iter().map(|landed| landed.batch).collect();
    assert!(
        batches.iter().copied().eq(1..=batches.len() as u64),
        "SEED={seed}: each batch once, in order: {batches:?}"
    );
    let rows: Vec<_> = marked
        .iter()
        .flat_map(texts)
        .map(|(_, value)| value)
        .collect();
    for (id, sent) in &world.sent {
        let own: Vec<_> = rows
            .iter()
            .filter_map(|row| row.split_once(':'))
            .filter(|(_, v)| v[1..].starts_with(&format!("{id}-")))
            .collect();
        let wanted: Vec<_> = sent
            .iter()
            .filter(|v| !v.starts_with('D') && !is_letter(v))
            .collect();
        assert!(
            own.iter().map(|(_, value)| value).eq(wanted.iter()),
            "SEED={seed}: every row once, in order"
        );
        let versions: Vec<u64> = own
            .iter()
            .map(|(version, _)| version.parse::<u64>().unwrap() % 1000) // a canary's is the deployment's
            .collect();
        assert!(
            versions.is_sorted(),
            "SEED={seed}: one switch offset a swap: {versions:?}"
        );
    }
    assert_eq!(
        table(&world.sinks[0].landed()),
        table(&marked),
        "SEED={seed}: the table is that of an undisturbed run"
    );
    let plain: BTreeSet<_> = world.sinks[2].landed().iter().flat_map(texts).collect();
    assert_eq!(
        plain,
        marked.iter().flat_map(texts).collect(),
        "SEED={seed}: a plain sink lacks nothing"
    );
    if !world.cell.get().spec.stages.is_empty() {
        check_counts(world, seed, is_letter);
    }
    let mut letters: Vec<_> = world
        .letters
        .landed()
        .iter()
        .flat_map(|l| l.items.clone())
        .map(|l| String::from_utf8(l.value.unwrap()).unwrap())
        .collect();
    letters.sort();
    let mut wanted: Vec<_> = world
        .sent
        .values()
        .flatten()
        .filter(|v| is_letter(v))
        .cloned()
        .collect();
    wanted.sort();
    assert_eq!(letters, wanted, "SEED={seed}: each dead letter once");
    let (checkpoint, intents) = world.store.load().unwrap();
    let totals = checkpoint.unwrap().counters;
    let dropped = world
        .sent
        .values()
        .flatten()
        .filter(|v| v.starts_with('D') && !is_letter(v))
        .count() as u64;
    assert!(intents.is_empty());
    assert_eq!(
        totals.records_in,
        world
            .sent
            .values()
            .map(|sent| sent.len() as u64)
            .sum::<u64>(),
        "SEED={seed}"
    );
    assert_eq!(
        (totals.dropped, totals.dead_letters),
        (dropped, wanted.len() as u64),
        "SEED={seed}"
    );
    assert_eq!(
        totals.rows["marked"],
        totals.records_in - dropped - wanted.len() as u64,
        "SEED={seed}"
    );
    let group: i64 = world.topics.group("g").values().sum();
    assert_eq!(
        group as u64, totals.records_in,
        "SEED={seed}: the group shows the end"
    );
}

/// What is kept for ever, and what each batch gave, add up to what was sent.
fn check_counts(world: &World, seed: u64, is_letter: &dyn Fn(&str) -> bool) {
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for value in world
        .sent
        .values()
        .flatten()
        .filter(|v| !v.starts_with('D') && !is_letter(v))
    {
        *sent.entry(value[..1].to_string()).or_default() += 1;
    }
    let count = |value: &str| {
        value
            .split_once(':')
            .expect("version:count")
            .1
            .parse::<u64>()
            .expect("a count")
    };
    let kept: BTreeMap<_, _> = table(&world.sinks[3].landed())
        .into_iter()
        .map(|(k, v)| (k, count(&v)))
        .collect();
    assert_eq!(kept, sent, "SEED={seed}: running counts");
    let mut summed: BTreeMap<String, u64> = BTreeMap::new();
    for (key, value) in world.sinks[4].landed().iter().flat_map(texts) {
        *summed.entry(key).or_default() += count(&value);
    }
    assert_eq!(summed, sent, "SEED={seed}: the batches' sums");
    let facts = world.store.load().unwrap().0.unwrap().stages;
    assert_eq!(
        facts["running"].keys,
        sent.len() as u64,
        "SEED={seed}: keys kept"
    );
}

fn live_through(seed: u64) {
    let mut world = World::new(seed);
    world.topics.is_replayable("t", !seed.is_multiple_of(4));
    for _ in 0..6 {
        world.live();
    }
    world.calm();
    world.send(5);
    world.ends_quietly(seed);
    check(&world, seed);
}

/// `SEED=42` replays one; `SEEDS=5000` tries as many.
#[test]
fn every_batch_ends_as_if_nothing_had_happened_under_any_faults() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|n: String| n.parse().expect("SEED and SEEDS are numbers"))
    };
    if let Some(seed) = number("SEED") {
        return live_through(seed);
    }
    let (last, next) = (number("SEEDS").unwrap_or(100), AtomicU64::new(1));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            // A life is mostly waiting for a thread to notice, so many go side by side.
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::SeqCst)
                    && seed <= last
                {
                    live_through(seed);
                }
            });
        }
    });
}

/// `SEED=42` replays one; `SEEDS=5000` tries as many.
fn seeds(most: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(most),
    }
}

/// Has each seed tried, many side by side: a life is mostly waiting for a thread to notice.
fn of_each(most: u64, live: impl Fn(u64) + Sync) {
    let seeds = Mutex::new(seeds(most));
    let next = || seeds.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    live(seed);
                }
            });
        }
    });
}
