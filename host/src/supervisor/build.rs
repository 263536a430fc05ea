//! Makes what a job runs on: its version ready to run, its source, its sinks, its pipeline.

use super::actor::Desk;
use super::canary::{deployment_of, with_canary};
use super::machine::planned_before;
use super::{Job, Supervisor};
use std::collections::BTreeMap;
use std::sync::Arc;
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
        let mut active = self.activate_alone(job, record, deployment)?;
        if let Some(canary) = &deployment.canary {
            let own = deployment_of(deployment, canary);
            let canary_of = self.activate_alone(job, record, &own)?;
            active = with_canary(active, canary_of, canary.share.clone())?;
        }
        Ok(Arc::new(active))
    }

    /// The same without its canary.
    pub(super) fn activate_alone(
        &self,
        job: &Job,
        record: &JobRecord,
        deployment: &DeploymentRecord,
    ) -> Result<LoadedDeployment, String> {
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
        self.prove(&log, loaded, described, settings, deployment, record)
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
        let metrics = spec.metrics.clone();
        let make: Maker = Box::new(move || {
            let instance = Instance::new(&loaded, limits, log.clone())?;
            let instance = instance.reading(targets.clone()).told(&parameters);
            let instance = instance.measuring(&metrics);
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
            canary: None,
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
        let wanted = || wanted() && !self.is_closing();
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

    fn letters(&self, active: &LoadedDeployment, cancel: &CancelSignal) -> KafkaDeadLetters {
        let (kafka, topic) = (&self.environment.kafka, &active.dead_letter_topic);
        let owner = self.usual_group(&active.spec.name);
        KafkaDeadLetters::new(kafka, topic, &active.spec, &owner, cancel)
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

impl Desk {
    /// Starts a pipeline for the deployment that is loaded: first for intents of a deployment with
    /// other places, if there are any. True: for those alone.
    pub(super) fn start(
        &mut self,
        host: &Supervisor,
        life: u64,
        said: (bool, bool),
    ) -> Result<bool, String> {
        let job = self.job.clone().ok_or("there is no such job")?;
        let record = self.control.record().ok_or("it has no record")?.clone();
        let slot = job.state().active.clone().ok_or("nothing is loaded")?;
        let (log, active) = (host.checkpoint_logs.of(&job.name), slot.get());
        let (checkpoint, intents) = log.load().map_err(|e| e.to_string())?;
        let gives_up = active.resets(checkpoint.as_ref()) || active.replans(&intents);
        let before = planned_before(&record, active.deployment, &intents);
        if let Some(before) = before.filter(|_| !gives_up) {
            let before = host.activate(&job, &record, before)?;
            if !before.can_hot_swap(&active) {
                let slot = DeploymentSlot::new(before);
                self.launch(host, (&job, &record), slot, (life, true), said)?;
                return Ok(true);
            }
        }
        self.launch(host, (&job, &record), slot, (life, false), said)?;
        Ok(false)
    }

    fn launch(
        &mut self,
        host: &Supervisor,
        (job, record): (&Arc<Job>, &JobRecord),
        slot: DeploymentSlot,
        (life, replay_only): (u64, bool),
        (skip_lost, reads_on): (bool, bool),
    ) -> Result<(), String> {
        let active = slot.get();
        let spec = &active.spec;
        let context = SourceContext {
            sources: &spec.sources,
            group: &active.group,
            until_end: active.settings.until_end,
        };
        let source = host.environment.connectors.open_sources(&context);
        let source = source.map_err(|e| e.to_string())?;
        let deployments = host.deployments(job, &active, record);
        let cancel = CancelSignal::default();
        let sinks = spec.sinks.iter();
        let sinks = sinks.map(|sink| host.sink(spec, sink, &cancel));
        let sinks = sinks.collect::<Result<_, _>>()?;
        let letters = host.letters(&active, &cancel);
        let parts = PipelineParts {
            job: job.name.clone(),
            active: slot,
            known: record.deployments.iter().map(|d| d.number).collect(),
            deployments,
            source,
            sinks,
            dead_letters: Box::new(letters),
            store: Arc::new(host.checkpoint_logs.of(&job.name)),
            lanes: host.environment.lanes,
            large: host.large.clone(),
            replay_only,
            skip_lost,
            reads_on,
            shadow: job.shadows.slot.clone(),
        };
        let mut state = job.state();
        if host.is_closing() {
            return Err("the host is stopping".to_owned());
        }
        let meter = state.pipeline_status.meter.clone();
        let (host, name) = (host.me.clone(), job.name.clone());
        let (judge, judged) = (host.clone(), name.clone());
        let over = move |over| {
            if let Some(host) = judge.upgrade() {
                host.tell_over_budget(&judged, over);
            }
        };
        let status = PipelineStatus::telling(job.teller()).measuring(meter);
        let status = Arc::new(status.judging(Box::new(over)));
        state.pipeline_status = status.clone();
        let tell = move |exit: &PipelineExit, overtaken: bool| {
            if let Some(host) = host.upgrade() {
                host.tell_end(&name, life, exit.clone(), overtaken);
            }
        };
        let pipeline = Pipeline::start(parts, status, tell);
        let started = pipeline
            .map_err(|e| system::with_limit(format_args!("no thread can be started: {e}")))?;
        (self.pipeline, self.cancel) = (Some(started), cancel);
        Ok(())
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
