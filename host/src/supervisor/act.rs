//! Does what the machine decides.

use super::actor::{Desk, Ready, patience};
use super::deploy::{check_state, finished_words, unavailable};
use super::machine::{Action, Claimed, End, Event, JobControl, Limits, group_of, groups_needed};
use super::machine::{Kept, under_limits};
use super::restore::Restored;
use super::{Job, Supervisor};
use crate::api::Refusal;
use std::collections::BTreeSet;
use std::sync::Arc;
use streamhost_core::job::settings::Settings;
use streamhost_core::job::validate::in_words;
use streamhost_core::job::{DeploymentKind, JobRecord};
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::{DeploymentSlot, Stop};

fn outcome(done: Result<(), Refusal>) -> Option<Event> {
    Some(done.map_or_else(Event::Failed, |()| Event::Done))
}

impl Desk {
    /// Does an action; what came of it, where that is awaited.
    pub(super) fn act(&mut self, host: &Supervisor, action: Action) -> Option<Event> {
        match action {
            Action::Prepare { version, why } => return Some(self.prepare(host, version, why)),
            Action::Admit(record) => return outcome(host.admit(&record)),
            Action::Store(record) => return outcome(self.store(host, record)),
            Action::Swap => return outcome(self.swap()),
            Action::Stop(how) => {
                self.halt(how);
                return Some(Event::Done);
            }
            Action::Load { overtaken } => {
                let loaded = self.load(host, overtaken);
                return outcome(loaded.map_err(Refusal::Conflict));
            }
            Action::Start {
                life,
                skip_lost,
                reads_on,
            } => {
                let started = self.start(host, life, (skip_lost, reads_on));
                return Some(match started {
                    Ok(replay_only) => Event::Started { replay_only },
                    Err(why) => Event::Failed(Refusal::Conflict(why)),
                });
            }
            Action::Forget => return outcome(self.forget(host)),
            Action::Remove => return outcome(self.remove(host)),
            Action::Activate => {
                if let (Some(job), Some(prepared)) = (&self.job, &self.prepared) {
                    job.state().active = Some(DeploymentSlot::new(prepared.active.clone()));
                }
            }
            Action::Reap => drop(self.pipeline.take().map(|pipeline| pipeline.join())),
            Action::Release => host.release(&self.control),
            Action::Sweep => host.sweep(),
            Action::Say(level, text) => self.each_job(|job| job.say(level, &text)),
            Action::Alert(told) => host.alert(&self.control.name, told),
            Action::NoteError(text) => {
                self.each_job(|job| job.state().pipeline_status.error(&text));
            }
            Action::Answer(_, answer) => self.answer(host, answer),
        }
        None
    }

    fn each_job(&self, act: impl Fn(&Job)) {
        self.job.as_deref().into_iter().for_each(act);
    }

    /// The job of a change that only jobs have that are there.
    fn there(&self) -> Result<&Arc<Job>, String> {
        let name = &self.control.name;
        let job = self.job.as_ref();
        job.ok_or_else(|| format!("there is no job `{name}`"))
    }

    fn prepare(&mut self, host: &Supervisor, version: u64, why: String) -> Event {
        let ready = self.there().map_err(Refusal::Conflict);
        match ready.and_then(|job| host.prepare_rollback(job, Some(version), Some(why))) {
            Ok(Ready::Switch(switch, prepared)) => {
                self.prepared = Some(*prepared);
                Event::Prepared(switch)
            }
            Ok(Ready::AsItWas(_)) => {
                Event::Failed(Refusal::Conflict("it is active already".to_owned()))
            }
            Err(refusal) => Event::Failed(refusal),
        }
    }

    /// Makes a component and the job's record durable, and only then the job visible. Components
    /// are not swept meanwhile: what the record names is seen by whoever sweeps next.
    fn store(&mut self, host: &Supervisor, record: JobRecord) -> Result<(), Refusal> {
        let _set = host.change();
        let prepared = self.prepared.as_ref();
        if let Some(component) = prepared.and_then(|prepared| prepared.component.as_deref()) {
            let kept = host.catalog.keep(&record.name, component);
            kept.map_err(|e| unavailable(&e))?;
        }
        let restored = self.prepared.as_mut().and_then(|p| p.restored.take());
        let import = match restored {
            None => None,
            Some(Restored { saved, import }) => {
                saved.components(|component| {
                    let kept = host.catalog.keep(&record.name, component);
                    kept.map(drop).map_err(|e| unavailable(&e))
                })?;
                Some(import)
            }
        };
        let stored = host.catalog.save_with(&record, import);
        stored.map_err(|e| unavailable(&e))?;
        let job = match (&self.job, &self.prepared) {
            (Some(job), _) => job.clone(),
            (None, Some(prepared)) => prepared.job.clone(),
            (None, None) => return Ok(()), // only a deployment makes a job
        };
        job.log.active(record.active().version);
        let mut state = job.state();
        let is_new = state.record.active().number != record.active().number;
        let is_rollback = record.active().kind == DeploymentKind::AutomaticRollback;
        state.rollbacks += u64::from(is_new && is_rollback);
        let before = std::mem::replace(&mut state.record, record.clone());
        drop(state);
        host.note_own(&before, &record); // without the lock: it writes
        host.jobs().insert(job.name.clone(), job.clone());
        self.job = Some(job);
        Ok(())
    }

    /// Has the running pipeline go over to the prepared deployment at its next batch.
    fn swap(&self) -> Result<(), Refusal> {
        let slot = self.job.as_ref().and_then(|job| job.state().active.clone());
        let swapped = match (slot, &self.prepared) {
            (Some(slot), Some(prepared)) if slot.get().can_hot_swap(&prepared.active) => {
                slot.set(prepared.active.clone())
            }
            _ => false,
        };
        match swapped {
            true => Ok(()),
            false => Err(Refusal::Conflict("it needs another pipeline".to_owned())),
        }
    }

    /// Stops its pipeline, if there is one, and waits for it. A call to a sink that hangs is given
    /// some time, and then it is cut: what was under way is planned, and delivered again at the
    /// next start.
    fn halt(&mut self, how: Stop) {
        let Some(pipeline) = self.pipeline.take() else {
            return;
        };
        let asked = self.stop_asked.unwrap_or_else(clock::monotonic);
        pipeline.status.stop.request(how);
        while !pipeline.has_ended() && clock::since(asked) < patience(how) {
            std::thread::sleep(limits::LOOK_TIME);
        }
        if !pipeline.has_ended() {
            pipeline.status.stop.request(Stop::Now);
            self.cancel.cancel();
        }
        pipeline.join();
    }

    /// Makes the stored active deployment ready to run.
    fn load(&self, host: &Supervisor, overtaken: bool) -> Result<(), String> {
        let (job, record) = (self.there()?, self.control.record());
        let record = record.ok_or("it has no record")?;
        let active = host.activate(job, record, record.active())?;
        if overtaken {
            let stored = host.checkpoint_logs.of(&job.name).load();
            let (checkpoint, intents) = stored.map_err(|e| e.to_string())?;
            check_state(&active, checkpoint.as_ref(), &intents).map_err(|e| e.to_string())?;
        }
        job.state().active = Some(DeploymentSlot::new(active));
        Ok(())
    }

    fn forget(&mut self, host: &Supervisor) -> Result<(), Refusal> {
        let log = host.checkpoint_logs.of(&self.control.name);
        // What cannot be read may have run.
        self.ran = log.load().map_or(true, |(checkpoint, intents)| {
            !intents.is_empty() || checkpoint.is_some_and(|checkpoint| checkpoint.batch > 0)
        });
        log.forget().map_err(|e| unavailable(&e))
    }

    fn remove(&mut self, host: &Supervisor) -> Result<(), Refusal> {
        let job = self.there().map_err(Refusal::Conflict)?;
        let _set = host.change();
        let removed = host.remember(job, self.ran);
        removed.map_err(Refusal::Unavailable)?;
        self.job = None;
        Ok(())
    }
}

/// What jobs may not share.
impl Supervisor {
    /// Claims a job's place and its group.
    fn admit(&self, record: &JobRecord) -> Result<(), Refusal> {
        let (name, usual) = (&record.name, self.usual_group(&record.name));
        let group = group_of(record.active(), &usual);
        let claimed = self.claims().claim(name, &group);
        claimed.map_err(|claimed| match claimed {
            Claimed::Full => no_room(),
            Claimed::By(other) => group_taken(&other, &group),
        })
    }

    /// What a job of before has, whoever else has it.
    pub(super) fn claim_again(&self, name: &str, record: Option<&JobRecord>) {
        let usual = self.usual_group(name);
        let needed = match record {
            Some(record) => self.needed(record).unwrap_or_default(),
            None => BTreeSet::from([usual]), // which it has is not known
        };
        let mut claims = self.claims();
        needed
            .into_iter()
            .for_each(|group| claims.keep(name, group));
    }

    /// The groups that a job needs. None: what is planned is not known.
    fn needed(&self, record: &JobRecord) -> Option<BTreeSet<String>> {
        let (_, intents) = self.checkpoint_logs.of(&record.name).load().ok()?;
        let usual = self.usual_group(&record.name);
        Some(groups_needed(record, &intents, &usual))
    }

    fn release(&self, control: &JobControl) {
        let needed = match &control.kept {
            Kept::Nothing => Some(BTreeSet::new()),
            Kept::Record(record) => self.needed(record),
            Kept::Unreadable(_) => None,
        };
        if let Some(needed) = needed {
            self.claims().release(&control.name, needed);
        }
    }

    /// There must be room for one job more.
    pub(super) fn has_room_for(&self, job: &str) -> Result<(), Refusal> {
        match self.claims().has_room(job) {
            true => Ok(()),
            false => Err(no_room()),
        }
    }

    /// A group holds the positions of one job.
    pub(super) fn own_group(&self, job: &str, group: &str) -> Result<(), Refusal> {
        match self.claims().other(job, group) {
            None => Ok(()),
            Some(other) => Err(group_taken(other, group)),
        }
    }
}

fn no_room() -> Refusal {
    Refusal::Unavailable(format!(
        "this host runs {} jobs already: undeploy one",
        limits::JOBS_MAX
    ))
}

fn group_taken(other: &str, group: &str) -> Refusal {
    Refusal::Conflict(format!(
        "job `{other}` has the group `{group}`: take another one with --set group=…, or none"
    ))
}

/// What the machine is told with what is asked.
impl Supervisor {
    /// The record under the host's present limits, if it was under others.
    pub(super) fn under_present_limits(
        &self,
        control: &JobControl,
    ) -> Result<Option<Limits>, String> {
        let Some(record) = control.record() else {
            return Ok(None);
        };
        let settings = &record.active().settings;
        let settings =
            Settings::parse(settings, self.environment.limits).map_err(|f| in_words(&f))?;
        let stored = self.checkpoint_logs.of(&control.name).load();
        let (_, intents) = stored.map_err(|e| e.to_string())?;
        let now_ms = clock::now_ms();
        Ok(under_limits(record, settings.limits, &intents, now_ms))
    }

    /// Whether a job has come to its end. A finished job reads on, but not one that gave out its
    /// windows at the end: each would be given out twice.
    pub(super) fn end_of(&self, control: &JobControl, job: Option<&Job>) -> End {
        let state = job.map(Job::state);
        let active = state.as_ref().and_then(|state| state.active.as_ref());
        let Some(active) = active.map(DeploymentSlot::get) else {
            return End::Ahead;
        };
        let says_so = state.is_some_and(|s| s.pipeline_status.snapshot().finished);
        if control.runs() && !says_so {
            return End::Ahead;
        }
        match self.checkpoint_logs.of(&control.name).load() {
            Err(error) => End::Final(unavailable(&error)),
            Ok((Some(checkpoint), _)) if active.has_finished(&checkpoint) => {
                match active.has_windows() {
                    true => End::Final(Refusal::Conflict(finished_words(&control.name, true))),
                    false => End::Reached,
                }
            }
            Ok(_) => End::Ahead,
        }
    }
}
