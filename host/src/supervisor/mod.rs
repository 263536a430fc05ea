//! Starts, swaps, watches and restarts pipelines: the control plane.
//!
//! A change of a job (deploy, rollback, pause, resume, undeploy, what follows the end of its
//! pipeline) has the job's *turn*: one at a time, and jobs do not wait for one another. The set of
//! jobs and their components has a lock of its own, held for as long as a write takes.

use crate::allow::Allow;
use joblog::JobLog;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::registry::Registry;
use streamhost_core::job::memory::HostMemory;
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_core::job::validate::in_words;
use streamhost_core::job::{DeploymentKind, DeploymentRecord, JobRecord};
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LargeBatches;
use streamhost_engine::pipeline::{
    DeploymentSlot, Pipeline, PipelineExit, PipelineStatus, StatusSnapshot, Stop,
};
use streamhost_engine::sink::CancelSignal;
use streamhost_guest::{Compiler, GuestEngine};
use streamhost_storage::catalog::{Catalog, UnreadableJob};
use streamhost_storage::checkpoint_log::CheckpointLogs;
use streamhost_storage::letter_marks::LetterMarks;
use turns::Turns;

mod beginning;
mod build;
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
mod provision;
mod replan;
mod turns;
mod watch;

/// Where a host's jobs run, and what they may use unless they say otherwise.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What the names of its consumer groups and transactional ids begin with: they tell this
    /// host's jobs from those of the same name of a `run`.
    pub owner: &'static str,
    /// The Kafka cluster that holds dead letters.
    pub kafka: KafkaSettings,
    /// What jobs read and write.
    pub connectors: Registry,
    /// What components may read and write.
    pub allow: Allow,
    /// Workers of each job.
    pub lanes: usize,
    /// Limits of each job.
    pub limits: JobLimits,
    /// What all jobs together may take.
    pub memory: HostMemory,
}

/// What is started when a data folder is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Every job that was not paused.
    Jobs,
    /// Nothing but what is deployed or resumed from then on.
    Nothing,
}

/// The host: all jobs, and what they share.
pub struct Supervisor {
    environment: Environment,
    guests: GuestEngine,
    catalog: Catalog,
    checkpoint_logs: CheckpointLogs,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
    turns: Turns,
    /// One call at a time that retries or drops a job's dead letters.
    letter_turns: Turns,
    letter_marks: LetterMarks,
    /// The turns of jobs' large batches.
    large: Arc<LargeBatches>,
    /// One change of the set of jobs and components at a time.
    set: Mutex<()>,
    /// The folder of the jobs' logs.
    logs: PathBuf,
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
    active: Option<DeploymentSlot>,
    pipeline: Option<Pipeline>,
    /// Ends the pipeline's calls to its sinks.
    cancel: CancelSignal,
    pipeline_status: Arc<PipelineStatus>,
    /// Which pipeline of the job this is; an end that an older one tells is of no interest.
    life: u64,
    /// Why it cannot go on by itself.
    failed: Option<String>,
    /// Its stored record cannot be read, and the one here stands in for it: nothing of it runs, and
    /// nothing of it is written.
    unreadable: bool,
    /// The next pipeline goes on where records are gone, as the user asked. Not stored: after a
    /// crash the user is asked again.
    skip_lost: bool,
    /// The next pipeline reads on though the job is finished, as the user asked. Not stored either.
    reads_on: bool,
}

impl State {
    /// Whether its pipeline is at work.
    fn runs(&self) -> bool {
        self.failed.is_none()
            && self
                .pipeline
                .as_ref()
                .is_some_and(|pipeline| !pipeline.has_ended())
    }
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that nothing runs and why, where its user looks.
    fn stopped(&self, reason: &str) {
        self.say(tracing::Level::ERROR, &format!("stopped: {reason}"));
        let mut state = self.state();
        state.pipeline_status.error(reason);
        state.failed = Some(reason.to_owned());
        (state.skip_lost, state.reads_on) = (false, false); // they were for this start alone
    }

    /// Stops its pipeline, if there is one, and waits for it. A call to a sink that hangs is given
    /// some time, and then it is cut: what was under way is planned, and delivered again at the
    /// next start.
    fn halt(&self, how: Stop) -> Option<PipelineExit> {
        self.halt_asked(how, clock::monotonic())
    }

    /// The same, where it was asked at this moment already.
    fn halt_asked(&self, how: Stop, asked: Instant) -> Option<PipelineExit> {
        let (pipeline, cancel) = {
            let mut state = self.state();
            state.life += 1;
            (state.pipeline.take()?, state.cancel.clone())
        };
        pipeline.status.stop.request(how);
        let patience = match how {
            Stop::Drain => limits::DRAIN_TIME + limits::STOP_TIME,
            Stop::Soon | Stop::Now => limits::STOP_TIME,
        };
        while !pipeline.has_ended() && asked.elapsed() < patience {
            std::thread::sleep(limits::LOOK_TIME);
        }
        if !pipeline.has_ended() {
            pipeline.status.stop.request(Stop::Now);
            cancel.cancel();
        }
        Some(pipeline.join())
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

    /// Waits until its pipeline has said how it goes, but not for long. Whoever calls holds no
    /// lock: the end of a pipeline is noted under one.
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
            if asked.elapsed() >= limits::FIRST_WORD_TIME {
                return false;
            }
            std::thread::sleep(limits::LOOK_TIME);
        }
    }
}

impl Supervisor {
    /// Opens a host's data folder in `db` and `folder`, and starts its jobs where they were, as
    /// `begin` says. Components are compiled by `compiler`.
    pub fn open(
        db: &fjall::Database,
        folder: &Path,
        environment: Environment,
        compiler: Compiler,
        begin: Begin,
    ) -> anyhow::Result<Arc<Self>> {
        let guests = GuestEngine::new(&folder.join("cache"), compiler)
            .map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let catalog = Catalog::open(db, &folder.join("components"))?;
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let checkpoint_logs = CheckpointLogs::open(db)?;
        // Jobs whose undeploy was cut off left state behind; a deploy of one of those names waits
        // for nothing.
        let forgotten = checkpoint_logs.clone();
        std::thread::Builder::new()
            .name("sweep".into())
            .spawn(move || {
                if let Err(error) = forgotten.sweep_forgotten() {
                    tracing::warn!("state of jobs that are gone could not be removed: {error}");
                }
            })?;
        let (send, ends) = mpsc::channel();
        let turns = environment.memory.large_batches();
        let supervisor = Arc::new(Supervisor {
            environment,
            large: LargeBatches::new(turns, limits::BATCH_ANSWERS_BYTES_MAX),
            guests,
            catalog,
            checkpoint_logs,
            jobs: Mutex::default(),
            turns: Turns::default(),
            letter_turns: Turns::default(),
            letter_marks: LetterMarks::open(db)?,
            set: Mutex::default(),
            logs,
            ended: Mutex::new(send),
        });
        // All of them are known before the first one starts, which may end at once.
        let known = |record: Result<JobRecord, UnreadableJob>| match record {
            Ok(record) => Job::new(record, &supervisor.logs),
            Err(bad) => Job::unreadable(bad, &supervisor.logs),
        };
        let jobs = supervisor.catalog.load()?.into_iter();
        let jobs = jobs.map(|record| Arc::new(known(record)));
        supervisor
            .jobs()
            .extend(jobs.map(|job| (job.name.clone(), job)));
        watch::spawn(&supervisor, ends)?;
        let jobs: Vec<_> = supervisor.jobs().values().cloned().collect();
        for job in jobs {
            supervisor.resume_job(&job, begin);
        }
        Ok(supervisor)
    }

    /// Stops all jobs, as `how` says, and waits for them. No job is changed or started from then
    /// on.
    pub fn close(&self, how: Stop) {
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        for job in &jobs {
            if let Some(pipeline) = &job.state().pipeline {
                pipeline.status.stop.request(how);
            }
        }
        let asked = clock::monotonic();
        self.turns.close(limits::STOP_TIME);
        // Also those that came meanwhile.
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
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

    /// The right to change the set of jobs and components; held for no longer than a write takes.
    fn change(&self) -> MutexGuard<'_, ()> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job of before, started if it was not paused. One that cannot start does not keep the
    /// others from it.
    fn resume_job(&self, job: &Arc<Job>, begin: Begin) {
        let Ok(_turn) = self.turns.take(&job.name) else {
            return;
        };
        let (paused, unreadable) = {
            let state = job.state();
            (state.record.paused, state.unreadable)
        };
        if unreadable {
            return;
        }
        let begun = self
            .keep_limits(job)
            .and_then(|()| self.restart(job, begin == Begin::Jobs && !paused));
        if let Err(reason) = begun {
            job.stopped(&reason);
        }
    }

    /// Where the host's `[limits]` were changed, the job's follow. A batch that was planned under
    /// the old ones is run again under them: then the new ones are a deployment of their own, which
    /// takes over after it.
    fn keep_limits(&self, job: &Job) -> Result<(), String> {
        let mut record = job.state().record.clone();
        let active = record.active().clone();
        let settings =
            Settings::parse(&active.settings, self.environment.limits).map_err(|f| in_words(&f))?;
        if active.limits == Some(settings.limits) {
            return Ok(());
        }
        let (_, intents) = self
            .checkpoint_logs
            .of(&job.name)
            .load()
            .map_err(|e| e.to_string())?;
        let mut planned = intents
            .iter()
            .filter(|intent| intent.deployment == active.number)
            .peekable();
        // What a record of before limits were kept has planned was under the present ones, as far
        // as is known.
        if active.limits.is_none() || planned.peek().is_none() {
            record.active_mut().limits = Some(settings.limits);
            return self.store(job, record);
        }
        if planned.any(|intent| intent.finished) {
            return Ok(()); // its last batch: with another deployment it would read on
        }
        let named: BTreeSet<u64> = record.deployments.iter().map(|d| d.number).collect();
        let reason = "the host's `[limits]` were changed".to_owned();
        let number = active.number + 1;
        let (limits, reason_kept) = (Some(settings.limits), Some(reason.clone()));
        let at_ms = clock::now_ms();
        let deployment = DeploymentRecord {
            number,
            limits,
            at_ms,
            reason: reason_kept,
            reset: false,
            replan: false,
            ..active
        };
        record.push(deployment, &named);
        self.store(job, record)?;
        job.say(
            tracing::Level::INFO,
            &format!("{reason}: deployment {number} takes over"),
        );
        Ok(())
    }

    fn store(&self, job: &Job, record: JobRecord) -> Result<(), String> {
        self.catalog.save(&record).map_err(|e| e.to_string())?;
        job.state().record = record;
        Ok(())
    }
}

impl Job {
    fn new(record: JobRecord, logs: &Path) -> Self {
        let log = JobLog::open(logs, &record.name, record.active().version);
        Job {
            name: record.name.clone(),
            log: Arc::new(log),
            state: Mutex::new(State {
                record,
                active: None,
                pipeline: None,
                cancel: CancelSignal::default(),
                pipeline_status: Arc::new(PipelineStatus::default()),
                life: 0,
                failed: None,
                unreadable: false,
                skip_lost: false,
                reads_on: false,
            }),
        }
    }

    /// One that is there and cannot run: it is shown, and keeps no other from running.
    fn unreadable(UnreadableJob { name, reason }: UnreadableJob, logs: &Path) -> Self {
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
            since_batch: 0,
        };
        let record = JobRecord {
            name,
            paused: false,
            deployments: vec![stand_in],
            newest_version: 0,
        };
        let job = Job::new(record, logs);
        job.state().unreadable = true;
        job.stopped(&format!(
            "its record in the data folder cannot be read: {reason}; restore the folder from a backup, or `streamhost undeploy {}` forgets the job and its state",
            job.name
        ));
        job
    }
}

#[cfg(test)]
mod tests;
