//! Jobs briefly, and what the monitor adds to a status.

use super::history::{History, is_running};
use crate::api::{JobFacts, JobState, JobStatus};
use serde::Serialize;
use std::collections::BTreeMap;
use streamhost_core::clock;
use streamhost_engine::pipeline::BatchUnderWay;
use utoipa::ToSchema;

/// Where a job reads or writes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct End {
    kind: String,
    name: String,
    target: String,
}

/// What the monitor knows of a job beside its counts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobRates)]
pub(super) struct Moving {
    since: Option<String>,
    reason: Option<String>,
    records_per_second: Option<f64>,
    rows_per_second: Option<f64>,
    dead_letters_per_second: Option<f64>,
    lag_seconds: Option<f64>,
    lag_change_per_second: Option<f64>,
}

impl Moving {
    fn of(status: &JobStatus, history: Option<&History>, now_ms: i64) -> Moving {
        let waits = status
            .waiting_for
            .as_ref()
            .map(|waiting| waiting.what.clone());
        let reason = match status.state {
            JobState::Retrying => waits,
            JobState::Stopped => status.last_error.clone(),
            JobState::Running | JobState::Paused | JobState::Finished => None,
        };
        let window = history
            .filter(|_| is_running(status.state))
            .map(|history| &history.window);
        let since_ms = history.and_then(|history| history.since_ms(status.state));
        Moving {
            since: since_ms.map(clock::rfc3339),
            reason,
            records_per_second: window.and_then(|w| w.rate(|at| at.counters.records_in)),
            rows_per_second: window.and_then(|w| w.rate(|at| at.counters.rows.values().sum())),
            dead_letters_per_second: window.and_then(|w| w.rate(|at| at.counters.dead_letters)),
            lag_seconds: lag_seconds(status, history, now_ms),
            lag_change_per_second: window.and_then(super::window::Window::lag_change),
        }
    }
}

/// How old the oldest record is that was read and is not durable; 0 where all are.
pub(super) fn lag_seconds(
    status: &JobStatus,
    history: Option<&History>,
    now_ms: i64,
) -> Option<f64> {
    match status.lag? {
        0 => Some(0.0),
        _ if !is_running(status.state) => None,
        _ => history?.oldest_seconds(now_ms),
    }
}

/// One job among all.
#[derive(Clone, Debug, Serialize)]
pub struct JobSummary {
    /// Its name.
    pub job: String,
    state: JobState,
    version: u64,
    deployment: u64,
    deployed_at: Option<String>,
    records_in: u64,
    rows_out: u64,
    dead_letters: u64,
    late: u64,
    lag: Option<u64>,
    sources: Vec<End>,
    sinks: Vec<End>,
    #[serde(flatten)]
    moving: Moving,
    cpu_cores: Option<f64>,
    guest_memory_bytes: Option<u64>,
    /// Mean times of the last batches, by step.
    steps_ms: Option<BTreeMap<&'static str, f64>>,
    /// Records a second, one value a minute; left out where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent: Option<Vec<Option<f64>>>,
}

impl JobSummary {
    pub(super) fn of(facts: &JobFacts, history: &History, now_ms: i64, recent: bool) -> Self {
        let status = &facts.status;
        let sources = status.sources.iter().map(|source| End {
            kind: source.connector.clone(),
            name: source.name.clone(),
            target: source.target.clone(),
        });
        let sinks = status.sinks.iter().map(|sink| End {
            kind: sink.connector.clone(),
            name: sink.name.clone(),
            target: sink.target.clone(),
        });
        let running = is_running(status.state).then_some(history);
        JobSummary {
            job: status.job.clone(),
            state: status.state,
            version: status.version,
            deployment: status.deployment,
            deployed_at: status.deployed_at.clone(),
            records_in: status.records_in,
            rows_out: status.rows_out,
            dead_letters: status.dead_letters,
            late: status.late,
            lag: status.lag,
            sources: sources.collect(),
            sinks: sinks.collect(),
            moving: Moving::of(status, Some(history), now_ms),
            cpu_cores: running.and_then(|history| history.window.cpu_cores()),
            guest_memory_bytes: running.map(History::guest_memory_bytes),
            steps_ms: running.and_then(History::steps_ms),
            recent: recent.then(|| history.recent(now_ms)),
        }
    }
}

/// The oldest batch that is not durable yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct UnderWay {
    batch: u64,
    records: u64,
    /// The step that it is in; of a job with keyed stages `transform` stands for both.
    step: &'static str,
    /// Since when it is in this step.
    since: String,
}

impl UnderWay {
    fn of(batch: BatchUnderWay, now_ms: i64) -> UnderWay {
        let took_ms = i64::try_from(batch.took.as_millis()).unwrap_or(i64::MAX);
        UnderWay {
            batch: batch.number,
            records: batch.records,
            step: batch.step.name(),
            since: clock::rfc3339(now_ms.saturating_sub(took_ms)),
        }
    }
}

/// A status, and what the monitor adds to it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobView {
    #[serde(flatten)]
    status: JobStatus,
    #[serde(flatten)]
    moving: Moving,
    last_error_at: Option<String>,
    last_checkpoint_at: Option<String>,
    under_way: Option<UnderWay>,
    cpu_cores: Option<f64>,
    guest_memory_bytes: Option<u64>,
}

impl JobView {
    pub(super) fn of(
        status: JobStatus,
        history: Option<&History>,
        under_way: Option<BatchUnderWay>,
        now_ms: i64,
    ) -> JobView {
        let error_ms = history.and_then(History::error_ms);
        let durable_ms = history.and_then(History::durable_ms);
        JobView {
            moving: Moving::of(&status, history, now_ms),
            last_error_at: error_ms
                .filter(|_| status.last_error.is_some())
                .map(clock::rfc3339),
            last_checkpoint_at: durable_ms.map(clock::rfc3339),
            under_way: under_way.map(|batch| UnderWay::of(batch, now_ms)),
            cpu_cores: history.and_then(|history| history.window.cpu_cores()),
            guest_memory_bytes: history.map(History::guest_memory_bytes),
            status,
        }
    }
}
