//! One handler a route. Calls of the host block, so they run on their own threads, so many at once
//! and no more.

use super::reply::Fault;
use super::{App, check, events, gate, in_turn, page, views};
use crate::api::{DeployRequest, Deployed, Deployment, JobState, JobStatus, Jobs, LogLine};
use crate::monitor::{JobView, METRICS_CONTENT_TYPE};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, RawPathParams, RawQuery, Request, State,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use std::sync::Arc;
use streamhost_core::job::names;
use streamhost_core::{clock, limits};
use tower_http::compression::CompressionLayer;

/// The API's own description, served as it is.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) type Answer<T> = Result<Json<T>, Fault>;

/// Every route there is: method, path, handler. A test holds it against the OpenAPI document.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    let mut routes = vec![
        (Method::GET, "/healthz", get(healthz)),
        (Method::GET, "/readyz", get(readyz)),
        (Method::GET, "/metrics", get(figures)),
        (Method::GET, "/v1/openapi.json", get(openapi)),
        (Method::GET, "/v1/jobs", get(list)),
        (Method::POST, "/v1/jobs", post(deploy)),
        (Method::GET, "/v1/jobs/{job}", get(status)),
        (Method::DELETE, "/v1/jobs/{job}", delete(undeploy)),
        (Method::GET, "/v1/jobs/{job}/history", get(history)),
        (Method::POST, "/v1/jobs/{job}/rollback", post(rollback)),
        (Method::POST, "/v1/jobs/{job}/pause", post(pause)),
        (Method::POST, "/v1/jobs/{job}/resume", post(resume)),
        (Method::GET, "/v1/jobs/{job}/logs", get(logs)),
        (Method::GET, "/v1/events", get(events::events)),
        (Method::POST, "/v1/check", post(check::check)),
    ];
    routes.extend(views::routes());
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
            gate::check,
        ))
        // Not the page, which is gzipped in the binary, and no stream of events. Of tower-http this
        // alone: its limit of a body answers in no JSON, and says neither the limit nor a way out.
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

/// Runs a call of the host that changes something, and may wait for servers. Those that read do not
/// wait with it.
pub(super) async fn change<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&dyn Jobs) -> T + Send + 'static,
) -> Result<T, Fault> {
    in_turn(app, &app.changes, work).await
}

async fn healthz() -> &'static str {
    "alive\n"
}

/// Before the API answers the stores are open and the jobs taken up. So it is ready until it stops;
/// a server that is away, or a job that stopped, is no reason to take the host out of service or to
/// start it anew: it is said to who may know.
async fn readyz(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<String, Fault> {
    if *app.closing.borrow() {
        let text = "the host is stopping";
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let listed = tokio::time::timeout(app.bounds.turn_time, call(&app, |jobs| jobs.list())).await;
    let jobs = listed.map_err(|_| Fault::busy("work"))??;
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

async fn figures(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Fault> {
    let monitor = Arc::clone(&app.monitor);
    let text = call(&app, move |_| monitor.metrics(clock::now_ms())).await?;
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn list(State(app): State<Arc<App>>) -> Answer<Vec<JobView>> {
    let all = call(&app, |jobs| jobs.list()).await?;
    Ok(Json(
        all.into_iter().map(|one| app.monitor.view(one)).collect(),
    ))
}

async fn status(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<JobView> {
    let status = call(&app, move |jobs| jobs.status(&job)).await??;
    Ok(Json(app.monitor.view(status)))
}

async fn history(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<Vec<Deployment>> {
    Ok(Json(call(&app, move |jobs| jobs.history(&job)).await??))
}

async fn pause(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<JobView> {
    let status = change(&app, move |jobs| jobs.pause(&job)).await??;
    Ok(Json(app.monitor.view(status)))
}

/// What `resume` may be told.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Resume {
    skip_lost: bool,
}

async fn resume(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    request: Request,
) -> Answer<JobView> {
    let Resume { skip_lost } = told(&app, request, "{\"skip_lost\": true}").await?;
    let status = change(&app, move |jobs| jobs.resume(&job, skip_lost)).await??;
    Ok(Json(app.monitor.view(status)))
}

async fn undeploy(State(app): State<Arc<App>>, JobName(job): JobName) -> Result<StatusCode, Fault> {
    change(&app, move |jobs| jobs.undeploy(&job)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// What `rollback` may be told.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    version: Option<u64>,
}

async fn rollback(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    request: Request,
) -> Answer<Deployed> {
    let Rollback { version } = told(&app, request, "{\"version\": NUMBER}").await?;
    Ok(Json(
        change(&app, move |jobs| jobs.rollback(&job, version)).await??,
    ))
}

/// What a call that may be told nothing is told; `form` shows what it may be.
pub(super) async fn told<T: Default + serde::de::DeserializeOwned>(
    app: &App,
    request: Request,
    form: &str,
) -> Result<T, Fault> {
    let body = body(app, request, limits::HTTP_BODY_BYTES_MAX).await?;
    match body.trim_ascii() {
        b"" => Ok(T::default()),
        body => serde_json::from_slice(body)
            .map_err(|e| Fault::bad(format!("the body must be empty or {form}: {e}"))),
    }
}

async fn logs(
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

async fn deploy(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer<Deployed> {
    let asked = deploy_request(query.as_deref())?;
    let deployed = component(&app, request, move |jobs, bytes, wanted| {
        jobs.deploy(bytes, asked, wanted)
    });
    Ok(Json(deployed.await??))
}

/// Takes a component from the request's body, and does something with it.
pub(super) async fn component<T: Send + 'static>(
    app: &App,
    request: Request,
    work: impl FnOnce(&dyn Jobs, Vec<u8>, &dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Fault> {
    wasm_type(request.headers())?;
    let turn = tokio::time::timeout(
        app.bounds.turn_time,
        Arc::clone(&app.uploads).acquire_owned(),
    )
    .await;
    let Ok(Ok(turn)) = turn else {
        return Err(Fault::busy("deployments"));
    };
    let bytes = Vec::from(body(app, request, app.bounds.upload_bytes_max).await?);
    // It goes with this call, which ends when its client leaves.
    let waiting = Arc::new(());
    let asker = Arc::downgrade(&waiting);
    let done = change(app, move |jobs| {
        let _turn = turn; // with the component's bytes, not with the client's patience
        work(jobs, bytes, &|| asker.strong_count() > 0)
    });
    let done = done.await;
    drop(waiting);
    done
}

/// A form could be sent by any web page; a component cannot.
fn wasm_type(headers: &HeaderMap) -> Result<(), Fault> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    match given
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "application/wasm" | "application/octet-stream" => Ok(()),
        _ => {
            let how =
                "send the component's bytes as the body, with `Content-Type: application/wasm`";
            Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, how))
        }
    }
}

/// A deployment's settings in its query: `name`, `create-tables`, `reset-state`, `reset-settings`,
/// and `set=KEY=VALUE` as often as needed.
pub(super) fn deploy_request(query: Option<&str>) -> Result<DeployRequest, Fault> {
    let mut asked = DeployRequest::default();
    for (key, value) in pairs(query)? {
        match &*key {
            "name" => asked.name = Some(value),
            "create-tables" => asked.create_tables = flag(&key, &value)?,
            "reset-state" => asked.reset_state = flag(&key, &value)?,
            "reset-settings" => asked.reset_settings = flag(&key, &value)?,
            "set" => {
                let (setting, to) = value.split_once('=').ok_or_else(|| {
                    Fault::bad(format!(
                        "`set={value}`: a setting is KEY=VALUE, escaped for a URL"
                    ))
                })?;
                if asked
                    .settings
                    .insert(setting.to_owned(), to.to_owned())
                    .is_some()
                {
                    return Err(Fault::bad(format!("`{setting}` is set twice")));
                }
            }
            _ => {
                return Err(unknown(
                    &key,
                    &[
                        "name",
                        "create-tables",
                        "reset-state",
                        "reset-settings",
                        "set",
                    ],
                ));
            }
        }
    }
    Ok(asked)
}

fn flag(key: &str, value: &str) -> Result<bool, Fault> {
    match value {
        "true" | "" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::bad(format!("`{key}` is true or false"))),
    }
}

pub(super) fn unknown(key: &str, known: &[&str]) -> Fault {
    let meant = match names::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Fault::bad(format!("`{key}` is no parameter of this call: {meant}"))
}

pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Fault> {
    let uri = format!("/?{}", query.unwrap_or(""))
        .parse()
        .map_err(|_| Fault::bad("the query cannot be read"))?;
    axum::extract::Query::try_from_uri(&uri)
        .map(|axum::extract::Query(pairs)| pairs)
        .map_err(|e| Fault::bad(format!("the query cannot be read: {e}")))
}

/// The job in the path.
pub(super) struct JobName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for JobName {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let job = params.ok().and_then(|all| {
            all.iter()
                .find(|(name, _)| *name == "job")
                .map(|(_, job)| job.to_owned())
        });
        job.map(JobName)
            .ok_or_else(|| Fault::bad("the job's name in the path cannot be read"))
    }
}

/// A request's body, if it is small enough and comes in time.
async fn body(app: &App, mut request: Request, bytes_max: usize) -> Result<Bytes, Fault> {
    let too_large = || {
        Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {bytes_max} bytes"),
        )
    };
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if length
        .and_then(|length| length.parse::<u64>().ok())
        .is_some_and(|length| length > bytes_max as u64)
    {
        return Err(too_large()); // before a byte of it is taken
    }
    DefaultBodyLimit::max(bytes_max).apply(&mut request);
    match tokio::time::timeout(app.bounds.body_time, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(e)) if BytesRejection::status(&e) == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_large())
        }
        Ok(Err(_)) => Err(Fault::bad("the body ended too early")),
        Err(_) => {
            let seconds = app.bounds.body_time.as_secs();
            Err(Fault::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body was not there within {seconds} s"),
            ))
        }
    }
}
