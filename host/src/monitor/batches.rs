//! A job's last batches, by step.

use super::ms;
use crate::api::JobFacts;
use serde::Serialize;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::BatchTrace;
use utoipa::ToSchema;

/// What a step has to take to be told, in milliseconds.
const STEP_MS_MIN: f64 = 0.1;

/// A job's last batches.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Batches {
    every_ms: u64,
    kept_max: usize,
    batches: Vec<Batch>,
}

/// One durable batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Batch {
    number: u64,
    version: u64,
    deployment: u64,
    began: String,
    records: u64,
    bytes: u64,
    rows: u64,
    dropped: u64,
    late: u64,
    dead_letters: u64,
    retries: u64,
    steps: Vec<Step>,
    sinks: Vec<SinkPart>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BatchStep)]
struct Step {
    step: &'static str,
    at_ms: f64,
    ms: f64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BatchSink)]
struct SinkPart {
    sink: String,
    rows: u64,
    ms: f64,
}

impl Batches {
    pub(super) fn of(facts: &JobFacts) -> Batches {
        Batches {
            every_ms: facts.status.every_ms,
            kept_max: limits::BATCHES_KEPT_MAX,
            batches: Batch::after(facts, 0).0,
        }
    }
}

impl Batch {
    pub(super) fn after(facts: &JobFacts, count: u64) -> (Vec<Batch>, u64) {
        let (traces, count) = facts.meter.batches_after(count);
        (traces.into_iter().map(Batch::from).collect(), count)
    }
}

impl From<BatchTrace> for Batch {
    fn from(trace: BatchTrace) -> Self {
        let steps = trace.steps.iter().map(|time| Step {
            step: time.step.name(),
            at_ms: ms(time.at),
            ms: ms(time.took),
        });
        let sinks = trace.sinks.iter().filter_map(|part| {
            Some(SinkPart {
                sink: part.sink.clone()?,
                rows: part.rows,
                ms: ms(part.took),
            })
        });
        Batch {
            number: trace.number,
            version: trace.version,
            deployment: trace.deployment,
            began: clock::rfc3339(trace.began_ms),
            records: trace.records,
            bytes: trace.bytes,
            rows: trace.rows,
            dropped: trace.dropped,
            late: trace.late,
            dead_letters: trace.dead_letters,
            retries: trace.retries,
            steps: steps.filter(|step| step.ms >= STEP_MS_MIN).collect(),
            sinks: sinks.collect(),
        }
    }
}
