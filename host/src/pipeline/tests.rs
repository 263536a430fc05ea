//! The whole pipeline under faults drawn from a seed, against a model that a child could read. `SEED=42` replays one.

use super::*;
use crate::checkpoint::memory::MemoryStore;
use crate::checkpoint::{Ledger, Plan, StoreError};
use crate::guest::GuestFault;
use crate::guest::answer::Shape;
use crate::guest::calls::{Finished, Moment, Partials};
use crate::guest::instance::Answer;
use crate::guest::run::{Guest, Maker};
use crate::job::settings::{JobLimits, Settings};
use crate::job::{ColumnPlan, SinkKind, SourcePlan, StageKind, StagePlan};
use crate::record::{Chunk, Column, DeadLetter, Keyed, Kind, Rows};
use crate::sink::memory::{Fault, Landed, Memory, MemoryDeadLetters, MemorySink};
use crate::sink::{Guarantee, RowLimits};
use crate::source::memory::{MemorySource, MemoryTopics, Trouble};
use crate::state::{Delta, StageId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The first three get a row a record; `counts` how many records each letter has had, `sums` how many in each batch.
const SINKS: [(&str, Guarantee); 5] = [
    ("table", Guarantee::Idempotent),
    ("marked", Guarantee::Marked),
    ("plain", Guarantee::AtLeastOnce),
    ("counts", Guarantee::Idempotent),
    ("sums", Guarantee::Marked),
];
const RUNNING: u32 = 1;
const EACH_BATCH: u32 = 2;

/// Small, fast, and the same everywhere: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A row a record: key = the value's first letter, one cell `version:value`. Some values say what else happens. Letters
/// are counted too, for ever and in each batch.
struct Fake(u64, Kept);

/// Whether letters are counted.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Counts,
    Nothing,
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a count has 8 bytes"))
}

impl Guest for Fake {
    fn transform(&mut self, _: u32, moment: Moment, chunk: &Chunk, _: Duration) -> Result<Answer, GuestFault> {
        let mut rows = Rows::default();
        let mut counts = Keyed::default();
        let mut faults = Vec::new();
        for (i, value) in chunk.values.iter().enumerate() {
            match value[0] {
                b'T' => return Err(GuestFault::Trap("it broke".into())),
                b'F' => faults.push((i as u32, "refused".to_string())),
                b'D' => {}
                _ => {
                    rows.positions.push(i as u32);
                    rows.cells.push(&value[..1]);
                    rows.cells.push(format!("{}:{}", self.0, String::from_utf8_lossy(value)).as_bytes());
                    counts.positions.push(i as u32);
                    counts.keys.push(&value[..1]); // one partial a record: as good as one a letter
                    counts.values.push(&1u64.to_le_bytes());
                    counts.times_ms.push(0);
                }
            }
        }
        let mut all = vec![rows; SINKS.len()];
        (all[3], all[4]) = (Rows::default(), Rows::default());
        let keyed = match self.1 {
            Kept::Counts => [RUNNING, EACH_BATCH].map(|stage| Keyed { stage, ..counts.clone() }).to_vec(),
            Kept::Nothing => Vec::new(),
        };
        Ok(Answer { faults, rows: all, keyed, late: Vec::new(), largest_ms: moment.partition_ms })
    }

    fn combine(&mut self, _: u32, partials: &Partials, _: Duration) -> Result<Column, GuestFault> {
        let mut merged = Column::default();
        let mut from = 0;
        for (group, &to) in partials.group_ends.iter().enumerate() {
            let before = partials.accumulators.get(group);
            let before = if before.is_empty() { 0 } else { number(before) };
            let sum = before + (from..to as usize).map(|i| number(partials.partials.get(i))).sum::<u64>();
            merged.push(&sum.to_le_bytes());
            from = to as usize;
        }
        Ok(merged)
    }

    fn finish(&mut self, stage: u32, moment: Moment, finished: &Finished, _: Duration) -> Result<Answer, GuestFault> {
        let Finished::Groups(groups) = finished else { unreachable!("nothing is joined") };
        let mut rows = Rows::default();
        for i in 0..groups.keys.len() {
            rows.positions.push(i as u32);
            rows.cells.push(groups.keys.get(i));
            rows.cells.push(format!("{}:{}", self.0, number(groups.accumulators.get(i))).as_bytes());
        }
        let mut all = vec![Rows::default(); SINKS.len()];
        all[if stage == RUNNING { 3 } else { 4 }] = rows;
        Ok(Answer { rows: all, largest_ms: moment.partition_ms, ..Answer::default() })
    }

    fn migrate(&mut self, _: u32, accumulators: &Column, _: Duration) -> Result<Column, GuestFault> {
        Ok(accumulators.clone())
    }
}

fn active(deployment: u64) -> Arc<Active> {
    active_with(deployment, Kept::Counts)
}

fn active_with(deployment: u64, kept: Kept) -> Arc<Active> {
    let columns = vec![ColumnPlan { name: "f:v".into(), kind: Kind::Bytes, optional: false }];
    let sink = |name: &str| SinkPlan {
        kind: SinkKind::Kafka,
        name: name.into(),
        place: name.into(),
        keyed: true,
        dynamic: false,
        columns: columns.clone(),
        exactly_once: false,
    };
    let sinks: Vec<_> = SINKS.iter().map(|(name, _)| sink(name)).collect();
    let limits = RowLimits { key_bytes: 0..=100, cell_bytes_max: 1000, row_bytes_max: 1000 };
    let shapes = sinks.iter().map(|sink| Shape::new(sink, limits.clone())).collect();
    let make: Maker = Box::new(move || Ok(Box::new(Fake(deployment, kept))));
    let stage = |name: &str, kind| StagePlan {
        name: name.into(),
        kind,
        inputs: vec![0],
        key_shape: "text".into(),
        value_shape: "u64".into(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    };
    let mut plan = JobPlan {
        name: "j".into(),
        every: Duration::ZERO,
        sources: vec![SourcePlan { name: "t".into(), place: "t".into(), ..SourcePlan::default() }],
        stages: vec![
            stage("running", StageKind::Running { expire_ms: None }),
            stage("each batch", StageKind::EachBatch),
        ],
        sinks,
    };
    if kept == Kept::Nothing {
        plan.stages.clear();
    }
    let mut settings = Settings::none(JobLimits::default());
    settings.limits.batch_records = 3;
    Arc::new(Active {
        deployment,
        version: deployment,
        settings,
        group: "g".into(),
        dead_letter_topic: "d".into(),
        start: None,
        reset_at: None,
        runnable: Arc::new(Runnable::new(make, Duration::from_secs(1), shapes, &plan)),
        plan,
    })
}

/// A store that dies at a write: before it, or just after it became durable.
struct Dying {
    inner: Arc<MemoryStore>,
    writes_left: AtomicUsize,
    after: bool,
}

impl Store for Dying {
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError> {
        self.inner.load()
    }

    fn write(&self, checkpoint: Option<(&Ledger, &Delta)>, plan: Option<&Plan>) -> Result<(), StoreError> {
        let dies = self.writes_left.fetch_sub(1, Ordering::SeqCst) == 1;
        if !dies || self.after {
            self.inner.write(checkpoint, plan)?;
        }
        if dies { Err(StoreError::Io("the host was killed".into())) } else { Ok(()) }
    }

    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError> {
        self.inner.begin(ledger)
    }

    fn forget(&self) -> Result<(), StoreError> {
        self.inner.forget()
    }

    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.state(stage, key)
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.inner.states(stage, from, to, max)
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        self.inner.prepare(stage, entries)
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        self.inner.discard(stage)
    }

    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError> {
        self.inner.sweep(kept)
    }
}

struct World {
    dice: Dice,
    topics: MemoryTopics,
    store: Arc<MemoryStore>,
    cell: ActiveCell,
    deployments: Arc<AtomicU64>,
    sinks: [Memory<Rows>; 5],
    letters: Memory<DeadLetter>,
    sent: BTreeMap<i32, Vec<String>>,
    skip_lost: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let topics = MemoryTopics::default();
        topics.create("t", 2);
        World {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            topics,
            store: Arc::default(),
            cell: ActiveCell::new(active(1)),
            deployments: Arc::new(AtomicU64::new(1)),
            sinks: std::array::from_fn(|_| Memory::new()),
            letters: Memory::new(),
            sent: BTreeMap::new(),
            skip_lost: false,
        }
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
        self.cell.set(active(next));
    }

    fn start(&mut self, lives: Option<(usize, bool)>) -> Pipeline {
        let plan = self.cell.get().plan.clone();
        let (writes, after) = lives.unwrap_or((usize::MAX, false));
        let store = Dying { inner: self.store.clone(), writes_left: AtomicUsize::new(writes), after };
        let newest = self.deployments.load(Ordering::SeqCst);
        let sink = |(memory, (_, guarantee)): (&Memory<Rows>, (&str, Guarantee))| -> Box<dyn Sink> {
            Box::new(MemorySink::new(memory, guarantee).reading(&["t".to_string()]))
        };
        let parts = Parts {
            job: "j".into(),
            active: self.cell.clone(),
            deployments: Box::new(|number| Some(active(number))),
            known: (1..=newest).collect(),
            source: Box::new(MemorySource::new(&self.topics, &plan.sources, "g")),
            sinks: self.sinks.iter().zip(SINKS).map(sink).collect(),
            letters: Box::new(MemoryDeadLetters::new(&self.letters)),
            store: Arc::new(store),
            lanes: 1 + self.dice.roll(3) as usize,
            replay_only: false,
            skip_lost: self.skip_lost,
        };
        Pipeline::start(parts, Arc::new(Board::default()), |_| ()).unwrap()
    }

    /// One life of the host, with faults and at most one death.
    fn live(&mut self) {
        let count = self.dice.roll(12);
        self.send(count);
        for sink in 0..SINKS.len() {
            let fault = [Fault::BeforeLanding, Fault::AfterLanding, Fault::Refused][self.dice.roll(3) as usize];
            if self.dice.roll(3) == 0 {
                self.sinks[sink].fail(1, fault);
            }
        }
        let life = (1 + self.dice.roll(8) as usize, self.dice.roll(2) == 0);
        let pipeline = self.start(Some(life));
        let count = self.dice.roll(12);
        self.send(count);
        if self.dice.roll(2) == 0 {
            self.deploy();
        }
        let away = self.dice.roll(4) == 0;
        if away {
            self.topics.trouble(Some(Trouble::Away("gone".into())));
            self.topics.trouble(None);
        }
        let end = if self.dice.roll(2) == 0 { pipeline.stop(Stop::Soon) } else { self.until_quiet(pipeline) };
        assert!(!matches!(end, Ended::VersionFault { .. }), "{end:?}");
    }

    /// Waits until all that was sent is durable, or the host died.
    fn until_quiet(&self, pipeline: Pipeline) -> Ended {
        let ends: BTreeMap<i32, i64> = self.sent.iter().map(|(&id, sent)| (id, sent.len() as i64)).collect();
        let is_done = |board: &Board| {
            let facts = board.facts();
            ends.iter().all(|(id, end)| facts.reached.get("t").and_then(|t| t.get(id)) == Some(end))
        };
        while !pipeline.has_ended() && !is_done(&pipeline.board) {
            std::thread::sleep(Duration::from_millis(1)); // a look, not a wait: the condition ends it
        }
        pipeline.stop(Stop::Soon)
    }
}

/// `key=version:value` of a delivery's rows, in order.
fn texts(landed: &Landed<Rows>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = |rows: &Rows| {
        (0..rows.len())
            .map(|row| (text(rows.cells.get(2 * row)), text(rows.cells.get(2 * row + 1))))
            .collect::<Vec<_>>()
    };
    landed.items.iter().flat_map(rows).collect()
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
    cells.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

fn check(world: &World, seed: u64) {
    let marked = world.sinks[1].landed();
    let batches: Vec<_> = marked.iter().map(|landed| landed.batch).collect();
    assert!(
        batches.iter().copied().eq(1..=batches.len() as u64),
        "SEED={seed}: each batch once, in order: {batches:?}"
    );
    let rows: Vec<_> = marked.iter().flat_map(texts).map(|(_, value)| value).collect();
    for (id, sent) in &world.sent {
        let own: Vec<_> = rows
            .iter()
            .filter_map(|row| row.split_once(':'))
            .filter(|(_, v)| v[1..].starts_with(&format!("{id}-")))
            .collect();
        let wanted: Vec<_> = sent.iter().filter(|v| !v.starts_with(['T', 'F', 'D'])).collect();
        assert!(own.iter().map(|(_, value)| value).eq(wanted.iter()), "SEED={seed}: every row once, in order");
        let versions: Vec<u64> = own.iter().map(|(version, _)| version.parse().unwrap()).collect();
        assert!(versions.is_sorted(), "SEED={seed}: one switch offset a swap: {versions:?}");
    }
    assert_eq!(table(&world.sinks[0].landed()), table(&marked), "SEED={seed}: the table is that of an undisturbed run");
    let plain: BTreeSet<_> = world.sinks[2].landed().iter().flat_map(texts).collect();
    assert_eq!(plain, marked.iter().flat_map(texts).collect(), "SEED={seed}: a plain sink lacks nothing");
    check_counts(world, seed);
    let letters: BTreeSet<_> = world
        .letters
        .landed()
        .iter()
        .flat_map(|l| l.items.clone())
        .map(|l| String::from_utf8(l.value.unwrap()).unwrap())
        .collect();
    let wanted: BTreeSet<_> = world.sent.values().flatten().filter(|v| v.starts_with(['T', 'F'])).cloned().collect();
    assert_eq!(letters, wanted, "SEED={seed}: dead letters");
    let (ledger, plans) = world.store.load().unwrap();
    let totals = ledger.unwrap().totals;
    let dropped = world.sent.values().flatten().filter(|v| v.starts_with('D')).count() as u64;
    assert!(plans.is_empty());
    assert_eq!(totals.records_in, world.sent.values().map(|sent| sent.len() as u64).sum::<u64>(), "SEED={seed}");
    assert_eq!((totals.dropped, totals.dead_letters), (dropped, wanted.len() as u64), "SEED={seed}");
    assert_eq!(totals.rows["marked"], totals.records_in - dropped - wanted.len() as u64, "SEED={seed}");
    let group: i64 = world.topics.group("g").values().sum();
    assert_eq!(group as u64, totals.records_in, "SEED={seed}: the group shows the end");
}

/// What is kept for ever, and what each batch gave, add up to what was sent.
fn check_counts(world: &World, seed: u64) {
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for value in world.sent.values().flatten().filter(|v| !v.starts_with(['T', 'F', 'D'])) {
        *sent.entry(value[..1].to_string()).or_default() += 1;
    }
    let count = |value: &str| value.split_once(':').expect("version:count").1.parse::<u64>().expect("a count");
    let kept: BTreeMap<_, _> = table(&world.sinks[3].landed()).into_iter().map(|(k, v)| (k, count(&v))).collect();
    assert_eq!(kept, sent, "SEED={seed}: running counts");
    let mut summed: BTreeMap<String, u64> = BTreeMap::new();
    for (key, value) in world.sinks[4].landed().iter().flat_map(texts) {
        *summed.entry(key).or_default() += count(&value);
    }
    assert_eq!(summed, sent, "SEED={seed}: the batches' sums");
    let facts = world.store.load().unwrap().0.unwrap().stages;
    assert_eq!(facts["running"].keys, sent.len() as u64, "SEED={seed}: keys kept");
}

fn live_through(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..6 {
        world.live();
    }
    world.sinks.iter().for_each(|sink| sink.forget_faults());
    world.send(5);
    let last = world.start(None);
    assert_eq!(world.until_quiet(last), Ended::Stopped, "SEED={seed}");
    check(&world, seed);
}

/// `SEED=42` replays one; `SEEDS=5000` tries as many.
#[test]
fn every_batch_ends_as_if_nothing_had_happened_under_any_faults() {
    let number = |name| std::env::var(name).ok().map(|n: String| n.parse().expect("SEED and SEEDS are numbers"));
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

#[test]
fn a_reset_begins_anew_above_all_that_was_before() {
    let mut world = World::new(1);
    world.send(8);
    world.sinks[0].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(world.until_quiet(refused), Ended::Failed(_)));
    let (before, plans) = world.store.load().unwrap();
    let (before, plan) = (before.unwrap(), plans.into_iter().next().expect("a plan that no sink took"));

    let mut anew = Arc::into_inner(active(2)).expect("just made");
    (anew.reset_at, anew.start) = (Some(2), Some(crate::source::Start::Earliest));
    world.cell = ActiveCell::new(Arc::new(anew));
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), Ended::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert!(after.incarnation > before.incarnation && after.time_ms > plan.time_ms);
    assert_eq!(after.totals.records_in, 8);
    let versions: BTreeSet<u64> = world.sinks[0].landed().iter().map(|landed| landed.version).collect();
    assert_eq!(versions, [2].into(), "nothing of the planned batch was delivered after the reset");
}

/// Without its ledger a job reads on from the least that its sinks hold, and spares exactly-once sinks what they have.
#[test]
fn a_lost_ledger_doubles_nothing_in_an_exactly_once_sink() {
    let mut world = World::new(3);
    world.cell = ActiveCell::new(active_with(1, Kept::Nothing));
    world.send(9);
    let first = world.start(None);
    assert_eq!(world.until_quiet(first), Ended::Stopped);
    let mut source = MemorySource::new(&world.topics, &world.cell.get().plan.sources, "g");
    source.tell_group(&[0, 1].map(|id| (crate::record::Partition { source: 0, id }, 1)).into());
    world.store.forget().unwrap();

    world.send(4);
    let again = world.start(None);
    assert_eq!(world.until_quiet(again), Ended::Stopped);
    let good: usize = world.sent.values().flatten().filter(|v| !v.starts_with(['T', 'F', 'D'])).count();
    let marked: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(marked.len(), good, "each once: {marked:?}");
    assert_eq!(marked.iter().collect::<BTreeSet<_>>().len(), good);
    let plain: Vec<_> = world.sinks[2].landed().iter().flat_map(texts).collect();
    assert!(plain.len() > good, "a plain sink is given again what the group had not passed");
    let all = |sink: usize| world.sinks[sink].landed().iter().flat_map(texts).collect::<BTreeSet<_>>();
    assert_eq!(all(0), all(1), "the table lacks nothing");
}

/// A row of the recovery table that needs a source: a planned record is gone.
#[test]
fn a_planned_record_that_is_gone_stops_the_job_and_says_how_to_go_on() {
    let mut world = World::new(2);
    world.send(8);
    world.sinks[1].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(world.until_quiet(refused), Ended::Failed(_)));
    for (&id, sent) in &world.sent {
        world.topics.forget("t", id, sent.len() as i64);
    }
    let again = world.start(None);
    let Ended::Failed(reason) = world.until_quiet(again) else { panic!("it went on without its records") };
    assert!(reason.contains("is gone") && reason.contains("--skip-lost"), "{reason}");
    assert_eq!(world.sinks[1].landed(), [], "nothing was delivered");

    world.skip_lost = true;
    world.send(3);
    let last = world.start(None);
    assert_eq!(world.until_quiet(last), Ended::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert_eq!(after.totals.records_in, 3, "what is gone is not counted, what came later is there");
}
