//! Runs a component without servers: records in, rows and dead letters out, by the executor and the
//! lanes that a host runs it with, over state in memory.

mod bench;
mod input;
mod sample;
mod text;

use bench::{CallMeter, Metered};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use streamhost_connectors::registry::Registry;
use streamhost_core::contract::{GroupQuarantines, RowShape};
use streamhost_core::executor::{Batch, restore_state};
use streamhost_core::executor::{BatchExecutor, BatchInputs, BatchJob, BatchOutcome, Watermark};
use streamhost_core::job::JobSpec;
use streamhost_core::job::settings::{BatchLimits, JobLimits, Settings};
use streamhost_core::job::validate::{check, in_words};
use streamhost_core::limits;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::types::{DeadLetter, TopicOffsets};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::guest::{GuestVersion, Lanes, LogSink, Maker, VersionLanes};
use streamhost_guest::{CompiledJob, Compiler, GuestEngine, GuestLimits, Instance, Parameters};

pub use bench::{Pass, Shares};
pub use input::{Input, InputError, InputFormat};
pub use sample::TopicSample;
pub use text::{Found, Letter, SinkRow};

/// How a run's input is cut into batches. Tables come first in both, and the end of all sources is
/// a batch of its own.
#[derive(Clone, Copy, Debug)]
pub enum Cuts {
    /// One batch.
    Whole,
    /// A batch for each record.
    Single,
    /// Batches that are full by these limits.
    Limits(BatchLimits),
}

/// A component that is loaded, with the job that it describes.
pub struct OfflineJob {
    spec: JobSpec,
    settings: Settings,
    version: Arc<GuestVersion>,
    compiled: Arc<CompiledJob>,
    meter: Arc<CallMeter>,
}

/// The epoch of a run's checkpoints; no other reads them.
const EPOCH: u64 = 1;

impl OfflineJob {
    /// Loads a component. `settings` are those of a deployment, `cache` keeps the
    /// compiled code.
    ///
    /// # Errors
    /// As a deploy: what is wrong with the component or the settings, and how to mend it.
    pub fn load(
        component: &[u8],
        settings: &BTreeMap<String, String>,
        (cache, compiler): (&Path, Compiler),
        log: LogSink,
    ) -> anyhow::Result<OfflineJob> {
        let settings = Settings::parse(settings, JobLimits::default())
            .map_err(|faults| anyhow::anyhow!(in_words(&faults)))?;
        let limits = GuestLimits::from(settings.limits);
        let engine = GuestEngine::new(cache, compiler)
            .map_err(|e| anyhow::anyhow!("the WebAssembly engine does not start: {e:#}"))?;
        let digest = streamhost_storage::catalog::sha256(component);
        let loaded = engine.load(&digest, component, &|| true)?;
        let parameters = Parameters::new(settings.parameters.clone());
        let described = loaded.describe(limits, log.clone(), &parameters)?;
        let connectors = Registry::default();
        let spec = check(described, None, &settings, &connectors)
            .map_err(|faults| anyhow::anyhow!(in_words(&faults)))?;
        let shapes = spec
            .sinks
            .iter()
            .map(|sink| Ok(RowShape::new(sink, connectors.row_limits(sink)?)))
            .collect::<anyhow::Result<_>>()?;
        let (compiled, meter) = (Arc::clone(&loaded), Arc::<CallMeter>::default());
        let metered = Arc::clone(&meter);
        let targets: Arc<[String]> = spec.topics().into();
        let (job, metrics) = (spec.name.clone(), spec.metrics.clone());
        let make: Maker = Box::new(move || {
            let instance = Instance::new(&loaded, limits, log.clone())?;
            let instance = instance.reading(targets.clone()).told(&parameters);
            let instance = instance.measuring(&metrics);
            let instance = instance.of_job(&job);
            Ok(Box::new(Metered::new(instance, &metered)))
        });
        Ok(OfflineJob {
            version: Arc::new(
                GuestVersion::new(make, limits.time, shapes, &spec)
                    .minding_cuts(compiled.minds_cuts()),
            ),
            spec,
            settings,
            compiled,
            meter,
        })
    }

    /// The component.
    pub fn compiled(&self) -> &CompiledJob {
        &self.compiled
    }

    /// The job.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Runs the job on its input, from nothing to the end of all sources. Batches have the times 0,
    /// 1, 2, … ms after 1970, so that a run gives the same another day.
    ///
    /// # Errors
    /// What would stop the job: a fault of the version, or a record that `on-error=stop` stops at.
    pub fn run(&self, input: &Input, cuts: Cuts) -> anyhow::Result<Found> {
        let mut run = Run::begin(self)?;
        let mut found = Found::default();
        for batch in input.batches(&self.spec, cuts) {
            let outcome = run.batch(batch, Watermark::Least { idle: [].into() })?;
            found.take(&self.spec, outcome);
        }
        let last = std::mem::take(&mut run.last);
        let outcome = run.batch(last, Watermark::End)?;
        found.take(&self.spec, outcome);
        Ok(found)
    }
}

/// One run of a job: its state, and the lane that calls the guest.
struct Run<'j> {
    job: &'j OfflineJob,
    lanes: Lanes,
    executor: BatchExecutor,
    checkpoint: Checkpoint,
    store: Arc<MemoryStore>,
    /// A batch without records, at the positions of the last one.
    last: Batch,
}

impl<'j> Run<'j> {
    fn begin(job: &'j OfflineJob) -> anyhow::Result<Run<'j>> {
        let mut lanes = Lanes::start(&job.spec.name, 1, Arc::default())?;
        let store: Arc<MemoryStore> = Arc::default();
        let mut checkpoint = Checkpoint::begin(EPOCH, 1, 0, TopicOffsets::new());
        let mut calls = lanes.calls(&job.version, GroupQuarantines::new());
        checkpoint.stages = restore_state(
            &job.spec,
            &checkpoint.stages,
            EPOCH,
            &*store,
            &mut calls,
            &|| false,
        )?;
        drop(calls);
        let executor = BatchExecutor::after(&checkpoint, store.clone(), limits::STATE_CACHE_BYTES);
        Ok(Run {
            job,
            lanes,
            executor,
            checkpoint,
            store,
            last: Batch::default(),
        })
    }

    fn batch(&mut self, batch: Batch, watermark: Watermark) -> anyhow::Result<BatchOutcome> {
        self.last = BatchBuilder::open(&batch.end_positions(), input::UNBOUNDED).close();
        let given = BatchInputs {
            clock_ms: self.executor.clock_ms(0),
            watermark,
            quarantines: None,
            group_quarantines: GroupQuarantines::new(),
            retries: false,
            time_rules: Some(self.job.settings.time_rules(false)),
        };
        let job = BatchJob {
            spec: &self.job.spec,
            on_error: self.job.settings.on_error,
            memory_bytes: self.job.settings.limits.memory_bytes,
            canary: None,
        };
        let mut workers = VersionLanes::new(&mut self.lanes, &self.job.version);
        let outcome = self
            .executor
            .run_batch(job, batch, given, &mut workers, &|| false)?;
        self.checkpoint.batch = outcome.batch;
        self.checkpoint.times = outcome.times.clone();
        self.checkpoint.stages = outcome.stages.clone();
        self.store
            .write(Some((&self.checkpoint, &outcome.delta)), None)?;
        self.executor.state.settled(outcome.batch);
        Ok(outcome)
    }
}

/// A dead letter's origin as people read it: `source@offset`, or the keyed stage.
fn origin(letter: &DeadLetter) -> String {
    match letter.origin {
        Some((_, offset)) => format!("{}@{offset}", letter.stage),
        None => letter.stage.clone(),
    }
}

#[cfg(test)]
mod tests;
