//! Looks at all jobs once a second, keeps the last hour of what it sees, and says what the
//! dashboard asks of it. Pure but for the look itself: a view is made of what was seen last, so that
//! no reader waits for a job, and no job for a reader.

use crate::api::{JobFacts, Jobs};
use crate::telemetry::Tracer;
use history::History;
use kept::{Keeping, KeptJobs};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;
use streamhost_core::clock;

mod history;
mod window;
mod points;
mod summary;
mod graph;
mod host;
mod process;
mod folder;
mod kept;
mod metrics;
mod batches;
mod watermarks;
mod stages;
mod settings;

pub use batches::{Batch, Batches};
pub use graph::Graph;
pub(crate) use graph::guarantee;
pub use host::{HostView, Limit};
pub use metrics::CONTENT_TYPE as METRICS_CONTENT_TYPE;
pub use points::{Points, Series};
pub use settings::JobSettings;
pub use stages::Stage;
pub(crate) use stages::describe;
pub use summary::{JobSummary, JobView};
pub use watermarks::Watermarks;

/// How often it looks.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// What is known of one job.
struct Seen {
    facts: JobFacts,
    history: History,
    /// How many of its batches were traced.
    traced: u64,
}

impl Seen {
    /// Hands the batches that are new to the tracer.
    fn trace(&mut self, tracer: &Tracer) {
        let meter = &self.facts.meter;
        let (batches, count) = meter.batches_after(self.traced);
        // Fewer than before: the job is another one of the same name.
        let new = count.checked_sub(self.traced).unwrap_or(count);
        let missed = new.saturating_sub(batches.len() as u64);
        tracer.take(&self.facts.status.job, batches, missed);
        self.traced = count;
    }
}

/// Watches all jobs of a host.
pub struct Monitor {
    jobs: Arc<dyn Jobs>,
    started_ms: i64,
    seen: Mutex<BTreeMap<String, Seen>>,
    cpu: Mutex<process::CpuTimes>,
    data: Mutex<folder::FolderBytes>,
    keeping: Mutex<Keeping>,
    /// Of before the host's start, until their jobs are seen.
    kept: Mutex<KeptJobs>,
    /// Is handed all durable batches.
    tracer: Option<Tracer>,
    /// Ends the thread that looks when this goes.
    _ends: Mutex<Option<mpsc::Sender<()>>>,
}

impl Monitor {
    /// Looks for the first time, and once a second from then on.
    pub fn start(jobs: Arc<dyn Jobs>, tracer: Option<Tracer>) -> std::io::Result<Arc<Self>> {
        let (ends, ended) = mpsc::channel();
        let monitor = Arc::new(Monitor {
            _ends: Mutex::new(Some(ends)),
            tracer,
            ..Monitor::new(jobs)
        });
        monitor.read_kept();
        monitor.look(clock::now_ms());
        let watched = Arc::downgrade(&monitor);
        std::thread::Builder::new()
            .name("monitor".into())
            .spawn(move || look_on(&watched, &ended))?;
        Ok(monitor)
    }

    /// One that looks only when it is told to.
    pub(crate) fn new(jobs: Arc<dyn Jobs>) -> Self {
        Monitor {
            jobs,
            started_ms: clock::now_ms(),
            seen: Mutex::default(),
            cpu: Mutex::default(),
            data: Mutex::default(),
            keeping: Mutex::default(),
            kept: Mutex::default(),
            tracer: None,
            _ends: Mutex::new(None),
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all jobs.
    pub(crate) fn look(&self, now_ms: i64) {
        self.cpu
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look();
        self.measure_data();
        self.keep_if_due();
        let all = self.jobs.facts();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = self.seen();
        let there: Vec<&str> = all.iter().map(|facts| &*facts.status.job).collect();
        seen.retain(|name, _| there.contains(&&**name));
        for facts in all {
            let name = facts.status.job.clone();
            match seen.get_mut(&name) {
                Some(known) => {
                    known.history.look(&facts, now_ms);
                    known.facts = facts;
                }
                None => {
                    let mut first = self.first_sight(facts, now_ms);
                    if let Some(kept) = kept.remove(&name) {
                        first.history.goes_on(kept);
                    }
                    seen.insert(name, first);
                }
            }
        }
        if let Some(tracer) = &self.tracer {
            seen.values_mut().for_each(|job| job.trace(tracer));
        }
    }

    fn first_sight(&self, facts: JobFacts, now_ms: i64) -> Seen {
        Seen {
            history: History::begin(&facts, now_ms, self.started_ms),
            facts,
            traced: 0,
        }
    }

    /// Cores that the process used, over the last seconds.
    fn cpu_cores(&self) -> f64 {
        let cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        cpu.cores()
    }

    /// Takes up what the host's life before kept.
    fn read_kept(&self) {
        let Some(path) = self.jobs.place().series_file else {
            return;
        };
        match kept::read(&path, clock::now_ms()) {
            Ok(jobs) => *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = jobs,
            Err(reason) => {
                tracing::warn!(
                    "{} is left aside, charts begin anew: {reason}",
                    path.display()
                );
            }
        }
    }

    fn keep_if_due(&self) {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if keeping.is_due() {
            drop(keeping);
            self.keep();
        }
    }

    /// Writes what the host's next life goes on with.
    pub(crate) fn keep(&self) {
        let Some(path) = self.jobs.place().series_file else {
            return;
        };
        let seen = self.seen();
        let jobs = seen
            .iter()
            .map(|(name, seen)| (name.clone(), seen.history.kept()));
        let jobs: KeptJobs = jobs.collect();
        drop(seen); // a view does not wait for the disk
        if let Err(error) = kept::write(&path, jobs) {
            tracing::warn!(
                "{} cannot be written: {error}; charts may begin anew",
                path.display()
            );
        }
    }

    /// Adds up the data folder's files, if it is time.
    fn measure_data(&self) {
        let lock = || self.data.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().is_due() {
            let folder = self.jobs.place().data_dir;
            let bytes = folder::bytes(&folder); // without the lock: a scrape does not wait for it
            lock().take(bytes);
        }
    }

    /// Bytes of the data folder's files, as they were added up last.
    fn data_bytes(&self) -> Option<u64> {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.bytes()
    }

    /// When this process began, RFC 3339.
    pub fn started(&self) -> String {
        clock::rfc3339(self.started_ms)
    }

    /// All jobs, briefly. `recent`: with the last hour's rates.
    pub fn summaries(&self, recent: bool) -> Vec<JobSummary> {
        let now_ms = clock::now_ms();
        self.seen()
            .values()
            .map(|seen| JobSummary::of(&seen.facts, &seen.history, now_ms, recent))
            .collect()
    }

    /// Adds what the monitor knows to a status that is newer than what it saw.
    pub fn view(&self, status: crate::api::JobStatus) -> JobView {
        let seen = self.seen();
        let seen = seen.get(&status.job);
        let under_way = seen.and_then(|seen| seen.facts.meter.under_way());
        let history = seen.map(|seen| &seen.history);
        JobView::of(status, history, under_way, clock::now_ms())
    }

    /// A job that has just begun is looked at now: whoever deployed it may ask at once.
    fn of<T>(&self, job: &str, view: impl FnOnce(&JobFacts, &History) -> T) -> Option<T> {
        if let Some(seen) = self.seen().get(job) {
            return Some(view(&seen.facts, &seen.history));
        }
        let facts = self.jobs.facts_of(job)?; // without the lock, as in `look`
        let first = || self.first_sight(facts, clock::now_ms());
        let mut seen = self.seen();
        let seen = seen.entry(job.to_owned()).or_insert_with(first);
        Some(view(&seen.facts, &seen.history))
    }

    /// The job's status as it was seen last.
    pub fn status(&self, job: &str) -> Option<JobView> {
        self.of(job, |facts, history| {
            let (status, under_way) = (facts.status.clone(), facts.meter.under_way());
            JobView::of(status, Some(history), under_way, clock::now_ms())
        })
    }

    /// The topic of the job's dead letters.
    pub fn dead_letter_topic(&self, job: &str) -> Option<String> {
        self.of(job, |facts, _| facts.status.dead_letter_topic.clone())
    }

    /// The job's pipeline as a graph.
    pub fn graph(&self, job: &str) -> Option<Graph> {
        self.of(job, Graph::of)
    }

    /// The job's charts.
    pub fn series(&self, job: &str) -> Option<Series> {
        self.of(job, |facts, history| {
            Series::of(facts, history, clock::now_ms())
        })
    }

    /// The points after this time, in seconds since 1970.
    pub fn points_after(&self, job: &str, seconds: i64) -> Option<Points> {
        self.of(job, |_, history| Points::after(history, seconds))
    }

    /// The job's last batches.
    pub fn batches(&self, job: &str) -> Option<Batches> {
        self.of(job, |facts, _| Batches::of(facts))
    }

    /// The batches after the first `count` of them, and how many there are in all.
    pub fn batches_after(&self, job: &str, count: u64) -> Option<(Vec<Batch>, u64)> {
        self.of(job, |facts, _| Batch::after(facts, count))
    }

    /// Where event time is, partition by partition.
    pub fn watermarks(&self, job: &str) -> Option<Watermarks> {
        self.of(job, Watermarks::of)
    }

    /// The job's keyed stages.
    pub fn stages(&self, job: &str) -> Option<Vec<Stage>> {
        self.of(job, stages::of)
    }

    /// The job's settings.
    pub fn settings(&self, job: &str) -> Option<JobSettings> {
        self.of(job, |facts, _| JobSettings::of(facts))
    }
}

/// Looks until the monitor is gone.
fn look_on(monitor: &Weak<Monitor>, ended: &mpsc::Receiver<()>) {
    while ended.recv_timeout(LOOK_TIME) == Err(mpsc::RecvTimeoutError::Timeout) {
        let Some(monitor) = monitor.upgrade() else {
            return;
        };
        clock::set_ahead_ms(); // is to be asked often
        monitor.look(clock::now_ms());
    }
}

/// A number as people read it: to a tenth.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Milliseconds to a tenth.
fn ms(time: Duration) -> f64 {
    tenths(time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests;
