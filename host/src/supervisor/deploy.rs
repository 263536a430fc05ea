//! Deploy, roll back, reset: checks first, then one durable record, then the change at a batch
//! boundary.

use super::beginning::Asked;
use super::build::described;
use super::check::active_of;
use super::draft::{Draft, Set, deployed, kept, next_record, starts, unchanged, with_kept};
use super::replan::{kept_stages, price};
use super::{Job, State, Supervisor};
use crate::api::{DeployRequest, Deployed, Refusal, changed_places};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use streamhost_core::job::settings::{Settings, StartPosition};
use streamhost_core::job::validate::{JobDescription, in_words};
use streamhost_core::job::{DeploymentKind, JobRecord, names};
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::state::change::stages_after;
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::{DeploymentSlot, LoadedDeployment, Stop};
use streamhost_guest::CompiledJob;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::{Undeployed, sha256};
use tracing::Level;

impl Supervisor {
    /// Checks, compiles, warms and activates a component. Compiling takes long and changes nothing,
    /// so it waits for no other change, and none waits for it.
    pub(super) fn deploy_component(
        &self,
        component: &[u8],
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        let settings = self.settings_of(&request.given())?;
        not_in_the_future(settings.start)?;
        let silent: LogSink = Arc::new(|_, _: &str| {}); // the job that logs is not known yet
        let digest = sha256(component);
        let (loaded, first) = self
            .load(&silent, &digest, component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        let name = request.name.clone().unwrap_or(first.name);
        names::job(&name).map_err(|reason| Refusal::Invalid(wrong_name(&name, &reason)))?;
        let _turn = self.turns.take(&name)?;
        self.deploy_in_turn(component, &name, digest, request, loaded)
    }

    /// The same of a component that is compiled and says what it is.
    fn deploy_in_turn(
        &self,
        component: &[u8],
        name: &str,
        digest: String,
        request: DeployRequest,
        loaded: Arc<CompiledJob>,
    ) -> Result<Deployed, Refusal> {
        // What Kafka holds of an undeployed job tells where it was, and nothing of what its keyed
        // stages kept.
        let undeployed = self.catalog.undeployed(name);
        let undeployed = undeployed.map_err(|e| unavailable(&e))?;
        let job = self.job(name);
        job.as_deref().map_or(Ok(()), may_change)?;
        let before = job.as_deref().map(active_of);
        let set = request.settings_after(before.as_ref().map(|before| &before.set))?;
        let (settings, described) = self.described_under(&set, &loaded)?;
        let anew = undeployed != Undeployed::Never && !described.stages.is_empty();
        let draft = Draft::of(digest, &request, (&set, settings.limits), anew);
        if let Some(job) = &job
            && let Some(unchanged) = unchanged(job, &draft)
        {
            self.keep(component)?; // it may have been damaged
            return Ok(self.as_it_was(job, unchanged));
        }
        self.has_room_for(name)?;
        let stored = self.checkpoint_logs.of(name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let record = next_record(name, job.as_deref(), draft, checkpoint.as_ref(), &intents)?;
        let job = job.unwrap_or_else(|| Arc::new(Job::new(record.clone(), &self.logs)));
        let log = job.log_sink(record.active().version);
        let notice = loaded.notice();
        let active = self.prove(&log, loaded, described, settings, record.active(), &record);
        let kept = kept(&request, &set);
        let active = active.map_err(|reason| Refusal::Invalid(with_kept(reason, &kept)))?;
        self.is_allowed(&active)?;
        check_state(&active, checkpoint.as_ref(), &intents)?;
        self.own_group(&active)?;
        let tight = self.memory_fits(&active)?;
        let given_up = price(&active, request.replan, &intents)?;
        let missing = self.missing_targets(&active, request.create_tables)?;
        let says_start = starts(&request, &set, checkpoint.as_ref());
        let asked = Asked::of(
            &active,
            checkpoint.as_ref(),
            undeployed,
            &request,
            says_start,
        );
        let (_, warning) = self.beginning_of(&active, &missing, asked)?;
        let warmed = active.guest_version.warm(self.environment.lanes);
        warmed.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        // All that could refuse it has been asked: what is missing is made only now.
        self.create_targets(&missing)?;
        let warnings = warning
            .into_iter()
            .chain(notice)
            .chain(tight)
            .chain(given_up)
            .collect();
        let changes = before.map_or_else(Vec::new, |before| {
            changed_places(&before, &active.spec, &set)
        });
        let done = self.switch(&job, record, Some(component), Arc::new(active), warnings)?;
        Ok(Deployed {
            changes,
            kept,
            ..done
        })
    }

    /// The settings, and what a component says of its job under them: it may follow from parameters.
    pub(super) fn described_under(
        &self,
        set: &Set,
        loaded: &CompiledJob,
    ) -> Result<(Settings, JobDescription), Refusal> {
        let settings = self.settings_of(set)?;
        let silent: LogSink = Arc::new(|_, _: &str| {}); // it was asked before, and may have logged
        let described = described(loaded, &silent, &settings).map_err(Refusal::Invalid)?;
        Ok((settings, described))
    }

    /// Settings as they are given, and for the rest the host's own.
    pub(super) fn settings_of(&self, set: &Set) -> Result<Settings, Refusal> {
        Settings::parse(set, self.environment.limits).map_err(|f| Refusal::Invalid(in_words(&f)))
    }

    /// What is said of a job that a deploy leaves as it is.
    fn as_it_was(&self, job: &Job, mut said: Deployed) -> Deployed {
        let state = job.state();
        let loaded = state.active.as_ref().map(|cell| cell.get());
        if self.facts_of(&state, loaded.as_deref()).finished {
            said.warnings.push(finished_words(
                &job.name,
                loaded.is_some_and(|loaded| loaded.has_windows()),
            ));
        }
        said
    }

    /// Makes an older version active again.
    pub(super) fn roll_back(
        &self,
        name: &str,
        version: Option<u64>,
        why: Option<String>,
    ) -> Result<Deployed, Refusal> {
        let job = self.changeable(name)?;
        let record = job.state().record.clone();
        let target = match version {
            Some(version) => record.of_version(version).ok_or_else(|| {
                Refusal::NotFound(format!("`{name}` has no version {version}: `streamhost history {name}` lists them"))
            })?,
            None => record.before_active().ok_or_else(|| {
                Refusal::Conflict(format!(
                    "`{name}` has no version before {}, which is active: `streamhost history {name}` lists all, and `streamhost rollback {name} VERSION` makes one of them active",
                    record.active().version
                ))
            })?,
        };
        let settings = self.settings_of(&target.settings)?;
        let draft = Draft {
            digest: target.digest.clone(),
            kind: if why.is_some() {
                DeploymentKind::AutomaticRollback
            } else {
                DeploymentKind::Rollback
            },
            reason: why,
            settings: target.settings.clone(),
            limits: settings.limits,
            reset: false,
            replan: false,
        };
        if let Some(unchanged) = unchanged(&job, &draft) {
            return Ok(self.as_it_was(&job, unchanged));
        }
        let (checkpoint, intents) = self
            .checkpoint_logs
            .of(name)
            .load()
            .map_err(|e| unavailable(&e))?;
        let record = next_record(name, Some(&job), draft, checkpoint.as_ref(), &intents)?;
        let active = self
            .activate(&job, &record, record.active())
            .map_err(Refusal::Invalid)?;
        // What the host itself goes back to ran before: a newer list does not hold an unfit version.
        if record.active().kind != DeploymentKind::AutomaticRollback {
            self.is_allowed(&active)?;
        }
        check_state(&active, checkpoint.as_ref(), &intents)?;
        self.own_group(&active)?;
        let warm = active.guest_version.warm(self.environment.lanes);
        warm.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        self.switch(&job, record, None, active, Vec::new())
    }

    /// Makes component and record durable, and only then lets the next batch name it. Where its
    /// pipeline does not start the deployment is active all the same: the job is stopped and says
    /// why, and so does a warning.
    fn switch(
        &self,
        job: &Arc<Job>,
        mut record: JobRecord,
        component: Option<&[u8]>,
        active: Arc<LoadedDeployment>,
        warnings: Vec<String>,
    ) -> Result<Deployed, Refusal> {
        record.active_mut().since_batch = self.durable_batches(&job.state(), &active);
        let begins = self.facts_of(&job.state(), Some(&active)).epoch == 0;
        self.admit(job, &record, component)?;
        let mut done = deployed(&record, true);
        done.warnings = warnings;
        done.warnings.extend(self.shared_tables(&active));
        let (version, number) = (done.version, done.deployment);
        let anew = if record.active().reset {
            ", which begins the job anew at `start`"
        } else {
            ""
        };
        job.log.active(version);
        job.say(
            Level::INFO,
            &format!("version {version} is active (deployment {number}){anew}"),
        );
        done.warnings
            .iter()
            .for_each(|warning| job.say(Level::WARN, warning));
        if !goes_over(job, &record, &active) {
            job.halt(Stop::Soon);
            {
                let mut state = job.state();
                state.active = Some(DeploymentSlot::new(active.clone()));
                state.failed = None; // whatever the version before failed of
            }
            if !record.paused {
                match self.start(job, active, &record) {
                    Ok(()) if begins => done.warnings.extend(job.await_beginning()),
                    Ok(()) => {}
                    Err(reason) => {
                        job.stopped(&reason);
                        done.warnings.push(format!("the job is stopped: {reason}"));
                    }
                }
            }
        }
        self.sweep();
        Ok(done)
    }

    /// Makes a component and a job's record durable, and only then the job visible. Components are
    /// not swept meanwhile.
    fn admit(
        &self,
        job: &Arc<Job>,
        record: &JobRecord,
        component: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let _set = self.change();
        self.has_room_for(&job.name)?; // others may have come meanwhile
        if let Some(component) = component {
            self.catalog.keep(component).map_err(|e| unavailable(&e))?;
        }
        self.catalog.save(record).map_err(|e| unavailable(&e))?;
        self.jobs()
            .entry(job.name.clone())
            .or_insert_with(|| job.clone());
        Ok(())
    }

    pub(super) fn has_room_for(&self, job: &str) -> Result<(), Refusal> {
        let jobs = self.jobs();
        match jobs.contains_key(job) || jobs.len() < limits::JOBS_MAX {
            true => Ok(()),
            false => Err(Refusal::Unavailable(format!(
                "this host runs {} jobs already: undeploy one",
                limits::JOBS_MAX
            ))),
        }
    }

    fn keep(&self, component: &[u8]) -> Result<(), Refusal> {
        let _set = self.change();
        self.catalog
            .keep(component)
            .map(drop)
            .map_err(|e| unavailable(&e))
    }

    /// Batches that are durable and count for `active`.
    fn durable_batches(&self, state: &State, active: &LoadedDeployment) -> u64 {
        let facts = self.facts_of(state, Some(active));
        // The numbers begin anew with the checkpoint.
        if active
            .reset_at
            .is_some_and(|reset| facts.deployment < reset)
        {
            0
        } else {
            facts.batches
        }
    }

    /// Components that no history names go.
    pub(super) fn sweep(&self) {
        let _set = self.change(); // or a component would go whose record is about to be stored
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        if jobs.iter().any(|job| job.state().unreadable) {
            return; // which components it names is not known
        }
        let digests = |job: &Arc<Job>| {
            job.state()
                .record
                .deployments
                .iter()
                .map(|d| d.digest.clone())
                .collect::<Vec<_>>()
        };
        let named: BTreeSet<String> = jobs.iter().flat_map(digests).collect();
        self.catalog.sweep(&named);
        self.guests.sweep(&named);
        let present = jobs.iter().map(|job| job.name.clone()).collect();
        super::logfile::sweep(&self.logs, &present);
    }

    /// A job that may be changed.
    pub(super) fn changeable(&self, name: &str) -> Result<Arc<Job>, Refusal> {
        let job = self.known(name)?;
        may_change(&job)?;
        Ok(job)
    }

    pub(super) fn known(&self, name: &str) -> Result<Arc<Job>, Refusal> {
        self.job(name).ok_or_else(|| self.unknown(name))
    }

    /// There is no job of this name.
    pub(super) fn unknown(&self, name: &str) -> Refusal {
        if let Some(gone) = self.gone(name) {
            return Refusal::NotFound(format!(
                "job `{name}` was undeployed at {}: `streamhost history {name}` and `streamhost logs {name}` tell of it, `streamhost deploy` brings it back",
                clock::rfc3339(gone.at_ms)
            ));
        }
        let all: Vec<String> = self.jobs().keys().map(|name| format!("`{name}`")).collect();
        let there = match all.is_empty() {
            true => "there are none".to_owned(),
            false => format!("there are {}", all.join(", ")),
        };
        Refusal::NotFound(format!("there is no job `{name}`: {there}"))
    }
}

/// A component may carry a name of any length.
pub(super) fn wrong_name(name: &str, reason: &str) -> String {
    let shown = names::shown(name, limits::NAME_SHOWN_CHARS_MAX);
    format!("the job's name `{shown}`: {reason}")
}

/// What cannot be read is not written over.
pub(super) fn may_change(job: &Job) -> Result<(), Refusal> {
    let state = job.state();
    match state.failed.as_ref().filter(|_| state.unreadable) {
        Some(reason) => Err(Refusal::Conflict(format!("`{}`: {reason}", job.name))),
        None => Ok(()),
    }
}

/// A job that begins at a time to come would begin at the end, and miss what comes until then.
pub(super) fn not_in_the_future(start: StartPosition) -> Result<(), Refusal> {
    let StartPosition::At(time) = start else {
        return Ok(());
    };
    let ms = time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    if ms <= clock::now_ms() {
        return Ok(());
    }
    let (start, now) = (clock::rfc3339(ms), clock::rfc3339(clock::now_ms()));
    Err(Refusal::Invalid(format!(
        "start={start}: it is {now} now; say start=latest for what comes from now on"
    )))
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

/// Whether the running pipeline goes over to this deployment at its next batch.
fn goes_over(job: &Job, record: &JobRecord, active: &Arc<LoadedDeployment>) -> bool {
    let mut state = job.state();
    state.record = record.clone();
    match &state.active {
        Some(slot) if state.runs() && slot.get().can_hot_swap(active) => slot.set(active.clone()),
        _ => false,
    }
}

/// How a finished job is run on or again.
pub(super) fn finished_words(job: &str, windows: bool) -> String {
    match windows {
        true => format!(
            "`{job}` is finished, and its windows are all given out: deploy with --reset-state to run it again from `start`"
        ),
        false => format!(
            "`{job}` is finished and reads nothing more: `streamhost resume {job}` reads on from where it ended"
        ),
    }
}

/// The version must be able to go on with what was kept.
pub(super) fn check_state(
    active: &LoadedDeployment,
    checkpoint: Option<&Checkpoint>,
    intents: &[BatchIntent],
) -> Result<(), Refusal> {
    let Some(checkpoint) = checkpoint.filter(|checkpoint| !active.resets(Some(checkpoint))) else {
        return Ok(());
    };
    if checkpoint.finished && active.has_windows() {
        return Err(Refusal::Conflict(finished_words(&active.spec.name, true)));
    }
    let kept = kept_stages(active, checkpoint, intents);
    match stages_after(kept, &active.spec, checkpoint.epoch) {
        Ok(_) => Ok(()),
        Err(refusals) => Err(Refusal::Conflict(in_words(&refusals))),
    }
}
