//! Makes what a job runs on: its version ready to run, its source, its sinks, its pipeline.

use super::watch::End;
use super::{Job, Supervisor};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use streamhost_connectors::connector::{SinkContext, SourceContext};
use streamhost_connectors::kafka::KafkaDeadLetters;
use streamhost_core::contract::RowShape;
use streamhost_core::job::settings::Settings;
use streamhost_core::job::validate::{JobDescription, check, in_words};
use streamhost_core::job::{DeploymentRecord, JobRecord, JobSpec, SinkSpec};
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::system;
use streamhost_engine::guest::{GuestVersion, LogSink, Maker};
use streamhost_engine::pipeline::{
    DeploymentSlot, LoadedDeployment, Pipeline, PipelineExit, PipelineParts, PipelineStatus,
};
use streamhost_engine::sink::{CancelSignal, Sink};
use streamhost_guest::compiler::Wanted;
use streamhost_guest::{CompiledJob, GuestLimits, Instance, Parameters};

impl Supervisor {
    /// A stored deployment, ready to run. `Err`: why it cannot be.
    pub(super) fn activate(
        &self,
        job: &Job,
        record: &JobRecord,
        deployment: &DeploymentRecord,
    ) -> Result<Arc<LoadedDeployment>, String> {
        let component = self
            .catalog
            .component(&deployment.digest)
            .map_err(|e| e.to_string())?;
        // Its own limits, not the host's present ones: a batch that was planned under them is run
        // again under them.
        let limits = deployment.limits.unwrap_or(self.environment.limits);
        let settings = Settings::parse(&deployment.settings, limits).map_err(|f| in_words(&f))?;
        let log = job.log_sink(deployment.version);
        let (loaded, described) =
            self.load(&log, &deployment.digest, &component, &settings, &|| true)?;
        let active = self.prove(&log, loaded, described, settings, deployment, record)?;
        Ok(Arc::new(active))
    }

    /// Proves what a loaded component describes. `Err` says how to mend it.
    pub(super) fn prove(
        &self,
        log: &LogSink,
        loaded: Arc<CompiledJob>,
        raw: JobDescription,
        settings: Settings,
        deployment: &DeploymentRecord,
        record: &JobRecord,
    ) -> Result<LoadedDeployment, String> {
        let connectors = &self.environment.connectors;
        let spec = check(raw, Some(&record.name), &settings, connectors)
            .map_err(|faults| in_words(&faults))?;
        let shape = |sink| {
            let limits = connectors.row_limits(sink).map_err(|e| e.to_string())?;
            Ok(RowShape::new(sink, limits))
        };
        let shapes: Vec<_> = spec
            .sinks
            .iter()
            .map(shape)
            .collect::<Result<_, String>>()?;
        let (limits, log) = (GuestLimits::from(settings.limits), log.clone());
        let targets: Arc<[String]> = spec.topics().into();
        let parameters = Parameters::new(settings.parameters.clone());
        let (minds_cuts, job) = (loaded.minds_cuts(), spec.name.clone());
        let make: Maker = Box::new(move || {
            let instance = Instance::new(&loaded, limits, log.clone())?;
            let instance = instance.reading(targets.clone()).told(&parameters);
            Ok(Box::new(instance.of_job(&job)))
        });
        let version = GuestVersion::new(make, limits.time, shapes, &spec);
        let explicit = deployment.reset || deployment.settings.contains_key("start");
        Ok(LoadedDeployment {
            deployment: deployment.number,
            version: deployment.version,
            group: settings
                .group
                .clone()
                .unwrap_or_else(|| self.usual_group(&spec.name)),
            dead_letter_topic: settings.dead_letter_topic(&spec.name),
            start: explicit.then_some(settings.start),
            reset_at: record.reset_at(deployment.number),
            replan_at: record.replan_at(deployment.number),
            guest_version: Arc::new(version.minding_cuts(minds_cuts)),
            spec,
            settings,
        })
    }

    /// Loads a component and asks what its job is. `Err` says how to mend it. Compiling it ends once
    /// it is no longer `wanted`, or the host stops.
    pub(super) fn load(
        &self,
        log: &LogSink,
        digest: &str,
        bytes: &[u8],
        settings: &Settings,
        wanted: Wanted<'_>,
    ) -> Result<(Arc<CompiledJob>, JobDescription), String> {
        let wanted = || wanted() && !self.turns.is_closed();
        let loaded = self
            .guests
            .load(digest, bytes, &wanted)
            .map_err(|e| e.to_string())?;
        let raw = described(&loaded, log, settings)?;
        Ok((loaded, raw))
    }

    /// The consumer group of a job that is given none, and what its transactional ids begin with.
    pub(super) fn usual_group(&self, job: &str) -> String {
        format!("{}.{job}", self.environment.owner)
    }

    pub(super) fn sink(
        &self,
        job: &JobSpec,
        sink: &SinkSpec,
        cancel: &CancelSignal,
    ) -> Result<Box<dyn Sink>, String> {
        let connector = self.environment.connectors.sink(sink);
        let context = SinkContext {
            sources: &job.sources,
            owner: &self.usual_group(&job.name),
            cancel,
        };
        Ok(connector.map_err(|e| e.to_string())?.open(sink, &context))
    }

    /// Starts the job's pipeline anew from its record, if `go`; else only proves that it could be.
    pub(super) fn restart(&self, job: &Arc<Job>, go: bool) -> Result<(), String> {
        let record = job.state().record.clone();
        let active = self.activate(job, &record, record.active())?;
        {
            let mut state = job.state();
            state.active = Some(DeploymentSlot::new(active.clone()));
            state.failed = None;
        }
        if go {
            self.start(job, active, &record)
        } else {
            Ok(())
        }
    }

    /// Starts a pipeline for `active`: first for intents of a deployment with other places, if
    /// there are any.
    pub(super) fn start(
        &self,
        job: &Arc<Job>,
        active: Arc<LoadedDeployment>,
        record: &JobRecord,
    ) -> Result<(), String> {
        let store = Arc::new(self.checkpoint_logs.of(&job.name));
        let (checkpoint, intents) = store.load().map_err(|e| e.to_string())?;
        if !active.resets(checkpoint.as_ref())
            && !active.replans(&intents)
            && let Some(number) = intents
                .first()
                .map(|spec| spec.deployment)
                .filter(|n| *n != active.deployment)
            && let Some(before) = record.deployments.iter().find(|d| d.number == number)
        {
            let before = self.activate(job, record, before)?;
            if !before.can_hot_swap(&active) {
                return self.launch(job, before, record, store, true);
            }
        }
        self.launch(job, active, record, store, false)
    }

    fn letters(&self, active: &LoadedDeployment, cancel: &CancelSignal) -> KafkaDeadLetters {
        let (kafka, topic) = (&self.environment.kafka, &active.dead_letter_topic);
        let owner = self.usual_group(&active.spec.name);
        KafkaDeadLetters::new(kafka, topic, &active.spec, &owner, cancel)
    }

    fn launch(
        &self,
        job: &Arc<Job>,
        active: Arc<LoadedDeployment>,
        record: &JobRecord,
        store: Arc<dyn CheckpointLog>,
        replay_only: bool,
    ) -> Result<(), String> {
        let spec = &active.spec;
        let until_end = active.settings.until_end;
        let context = SourceContext {
            sources: &spec.sources,
            group: &active.group,
            until_end,
        };
        let source = self.environment.connectors.open_sources(&context);
        let source = source.map_err(|e| e.to_string())?;
        let deployments = self.deployments(job, &active, record);
        let cancel = CancelSignal::default();
        let sinks = spec.sinks.iter();
        let sinks = sinks.map(|sink| self.sink(spec, sink, &cancel));
        let sinks = sinks.collect::<Result<_, _>>()?;
        let letters = self.letters(&active, &cancel);
        let mut state = job.state();
        if self.turns.is_closed() {
            return Err("the host is stopping".to_owned());
        }
        state.life += 1;
        state.cancel = cancel.clone();
        let meter = state.pipeline_status.meter.clone();
        state.pipeline_status = Arc::new(PipelineStatus::telling(job.teller()).measuring(meter));
        state.failed = None;
        let cell = match (&state.active, replay_only) {
            (Some(cell), false) => cell.clone(),
            _ => DeploymentSlot::new(active.clone()),
        };
        // The pipeline that only delivers what was planned before passes it on to the one that
        // reads on.
        let (skip_lost, reads_on) = match replay_only {
            true => (state.skip_lost, state.reads_on),
            false => (
                std::mem::take(&mut state.skip_lost),
                std::mem::take(&mut state.reads_on),
            ),
        };
        let parts = PipelineParts {
            job: job.name.clone(),
            active: cell,
            known: record.deployments.iter().map(|d| d.number).collect(),
            deployments,
            source,
            sinks,
            dead_letters: Box::new(letters),
            store,
            lanes: self.environment.lanes,
            large: self.large.clone(),
            replay_only,
            skip_lost,
            reads_on,
        };
        let tell = self.teller_of_end(job, state.life, replay_only);
        let pipeline = Pipeline::start(parts, state.pipeline_status.clone(), tell);
        state.pipeline = Some(
            pipeline
                .map_err(|e| system::with_limit(format_args!("no thread can be started: {e}")))?,
        );
        Ok(())
    }

    /// Tells the supervisor of a pipeline's end.
    fn teller_of_end(
        &self,
        job: &Job,
        life: u64,
        replay_only: bool,
    ) -> impl FnOnce(&PipelineExit, bool) + Send + use<> {
        let lock = self.ended.lock();
        let ended = lock.unwrap_or_else(PoisonError::into_inner).clone();
        let job = job.name.clone();
        move |end: &PipelineExit, overtaken: bool| {
            let ended_now = End {
                job,
                life,
                ended: end.clone(),
                replay_only,
                overtaken,
            };
            drop(ended.send(ended_now)); // nobody listens any more: the host ends
        }
    }

    /// The deployments that intents of before may name. There are at most a few of them, so they
    /// are made ready now.
    fn deployments(
        &self,
        job: &Job,
        active: &Arc<LoadedDeployment>,
        record: &JobRecord,
    ) -> streamhost_engine::pipeline::Deployments {
        let intents = self
            .checkpoint_logs
            .of(&job.name)
            .load()
            .map(|(_, intents)| intents)
            .unwrap_or_default();
        let mut ready: BTreeMap<u64, Arc<LoadedDeployment>> =
            [(active.deployment, active.clone())].into();
        for spec in intents {
            if let Some(deployment) = record
                .deployments
                .iter()
                .find(|d| d.number == spec.deployment)
                && !ready.contains_key(&spec.deployment)
            {
                match self.activate(job, record, deployment) {
                    Ok(found) => drop(ready.insert(spec.deployment, found)),
                    Err(reason) => {
                        let number = spec.deployment;
                        job.say(
                            tracing::Level::ERROR,
                            &format!("deployment {number} cannot be loaded: {reason}"),
                        );
                    }
                }
            }
        }
        Box::new(move |number| ready.get(&number).cloned())
    }
}

/// What a component says of its job under these settings: it may follow from parameters. `Err` says
/// how to mend it.
pub(super) fn described(
    loaded: &CompiledJob,
    log: &LogSink,
    settings: &Settings,
) -> Result<JobDescription, String> {
    let parameters = Parameters::new(settings.parameters.clone());
    loaded
        .describe(settings.limits.into(), log.clone(), &parameters)
        .map_err(|e| e.to_string())
}
