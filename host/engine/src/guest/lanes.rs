//! One worker a core, each with its own long-lived instance. Any lane may run any task: answers go
//! back to their task's place, so nothing depends on the number of lanes or on which was faster.

use super::lane::{Budget, BudgetTerms, Lane};
use super::{CallLimits, GuestCalls, GuestVersion, LargeBatches, LargeTurn, TellsWait};
use crate::cpu::ThreadCpu;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use streamhost_core::contract::{
    ChunkAnswer, GroupQuarantines, Moment, RecordQuarantines, VersionFault,
};
use streamhost_core::executor::{RunTimes, Workers};
use streamhost_core::job::MetricValues;
use streamhost_core::types::{Chunk, NO_TIME_MS};
use streamhost_core::{clock, limits};

/// What the lanes did in the transform of the batch that they ran last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneFigures {
    /// How long it took.
    pub took: Duration,
    /// How long the lanes were at work, all together.
    pub busy: Duration,
    /// Rows made for each sink, by its number.
    pub rows: Vec<u64>,
}

/// The lanes of one job. The caller's thread is one of them.
pub struct Lanes {
    own: Lane,
    others: Vec<mpsc::Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
    /// Counts the batches that these lanes ran.
    batch: u64,
    budget: Arc<Budget>,
    figures: LaneFigures,
    /// How long they were at work on what was spread last.
    spread_busy: Duration,
    call_limits: CallLimits,
    /// CPU time in nanoseconds that the other lanes have used.
    others_cpu_ns: Arc<AtomicU64>,
    /// Bytes of memory that the guest of each lane holds.
    memory_bytes: Vec<Arc<AtomicU64>>,
    /// What may be answered for one batch.
    pub(super) terms: BudgetTerms,
}

/// Holding the sender says that the lane is still at work, whatever becomes of it.
type Task = (Arc<dyn Work>, mpsc::Sender<()>);
type Answers<A> = Vec<Option<Result<A, VersionFault>>>;

/// What lanes do together.
trait Work: Send + Sync {
    /// Does what the other lanes leave.
    fn share(&self, lane: &mut Lane);
}

struct Spread<T, A, F> {
    batch: u64,
    call_limits: CallLimits,
    tasks: Vec<T>,
    run: F,
    next: AtomicUsize,
    answers: Mutex<Answers<A>>,
    busy_ns: AtomicU64,
}

impl<T, A, F> Work for Spread<T, A, F>
where
    T: Send + Sync,
    A: Send,
    F: Fn(&mut Lane, &T) -> Result<A, VersionFault> + Send + Sync,
{
    fn share(&self, lane: &mut Lane) {
        let began = clock::monotonic();
        lane.enter(self.batch, &self.call_limits);
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.tasks.get(at) else {
                let ns = u64::try_from(clock::since(began).as_nanos()).unwrap_or(u64::MAX);
                self.busy_ns.fetch_add(ns, Ordering::Relaxed);
                return;
            };
            let answer = (self.run)(lane, task);
            if answer.is_err() {
                // The batch is lost to this version.
                self.next.store(self.tasks.len(), Ordering::Relaxed);
            }
            self.answers.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(answer);
        }
    }
}

impl Lanes {
    /// Starts `count` lanes, 1 or more. Once `stop` is set what is being asked ends soon, with
    /// [`VersionFault::Stopped`], and so does all that is asked later.
    pub fn start(job: &str, count: usize, stop: Arc<AtomicBool>) -> std::io::Result<Self> {
        let own = Lane::default();
        let mut lanes = Lanes {
            others_cpu_ns: Arc::default(),
            memory_bytes: vec![own.memory_bytes()],
            own,
            others: Vec::new(),
            threads: Vec::new(),
            batch: 0,
            budget: Arc::default(),
            figures: LaneFigures::default(),
            spread_busy: Duration::ZERO,
            terms: BudgetTerms {
                stop: stop.clone(),
                ..BudgetTerms::default()
            },
            call_limits: CallLimits {
                stop,
                replay: false,
            },
        };
        for number in 1..count {
            let (send, tasks) = mpsc::channel::<Task>();
            let (mut lane, cpu_ns) = (Lane::default(), lanes.others_cpu_ns.clone());
            lanes.memory_bytes.push(lane.memory_bytes());
            let work = move || {
                let mut cpu = ThreadCpu::default();
                for (work, busy) in tasks {
                    work.share(&mut lane);
                    let more = u64::try_from(cpu.more().as_nanos()).unwrap_or(u64::MAX);
                    cpu_ns.fetch_add(more, Ordering::Relaxed);
                    drop(work); // before `busy`, so that the caller holds the last reference
                    drop(busy);
                }
            };
            lanes.threads.push(
                std::thread::Builder::new()
                    .name(format!("{job} lane {number}"))
                    .spawn(work)?,
            );
            lanes.others.push(send);
        }
        Ok(lanes)
    }

    /// The same, whose large batches take turns with those of other jobs.
    pub fn in_turns(mut self, large: Arc<LargeBatches>, tells_wait: TellsWait) -> Self {
        (self.terms.large, self.terms.tells_wait) = (large, tells_wait);
        self
    }

    /// The same for a second version beside the first: its batches have no turn, as the first one's
    /// may be waiting for the same.
    pub fn beside(mut self) -> Self {
        let most = limits::BATCH_ANSWERS_OWN_BYTES;
        self.terms.large = LargeBatches::new(0, most);
        self
    }

    /// The turn of the batch that was run last, if it needed one: to be held until it is delivered.
    pub fn take_turn(&self) -> Option<LargeTurn> {
        self.budget.take_turn()
    }

    /// Begins a batch: runs its chunks, which are in the order of their partitions and offsets, and
    /// gives them back with their answers, in order. A batch without chunks is begun so too.
    ///
    /// Where something goes by event time, the chunks of a partition run one after the other, as
    /// what is late among a chunk's records depends on those before. All others run side by side,
    /// and know their partition's largest event time of before the batch; the largest of their
    /// answers is still that of the partition after it.
    ///
    /// `quarantines` are of an earlier run of the same batch, if this is a replay.
    pub fn run(
        &mut self,
        version: &Arc<GuestVersion>,
        chunks: Vec<Chunk>,
        quarantines: Option<RecordQuarantines>,
        times: &RunTimes,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>) {
        self.batch += 1;
        self.budget = Arc::new(Budget::new(self.terms.clone()));
        self.call_limits.replay = quarantines.is_some();
        let quarantines = quarantines.unwrap_or_default();
        let (times, budget, guest_version) = (times.clone(), self.budget.clone(), version.clone());
        let run = move |lane: &mut Lane, chunks: &Vec<Chunk>| {
            let mut answers = Vec::with_capacity(chunks.len());
            let before = chunks
                .first()
                .and_then(|chunk| times.partitions.get(&chunk.partition));
            let mut partition_ms = before.copied().unwrap_or(NO_TIME_MS);
            for chunk in chunks {
                let moment = Moment {
                    batch_ms: times.batch_ms,
                    watermark_ms: times.watermark_ms,
                    partition_ms,
                };
                let times = (moment, times.ahead);
                let answer = lane.run(&guest_version, chunk, times, &quarantines, &budget)?;
                partition_ms = answer.largest_ms;
                answers.push(answer);
            }
            Ok(answers)
        };
        let began = clock::monotonic();
        let (tasks, answers) = self.spread(in_tasks(version, chunks), run);
        let flat = |answers: Vec<Vec<ChunkAnswer>>| answers.into_iter().flatten().collect();
        let answers: Result<Vec<ChunkAnswer>, _> = answers.map(flat);
        (self.figures.took, self.figures.busy) = (clock::since(began), self.spread_busy);
        self.figures.rows = answers.as_deref().map(rows_of).unwrap_or_default();
        (tasks.into_iter().flatten().collect(), answers)
    }

    /// What the job's own metrics came to in the batch that was run last, its keyed stages included.
    pub fn take_metrics(&self) -> MetricValues {
        self.budget.take_metrics()
    }

    /// What they did in [`Lanes::run`], the last time.
    pub fn figures(&self) -> &LaneFigures {
        &self.figures
    }

    /// CPU time that the lanes but the caller's own have used so far.
    pub fn others_cpu(&self) -> Duration {
        Duration::from_nanos(self.others_cpu_ns.load(Ordering::Relaxed))
    }

    /// Memory that the guests of all lanes hold.
    pub fn memory_bytes(&self) -> u64 {
        let held = self.memory_bytes.iter();
        held.map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// Memory that the largest of them holds.
    pub fn largest_memory_bytes(&self) -> u64 {
        let held = self.memory_bytes.iter();
        let held = held.map(|bytes| bytes.load(Ordering::Relaxed));
        held.max().unwrap_or(0)
    }

    /// What the keyed stages of the batch that was run last ask of this version. What breaks there
    /// counts with what broke in [`Lanes::run`], and what it answers with what was answered there.
    /// `quarantines` are of an earlier run.
    pub fn calls(
        &mut self,
        version: &Arc<GuestVersion>,
        quarantines: GroupQuarantines,
    ) -> GuestCalls<'_> {
        GuestCalls::new(self, version.clone(), quarantines)
    }

    /// Runs a task on the caller's own lane.
    pub(super) fn alone<A>(&mut self, run: impl FnOnce(&mut Lane) -> A) -> A {
        self.own.enter(self.batch, &self.call_limits);
        run(&mut self.own)
    }

    /// That of the batch that was run last.
    pub(super) fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    /// For what belongs to no batch, and so to no replay. It needs no turn: one answer of a guest
    /// is let go before the next.
    pub(super) fn budget_of_no_batch(&mut self) -> Arc<Budget> {
        self.call_limits.replay = false;
        Arc::new(Budget::new(BudgetTerms {
            large: self.terms.large.without_turns(),
            ..self.terms.clone()
        }))
    }

    /// Runs tasks on all lanes, and gives them back with their answers, in order.
    pub(super) fn spread<T, A, F>(
        &mut self,
        tasks: Vec<T>,
        run: F,
    ) -> (Vec<T>, Result<Vec<A>, VersionFault>)
    where
        T: Send + Sync + 'static,
        A: Send + 'static,
        F: Fn(&mut Lane, &T) -> Result<A, VersionFault> + Send + Sync + 'static,
    {
        let answers = Mutex::new(tasks.iter().map(|_| None).collect());
        let helpers = tasks.len().saturating_sub(1).min(self.others.len());
        let work = Arc::new(Spread {
            batch: self.batch,
            call_limits: self.call_limits.clone(),
            tasks,
            run,
            next: AtomicUsize::new(0),
            answers,
            busy_ns: AtomicU64::new(0),
        });
        let (busy, idle) = mpsc::channel();
        for other in &self.others[..helpers] {
            other
                .send((work.clone(), busy.clone()))
                .expect("a lane ends only with its job");
        }
        drop(busy);
        work.share(&mut self.own);
        while idle.recv().is_ok() {} // ends when every lane has let go
        let Some(work) = Arc::into_inner(work) else {
            unreachable!("every lane has let go")
        };
        self.spread_busy = Duration::from_nanos(work.busy_ns.into_inner());
        let answers = work
            .answers
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (work.tasks, in_order(answers))
    }
}

/// Rows for each sink.
pub(super) fn rows_of(answers: &[ChunkAnswer]) -> Vec<u64> {
    let mut sums = Vec::new();
    for answer in answers {
        sums.resize(answer.rows.len().max(sums.len()), 0);
        for (sum, rows) in sums.iter_mut().zip(&answer.rows) {
            *sum += rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
        }
    }
    sums
}

/// Chunks that must run one after the other are one task.
fn in_tasks(version: &GuestVersion, chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let mut tasks: Vec<Vec<Chunk>> = Vec::new();
    for chunk in chunks {
        let follows = |before: &Chunk| before.partition == chunk.partition;
        match tasks.last_mut() {
            Some(task)
                if version.rules().in_order(chunk.partition.source)
                    && task.last().is_some_and(follows) =>
            {
                task.push(chunk);
            }
            _ => tasks.push(vec![chunk]),
        }
    }
    tasks
}

/// The first fault, if there is one. Without one every task has its answer.
fn in_order<A>(answers: Answers<A>) -> Result<Vec<A>, VersionFault> {
    let mut all = Vec::with_capacity(answers.len());
    let mut unanswered = false;
    for answer in answers {
        match answer {
            Some(Ok(answer)) => all.push(answer),
            Some(Err(fault)) => return Err(fault),
            None => unanswered = true,
        }
    }
    assert!(!unanswered, "a lane died: a mistake of the host's");
    Ok(all)
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.others.clear();
        for thread in self.threads.drain(..) {
            drop(thread.join()); // a lane that died was told when its batch was
        }
    }
}

/// Lanes at work for one version.
pub struct VersionLanes<'l> {
    lanes: &'l mut Lanes,
    version: &'l Arc<GuestVersion>,
}

impl<'l> VersionLanes<'l> {
    /// These lanes, for this version.
    pub fn new(lanes: &'l mut Lanes, version: &'l Arc<GuestVersion>) -> Self {
        VersionLanes { lanes, version }
    }
}

impl Workers for VersionLanes<'_> {
    type Calls<'a>
        = GuestCalls<'a>
    where
        Self: 'a;

    fn transform(
        &mut self,
        chunks: Vec<Chunk>,
        quarantines: Option<RecordQuarantines>,
        times: &RunTimes,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>) {
        self.lanes.run(self.version, chunks, quarantines, times)
    }

    fn calls(&mut self, quarantines: GroupQuarantines) -> GuestCalls<'_> {
        self.lanes.calls(self.version, quarantines)
    }
}
