//! What the dashboard asks of one job, beside its status. The monitor answers from what it saw last.

use super::handlers::{Answer, JobName};
use super::reply::Fault;
use super::{App, letters};
use crate::monitor::Monitor;
use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use std::sync::Arc;

/// The routes of the monitor's views.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        view("/v1/jobs/{job}/graph", Monitor::graph),
        view("/v1/jobs/{job}/series", Monitor::series),
        view("/v1/jobs/{job}/batches", Monitor::batches),
        view("/v1/jobs/{job}/watermarks", Monitor::watermarks),
        view("/v1/jobs/{job}/stages", Monitor::stages),
        view("/v1/jobs/{job}/settings", Monitor::settings),
        (
            Method::GET,
            "/v1/jobs/{job}/dead-letters",
            get(letters::page),
        ),
        (
            Method::GET,
            "/v1/jobs/{job}/dead-letters/{id}",
            get(letters::letter),
        ),
    ]
}

fn view<T: Serialize + 'static>(
    path: &'static str,
    of: fn(&Monitor, &str) -> Option<T>,
) -> (Method, &'static str, MethodRouter<Arc<App>>) {
    let answer = move |State(app): State<Arc<App>>, JobName(job): JobName| async move {
        let answer: Answer<T> = match of(&app.monitor, &job) {
            Some(view) => Ok(Json(view)),
            None => Err(no_job(&job)),
        };
        answer
    };
    (Method::GET, path, get(answer))
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
