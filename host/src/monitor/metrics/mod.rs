//! Everything that is measured, as Prometheus reads it. Made of what the monitor saw last, so that
//! a scrape costs no job anything.
//!
//! Names follow Prometheus' conventions. A job's label is `streamhost_job`: a label `job` is the
//! scrape's own, and would come out as `exported_job`. What has a label for each partition is
//! bounded by [`limits::METRIC_PARTITIONS_MAX`](streamhost_core::limits::METRIC_PARTITIONS_MAX); all
//! others by the limits of jobs and of what a job may have.

use super::Monitor;
use super::history::History;
use super::process::ProcessFigures;
use crate::api::JobFacts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use streamhost_core::job::ValueHistogram;
use streamhost_engine::pipeline::{MeterTotals, TimeHistogram};

mod host;
mod job;
mod own;
mod parts;
mod trials;

/// What the answer is, for its reader.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// A metric: its samples differ in their labels alone.
struct Family {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    samples: fn(&Scrape<'_>, &mut Samples),
}

/// What samples are made of.
struct Scrape<'s> {
    jobs: Vec<ScrapedJob<'s>>,
    host: host::HostFigures,
    process: ProcessFigures,
    now_ms: i64,
}

/// One job of it.
struct ScrapedJob<'s> {
    facts: &'s JobFacts,
    history: &'s History,
    totals: MeterTotals,
}

type Labels = Vec<(&'static str, String)>;

/// A sample's value.
#[derive(Debug)]
enum Value {
    Whole(u64),
    Real(f64),
    Times(TimeHistogram),
    Values(ValueHistogram),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}

impl From<TimeHistogram> for Value {
    fn from(times: TimeHistogram) -> Self {
        Value::Times(times)
    }
}

impl From<ValueHistogram> for Value {
    fn from(values: ValueHistogram) -> Self {
        Value::Values(values)
    }
}

/// The samples of a family.
#[derive(Debug, Default)]
struct Samples(Vec<(Labels, Value)>);

impl Samples {
    fn add(&mut self, labels: Labels, value: impl Into<Value>) {
        self.0.push((labels, value.into()));
    }

    /// One that may not be known.
    fn known(&mut self, labels: Labels, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }
}

/// The label of a job.
fn of_job(facts: &JobFacts) -> Labels {
    vec![("streamhost_job", facts.status.job.clone())]
}

/// The same with one more.
fn of_part(facts: &JobFacts, label: &'static str, value: &str) -> Labels {
    let mut labels = of_job(facts);
    labels.push((label, value.to_owned()));
    labels
}

/// Milliseconds since 1970 in seconds.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// All families with their samples.
struct Gathered(Vec<(&'static Family, Samples)>);

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = self
            .0
            .iter()
            .map(|(family, samples)| (family.name, samples));
        f.debug_map().entries(named).finish()
    }
}

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (family, samples) in &self.0 {
            // The encoder adds it.
            let name = family.name.strip_suffix("_total").unwrap_or(family.name);
            let mut metric = encoder.encode_descriptor(name, family.help, None, family.kind)?;
            for (labels, value) in &samples.0 {
                encode(metric.encode_family(labels)?, family.kind, value)?;
            }
        }
        Ok(())
    }
}

fn encode(
    mut encoder: MetricEncoder<'_>,
    kind: MetricType,
    value: &Value,
) -> Result<(), std::fmt::Error> {
    let counts = matches!(kind, MetricType::Counter);
    match value {
        Value::Whole(value) if counts => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        Value::Real(value) if counts => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        Value::Whole(value) => encoder.encode_gauge(value),
        Value::Real(value) => encoder.encode_gauge(value),
        Value::Times(times) => {
            let (sum, count) = (times.sum_seconds(), times.count());
            encoder.encode_histogram::<NoLabelSet>(sum, count, &times.buckets(), None)
        }
        Value::Values(values) => {
            let (sum, count) = (values.sum(), values.count());
            encoder.encode_histogram::<NoLabelSet>(sum, count, &values.buckets(), None)
        }
    }
}

impl Monitor {
    /// All metrics in Prometheus' text format.
    pub fn metrics(&self, now_ms: i64) -> String {
        let host = self.host_figures();
        let seen = self.seen();
        let jobs = seen.values().map(|seen| ScrapedJob {
            facts: &seen.facts,
            history: &seen.history,
            totals: seen.facts.meter.totals(),
        });
        let scrape = Scrape {
            jobs: jobs.collect(),
            host,
            process: ProcessFigures::now(),
            now_ms,
        };
        let families = [host::FAMILIES, own::FAMILIES].into_iter();
        let families = families
            .chain(job::FAMILIES)
            .chain(parts::FAMILIES)
            .chain(trials::FAMILIES);
        let gathered = families.flatten().map(|family| {
            let mut samples = Samples::default();
            (family.samples)(&scrape, &mut samples);
            (family, samples)
        });
        let gathered = Gathered(gathered.collect());
        drop(scrape);
        drop(seen);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(gathered));
        let mut text = String::new();
        match prometheus_text::encode(&mut text, &registry) {
            Ok(()) => text,
            Err(error) => unreachable!("a String takes all: {error}"),
        }
    }
}
