//! The stream of server-sent events. It is made as its client takes it: what was not taken is
//! replaced by what is newer, and nothing queues.

use super::connections::Streams;
use super::openapi::{AllFaults, BusyFaults};
use super::reply::Fault;
use super::requests::{pairs, unknown};
use super::views::no_job_words;
use super::{App, in_turn};
use crate::monitor::Points;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::{clock, limits};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often it is looked for news.
const TICK: Duration = Duration::from_secs(1);

/// What a client wants to know of one job.
#[derive(Clone, Default)]
struct Wanted {
    job: Option<String>,
    graph: bool,
    series: bool,
    batches: bool,
    watermarks: bool,
    stages: bool,
    log: bool,
    log_after: u64,
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Wanted, Fault> {
        let mut wanted = Wanted::default();
        for (key, value) in pairs(query)? {
            match &*key {
                "job" => wanted.job = Some(value),
                "with" => *wanted.part(&value)? = true,
                "log-after" => {
                    wanted.log_after = value
                        .parse()
                        .map_err(|_| Fault::bad("`log-after` must be the number of a line"))?;
                }
                _ => return Err(unknown(&key, &["job", "with", "log-after"])),
            }
        }
        Ok(wanted)
    }

    fn part(&mut self, name: &str) -> Result<&mut bool, Fault> {
        Ok(match name {
            "graph" => &mut self.graph,
            "series" => &mut self.series,
            "batches" => &mut self.batches,
            "watermarks" => &mut self.watermarks,
            "stages" => &mut self.stages,
            "log" => &mut self.log,
            _ => {
                let there = "there are graph, series, batches, watermarks, stages, log";
                return Err(Fault::bad(format!(
                    "`with={name}` is no part of a job: {there}"
                )));
            }
        })
    }
}

/// Server-sent events: all jobs, and one in detail.
#[utoipa::path(
    get,
    path = "/v1/events",
    params(
        ("job" = Option<String>, Query, description = "The job whose details are wanted."),
        ("with" = Option<String>, Query, description = "A part of it, as often as needed: `graph`, `series`, `batches`, `watermarks`, `stages` or `log`."),
        ("log-after" = Option<u64>, Query, description = "Lines of its log with greater numbers alone."),
    ),
    responses((status = 200, description = "Events `hello`, `jobs`, `job`, `gone`, `beat`.", body = String, content_type = "text/event-stream"), AllFaults, BusyFaults),
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let wanted = Wanted::read(query.as_deref())?;
    let Ok(place) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Err(Fault::busy("streams of events"));
    };
    let stream = futures_util::stream::unfold(Feed::new(app, wanted, place), |mut feed| async {
        let bytes = feed.next().await?;
        Some((Ok::<_, Infallible>(bytes), feed))
    });
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    *response.status_mut() = StatusCode::OK;
    response.extensions_mut().insert(Streams);
    Ok(response)
}

/// What one client was told.
struct Feed {
    app: Arc<App>,
    wanted: Wanted,
    ticks: Interval,
    closing: watch::Receiver<bool>,
    greeted: bool,
    told_jobs: String,
    told_job: String,
    minute: i64,
    /// The newest point that was told, in seconds since 1970.
    points: i64,
    /// How many batches there were when they were told last.
    batches: Option<u64>,
    gone: bool,
    told_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    fn new(app: Arc<App>, wanted: Wanted, place: OwnedSemaphorePermit) -> Feed {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Feed {
            closing: app.closing.clone(),
            app,
            wanted,
            ticks,
            greeted: false,
            told_jobs: String::new(),
            told_job: String::new(),
            minute: 0,
            points: clock::now_ms() / 1000,
            batches: None,
            gone: false,
            told_at: Instant::now(),
            _place: place,
        }
    }

    /// The next events, as soon as there are some; none once the host stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let ended = tokio::select! {
                // Or nobody is left to say it, which means the same.
                _ = self.closing.wait_for(|closing| *closing) => true,
                _ = self.ticks.tick() => false,
            };
            if ended {
                return None;
            }
            let mut text = String::new();
            if !std::mem::replace(&mut self.greeted, true) {
                write(&mut text, "hello", &self.hello());
            }
            self.jobs(&mut text);
            if let Some(job) = self.wanted.job.clone() {
                self.job(&job, &mut text);
                self.log(&job, &mut text).await;
            }
            if text.is_empty() && self.told_at.elapsed() + TICK / 2 >= limits::EVENT_BEAT_TIME {
                text.push_str("event: beat\ndata: {}\n\n");
            }
            if !text.is_empty() {
                self.told_at = Instant::now();
                return Some(Bytes::from(text));
            }
        }
    }

    fn hello(&self) -> Value {
        json!({
            "host": self.app.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started": self.app.monitor.started(),
            "now": clock::rfc3339(clock::now_ms()),
            "beat_ms": limits::EVENT_BEAT_TIME.as_millis() as u64,
            "lacks": [], // an older host names here what it does not do
        })
    }

    fn jobs(&mut self, text: &mut String) {
        let minute = clock::now_ms() / 60_000;
        let recent = std::mem::replace(&mut self.minute, minute) != minute;
        let jobs = json(&self.app.monitor.summaries(recent));
        if jobs != self.told_jobs {
            event(text, "jobs", &jobs);
            self.told_jobs = jobs;
        }
    }

    fn job(&mut self, job: &str, text: &mut String) {
        let monitor = &self.app.monitor;
        let Some(status) = monitor.status(job) else {
            if !std::mem::replace(&mut self.gone, true) {
                write(text, "gone", &json!({ "error": no_job_words(job) }));
                self.told_job.clear();
            }
            return;
        };
        self.gone = false;
        let wanted = &self.wanted;
        let steady = JobEvent {
            status: json!(status),
            graph: wanted.graph.then(|| json!(monitor.graph(job))),
            watermarks: wanted.watermarks.then(|| json!(monitor.watermarks(job))),
            stages: wanted.stages.then(|| json!(monitor.stages(job))),
            points: None,
            batches: None,
        };
        let now = json(&steady);
        let points = match wanted.series {
            true => monitor.points_after(job, self.points),
            false => None,
        };
        let points = points.filter(|points| !points.times.is_empty());
        self.points = last(points.as_ref()).unwrap_or(self.points);
        let batches = match wanted.batches {
            true => self.new_batches(job),
            false => Vec::new(),
        };
        if now == self.told_job && points.is_none() && batches.is_empty() {
            return;
        }
        let all = JobEvent {
            points: points.map(|points| json!(points)),
            batches: (!batches.is_empty()).then_some(batches),
            ..steady
        };
        event(text, "job", &json(&all));
        self.told_job = now;
    }

    /// The batches since they were told last, the newest alone where there are many.
    fn new_batches(&mut self, job: &str) -> Vec<Value> {
        let Some((new, count)) = self
            .app
            .monitor
            .batches_after(job, self.batches.unwrap_or(u64::MAX))
        else {
            return Vec::new();
        };
        self.batches = Some(count);
        let skip = new.len().saturating_sub(limits::EVENT_BATCHES_MAX);
        new.iter().skip(skip).map(|batch| json!(batch)).collect()
    }

    async fn log(&mut self, job: &str, text: &mut String) {
        if !self.wanted.log || self.gone {
            return;
        }
        let (name, after) = (job.to_owned(), self.wanted.log_after);
        let lines = in_turn(&self.app, &self.app.calls, move |jobs| {
            jobs.logs(&name, after)
        })
        .await;
        let Ok(Ok(lines)) = lines else {
            return; // told at the next tick
        };
        let Some(newest) = lines.last() else {
            return;
        };
        self.wanted.log_after = newest.number;
        write(text, "log", &json!(lines));
    }
}

/// A job, and the parts that were asked for.
#[derive(Serialize)]
struct JobEvent {
    status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermarks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Value>,
}

fn last(points: Option<&Points>) -> Option<i64> {
    points.and_then(|points| points.times.last().copied())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn write(text: &mut String, name: &str, data: &Value) {
    event(text, name, &json(data));
}

/// One event; JSON has no line ends of its own.
fn event(text: &mut String, name: &str, data: &str) {
    for part in ["event: ", name, "\ndata: ", data, "\n\n"] {
        text.push_str(part);
    }
}
