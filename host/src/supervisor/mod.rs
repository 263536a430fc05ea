//! Starts, swaps, watches and restarts pipelines: the control plane.

use crate::checkpoint::store::Ledgers;
use crate::clock;
use crate::guest::Guests;
use crate::job::settings::JobLimits;
use crate::job::status::Refusal;
use crate::kafka::KafkaSettings;
use crate::limits;
use crate::pipeline::{ActiveCell, Board, Ended, Pipeline, Stop};
use crate::registry::{JobRecord, Registry};
use crate::sink::Cut;
use crate::sink::hbase::HbaseSettings;
use joblog::JobLog;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

mod build;
mod deploy;
mod joblog;
mod jobs;
mod watch;

/// Where a host's jobs run, and what they may use unless they say otherwise.
#[derive(Clone, Debug)]
pub struct Place {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// HBase's Thrift gateway.
    pub hbase: HbaseSettings,
    /// Workers of each job.
    pub lanes: usize,
    /// Limits of each job.
    pub limits: JobLimits,
}

/// The host: all jobs, and what they share.
pub struct Supervisor {
    place: Place,
    guests: Guests,
    registry: Registry,
    ledgers: Ledgers,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
    /// One change of the set of jobs, or of one job, at a time.
    changes: Mutex<()>,
    ended: Mutex<mpsc::Sender<watch::End>>,
}

/// One job of the host.
pub(crate) struct Job {
    name: String,
    log: Arc<JobLog>,
    state: Mutex<State>,
}

struct State {
    record: JobRecord,
    /// What runs, or would.
    active: Option<ActiveCell>,
    pipeline: Option<Pipeline>,
    /// Ends the pipeline's calls to its sinks.
    cut: Cut,
    board: Arc<Board>,
    /// Which pipeline of the job this is; an end that an older one tells is of no interest.
    life: u64,
    /// Why it cannot go on by itself.
    failed: Option<String>,
    /// Batches that were durable when the active deployment took over.
    since_batch: u64,
    /// The next pipeline goes on where records are gone, as the user asked. Not stored: after a crash the user is asked
    /// again.
    skip_lost: bool,
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that nothing runs and why; gives the refusal that says so.
    fn cannot_go_on(&self, reason: String, refusal: fn(String) -> Refusal) -> Refusal {
        self.state().failed = Some(reason.clone());
        refusal(reason)
    }

    /// Stops its pipeline, if there is one, and waits for it. A call to a sink that hangs is given some time, and then it
    /// is cut: what was under way is planned, and delivered again at the next start.
    fn halt(&self, how: Stop) -> Option<Ended> {
        self.halt_asked(how, clock::monotonic())
    }

    /// The same, where it was asked at this moment already.
    fn halt_asked(&self, how: Stop, asked: Instant) -> Option<Ended> {
        let (pipeline, cut) = {
            let mut state = self.state();
            state.life += 1;
            (state.pipeline.take()?, state.cut.clone())
        };
        pipeline.board.stop(how);
        let patience = match how {
            Stop::Drain => limits::DRAIN_TIME + limits::STOP_TIME,
            Stop::Soon => limits::STOP_TIME,
        };
        while !pipeline.has_ended() && asked.elapsed() < patience {
            std::thread::sleep(limits::LOOK_TIME);
        }
        if !pipeline.has_ended() {
            cut.cut();
        }
        Some(pipeline.join())
    }

    /// Waits until its pipeline has said how it goes, but not for long. Whoever calls holds no lock: the end of a pipeline
    /// is noted under one.
    fn await_first_word(&self) {
        let asked = clock::monotonic();
        while asked.elapsed() < limits::FIRST_WORD_TIME {
            {
                let state = self.state();
                let facts = state.board.facts();
                // It knows the partitions' ends once it reads.
                let goes = !facts.ends.is_empty() || !facts.waiting.is_empty();
                if goes || state.failed.is_some() || state.record.paused {
                    return;
                }
            }
            std::thread::sleep(limits::LOOK_TIME);
        }
    }
}

impl Supervisor {
    /// Opens a host's data folder in `db` and `folder`, and starts its jobs where they were.
    pub fn open(db: &fjall::Database, folder: &Path, place: Place) -> anyhow::Result<Arc<Self>> {
        let guests = Guests::new(&folder.join("cache")).map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let registry = Registry::open(db, &folder.join("components"))?;
        let ledgers = Ledgers::open(db)?;
        // Jobs whose undeploy was cut off left state behind; a deploy of one of those names waits for nothing.
        let forgotten = ledgers.clone();
        std::thread::Builder::new().name("sweep".into()).spawn(move || {
            if let Err(error) = forgotten.sweep_forgotten() {
                tracing::warn!("state of jobs that are gone could not be removed: {error}");
            }
        })?;
        let (send, ends) = mpsc::channel();
        let supervisor = Arc::new(Supervisor {
            place,
            guests,
            registry,
            ledgers,
            jobs: Mutex::default(),
            changes: Mutex::default(),
            ended: Mutex::new(send),
        });
        watch::spawn(&supervisor, ends)?;
        {
            let _changes = supervisor.change(); // what an early job ends with waits until all of them are known
            for record in supervisor.registry.load()? {
                supervisor.resume_job(record);
            }
        }
        Ok(supervisor)
    }

    /// Stops all jobs, as `how` says, and waits for them.
    pub fn close(&self, how: Stop) {
        let _changes = self.change();
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        for job in &jobs {
            if let Some(pipeline) = &job.state().pipeline {
                pipeline.board.stop(how);
            }
        }
        let asked = clock::monotonic();
        for job in jobs {
            job.halt_asked(how, asked);
        }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, name: &str) -> Option<Arc<Job>> {
        self.jobs().get(name).cloned()
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job of before, started if it was not paused. One that cannot start does not keep the others from it.
    fn resume_job(&self, record: JobRecord) {
        let paused = record.paused;
        let job = Arc::new(Job::new(record));
        self.jobs().insert(job.name.clone(), job.clone());
        if let Err(reason) = self.restart(&job, !paused) {
            tracing::error!("{}: {reason}", job.name);
            job.state().failed = Some(reason);
        }
    }
}

impl Job {
    fn new(record: JobRecord) -> Self {
        Job {
            name: record.name.clone(),
            log: Arc::new(JobLog::default()),
            state: Mutex::new(State {
                record,
                active: None,
                pipeline: None,
                cut: Cut::default(),
                board: Arc::new(Board::default()),
                life: 0,
                failed: None,
                since_batch: 0,
                skip_lost: false,
            }),
        }
    }
}
