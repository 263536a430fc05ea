//! What the dashboard asks of one job, beside its status. The monitor answers from what it saw last.

use super::handlers::Answer;
use super::openapi::{AllFaults, JobFaults, JobPath};
use super::reply::Fault;
use super::requests::JobName;
use super::{App, letters, me, retry, state};
use crate::monitor::{Batches, Graph, HostView, JobSettings, Limit, Series, Stage, Watermarks};
use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use streamhost_core::limits;

/// The routes of the monitor's views, of dead letters, and of keyed state.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    let (letters, letter) = (get(letters::page), get(letters::letter));
    vec![
        (Method::GET, "/v1/jobs/{job}/graph", get(graph)),
        (Method::GET, "/v1/jobs/{job}/series", get(series)),
        (Method::GET, "/v1/jobs/{job}/batches", get(batches)),
        (Method::GET, "/v1/jobs/{job}/watermarks", get(watermarks)),
        (Method::GET, "/v1/jobs/{job}/stages", get(stages)),
        (Method::GET, "/v1/jobs/{job}/settings", get(settings)),
        (Method::GET, "/v1/host", get(host)),
        (Method::GET, "/v1/me", get(me::me)),
        (Method::GET, "/v1/jobs/{job}/dead-letters", letters),
        (Method::GET, "/v1/jobs/{job}/dead-letters/{id}", letter),
        (
            Method::POST,
            "/v1/jobs/{job}/dead-letters/retry",
            post(retry::retry),
        ),
        (
            Method::POST,
            "/v1/jobs/{job}/dead-letters/drop",
            post(retry::drop),
        ),
        (
            Method::GET,
            "/v1/jobs/{job}/state/{stage}",
            get(state::page),
        ),
    ]
}

fn seen<T>(view: Option<T>, job: &str) -> Answer<T> {
    view.map(Json).ok_or_else(|| no_job(job))
}

/// A job's pipeline as a graph, with rates.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/graph",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = Graph), JobFaults),
)]
pub(super) async fn graph(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<Graph> {
    seen(app.monitor.graph(&job), &job)
}

/// A job's last hour, a point every five seconds.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/series",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = Series), JobFaults),
)]
pub(super) async fn series(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<Series> {
    seen(app.monitor.series(&job), &job)
}

/// A job's last durable batches, by step.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/batches",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = Batches), JobFaults),
)]
pub(super) async fn batches(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<Batches> {
    seen(app.monitor.batches(&job), &job)
}

/// Where event time is, partition by partition.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/watermarks",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = Watermarks), JobFaults),
)]
pub(super) async fn watermarks(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
) -> Answer<Watermarks> {
    seen(app.monitor.watermarks(&job), &job)
}

/// A job's keyed stages.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/stages",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = Vec<Stage>), JobFaults),
)]
pub(super) async fn stages(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
) -> Answer<Vec<Stage>> {
    seen(app.monitor.stages(&job), &job)
}

/// Every setting there is for a job, and where its value comes from.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/settings",
    params(JobPath),
    responses((status = 200, description = "As the monitor saw it last.", body = JobSettings), JobFaults),
)]
pub(super) async fn settings(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
) -> Answer<JobSettings> {
    seen(app.monitor.settings(&job), &job)
}

/// What the host uses, its servers, its limits.
#[utoipa::path(
    get,
    path = "/v1/host",
    responses((status = 200, description = "It.", body = HostView), AllFaults),
)]
pub(super) async fn host(State(app): State<Arc<App>>) -> Json<HostView> {
    let mut view = app.monitor.host(app.name.clone(), app.tokens.is_some());
    let free = app.streams.available_permits();
    view.limits.push(Limit::new(
        "EVENT_STREAMS_MAX",
        limits::EVENT_STREAMS_MAX,
        Some(limits::EVENT_STREAMS_MAX - free),
        "count",
        "streams of events",
    ));
    view.limits.push(Limit::new(
        "HTTP_CONNECTIONS_MAX",
        app.bounds.connections_max,
        None,
        "count",
        "connections to the control API",
    ));
    Json(view)
}

/// There is no such job.
pub(super) fn no_job(job: &str) -> Fault {
    Fault::new(StatusCode::NOT_FOUND, no_job_words(job))
}

/// The same in words.
pub(super) fn no_job_words(job: &str) -> String {
    let job: String = job.chars().take(200).collect();
    format!("there is no job `{job}`: `streamhost list` shows those there are")
}
