//! Begins a job from a savepoint: all checks of a deploy, then its state, and then, in one write, its
//! checkpoint and its record.

use super::actor::{DeployAsk, Ready};
use super::beginning::BeginningAsk;
use super::deploy::{check_state, unavailable, wrong_name};
use super::draft::{Set, kept, with_kept};
use super::provision::Missing;
use super::{Asked, Job, Supervisor};
use crate::api::{Deployed, Refusal, RestoreRequest};
use saved::Saved;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use streamhost_connectors::connector::SourceContext;
use streamhost_core::job::settings::Settings;
use streamhost_core::job::validate::JobDescription;
use streamhost_core::job::{DeploymentRecord, JobRecord, names};
use streamhost_core::protocol::recovery_policy::SinkFacts;
use streamhost_core::protocol::savepoint::{Above, already_written, begun_from};
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::state::StageId;
use streamhost_core::types::by_partition;
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::checkpoint_log::Import;

mod check;
pub(super) mod saved;

/// A savepoint whose active version is compiled, and what is asked of it.
pub(super) struct RestoreAsk {
    pub(super) saved: Saved,
    pub(super) deploy: DeployAsk,
    pub(super) repeats: bool,
    /// The settings that the job will have.
    pub(super) set: Set,
}

/// What is stored with the record of a job that begins from a savepoint.
pub(super) struct Restored {
    pub(super) saved: Saved,
    pub(super) import: Import,
}

/// A version that was found to fit, and what it begins with.
struct Fit {
    active: LoadedDeployment,
    checkpoint: Checkpoint,
    /// Where the stages' state is to be, in the order of their names.
    ids: Vec<StageId>,
    warnings: Vec<String>,
    missing: Missing,
}

impl Supervisor {
    /// Begins a job from a savepoint.
    pub(super) fn restore_job(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        let ask = self.restore_ask(savepoint, request, wanted)?;
        let name = ask.deploy.name.clone();
        let told = self.ask(&name, Asked::Restore(Box::new(ask)))?;
        self.with_beginning(&name, told)
    }

    /// Reads all of a savepoint, and compiles its active version.
    fn restore_ask(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<RestoreAsk, Refusal> {
        let deploy = request.deploy;
        if deploy.reset_state || deploy.replan {
            return Err(Refusal::Invalid(
                "a job that begins from a savepoint goes on from its state and positions: it takes no --reset-state and no --replan"
                    .to_owned(),
            ));
        }
        let mut saved = Saved::read(savepoint)?;
        self.check_signers(&mut saved)?; // before any code of it is compiled
        let (name, active) = (deploy.name.clone(), saved.record.active().clone());
        let name = name.unwrap_or_else(|| saved.record.name.clone());
        names::job(&name).map_err(|reason| Refusal::Invalid(wrong_name(&name, &reason)))?;
        let set = deploy.settings_after(Some(&active.settings))?;
        let settings = self.settings_of(&set)?;
        let component = saved.component(&active.digest)?;
        let signed_by = self.signer_of(&component)?;
        let silent: LogSink = Arc::new(|_, _: &str| {}); // the job that logs is not there yet
        let (loaded, _) = self
            .load(&silent, &active.digest, &component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        Ok(RestoreAsk {
            saved,
            deploy: DeployAsk {
                name,
                component,
                digest: active.digest,
                signed_by,
                request: deploy,
                loaded,
            },
            repeats: request.repeat_rows,
            set,
        })
    }

    /// Checks all that could refuse the job, and only then writes its state, which is nobody's until
    /// its record is stored.
    pub(super) fn prepare_restore(
        &self,
        job: Option<&Arc<Job>>,
        ask: RestoreAsk,
    ) -> Result<Ready, Refusal> {
        let name = ask.deploy.name.clone();
        let described = self.described_under(&ask.set, &ask.deploy.loaded)?;
        is_free(job.map(|job| &**job), &name)?;
        self.has_room_for(&name)?;
        let job = Arc::new(Job::new(ask.record(described.0.limits), &self.logs));
        let fit = self.fit(&ask, &job, described)?;
        let active = Arc::new(fit.active);
        self.warm(&active)?;
        let import = self.import(&ask.saved, &name, fit.checkpoint, &fit.ids)?;
        self.create_targets(&fit.missing)?;
        let kept = kept(&ask.deploy.request, &ask.set);
        let said = (fit.warnings, Vec::new(), kept);
        let batch = import.checkpoint().batch;
        let record = job.state().record.clone();
        let ready = self.ready(job, record, None, active, said);
        let Ready::Switch(mut switch, mut prepared) = ready else {
            return Ok(ready);
        };
        switch.record.active_mut().since_batch = batch;
        let saved = ask.saved;
        prepared.restored = Some(Restored { saved, import });
        Ok(Ready::Switch(switch, prepared))
    }

    /// All that a version is asked before anything is written.
    fn fit(
        &self,
        ask: &RestoreAsk,
        job: &Job,
        (settings, described): (Settings, JobDescription),
    ) -> Result<Fit, Refusal> {
        let (request, name) = (&ask.deploy.request, &ask.deploy.name);
        let record = job.state().record.clone();
        let log = job.log_sink(record.active().version);
        let loaded = ask.deploy.loaded.clone();
        let active = self.prove(&log, loaded, described, settings, record.active(), &record);
        let kept = kept(request, &ask.set);
        let active = active.map_err(|reason| Refusal::Invalid(with_kept(reason, &kept)))?;
        self.is_allowed(&active)?;
        check_state(&active, Some(&ask.saved.checkpoint), &[])?;
        self.own_group(name, &active.group)?;
        let tight = self.memory_fits(&active)?;
        let missing = self.missing_targets(&active, request.create_tables)?;
        self.beginning_of(&active, &missing, goes_on())?;
        let (checkpoint, ids) = self.begun(ask, &active)?;
        let mut warnings = self.lost_since(&active, &missing, &checkpoint)?;
        warnings.extend(ahead_of_clock(checkpoint.time_ms));
        warnings.extend(ask.deploy.loaded.notice());
        warnings.extend(tight);
        warnings.extend(ask.saved.left_out.clone());
        Ok(Fit {
            active,
            checkpoint,
            ids,
            warnings,
            missing,
        })
    }

    /// The checkpoint that the job begins with, if its exactly-once sinks let it. They are asked once
    /// more when the job starts, and nobody else can write to them.
    fn begun(
        &self,
        ask: &RestoreAsk,
        active: &LoadedDeployment,
    ) -> Result<(Checkpoint, Vec<StageId>), Refusal> {
        let sinks = self.marked_sinks(active)?;
        let markers = |sink: &SinkFacts| [sink.marker.clone(), sink.elsewhere.clone()];
        let epochs = sinks.iter().flat_map(markers).flatten();
        let forgotten_ms = self.checkpoint_logs.of(&ask.deploy.name).forgotten_ms();
        let above = Above {
            forgotten_ms: forgotten_ms.map_err(|e| unavailable(&e))?,
            epoch: epochs.map(|marker| marker.epoch).max().unwrap_or(0),
            now_ms: clock::now_ms(),
        };
        let (checkpoint, ids) = begun_from(&ask.saved.checkpoint, above, ask.repeats);
        let keyed = !active.spec.stages.is_empty();
        let fits = already_written(&checkpoint, &[], &sinks, keyed);
        match fits {
            Ok(_) => Ok((checkpoint, ids)),
            Err(error) => Err(Refusal::Conflict(error.to_string())),
        }
    }

    /// What the sources do not have any more of what comes after the savepoint: the job stops there,
    /// and its user says whether it goes on.
    fn lost_since(
        &self,
        active: &LoadedDeployment,
        missing: &Missing,
        checkpoint: &Checkpoint,
    ) -> Result<Vec<String>, Refusal> {
        if !missing.sources.is_empty() {
            return Ok(vec![format!(
                "a source was not there and is created, so the records after the savepoint are not in it: the job will stop and say so; `streamhost resume {} --skip-lost` goes on without them",
                active.spec.name
            )]);
        }
        let context = SourceContext {
            sources: &active.spec.sources,
            group: &active.group,
            until_end: false,
        };
        let source = self.environment.connectors.open_sources(&context);
        let mut source = source.map_err(|e| Refusal::Invalid(e.to_string()))?;
        let topics = active.topics();
        let ids = source.topic_ids().map_err(|e| unavailable(&e))?;
        let is_anew = |topic: &&String| {
            let before = checkpoint.topic_ids.get(*topic);
            before.is_some_and(|before| ids.get(*topic).is_some_and(|now| now != before))
        };
        let anew = topics.iter().filter(is_anew);
        let mut gone: Vec<String> = anew
            .map(|topic| format!("topic `{topic}` is another one than that of the savepoint"))
            .collect();
        if gone.is_empty() {
            let at = by_partition(&topics, &checkpoint.committed);
            let lost = source.lost(&at).map_err(|e| unavailable(&e))?;
            gone.extend(lost.into_iter().map(|(partition, goes_on)| {
                let topic = &topics[usize::from(partition.source)];
                let (id, from) = (partition.id, at.get(&partition).copied().unwrap_or(0));
                format!("offsets {from} to {goes_on} of `{topic}` partition {id} are gone")
            }));
        }
        let job = &active.spec.name;
        let told = |what| {
            format!(
                "{what}: the job will stop and say so; `streamhost resume {job} --skip-lost` goes on without what is lost"
            )
        };
        Ok(gone.into_iter().map(told).collect())
    }

    /// Writes the state of a job that is not there yet.
    fn import(
        &self,
        saved: &Saved,
        name: &str,
        checkpoint: Checkpoint,
        ids: &[StageId],
    ) -> Result<Import, Refusal> {
        let import = self.checkpoint_logs.import(name, checkpoint);
        let mut import = import.map_err(|e| unavailable(&e))?;
        saved.import_into(&mut import, ids)?;
        Ok(import)
    }
}

impl RestoreAsk {
    /// The savepoint's record with one deployment more, which begins the job here.
    fn record(&self, limits: streamhost_core::job::settings::JobLimits) -> JobRecord {
        let mut record = self.saved.record.clone();
        record.name.clone_from(&self.deploy.name);
        record.paused = false;
        let before = record.active().clone();
        let (digest, settings) = (before.digest.clone(), self.set.clone());
        let (batch, taken) = (self.saved.checkpoint.batch, self.saved.taken_ms);
        let taken = clock::rfc3339(taken);
        let deployment = DeploymentRecord {
            number: before.number + 1,
            version: record.version_of(&digest, &settings),
            at_ms: clock::now_ms(),
            reason: Some(format!(
                "from the savepoint of batch {batch}, taken at {taken}"
            )),
            settings,
            reset: false,
            replan: false,
            limits: Some(limits),
            signed_by: self.deploy.signed_by.clone(),
            since_batch: batch,
            restored: true,
            canary: None, // what it begins with is the active version
            kind: streamhost_core::job::DeploymentKind::Deploy,
            ..before
        };
        record.push(deployment, &Default::default());
        record
    }
}

/// A job of the name must not be there: whatever it has would be gone.
fn is_free(job: Option<&Job>, name: &str) -> Result<(), Refusal> {
    match job {
        Some(_) => Err(Refusal::Conflict(format!(
            "job `{name}` is there already: `streamhost undeploy {name}` it first, or begin another one with --name"
        ))),
        None => Ok(()),
    }
}

/// It begins at its checkpoint, whatever the group holds.
fn goes_on() -> BeginningAsk {
    BeginningAsk {
        has_checkpoint: true,
        ..BeginningAsk::default()
    }
}

fn ahead_of_clock(time_ms: i64) -> Option<String> {
    let ahead = u64::try_from(time_ms - clock::now_ms()).unwrap_or(0);
    (Duration::from_millis(ahead) > limits::CLOCK_AHEAD_MAX).then(|| {
        format!(
            "rows are given times from {} on, so that those do not hide them which the job has written before by a clock that was ahead",
            clock::rfc3339(time_ms)
        )
    })
}
