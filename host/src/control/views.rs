//! What the dashboard asks of one job, beside its status. The monitor answers from what it saw last.

use super::handlers::{Answer, JobName};
use super::reply::Fault;
use super::{App, letters, retry, state};
use crate::monitor::{HostView, Limit, Monitor};
use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodRouter, get, post};
use serde::Serialize;
use std::sync::Arc;
use streamhost_core::limits;

/// The routes of the monitor's views, of dead letters, and of keyed state.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    let (letters, letter) = (get(letters::page), get(letters::letter));
    vec![
        (Method::GET, "/v1/jobs/{job}/graph", view(Monitor::graph)),
        (Method::GET, "/v1/jobs/{job}/series", view(Monitor::series)),
        (
            Method::GET,
            "/v1/jobs/{job}/batches",
            view(Monitor::batches),
        ),
        (
            Method::GET,
            "/v1/jobs/{job}/watermarks",
            view(Monitor::watermarks),
        ),
        (Method::GET, "/v1/jobs/{job}/stages", view(Monitor::stages)),
        (
            Method::GET,
            "/v1/jobs/{job}/settings",
            view(Monitor::settings),
        ),
        (Method::GET, "/v1/host", get(host)),
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

fn view<T: Serialize + 'static>(of: fn(&Monitor, &str) -> Option<T>) -> MethodRouter<Arc<App>> {
    get(
        move |State(app): State<Arc<App>>, JobName(job): JobName| async move {
            let answer: Answer<T> = match of(&app.monitor, &job) {
                Some(view) => Ok(Json(view)),
                None => Err(no_job(&job)),
            };
            answer
        },
    )
}

async fn host(State(app): State<Arc<App>>) -> Json<HostView> {
    let mut view = app.monitor.host(app.name.clone(), app.token.is_some());
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
