//! Traces of batches for an OpenTelemetry collector: one trace a batch, its steps and sinks as
//! spans. They are made of what a pipeline measures of a batch once that is durable, on a thread of
//! their own: no job waits for a collector, and what cannot be sent is counted and let go.
//!
//! The SDK's own tracer is not used, as it measures what runs, and a batch has been measured
//! already: its types, and the exporter with its retries and environment variables, are.

use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use send::exporter;
use spans::{Sampling, spans_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use streamhost_core::limits;
use streamhost_engine::pipeline::BatchTrace;

mod send;
mod spans;
#[cfg(test)]
mod tests;

/// Where traces go, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// The collector's address for OTLP over HTTP, such as `http://127.0.0.1:4318`; none: no traces.
    pub endpoint: Option<String>,
    /// Of how many batches in a hundred, from 1.
    pub sample_percent: usize,
}

impl Default for TraceSettings {
    fn default() -> Self {
        TraceSettings {
            endpoint: None,
            sample_percent: 100,
        }
    }
}

/// What became of traces.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// A batch on its way to the collector.
struct Told {
    job: String,
    trace: BatchTrace,
}

/// Sends traces of batches.
pub struct Tracer {
    queue: SyncSender<Told>,
    sampling: Sampling,
    counts: Arc<Counts>,
}

impl Tracer {
    /// Starts the thread that sends; none where no collector is named.
    pub fn start(settings: &TraceSettings, host: &str) -> std::io::Result<Option<Tracer>> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok(None);
        };
        let exporter = exporter(endpoint, host).map_err(std::io::Error::other)?;
        let (queue, queued) = mpsc::sync_channel(limits::TRACES_QUEUED_MAX);
        let counts: Arc<Counts> = Arc::default();
        let counted = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("traces".into())
            .spawn(move || send_all(&exporter, &queued, &counted))?;
        Ok(Some(Tracer {
            queue,
            sampling: Sampling::percent(settings.sample_percent),
            counts,
        }))
    }

    /// Takes a job's batches that became durable; does not wait. `missed`: so many more had gone
    /// before they were seen.
    pub(crate) fn take(&self, job: &str, batches: Vec<BatchTrace>, missed: u64) {
        let mut dropped = missed;
        for trace in batches.into_iter().filter(|_| self.sampling.takes()) {
            let job = job.to_owned();
            match self.queue.try_send(Told { job, trace }) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => dropped += 1,
            }
        }
        self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// How many traces the collector took, and how many were let go.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.counts.sent), count(&self.counts.dropped))
    }
}

/// Sends until the tracer is gone and the queue is empty.
fn send_all(exporter: &impl SpanExporter, queued: &Receiver<Told>, counts: &Counts) {
    let mut is_away = false;
    while let Ok(first) = queued.recv() {
        let told = [first].into_iter().chain(queued.try_iter());
        let told: Vec<Told> = told.take(limits::TRACES_PER_SEND_MAX).collect();
        let number = told.len() as u64;
        let spans: Vec<SpanData> = told
            .iter()
            .flat_map(|told| spans_of(&told.job, &told.trace))
            .collect();
        let sent = futures_executor::block_on(exporter.export(spans));
        let of = if sent.is_ok() {
            &counts.sent
        } else {
            &counts.dropped
        };
        of.fetch_add(number, Ordering::Relaxed);
        say_once(&mut is_away, sent.err().map(|error| error.to_string()));
    }
}

/// Says that the collector is away, and that it is there again, and not with each attempt.
fn say_once(was_away: &mut bool, error: Option<String>) {
    match (*was_away, &error) {
        (false, Some(error)) => tracing::warn!(
            "traces cannot be sent, and are let go: {error}; is `telemetry.otlp-endpoint` right?"
        ),
        (true, None) => tracing::info!("traces are sent again"),
        _ => {}
    }
    *was_away = error.is_some();
}
