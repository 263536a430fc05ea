//! What the measuring programs share: a job of one component over one topic, and a sink that hands
//! its rows to a closure.

use anyhow::{Context, bail};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{DefaultProducerContext, ThreadedProducer};
use std::path::Path;
use std::sync::Arc;
use streamhost_connectors::kafka::{KafkaSettings, KafkaSource};
use streamhost_connectors::registry::Registry;
use streamhost_core::contract::RowShape;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_core::job::validate::check;
use streamhost_core::limits::BATCH_ANSWERS_BYTES_MAX;
use streamhost_core::protocol::{CheckpointLog, Marker};
use streamhost_core::types::{ColumnNames, Guarantee, Measure, RowLimits, Rows};
use streamhost_engine::guest::{GuestVersion, LargeBatches, Maker};
use streamhost_engine::pipeline::{DeploymentSlot, LoadedDeployment, PipelineParts, ShadowSlot};
use streamhost_engine::sink::memory::{Memory, MemoryDeadLetters};
use streamhost_engine::sink::{Delivery, Refusals, Sink, SinkError};
use streamhost_guest::{Compiler, GuestEngine, GuestLimits, Instance};
use streamhost_storage::catalog::sha256;

/// Shows its rows to a closure, and throws them away.
pub(crate) struct Shown<F>(pub(crate) F);

/// What any sink of ours bears.
const LIMITS: RowLimits = RowLimits {
    key_bytes: 1..=32_767,
    cell_bytes_max: 10 << 20,
    row_bytes_max: 10 << 20,
    measure: Measure::Cells,
    columns: ColumnNames::Fields,
};

impl<F: FnMut(&[Rows]) + Send> Sink for Shown<F> {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Idempotent
    }
    fn limits(&self) -> RowLimits {
        LIMITS
    }
    fn reshape(&mut self, _: &SinkSpec) {}
    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        Ok(None)
    }
    fn deliver(
        &mut self,
        _: &Delivery<'_>,
        rows: &[Rows],
        _: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        (self.0)(rows);
        Ok(())
    }
}

/// The component in `file` as the only version of a job that reads `topic` as `source`, its only
/// one if none is named, as soon as it can.
pub(crate) fn active(
    file: &Path,
    source: Option<&str>,
    topic: &str,
    set: &[String],
) -> anyhow::Result<Arc<LoadedDeployment>> {
    let component = std::fs::read(file)
        .with_context(|| format!("{}: `streamhost build` makes it", file.display()))?;
    let cache = std::env::temp_dir().join("streamhost-throughput");
    let guests = GuestEngine::new(&cache, Compiler::Here).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let loaded = guests.load(&sha256(&component), &component, &|| true)?;
    let limits = GuestLimits::default();
    let log: streamhost_engine::guest::LogSink = Arc::new(|_, _: &str| {});
    let raw = Instance::new(&loaded, limits, log.clone())?.describe()?;
    let name = match (source, &raw.sources[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.name.clone(),
        (None, all) => bail!(
            "--source names one of the component's {} sources",
            all.len()
        ),
    };
    let own = [
        ("every".into(), "0".into()),
        (format!("source.{name}"), topic.to_owned()),
    ];
    let set = set.iter().filter_map(|pair| pair.split_once('='));
    let pairs = own
        .into_iter()
        .chain(set.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let settings = Settings::parse(&pairs, JobLimits::default())
        .map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let spec = check(raw, None, &settings, &Registry::default())
        .map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let shapes = spec
        .sinks
        .iter()
        .map(|sink| RowShape::new(sink, LIMITS))
        .collect();
    let make: Maker = Box::new(move || Ok(Box::new(Instance::new(&loaded, limits, log.clone())?)));
    Ok(Arc::new(LoadedDeployment {
        canary: None,
        deployment: 1,
        version: 1,
        settings,
        group: "throughput".into(),
        dead_letter_topic: "throughput.dead-letters".into(),
        start: None,
        reset_at: Some(1),
        replan_at: None,
        guest_version: Arc::new(GuestVersion::new(make, limits.time, shapes, &spec)),
        spec,
    }))
}

/// A reader of the job's sources, all of which are topics.
pub(crate) fn source(
    kafka: &KafkaSettings,
    active: &LoadedDeployment,
    group: &str,
) -> anyhow::Result<KafkaSource> {
    let own = (0..).zip(&active.spec.sources).map(|(i, _)| i).collect();
    Ok(KafkaSource::new(kafka, &active.spec.sources, &own, group)?)
}

/// A pipeline on all cores whose sinks show their rows to a closure.
pub(crate) fn parts(
    active: Arc<LoadedDeployment>,
    source: KafkaSource,
    store: Arc<dyn CheckpointLog>,
    show: impl FnMut(&[Rows]) + Clone + Send + 'static,
) -> PipelineParts {
    PipelineParts {
        job: "throughput".into(),
        sinks: active
            .spec
            .sinks
            .iter()
            .map(|_| Box::new(Shown(show.clone())) as Box<dyn Sink>)
            .collect(),
        active: DeploymentSlot::new(active),
        deployments: Box::new(|_| None),
        known: [1].into(),
        source: Box::new(source),
        dead_letters: Box::new(MemoryDeadLetters::new(&Memory::new(), Guarantee::Marked)),
        store,
        lanes: std::thread::available_parallelism().map_or(1, usize::from),
        large: LargeBatches::new(1, BATCH_ANSWERS_BYTES_MAX),
        replay_only: false,
        skip_lost: false,
        reads_on: false,
        shadow: ShadowSlot::default(),
    }
}

/// A producer that waits so long for more of a batch.
pub(crate) fn producer(
    brokers: &str,
    linger_ms: &str,
) -> anyhow::Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("linger.ms", linger_ms);
    Ok(config
        .set("queue.buffering.max.messages", "500000")
        .create()?)
}

/// A click of about 200 bytes, one in twenty with quantity 0.
pub(crate) fn click(id: &str, i: u64) -> String {
    let (path, student, quantity) = (
        "x".repeat(110),
        i % 1000,
        if i.is_multiple_of(20) { 0 } else { i % 9 + 1 },
    );
    format!(
        "{id},student{student:06},http://example.org/{path},2020-01-01T00:00:00.000,book,{quantity}"
    )
}

/// Partitions of the topics.
pub(crate) const PARTITIONS: i32 = 4;

/// The partition of record `i`.
pub(crate) fn partition(i: u64) -> i32 {
    (i % PARTITIONS as u64) as i32
}
