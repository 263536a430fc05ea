//! Deploy, roll back, reset: checks first, then one durable record, then the change at a batch
//! boundary.

use super::actor::{DeployAsk, Prepared, Ready};
use super::beginning::BeginningAsk;
use super::build::described;
use super::check::active_of;
use super::draft::{Set, deployed, draft_of, kept, next_record_of, starts, unchanged, with_kept};
use super::machine::{Draft, Switch};
use super::replan::{kept_stages, price};
use super::{Asked, Job, Supervisor};
use crate::api::{Change, DeployRequest, Deployed, Refusal, changed_places};
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
use streamhost_engine::pipeline::{LoadedDeployment, StatusSnapshot};
use streamhost_guest::CompiledJob;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::{Undeployed, sha256};

impl Supervisor {
    /// Checks, compiles, warms and activates a component. Compiling takes long and changes nothing,
    /// so it waits for no other change, and none waits for it.
    pub(super) fn deploy_component(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        let settings = self.settings_of(&request.given())?;
        not_in_the_future(settings.start)?;
        let signed_by = self.signer_of(&component)?; // before any of its code is compiled
        let silent: LogSink = Arc::new(|_, _: &str| {}); // the job that logs is not known yet
        let digest = sha256(&component);
        let (loaded, first) = self
            .load(&silent, &digest, &component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        let name = request.name.clone().unwrap_or(first.name);
        names::job(&name).map_err(|reason| Refusal::Invalid(wrong_name(&name, &reason)))?;
        let ask = DeployAsk {
            name: name.clone(),
            component,
            digest,
            signed_by,
            request,
            loaded,
        };
        let told = self.ask(&name, Asked::Deploy(Box::new(ask)))?;
        self.with_beginning(&name, told)
    }

    /// Checks a component that is compiled and says what it is: all that could refuse it is asked.
    pub(super) fn prepare_deploy(
        &self,
        job: Option<&Arc<Job>>,
        ask: DeployAsk,
    ) -> Result<Ready, Refusal> {
        if let Some(share) = ask.request.canary.clone() {
            return self.prepare_canary(job, ask, share);
        }
        let DeployAsk {
            name,
            component,
            digest,
            signed_by,
            request,
            loaded,
        } = ask;
        // What Kafka holds of an undeployed job tells where it was, and nothing of what its keyed
        // stages kept.
        let undeployed = self.catalog.undeployed(&name);
        let undeployed = undeployed.map_err(|e| unavailable(&e))?;
        job.map_or(Ok(()), |job| may_change(job))?;
        let before = job.map(|job| active_of(job));
        let set = request.settings_after(before.as_ref().map(|before| &before.set))?;
        let (settings, described) = self.described_under(&set, &loaded)?;
        let anew = undeployed != Undeployed::Never && !described.stages.is_empty();
        let draft = draft_of(digest, &request, (&set, settings.limits), anew);
        let draft = Draft { signed_by, ..draft };
        if let Some(job) = job
            && let Some(unchanged) = unchanged(job, &draft)
        {
            self.keep(&name, &component)?; // it may have been damaged
            return Ok(Ready::AsItWas(Box::new(self.as_it_was(job, unchanged))));
        }
        self.has_room_for(&name)?;
        let stored = self.checkpoint_logs.of(&name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let before_it = (checkpoint.as_ref(), &intents[..]);
        let record = next_record_of(&name, job.map(|job| &**job), draft, before_it)?;
        let new = || Arc::new(Job::new(record.clone(), &self.logs));
        let job = job.cloned().unwrap_or_else(new);
        let log = job.log_sink(record.active().version);
        let notice = loaded.notice();
        let active = self.prove(&log, loaded, described, settings, record.active(), &record);
        let kept = kept(&request, &set);
        let active = active.map_err(|reason| Refusal::Invalid(with_kept(reason, &kept)))?;
        self.is_allowed(&active)?;
        check_state(&active, checkpoint.as_ref(), &intents)?;
        self.own_group(&name, &active.group)?;
        let tight = self.memory_fits(&active)?;
        let given_up = price(&active, request.replan, &intents)?;
        let missing = self.missing_targets(&active, request.create_tables)?;
        let says_start = starts(&request, &set, checkpoint.as_ref());
        let kept_here = checkpoint.as_ref();
        let asked = BeginningAsk::of(&active, kept_here, undeployed, &request, says_start);
        let (_, warning) = self.beginning_of(&active, &missing, asked)?;
        self.warm(&active)?;
        // All that could refuse it has been asked: what is missing is made only now.
        self.create_targets(&missing)?;
        let warnings = warning.into_iter().chain(notice);
        let warnings = warnings.chain(tight).chain(given_up).collect();
        let changes = before.map_or_else(Vec::new, |before| {
            changed_places(&before, &active.spec, &set)
        });
        let active = Arc::new(active);
        let said = (warnings, changes, kept);
        Ok(self.ready(job, record, Some(component), active, said))
    }

    /// A deployment that was checked.
    pub(super) fn ready(
        &self,
        job: Arc<Job>,
        mut record: JobRecord,
        component: Option<Vec<u8>>,
        active: Arc<LoadedDeployment>,
        (mut warnings, changes, kept): (Vec<String>, Vec<Change>, Set),
    ) -> Ready {
        let facts = self.facts_of(&job.state(), Some(&active));
        record.active_mut().since_batch = durable_batches(&facts, &active);
        warnings.extend(self.shared_tables(&active));
        let deployed = Deployed {
            warnings: warnings.clone(),
            changes,
            kept,
            ..deployed(&record, true)
        };
        let prepared = Prepared {
            job,
            component,
            active,
            deployed,
            begins: facts.epoch == 0,
            restored: None,
        };
        Ready::Switch(Switch { record, warnings }, Box::new(prepared))
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
    pub(super) fn as_it_was(&self, job: &Job, mut said: Deployed) -> Deployed {
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

    /// Checks an older version that is to be active again: this one, or the one before the active
    /// one. `why`: the host goes back by itself.
    pub(super) fn prepare_rollback(
        &self,
        job: &Arc<Job>,
        version: Option<u64>,
        why: Option<String>,
    ) -> Result<Ready, Refusal> {
        may_change(job)?;
        let (name, record) = (&job.name, job.state().record.clone());
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
        // What the host itself goes back to ran before: a newer list of what is allowed, or of keys,
        // does not hold an unfit version.
        let signed_by = match &why {
            Some(_) => target.signed_by.clone(),
            None => self.signer_of_kept(&target.digest)?,
        };
        let draft = Draft {
            digest: target.digest.clone(),
            kind: match why {
                Some(_) => DeploymentKind::AutomaticRollback,
                None => DeploymentKind::Rollback,
            },
            reason: why,
            settings: target.settings.clone(),
            limits: settings.limits,
            reset: false,
            replan: false,
            signed_by,
            canary: None,
            at_ms: clock::now_ms(),
        };
        self.prepare_kept(job, draft)
    }

    /// Checks a deployment of components that are kept.
    pub(super) fn prepare_kept(&self, job: &Arc<Job>, draft: Draft) -> Result<Ready, Refusal> {
        let name = &job.name;
        if let Some(unchanged) = unchanged(job, &draft) {
            return Ok(Ready::AsItWas(Box::new(self.as_it_was(job, unchanged))));
        }
        let stored = self.checkpoint_logs.of(name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let before_it = (checkpoint.as_ref(), &intents[..]);
        let record = next_record_of(name, Some(job), draft, before_it)?;
        let active = self
            .activate(job, &record, record.active())
            .map_err(Refusal::Invalid)?;
        if record.active().kind != DeploymentKind::AutomaticRollback {
            self.is_allowed(&active)?;
        }
        check_state(&active, checkpoint.as_ref(), &intents)?;
        self.own_group(name, &active.group)?;
        self.warm(&active)?;
        Ok(self.ready(job.clone(), record, None, active, Default::default()))
    }

    pub(super) fn keep(&self, job: &str, component: &[u8]) -> Result<(), Refusal> {
        let _set = self.change();
        self.catalog
            .keep(job, component)
            .map(drop)
            .map_err(|e| unavailable(&e))
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
                .flat_map(|d| d.digests())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let named: BTreeSet<String> = jobs.iter().flat_map(digests).collect();
        self.catalog.sweep(&named);
        self.guests.sweep(&named);
        let present = jobs.iter().map(|job| job.name.clone()).collect();
        super::logfile::sweep(&self.logs, &present);
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

/// Batches that are durable and count for `active`.
fn durable_batches(facts: &StatusSnapshot, active: &LoadedDeployment) -> u64 {
    let is_anew = |reset| facts.deployment < reset;
    match active.reset_at.is_some_and(is_anew) {
        true => 0, // the numbers begin anew with the checkpoint
        false => facts.batches,
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
