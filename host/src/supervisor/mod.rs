//! Starts, swaps, watches and restarts pipelines: the control plane.
//!
//! Each job has an *actor*: what is asked of the job, and what its pipeline tells, are messages in
//! the actor's queue. It takes one after the other, has `machine` decide, and does what that says;
//! jobs do not wait for one another. Whoever only looks reads what the actor has published. The
//! set of jobs and their components has a lock of its own, held for as long as a write takes.

use crate::alerts::Alerts;
use crate::allow::Allow;
use crate::audit::AuditLog;
use actor::{Actor, Asked};
use joblog::JobLog;
use machine::{Claims, Kept};
use replay::Replays;
use shadow::Shadows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::registry::Registry;
use streamhost_core::job::memory::HostMemory;
use streamhost_core::job::settings::JobLimits;
use streamhost_core::job::{DeploymentKind, DeploymentRecord, JobRecord};
use streamhost_core::room::Room;
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LargeBatches;
use streamhost_engine::pipeline::{DeploymentSlot, PipelineStatus, StatusSnapshot, Stop};
use streamhost_guest::signature::TrustedKeys;
use streamhost_guest::{Compiler, GuestEngine};
use streamhost_storage::catalog::{Catalog, UnreadableJob};
use streamhost_storage::checkpoint_log::CheckpointLogs;
use streamhost_storage::letter_marks::LetterMarks;
use streamhost_storage::scratch;
use streamhost_storage::store::Store;
use turns::Turns;

mod machine;
mod mailbox;
mod actor;
mod act;
mod beginning;
mod budgets;
mod build;
mod canary;
mod check;
mod deploy;
mod draft;
mod gone;
mod joblog;
mod jobs;
mod letters;
mod logfile;
mod look;
mod memory;
mod observe;
mod own;
mod provision;
mod replan;
mod replay;
mod restore;
mod savepoint;
mod shadow;
mod signers;
mod takeover;
mod turns;

/// Where a host's jobs run, and what they may use unless they say otherwise.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What the names of its consumer groups and transactional ids begin with: they tell this
    /// host's jobs from those of the same name of a `run`.
    pub owner: &'static str,
    /// What this host is called in its cluster; none: it is by itself.
    pub host: Option<String>,
    /// The Kafka cluster that holds dead letters.
    pub kafka: KafkaSettings,
    /// What jobs read and write.
    pub connectors: Registry,
    /// What components may read and write.
    pub allow: Allow,
    /// Who is told of what the host does by itself.
    pub alerts: Option<Alerts>,
    /// The keys of which one must have signed a component; none: any is taken.
    pub trusted: Option<TrustedKeys>,
    /// Workers of each job.
    pub lanes: usize,
    /// Limits of each job.
    pub limits: JobLimits,
    /// What all jobs together may take.
    pub memory: HostMemory,
    /// Bytes of a savepoint.
    pub savepoint_bytes: u64,
}

/// What is started when a data folder is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Every job that was not paused.
    Jobs,
    /// Nothing but what is deployed or resumed from then on.
    Nothing,
    /// Nothing at all is known of jobs but what is taken over from then on.
    Taken,
}

/// The host: all jobs, and what they share.
pub struct Supervisor {
    environment: Environment,
    guests: GuestEngine,
    catalog: Catalog,
    checkpoint_logs: CheckpointLogs,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
    /// Who changes the jobs, by name: of those that are there, and of those that are being
    /// deployed.
    actors: Mutex<BTreeMap<String, Arc<Actor>>>,
    /// What jobs may not share.
    claims: Mutex<Claims>,
    /// The host is stopping.
    is_closing: AtomicBool,
    /// One call at a time that retries or drops a job's dead letters.
    letter_turns: Turns,
    letter_marks: LetterMarks,
    /// The turns of jobs' large batches.
    large: Arc<LargeBatches>,
    /// One change of the set of jobs and components at a time.
    set: Mutex<()>,
    /// The folder of the jobs' logs.
    logs: PathBuf,
    /// The data folder.
    data: PathBuf,
    /// Where savepoints are while they come and go, and whether there is room.
    spool: PathBuf,
    spool_room: Room,
    audit: AuditLog,
    /// For the threads of the actors.
    me: Weak<Supervisor>,
}

/// One job of the host, as it is seen: its actor publishes what it has decided, and nobody who
/// looks waits for a change.
pub(crate) struct Job {
    name: String,
    log: Arc<JobLog>,
    state: Mutex<State>,
    shadows: Shadows,
    replays: Replays,
}

struct State {
    record: JobRecord,
    /// What runs, or would.
    active: Option<DeploymentSlot>,
    pipeline_status: Arc<PipelineStatus>,
    /// A pipeline of it was started, and nothing has been told of its end.
    has_pipeline: bool,
    /// Why it cannot go on by itself.
    failed: Option<String>,
    /// How often the host has rolled it back by itself, since it started.
    rollbacks: u64,
    /// Its stored record cannot be read, and the one here stands in for it: nothing of it runs, and
    /// nothing of it is written.
    unreadable: bool,
}

impl State {
    /// Whether its pipeline is at work.
    fn runs(&self) -> bool {
        self.failed.is_none() && self.has_pipeline
    }
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is durable where its pipeline begins, but not for long: what comes after a
    /// deploy was answered is read, also with `start=latest`. Gives what is to be said otherwise.
    fn await_beginning(&self) -> Option<String> {
        // One that has ended says why by itself.
        if self.comes_to(|state, facts| facts.epoch != 0 || !state.runs()) {
            return None;
        }
        let facts = self.state().pipeline_status.snapshot();
        let why = facts.waiting.into_values().next().map(|(what, _)| what);
        let why = why.unwrap_or_else(|| "it is still asking its servers".to_owned());
        Some(format!("where it begins to read is not fixed yet: {why}"))
    }

    /// Waits until its pipeline has said how it goes, but not for long.
    fn await_first_word(&self) {
        // It knows the partitions' ends once it reads. One that has not said it by then says it later.
        self.comes_to(|state, facts| {
            let goes = !facts.ends.is_empty() || !facts.waiting.is_empty();
            goes || state.failed.is_some() || state.record.paused
        });
    }

    /// Waits until this is so, but not for long. Whether it has come to be so.
    fn comes_to(&self, is_so: impl Fn(&State, &StatusSnapshot) -> bool) -> bool {
        let asked = clock::monotonic();
        loop {
            {
                let state = self.state();
                if is_so(&state, &state.pipeline_status.snapshot()) {
                    return true;
                }
            }
            if clock::since(asked) >= limits::FIRST_WORD_TIME {
                return false;
            }
            std::thread::sleep(limits::LOOK_TIME);
        }
    }
}

impl Supervisor {
    /// Opens a host's data folder in `store` and `folder`, and starts its jobs where they were, as
    /// `begin` says. Components are compiled by `compiler`.
    pub fn open(
        store: impl Into<Store>,
        folder: &Path,
        environment: Environment,
        compiler: Compiler,
        begin: Begin,
    ) -> anyhow::Result<Arc<Self>> {
        let store = store.into();
        let guests = GuestEngine::new(&folder.join("cache"), compiler)
            .map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let catalog = Catalog::open(&store, &folder.join("components"))?;
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let spool = folder.join("savepoints");
        std::fs::create_dir_all(&spool)?;
        let audit = AuditLog::open(folder)?;
        let checkpoint_logs = CheckpointLogs::open(&store)?;
        scratch::sweep(folder);
        // Jobs whose undeploy was cut off left state behind; a deploy of one of those names waits
        // for nothing.
        let forgotten = checkpoint_logs.clone();
        if begin != Begin::Taken {
            std::thread::Builder::new()
                .name("sweep".into())
                .spawn(move || {
                    if let Err(error) = forgotten.sweep_forgotten() {
                        tracing::warn!("state of jobs that are gone could not be removed: {error}");
                    }
                })?;
        }
        let turns = environment.memory.large_batches();
        let letter_marks = LetterMarks::open(&store)?;
        let supervisor = Arc::new_cyclic(|me| Supervisor {
            environment,
            large: LargeBatches::new(turns, limits::BATCH_ANSWERS_BYTES_MAX),
            guests,
            catalog,
            checkpoint_logs,
            jobs: Mutex::default(),
            actors: Mutex::default(),
            claims: Mutex::default(),
            is_closing: AtomicBool::new(false),
            letter_turns: Turns::default(),
            letter_marks,
            set: Mutex::default(),
            logs,
            data: folder.to_owned(),
            spool_room: Room::of(spool.clone()),
            spool,
            audit,
            me: me.clone(),
        });
        // All of them are known before the first one starts, which may end at once.
        let stored = match begin {
            Begin::Taken => Vec::new(),
            Begin::Jobs | Begin::Nothing => supervisor.catalog.load()?,
        };
        let names = supervisor.know_all(stored);
        for name in names {
            // One that cannot start says so itself, and does not keep the others from it.
            drop(supervisor.ask(&name, Asked::Open(begin)));
        }
        Ok(supervisor)
    }

    /// Stops all jobs, as `how` says, and waits for them. No job is changed or started from then
    /// on.
    pub fn close(&self, how: Stop) {
        self.is_closing.store(true, Ordering::SeqCst);
        // All at once: each may take its time.
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        for job in &jobs {
            job.shadows.end("the host stops");
            job.replays.end("the host stops");
            job.state().pipeline_status.stop.request(how);
        }
        self.close_actors(how);
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, name: &str) -> Option<Arc<Job>> {
        self.jobs().get(name).cloned()
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change the set of jobs and components; held for no longer than a write takes.
    fn change(&self) -> MutexGuard<'_, ()> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    /// Notes the jobs that are stored. One whose record cannot be read keeps no other from it.
    fn know_all(&self, stored: Vec<Result<JobRecord, UnreadableJob>>) -> Vec<String> {
        let mut names = Vec::new();
        for control in machine::restored(stored) {
            let (name, kept) = (control.name.clone(), &control.kept);
            let job = match kept {
                Kept::Record(record) => Job::new(record.clone(), &self.logs),
                Kept::Nothing | Kept::Unreadable(_) => Job::unreadable(&name, &self.logs),
            };
            self.claim_again(&name, control.record());
            let job = Arc::new(job);
            self.jobs().insert(name.clone(), job.clone());
            self.add_actor(control, job);
            names.push(name);
        }
        names
    }
}

impl Job {
    fn new(record: JobRecord, logs: &Path) -> Self {
        let log = JobLog::open(logs, &record.name, record.active().version);
        Job {
            name: record.name.clone(),
            log: Arc::new(log),
            shadows: Shadows::default(),
            replays: Replays::default(),
            state: Mutex::new(State {
                record,
                active: None,
                pipeline_status: Arc::new(PipelineStatus::default()),
                has_pipeline: false,
                failed: None,
                rollbacks: 0,
                unreadable: false,
            }),
        }
    }

    /// One that is there and cannot run: it is shown, and keeps no other from running.
    fn unreadable(name: &str, logs: &Path) -> Self {
        let stand_in = DeploymentRecord {
            number: 0,
            version: 0,
            digest: String::new(),
            at_ms: 0,
            kind: DeploymentKind::Deploy,
            reason: None,
            settings: BTreeMap::new(),
            reset: false,
            replan: false,
            limits: None,
            signed_by: None,
            since_batch: 0,
            restored: false,
            canary: None,
        };
        let record = JobRecord {
            name: name.to_owned(),
            paused: false,
            deployments: vec![stand_in],
            newest_version: 0,
        };
        let job = Job::new(record, logs);
        job.state().unreadable = true;
        job
    }
}

#[cfg(test)]
mod tests;
