//! One handler a route. Calls of the host block, so they run on their own threads, so many at once
//! and no more.

use super::audit::{Audited, Noted};
use super::openapi::{
    AllFaults, BodyFaults, BusyFaults, ConflictFaults, JobFaults, JobPath, OpenFaults,
    RefusalFaults, document,
};
use super::reply::Fault;
use super::request_id::{self, Numbered};
use super::requests::{JobName, pairs, told, unknown};
use super::{
    App, audit, check, deploy, events, forward, gate, hosts, in_turn, page, replay, savepoint,
    shadow, views,
};
use crate::api::{Deployed, Deployment, JobState, JobStatus, Jobs, LogLine, Refusal};
use crate::monitor::{JobView, METRICS_CONTENT_TYPE};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use std::sync::Arc;
use streamhost_core::clock;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa::ToSchema;

pub(super) type Answer<T> = Result<Json<T>, Fault>;

/// Every route there is: method, path, handler. A test holds it against the OpenAPI document.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    let mut routes = vec![
        (Method::GET, "/healthz", get(healthz)),
        (Method::GET, "/readyz", get(readyz)),
        (Method::GET, "/metrics", get(figures)),
        (Method::GET, "/v1/openapi.json", get(openapi)),
        (Method::GET, "/v1/jobs", get(list)),
        (Method::POST, "/v1/jobs", post(deploy::deploy)),
        (Method::GET, "/v1/jobs/{job}", get(status)),
        (Method::DELETE, "/v1/jobs/{job}", delete(undeploy)),
        (Method::GET, "/v1/jobs/{job}/history", get(history)),
        (Method::POST, "/v1/jobs/{job}/rollback", post(rollback)),
        (Method::POST, "/v1/jobs/{job}/pause", post(pause)),
        (Method::POST, "/v1/jobs/{job}/resume", post(resume)),
        (Method::GET, "/v1/jobs/{job}/logs", get(logs)),
        (Method::GET, "/v1/events", get(events::events)),
        (Method::POST, "/v1/check", post(check::check)),
        (Method::GET, "/v1/audit", get(audit::audit)),
    ];
    routes.extend(views::routes());
    routes.extend(shadow::routes());
    routes.extend(replay::routes());
    routes.extend(savepoint::routes());
    routes.extend(hosts::routes());
    routes
}

/// All routes behind the gate.
pub(super) fn router(app: Arc<App>) -> Router {
    routes()
        .into_iter()
        .chain(page::routes())
        .fold(Router::new(), |router, (_, path, handler)| {
            router.route(path, handler)
        })
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            forward::to_home,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            gate::check,
        ))
        .layer(middleware::from_fn(request_id::tell))
        .layer(PropagateRequestIdLayer::new(request_id::HEADER))
        .layer(SetRequestIdLayer::new(
            request_id::HEADER,
            Numbered::default(),
        ))
        // Not the page, which is gzipped in the binary, and no stream of events. Of tower-http this
        // and the request ids alone: its limit of a body answers in no JSON, and says neither the limit nor a way out.
        .layer(CompressionLayer::new())
        .with_state(app)
}

async fn nowhere(request: Request) -> Fault {
    let path: String = request.uri().path().chars().take(200).collect();
    Fault::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {path}: /v1/openapi.json lists what there is"),
    )
}

async fn wrong_method(request: Request) -> Fault {
    let (method, path) = (request.method(), request.uri().path());
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{path} does not take {method}: see /v1/openapi.json"),
    )
}

/// Runs a call of the host that reads.
pub(super) async fn call<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&dyn Jobs) -> T + Send + 'static,
) -> Result<T, Fault> {
    in_turn(app, &app.calls, work).await
}

/// Runs a call of the host that changes something, and may wait for servers, and notes it. Those
/// that read do not wait with it.
pub(super) async fn change<T: Noted + Send + 'static>(
    app: &App,
    audited: Audited,
    work: impl FnOnce(&dyn Jobs) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Fault> {
    let noted = move |jobs: &dyn Jobs| audited.through(jobs, work);
    Ok(in_turn(app, &app.changes, noted).await??)
}

/// The process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    security(()),
    responses((status = 200, description = "It is.", body = String, content_type = "text/plain"), OpenFaults),
)]
pub(super) async fn healthz() -> &'static str {
    "alive\n"
}

/// The stores are open, and the jobs are taken up.
///
/// With the token, or where none is wanted, further lines say which servers are away and which jobs
/// wait or have stopped.
#[utoipa::path(
    get,
    path = "/readyz",
    security(()),
    responses((status = 200, description = "It is so.", body = String, content_type = "text/plain"), OpenFaults, BusyFaults),
)]
// Before the API answers the stores are open and the jobs taken up. So it is ready until it stops,
// or until a write to its data folder fails: only a start anew mends that. A server that is away,
// or a job that stopped, is no reason to take the host out of service or to start it anew: it is
// said to who may know.
pub(super) async fn readyz(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<String, Fault> {
    if *app.closing.borrow() {
        let text = "the host is stopping";
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let ask = call(&app, |jobs| (jobs.list(), jobs.broken()));
    let listed = tokio::time::timeout(app.bounds.turn_time, ask).await;
    let (jobs, broken) = listed.map_err(|_| Fault::busy("work"))??;
    if let Some(reason) = broken {
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, reason));
    }
    let mut text = "ready\n".to_owned();
    if gate::may_know(&app, &headers) {
        let lines = app.monitor.servers_away().into_iter();
        for line in lines.chain(jobs.iter().filter_map(trouble_of)) {
            text.push_str(&line.replace('\n', " "));
            text.push('\n');
        }
    }
    Ok(text)
}

/// What holds a job up, in a line.
fn trouble_of(job: &JobStatus) -> Option<String> {
    match job.state {
        JobState::Retrying => {
            let what = job.waiting_for.as_ref().map(|waiting| &*waiting.what);
            Some(format!(
                "job `{}` waits: {}",
                job.job,
                what.unwrap_or("a server is away")
            ))
        }
        JobState::Stopped => {
            let reason = job.last_error.as_deref().unwrap_or("its log says why");
            Some(format!("job `{}` has stopped: {reason}", job.job))
        }
        JobState::Running | JobState::Paused | JobState::Finished => None,
    }
}

/// All metrics in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain"), AllFaults, BusyFaults),
)]
pub(super) async fn figures(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Fault> {
    let monitor = Arc::clone(&app.monitor);
    let text = call(&app, move |_| monitor.metrics(clock::now_ms())).await?;
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text))
}

/// This document.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    responses((status = 200, description = "It.", body = serde_json::Value, content_type = "application/json"), AllFaults),
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}

/// All jobs by name; in a cluster those of all its hosts.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    responses((status = 200, description = "Their status.", body = [JobView]), AllFaults, BusyFaults),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let all = call(&app, |jobs| jobs.list()).await?;
    let own: Vec<JobView> = all.into_iter().map(|one| app.monitor.view(one)).collect();
    let others = forward::of_others(&app, "/v1/jobs", &headers).await;
    if others.is_empty() {
        return Ok(Json(own).into_response());
    }
    let raw = own.iter().map(serde_json::value::to_raw_value);
    let raw: Result<Vec<_>, _> = raw.collect();
    let raw = raw.map_err(|e| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(Json(raw.into_iter().chain(others).collect::<Vec<_>>()).into_response())
}

/// One job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}",
    params(JobPath),
    responses((status = 200, description = "Its status.", body = JobView), JobFaults),
)]
pub(super) async fn status(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<JobView> {
    let status = call(&app, move |jobs| jobs.status(&job)).await??;
    Ok(Json(app.monitor.view(status)))
}

/// A job's deployments, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/history",
    params(JobPath),
    responses((status = 200, description = "They.", body = [Deployment]), JobFaults),
)]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
) -> Answer<Vec<Deployment>> {
    Ok(Json(call(&app, move |jobs| jobs.history(&job)).await??))
}

/// Stops a job after the batch under way, until `resume`.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/pause",
    params(JobPath),
    responses((status = 200, description = "Its status.", body = JobView), JobFaults),
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
) -> Answer<JobView> {
    let status = change(&app, audited, move |jobs| jobs.pause(&job)).await?;
    Ok(Json(app.monitor.view(status)))
}

/// What `resume` may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Resume {
    /// Go on where records that were to be read are gone from Kafka; the job's log says which.
    skip_lost: bool,
}

/// Goes on after `pause`, tries again after `stopped`, reads on after `finished`; refused (409) where
/// the end gave out windows or joins.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/resume",
    params(JobPath),
    request_body = Option<Resume>,
    responses((status = 200, description = "Its status.", body = JobView), JobFaults, BodyFaults, ConflictFaults),
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
    request: Request,
) -> Answer<JobView> {
    let Resume { skip_lost } = told(&app, request, "{\"skip_lost\": true}").await?;
    let options = skip_lost.then(|| "skip-lost".to_owned());
    audited.asks(None, options.into_iter().collect());
    let status = change(&app, audited, move |jobs| jobs.resume(&job, skip_lost)).await?;
    Ok(Json(app.monitor.view(status)))
}

/// Stops a job and forgets it. Its rows, dead letters and consumer group stay.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{job}",
    params(JobPath),
    responses((status = 204, description = "It is gone."), JobFaults),
)]
pub(super) async fn undeploy(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
) -> Result<StatusCode, Fault> {
    change(&app, audited, move |jobs| jobs.undeploy(&job)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What `rollback` may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rollback {
    /// The version to go back to.
    version: Option<u64>,
}

/// Makes an older version active: the given one, or the one that stood before the active one was
/// deployed. Never goes forward by itself; to repeat it, name the version.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/rollback",
    params(JobPath),
    request_body = Option<Rollback>,
    responses((status = 200, description = "What became of it.", body = Deployed), JobFaults, BodyFaults, ConflictFaults, RefusalFaults),
)]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
    request: Request,
) -> Answer<Deployed> {
    let Rollback { version } = told(&app, request, "{\"version\": NUMBER}").await?;
    let options = version.map(|version| format!("version={version}"));
    audited.asks(None, options.into_iter().collect());
    let deployed = change(&app, audited, move |jobs| jobs.rollback(&job, version));
    Ok(Json(deployed.await?))
}

/// The last lines of a job's log, oldest first.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/logs",
    params(JobPath, ("after" = Option<u64>, Query, description = "Lines with greater numbers alone.")),
    responses((status = 200, description = "The lines.", body = [LogLine]), JobFaults),
)]
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
) -> Answer<Vec<LogLine>> {
    let mut after = 0;
    for (key, value) in pairs(query.as_deref())? {
        match &*key {
            "after" => {
                after = value
                    .parse()
                    .map_err(|_| Fault::bad("`after` must be the number of a line"))?
            }
            _ => return Err(unknown(&key, &["after"])),
        }
    }
    let lines = call(&app, move |jobs| jobs.logs(&job, after)).await??;
    Ok(Json(lines))
}
