//! A batch as spans. Pure but for the ids.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamhost_engine::pipeline::{BatchStep, BatchTrace};

/// Takes so many batches in a hundred, evenly.
pub(super) struct Sampling {
    percent: u64,
    seen: AtomicU64,
}

impl Sampling {
    pub(super) fn percent(percent: usize) -> Sampling {
        Sampling {
            percent: percent as u64,
            seen: AtomicU64::new(0),
        }
    }

    /// Whether the next one is taken.
    pub(super) fn takes(&self) -> bool {
        let before = self.seen.fetch_add(1, Ordering::Relaxed);
        let taken = |seen: u64| seen * self.percent / 100;
        taken(before + 1) > taken(before)
    }
}

/// A span of a trace, not yet with all that is the same for all.
struct Part {
    name: Cow<'static, str>,
    at: Duration,
    took: Duration,
    attributes: Vec<KeyValue>,
}

/// The spans of a batch: the batch itself, its steps, and its sinks within the step of delivery.
pub(super) fn spans_of(job: &str, trace: &BatchTrace) -> Vec<SpanData> {
    let ids = RandomIdGenerator::default();
    let (trace_id, root) = (ids.new_trace_id(), ids.new_span_id());
    let began = UNIX_EPOCH + Duration::from_millis(u64::try_from(trace.began_ms).unwrap_or(0));
    let ends = trace.steps.iter().map(|step| step.at + step.took);
    let whole = Part {
        name: "batch".into(),
        at: Duration::ZERO,
        took: ends.max().unwrap_or_default(),
        attributes: attributes(job, trace),
    };
    let mut spans = vec![span(trace_id, root, SpanId::INVALID, began, whole)];
    for step in &trace.steps {
        let id = ids.new_span_id();
        let part = Part {
            name: step.step.name().into(),
            at: step.at,
            took: step.took,
            attributes: Vec::new(),
        };
        spans.push(span(trace_id, id, root, began, part));
        if step.step != BatchStep::Deliver {
            continue;
        }
        for sink in &trace.sinks {
            let name = match &sink.sink {
                Some(name) => format!("sink {name}"),
                None => "dead letters".to_owned(),
            };
            let part = Part {
                name: name.into(),
                at: step.at,
                took: sink.took,
                attributes: vec![number("streamhost.rows", sink.rows)],
            };
            spans.push(span(trace_id, ids.new_span_id(), id, began, part));
        }
    }
    spans
}

fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}

fn attributes(job: &str, trace: &BatchTrace) -> Vec<KeyValue> {
    vec![
        KeyValue::new("streamhost.job", job.to_owned()),
        number("streamhost.version", trace.version),
        number("streamhost.deployment", trace.deployment),
        number("streamhost.batch", trace.number),
        number("streamhost.records", trace.records),
        number("streamhost.bytes", trace.bytes),
        number("streamhost.rows", trace.rows),
        number("streamhost.dropped", trace.dropped),
        number("streamhost.late", trace.late),
        number("streamhost.dead_letters", trace.dead_letters),
        number("streamhost.retries", trace.retries),
    ]
}

fn span(trace: TraceId, id: SpanId, parent: SpanId, began: SystemTime, part: Part) -> SpanData {
    let start_time = began + part.at;
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: part.name,
        start_time,
        end_time: start_time + part.took,
        attributes: part.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("streamhost").build(),
    }
}
