//! What is asked of jobs, and what a job's actor looks at before the machine is asked.

use super::model::is_keyed;
use super::*;
use streamhost_core::job::DeploymentKind;
use streamhost_core::job::settings::JobLimits;
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::protocol::beginning::{BeginningFacts, beginning};

/// What is asked of a job.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Open,
    Deploy(DeployAsk),
    RollBack,
    Pause,
    Resume,
    Undeploy,
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct DeployAsk {
    digest: &'static str,
    group: Option<&'static str>,
    target: &'static str,
    until_end: bool,
    reset: bool,
}

fn away(what: &str) -> Refusal {
    Refusal::Unavailable(what.to_owned())
}

impl World {
    /// Puts this into the queue of a job's actor.
    pub(super) fn asks(&mut self, job: &str, asked: Asked) -> Asker {
        self.askers.newest += 1;
        let who = self.askers.newest;
        self.askers.waiting.insert(who);
        self.actor(job).mail.push_back(Mail::Asked(who, asked));
        who
    }

    pub(super) fn somebody_asks(&mut self, job: &str) {
        let asked = match self.dice.roll(20) {
            0..=10 => Asked::Deploy(DeployAsk {
                digest: self
                    .dice
                    .one_of(&["good 1", "good 2", "good 3", "bad 1", "over 1"]),
                group: self
                    .dice
                    .one_of(&[None, None, Some("shared"), Some("other")]),
                target: self.dice.one_of(&["t1", "t1", "t2"]),
                until_end: self.dice.roll(8) == 0,
                reset: self.dice.roll(12) == 0,
            }),
            11 | 12 => Asked::RollBack,
            13 | 14 => Asked::Pause,
            15..=17 => Asked::Resume,
            _ => Asked::Undeploy,
        };
        self.asks(job, asked);
    }

    /// What the machine is asked; as the actor of a real job does it.
    pub(super) fn ask_of(&mut self, name: &str, asked: Asked) -> Result<Ask, Refusal> {
        let (is_closing, go) = (self.host.is_closing, true);
        let is_close = matches!(asked, Asked::Close);
        if !is_close && (is_closing || self.host.actors[name].control.is_closed) {
            return Err(stopping());
        }
        Ok(match asked {
            Asked::Close => Ask::Close(self.dice.one_of(&[Stop::Drain, Stop::Soon])),
            Asked::Pause => Ask::Pause,
            Asked::Undeploy => Ask::Undeploy,
            Asked::Open => {
                let changed = self.under_other_limits(name);
                Ask::Open { go, changed }
            }
            Asked::Resume => {
                let skip_lost = self.dice.roll(2) == 0;
                let end = self.end_of(name);
                Ask::Resume { skip_lost, end }
            }
            Asked::Deploy(ask) => Ask::Switch(self.prepares_deploy(name, &ask)?),
            Asked::RollBack => {
                let record = self.host.actors[name].control.record();
                let before = record.and_then(|record| record.before_active());
                let version = before.map(|before| before.version);
                let version = version.ok_or_else(|| away("there is nothing before it"))?;
                Ask::Switch(self.prepares_rollback(name, version, None)?)
            }
        })
    }

    fn under_other_limits(&mut self, name: &str) -> Result<Option<Limits>, String> {
        if self.fails(40) {
            return Err("injected".to_owned());
        }
        let (_, intents) = self.log(name).load().unwrap();
        let memory_bytes = match self.dice.roll(6) {
            0 => 1 << 24,
            _ => JobLimits::default().memory_bytes,
        };
        let limits = JobLimits {
            memory_bytes,
            ..JobLimits::default()
        };
        let Some(record) = self.host.actors[name].control.record() else {
            return Ok(None);
        };
        Ok(under_limits(record, limits, &intents, self.now_ms))
    }

    fn end_of(&mut self, name: &str) -> End {
        let (checkpoint, _) = self.log(name).load().unwrap();
        let actor = &self.host.actors[name];
        let active = actor.slot.as_ref().map(Slot::get);
        let has_finished = |version: Arc<Version>| {
            let finished = |checkpoint| version.has_finished(checkpoint);
            checkpoint.as_ref().is_some_and(finished)
        };
        match active.is_some_and(has_finished) {
            true => End::Reached,
            false => End::Ahead,
        }
    }

    fn prepares_deploy(&mut self, name: &str, ask: &DeployAsk) -> Result<Switch, Refusal> {
        let undeployed = self.disk.undeployed.get(name).copied();
        let mut settings = BTreeMap::from([("target".to_owned(), ask.target.to_owned())]);
        if let Some(group) = ask.group {
            settings.insert("group".to_owned(), group.to_owned());
        }
        if ask.until_end {
            settings.insert("until".to_owned(), "end".to_owned());
        }
        let draft = Draft {
            digest: ask.digest.to_owned(),
            kind: DeploymentKind::Deploy,
            reason: None,
            settings,
            limits: JobLimits::default(),
            reset: ask.reset || undeployed.is_some() && is_keyed(name),
            replan: false,
            signed_by: None,
            canary: None,
            at_ms: self.now_ms,
        };
        let switch = self.prepares(name, draft, Some(ask.digest))?;
        self.looks_at_the_beginning(name, undeployed)?;
        Ok(switch)
    }

    pub(super) fn prepares_rollback(
        &mut self,
        name: &str,
        version: u64,
        why: Option<String>,
    ) -> Result<Switch, Refusal> {
        let record = self.host.actors[name].control.record();
        let target = record.and_then(|record| record.of_version(version));
        let target = target.ok_or_else(|| away("it is forgotten"))?.clone();
        let kind = match why {
            Some(_) => DeploymentKind::AutomaticRollback,
            None => DeploymentKind::Rollback,
        };
        let draft = Draft {
            digest: target.digest.clone(),
            kind,
            reason: why,
            settings: target.settings,
            limits: JobLimits::default(),
            reset: false,
            replan: false,
            signed_by: None,
            canary: None,
            at_ms: self.now_ms,
        };
        self.prepares(name, draft, None)
    }

    fn prepares(
        &mut self,
        name: &str,
        draft: Draft,
        component: Option<&str>,
    ) -> Result<Switch, Refusal> {
        let by_host = draft.kind == DeploymentKind::AutomaticRollback;
        if self.outside.is_away && !by_host || self.fails(30) {
            return Err(away("a server is away"));
        }
        let (checkpoint, intents) = self.log(name).load().unwrap();
        let control = &self.host.actors[name].control;
        if matches!(control.kept, Kept::Unreadable(_)) {
            return Err(Refusal::Conflict("unreadable".to_owned()));
        }
        let (before, runs) = (control.record(), control.runs());
        let stored = (checkpoint.as_ref(), &intents[..]);
        let record = next_record(name, before, runs, draft, stored)?;
        let version = Version::of(&record, record.active().number);
        if self.host.claims.other(name, &version.group).is_some() {
            return Err(Refusal::Conflict("the group is another job's".to_owned()));
        }
        let component = component.map(str::to_owned);
        self.actor(name).prepared = Some(Prepared {
            version,
            component,
            told: None,
        });
        let warnings = Vec::new();
        Ok(Switch { record, warnings })
    }

    /// A job that cannot begin is refused. What the pipeline does then is decided by the same
    /// table, from what it finds.
    fn looks_at_the_beginning(
        &mut self,
        name: &str,
        undeployed: Option<bool>,
    ) -> Result<(), Refusal> {
        let (checkpoint, _) = self.log(name).load().unwrap();
        let prepared = self.host.actors[name].prepared.as_ref();
        let version = prepared.expect("it is prepared").version.clone();
        let reset = version.resets(checkpoint.as_ref());
        if checkpoint.is_some() && !reset {
            return Ok(());
        }
        let known = BeginningFacts {
            reset,
            keyed: version.is_keyed(),
            undeployed: undeployed.is_some(),
            wrote: undeployed == Some(true),
            start_said: false,
            rereads: false,
            sinks: &[self.outside.sink(name, &version.target)],
            group: &self.outside.group(&version.group),
        };
        let begins = beginning(&known);
        match &begins {
            Beginning::Refused(error) => return Err(Refusal::Conflict(error.to_string())),
            Beginning::AtMarkers { .. } => self.saw("a job begins at its marker"),
            Beginning::AtGroup => self.saw("a job begins at its group"),
            Beginning::AtStart | Beginning::Anew => {}
        }
        let told = (begins, self.outside.group(&version.group));
        let prepared = self.actor(name).prepared.as_mut();
        prepared.expect("it is prepared").told = Some(told);
        Ok(())
    }
}
