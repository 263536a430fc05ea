//! A deploy's dry run: asks all that a deploy asks, tells all that it would be refused with, and
//! changes nothing.

use super::beginning::BeginningAsk;
use super::deploy::{check_state, may_change, not_in_the_future, unavailable, wrong_name};
use super::draft::{draft_of, kept, next_record_of, starts, unchanged, with_kept};
use super::provision::Missing;
use super::replan::{kept_stages, price};
use super::{Job, Supervisor};
use crate::api::{ActiveFacts, Checked, DeployRequest, DeploymentFacts, Refusal, StateFate};
use std::sync::Arc;
use streamhost_core::job::names;
use streamhost_core::job::settings::Settings;
use streamhost_core::job::validate::JobDescription;
use streamhost_core::limits;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::state::change::{StateOrigin, stages_after};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::sink::SinkError;
use streamhost_guest::CompiledJob;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::{Undeployed, sha256};

impl Supervisor {
    /// What this component is, and what its deployment would do. `Err`: it is none, or its settings
    /// cannot be read.
    pub(super) fn check_component(
        &self,
        component: &[u8],
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        let settings = self.settings_of(&request.given())?;
        self.signer_of(component)?; // what is not trusted is not compiled either
        let silent: LogSink = Arc::new(|_, _: &str| {});
        let digest = sha256(component);
        let (loaded, described) = self
            .load(&silent, &digest, component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        let own_name = || described.name.clone();
        let name = request.name.clone().unwrap_or_else(own_name);
        let mut checked = Checked {
            digest,
            component_bytes: component.len(),
            contract: loaded.contract().to_owned(),
            imports: loaded.all_imports(),
            spec: None,
            dead_letter_topic: settings.dead_letter_topic(&name),
            exists: Vec::new(),
            errors: Vec::new(),
            warnings: loaded.notice().into_iter().collect(),
            active: None,
            set: request.settings.clone(),
            state: StateFate::None,
            starts: String::new(),
            creates: Vec::new(),
            job: name.clone(),
        };
        if let Err(reason) = names::job(&name) {
            checked.errors.push(wrong_name(&name, &reason));
            checked.job = names::shown(&name, limits::NAME_SHOWN_CHARS_MAX);
            return Ok(checked);
        }
        if let Err(refusal) = not_in_the_future(settings.start) {
            checked.errors.push(refusal.to_string());
        }
        let job = self.job(&name);
        if let Err(refusal) = job.as_deref().map_or(Ok(()), may_change) {
            checked.errors.push(refusal.to_string());
            return Ok(checked);
        }
        checked.active = job.as_deref().map(active_of);
        checked.set = request.settings_after(checked.active.as_ref().map(|active| &active.set))?;
        let (settings, described) = self.described_under(&checked.set, &loaded)?;
        checked.dead_letter_topic = settings.dead_letter_topic(&name);
        let described = (loaded, described, settings);
        self.check_described(&mut checked, described, job.as_deref(), &request)?;
        Ok(checked)
    }

    /// All that is asked of a component that can be read.
    fn check_described(
        &self,
        checked: &mut Checked,
        (loaded, described, settings): (Arc<CompiledJob>, JobDescription, Settings),
        job: Option<&Job>,
        request: &DeployRequest,
    ) -> Result<(), Refusal> {
        let (name, silent): (_, LogSink) = (checked.job.clone(), Arc::new(|_, _: &str| {}));
        let undeployed = self.catalog.undeployed(&name);
        let undeployed = undeployed.map_err(|e| unavailable(&e))?;
        let was_undeployed = undeployed != Undeployed::Never;
        let anew = was_undeployed && !described.stages.is_empty();
        let set = (&checked.set, settings.limits);
        let draft = draft_of(checked.digest.clone(), request, set, anew);
        if job.is_some_and(|job| unchanged(job, &draft).is_some()) {
            let same = "just this is active already: a deploy changes nothing";
            checked.warnings.push(same.to_owned());
        }
        if let Err(refusal) = self.has_room_for(&name) {
            checked.errors.push(refusal.to_string());
        }
        let stored = self.checkpoint_logs.of(&name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let record = match next_record_of(&name, job, draft, (checkpoint.as_ref(), &intents)) {
            Ok(record) => record,
            Err(refusal) => {
                checked.errors.push(refusal.to_string());
                return Ok(());
            }
        };
        let active = self.prove(
            &silent,
            loaded,
            described,
            settings,
            record.active(),
            &record,
        );
        match active {
            Ok(active) => {
                let kept = checkpoint.as_ref();
                let says_start = starts(request, &checked.set, kept);
                let asked = BeginningAsk::of(&active, kept, undeployed, request, says_start);
                match price(&active, request.replan, &intents) {
                    Ok(given_up) => checked.warnings.extend(given_up),
                    Err(refusal) => checked.errors.push(refusal.to_string()),
                }
                let before = (checkpoint.as_ref(), &intents[..]);
                self.check_active(checked, &active, request.create_tables, before, asked);
                checked.spec = Some(Arc::new(active.spec));
            }
            Err(reason) => {
                let kept = kept(request, &checked.set);
                checked.errors.push(with_kept(reason, &kept));
            }
        }
        Ok(())
    }

    /// All that is asked of a version that is valid by itself.
    pub(super) fn check_active(
        &self,
        checked: &mut Checked,
        active: &LoadedDeployment,
        create: bool,
        (checkpoint, intents): (Option<&Checkpoint>, &[BatchIntent]),
        asked: BeginningAsk,
    ) {
        checked.state = state_of(active, checkpoint, intents);
        if let Err(refusal) = self.is_allowed(active) {
            checked.errors.push(refusal.to_string()); // no server is asked for what is not allowed
            return;
        }
        let refused = [
            check_state(active, checkpoint, intents),
            self.own_group(&active.spec.name, &active.group),
        ];
        let refused = refused.into_iter().filter_map(Result::err);
        checked
            .errors
            .extend(refused.map(|refusal| refusal.to_string()));
        match self.memory_fits(active) {
            Ok(tight) => checked.warnings.extend(tight),
            Err(refusal) => checked.errors.push(refusal.to_string()),
        }
        let mut missing = Missing::default();
        self.check_sinks(checked, active, create, &mut missing);
        if create {
            self.check_topics(checked, active, &mut missing);
        }
        match self.beginning_of(active, &missing, asked) {
            Ok((begins, warning)) => {
                checked.starts = begins.in_short(asked);
                checked.warnings.extend(warning);
            }
            Err(refusal) => checked.errors.push(refusal.to_string()),
        }
        checked.warnings.extend(self.shared_tables(active));
        if let Err(fault) = active.guest_version.warm(1) {
            checked.errors.push(fault.to_string());
        }
    }

    fn check_sinks(
        &self,
        checked: &mut Checked,
        active: &LoadedDeployment,
        create: bool,
        missing: &mut Missing,
    ) {
        for sink in &active.spec.sinks {
            let found = self.is_missing(sink, create);
            checked.exists.push(match &found {
                Ok(is_missing) => Some(!is_missing),
                Err(SinkError::TableMissing { .. }) => Some(false),
                Err(SinkError::Away { .. } | SinkError::Denied { .. }) => None,
                // It may be refused for not being there: it is asked whether it could be created.
                Err(_) => Some(!self.is_missing(sink, true).unwrap_or(false)),
            });
            match found {
                Ok(true) => {
                    checked.creates.push(Supervisor::target_words(sink));
                    missing.sinks.push(sink.clone());
                }
                Ok(false) => {}
                Err(error) => checked.errors.push(error.to_string()),
            }
        }
    }

    fn check_topics(
        &self,
        checked: &mut Checked,
        active: &LoadedDeployment,
        missing: &mut Missing,
    ) {
        for source in &active.spec.sources {
            match self.is_source_missing(source, true) {
                Ok(true) => {
                    checked.creates.push(format!("topic `{}`", source.target));
                    missing.sources.push(source.clone());
                }
                Ok(false) => {}
                Err(refusal) => checked.errors.push(refusal.to_string()),
            }
        }
    }
}

pub(super) fn active_of(job: &Job) -> ActiveFacts {
    let state = job.state();
    let active = state.record.active();
    let loaded = state.active.as_ref().map(|cell| cell.get());
    ActiveFacts {
        deployment: DeploymentFacts {
            number: active.number,
            version: active.version,
            at_ms: active.at_ms,
        },
        digest: active.digest.clone(),
        spec: loaded.map(|loaded| Arc::new(loaded.spec.clone())),
        set: active.settings.clone(),
    }
}

fn state_of(
    active: &LoadedDeployment,
    checkpoint: Option<&Checkpoint>,
    intents: &[BatchIntent],
) -> StateFate {
    let kept = checkpoint.filter(|checkpoint| !active.resets(Some(checkpoint)));
    let Some(checkpoint) = kept else {
        return StateFate::None;
    };
    let stages = kept_stages(active, checkpoint, intents);
    match stages_after(stages, &active.spec, checkpoint.epoch) {
        Err(_) => StateFate::NeedsReset,
        Ok(changes) => {
            let is = |how: fn(&StateOrigin) -> bool| changes.iter().any(|change| how(&change.how));
            match () {
                () if is(|how| matches!(how, StateOrigin::Migrated { .. })) => StateFate::Migrated,
                () if is(|how| matches!(how, StateOrigin::CarriedOn)) => StateFate::Kept,
                () => StateFate::None,
            }
        }
    }
}
