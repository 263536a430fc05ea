//! A job's charts: columns over the last hour.

use super::history::History;
use super::window::Sample;
use super::{ms, tenths};
use crate::api::JobFacts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::BatchStep;
use utoipa::ToSchema;

/// A point as it is kept in a file, in the order of its fields.
type Row = (
    i64,
    [f64; 4],
    Option<u64>,
    Option<(u64, u64)>,
    Option<[f64; 7]>,
    (f64, u64),
);

/// One moment of all charts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Row", from = "Row")]
pub(super) struct Point {
    seconds: i64,
    records: f64,
    rows: f64,
    dead_letters: f64,
    late: f64,
    lag: Option<u64>,
    latency_ms: Option<(u64, u64)>,
    steps_ms: Option<[f64; 7]>,
    cpu_cores: f64,
    guest_memory_bytes: u64,
}

impl From<Point> for Row {
    fn from(p: Point) -> Row {
        (
            p.seconds,
            [p.records, p.rows, p.dead_letters, p.late],
            p.lag,
            p.latency_ms,
            p.steps_ms,
            (p.cpu_cores, p.guest_memory_bytes),
        )
    }
}

impl From<Row> for Point {
    fn from((seconds, rates, lag, latency_ms, steps_ms, used): Row) -> Point {
        let [records, rows, dead_letters, late] = rates;
        Point {
            seconds,
            records,
            rows,
            dead_letters,
            late,
            lag,
            latency_ms,
            steps_ms,
            cpu_cores: used.0,
            guest_memory_bytes: used.1,
        }
    }
}

impl Point {
    /// When it is, in seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.seconds
    }

    /// What happened between two samples.
    pub(super) fn between(
        facts: &JobFacts,
        before: &Sample,
        now: &Sample,
        at: i64,
        seconds: f64,
    ) -> Point {
        let rate = |before: u64, now: u64| tenths(now.saturating_sub(before) as f64 / seconds);
        let cpu = now.cpu().saturating_sub(before.cpu()).as_secs_f64();
        let (before, now) = (&before.counters, &now.counters);
        let interval = facts.meter.take_interval();
        let mean = |time: Duration| ms(time / u32::try_from(interval.batches).unwrap_or(u32::MAX));
        Point {
            seconds: at,
            records: rate(before.records_in, now.records_in),
            rows: rate(before.rows.values().sum(), now.rows.values().sum()),
            dead_letters: rate(before.dead_letters, now.dead_letters),
            late: rate(before.late, now.late),
            lag: facts.status.lag,
            latency_ms: interval.latency_ms,
            cpu_cores: (cpu / seconds * 100.0).round() / 100.0,
            guest_memory_bytes: facts.meter.guest_memory_bytes(),
            steps_ms: (interval.batches > 0).then(|| interval.steps.map(mean)),
        }
    }
}

impl History {
    /// Mean times of the batches of the newest point that had some, not long ago, by step.
    pub(super) fn steps_ms(&self) -> Option<BTreeMap<&'static str, f64>> {
        let recent = self.points.iter().rev().take(RECENT_POINTS);
        let newest = recent.filter_map(|point| point.steps_ms).next()?;
        Some(
            BatchStep::ALL
                .map(BatchStep::name)
                .into_iter()
                .zip(newest)
                .collect(),
        )
    }
}

/// How many points back batches are still the last ones.
const RECENT_POINTS: usize = 6;

/// Mean times of batches, by step.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(super) struct StepColumns {
    gather: Vec<Option<f64>>,
    queue: Vec<Option<f64>>,
    transform: Vec<Option<f64>>,
    stages: Vec<Option<f64>>,
    intent: Vec<Option<f64>>,
    deliver: Vec<Option<f64>>,
    checkpoint: Vec<Option<f64>>,
}

impl StepColumns {
    fn column(&mut self, step: BatchStep) -> &mut Vec<Option<f64>> {
        match step {
            BatchStep::Gather => &mut self.gather,
            BatchStep::Queue => &mut self.queue,
            BatchStep::Transform => &mut self.transform,
            BatchStep::Stages => &mut self.stages,
            BatchStep::Intent => &mut self.intent,
            BatchStep::Deliver => &mut self.deliver,
            BatchStep::Checkpoint => &mut self.checkpoint,
        }
    }
}

/// Columns of one length.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Points {
    /// Seconds since 1970, ascending.
    pub times: Vec<i64>,
    records_per_second: Vec<f64>,
    rows_per_second: Vec<f64>,
    dead_letters_per_second: Vec<f64>,
    late_per_second: Vec<f64>,
    lag: Vec<Option<u64>>,
    latency_p50_ms: Vec<Option<u64>>,
    latency_p99_ms: Vec<Option<u64>>,
    steps_ms: StepColumns,
    cpu_cores: Vec<Option<f64>>,
    guest_memory_bytes: Vec<Option<u64>>,
}

impl Points {
    /// Those after this second.
    pub(super) fn after(history: &History, seconds: i64) -> Points {
        let mut points = Points::default();
        let new = history
            .points
            .iter()
            .filter(|point| point.seconds > seconds);
        new.for_each(|point| points.push(point));
        points
    }

    fn push(&mut self, point: &Point) {
        self.times.push(point.seconds);
        self.records_per_second.push(point.records);
        self.rows_per_second.push(point.rows);
        self.dead_letters_per_second.push(point.dead_letters);
        self.late_per_second.push(point.late);
        self.lag.push(point.lag);
        self.latency_p50_ms
            .push(point.latency_ms.map(|(p50, _)| p50));
        self.latency_p99_ms
            .push(point.latency_ms.map(|(_, p99)| p99));
        for (at, step) in BatchStep::ALL.into_iter().enumerate() {
            let value = point.steps_ms.map(|all| all[at]);
            self.steps_ms.column(step).push(value);
        }
        self.cpu_cores.push(Some(point.cpu_cores));
        self.guest_memory_bytes.push(Some(point.guest_memory_bytes));
    }
}

/// A job's charts, and what is drawn into them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Series {
    step_seconds: u64,
    points: Points,
    deployments: Vec<Mark>,
    limits: SeriesLimits,
}

/// A deployment in a chart.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeploymentMark)]
struct Mark {
    at: String,
    number: u64,
    version: u64,
}

/// Lines in a chart.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct SeriesLimits {
    memory_bytes: u64,
    lanes: usize,
}

impl Series {
    pub(super) fn of(facts: &JobFacts, history: &History, now_ms: i64) -> Series {
        let hour = limits::SERIES_STEP_SECONDS * limits::SERIES_POINTS_MAX as u64;
        let from_ms = now_ms - 1000 * hour as i64;
        let recent = facts.deployments.iter().filter(|d| d.at_ms >= from_ms);
        Series {
            step_seconds: limits::SERIES_STEP_SECONDS,
            points: Points::after(history, i64::MIN),
            deployments: recent
                .map(|deployment| Mark {
                    at: clock::rfc3339(deployment.at_ms),
                    number: deployment.number,
                    version: deployment.version,
                })
                .collect(),
            limits: SeriesLimits {
                memory_bytes: facts.status.limits.memory_bytes,
                lanes: facts.status.lanes,
            },
        }
    }
}
