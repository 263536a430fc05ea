//! Savepoints: taken and sent, and jobs that begin from one. A savepoint may be large: it comes and
//! goes in parts, between the connection and a file of the host's.

use super::audit::{Audited, Noted};
use super::check::{CheckView, view};
use super::connections::{Awaited, Streams};
use super::deploy::{options, take};
use super::handlers::{Answer, change};
use super::openapi::{
    AllFaults, BusyFaults, ComponentFaults, ConflictFaults, DeployQuery, JobFaults, JobPath,
    SavepointBytes,
};
use super::reply::Fault;
use super::requests::{JobName, pairs, unknown};
use super::{App, in_turn};
use crate::api::{AuditEntry, Deployed, Jobs, RestoreRequest, TakenSavepoint};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use http_body_util::BodyExt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use streamhost_core::limits;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// The routes of savepoints.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        (Method::POST, "/v1/jobs/{job}/savepoint", post(savepoint)),
        (Method::POST, "/v1/restores", post(restore)),
        (Method::POST, "/v1/restores/check", post(check)),
    ]
}

/// Takes a savepoint: what belongs to the job's newest checkpoint, written out while the job goes on.
/// With `stop` the job is paused first, and has delivered all that it planned.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/savepoint",
    params(JobPath, ("stop" = Option<bool>, Query, description = "Pause the job first: then it is exact.")),
    responses((status = 200, description = "The savepoint.", body = SavepointBytes, content_type = "application/octet-stream"), JobFaults, ConflictFaults),
)]
pub(super) async fn savepoint(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
    audited: Audited,
) -> Result<Response, Fault> {
    let mut stop = false;
    for (key, value) in pairs(query.as_deref())? {
        match &*key {
            "stop" => stop = flag(&key, &value)?,
            _ => return Err(unknown(&key, &["stop"])),
        }
    }
    audited.asks(None, stop.then(|| "stop".to_owned()).into_iter().collect());
    let place = place(&app)?;
    let taken = change(&app, audited, move |jobs| jobs.savepoint(&job, stop)).await?;
    Ok(sent(taken, place))
}

/// Begins a job from a savepoint, after all checks of a deploy. The job must not be there.
///
/// Returns when the outcome is durable.
#[utoipa::path(
    post,
    path = "/v1/restores",
    params(DeployQuery, ("repeat-rows" = Option<bool>, Query, description = "Exactly-once sinks may be given again what they hold from after the savepoint.")),
    request_body(content = SavepointBytes, content_type = "application/octet-stream", description = "The savepoint."),
    responses((status = 200, description = "What became of it.", body = Deployed), AllFaults, BusyFaults, ComponentFaults),
)]
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    audited: Audited,
    request: Request,
) -> Answer<Deployed> {
    let asked = asked(query.as_deref())?;
    let mut given = options(&asked.deploy);
    given.extend(asked.repeat_rows.then(|| "repeat-rows".to_owned()));
    audited.asks(asked.deploy.name.as_deref(), given);
    let restored = received(&app, request, move |jobs, file, wanted| {
        audited.through(jobs, |jobs| jobs.restore(file, asked, wanted))
    });
    Ok(Json(restored.await??))
}

/// What a savepoint would begin: parameters and body of a restore. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/restores/check",
    operation_id = "check_restore",
    params(DeployQuery, ("repeat-rows" = Option<bool>, Query, description = "As of a restore.")),
    request_body(content = SavepointBytes, content_type = "application/octet-stream", description = "The savepoint."),
    responses((status = 200, description = "What it is, and what would happen.", body = CheckView), AllFaults, BusyFaults, ComponentFaults),
)]
pub(super) async fn check(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer<CheckView> {
    let asked = asked(query.as_deref())?;
    let checked = received(&app, request, move |jobs, file, wanted| {
        jobs.check_restore(file, asked, wanted)
    });
    Ok(Json(view(checked.await??)))
}

fn asked(query: Option<&str>) -> Result<RestoreRequest, Fault> {
    let mut asked = RestoreRequest::default();
    for (key, value) in pairs(query)? {
        match &*key {
            "repeat-rows" => asked.repeat_rows = flag(&key, &value)?,
            _ => take(&mut asked.deploy, &key, value, &["repeat-rows"])?,
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

/// A place among the savepoints that come and go. It goes with the file.
fn place(app: &App) -> Result<OwnedSemaphorePermit, Fault> {
    let place = Arc::clone(&app.savepoints).try_acquire_owned();
    place.map_err(|_| Fault::busy("savepoints"))
}

impl Noted for TakenSavepoint {
    fn tell(&self, jobs: &dyn Jobs, entry: &mut AuditEntry) {
        if let Ok(status) = jobs.status(&self.job) {
            status.tell(jobs, entry);
        }
        let (batch, bytes) = (self.batch, self.bytes);
        entry.reason = Some(format!("batch {batch}, {bytes} bytes"));
    }
}

/// A savepoint as the answer to whoever asked for it.
fn sent(taken: TakenSavepoint, place: OwnedSemaphorePermit) -> Response {
    let (send, parts) = mpsc::channel(limits::SAVEPOINT_CHUNKS_MAX);
    let TakenSavepoint { file, bytes, .. } = taken;
    tokio::task::spawn_blocking(move || {
        let _place = place;
        // Who asked may be gone. A disk that fails cuts the answer off, which its client sees.
        if let Err(error) = read_out(file, &send) {
            tracing::warn!("a savepoint is not sent to its end: {error}");
            drop(send.blocking_send(Err(error)));
        }
    });
    let stream = futures_util::stream::unfold(parts, |mut parts: mpsc::Receiver<_>| async {
        let part: io::Result<Bytes> = parts.recv().await?;
        Some((part, parts))
    });
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    response.extensions_mut().insert(Streams);
    response
}

fn read_out(mut file: File, send: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    loop {
        let mut part = Vec::with_capacity(limits::SAVEPOINT_CHUNK_BYTES);
        let most = limits::SAVEPOINT_CHUNK_BYTES as u64;
        if (&mut file).take(most).read_to_end(&mut part)? == 0 {
            return Ok(());
        }
        if send.blocking_send(Ok(part.into())).is_err() {
            return Ok(()); // nobody takes it
        }
    }
}

/// Takes a savepoint from a request's body into a file, and does something with it.
pub(super) async fn received<T: Send + 'static>(
    app: &App,
    request: Request,
    work: impl FnOnce(&dyn Jobs, File, &dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Fault> {
    is_bytes(request.headers())?;
    let most = app.jobs.savepoint_bytes_max();
    if length_of(request.headers()).is_some_and(|length| length > most) {
        return Err(too_large(most)); // before a byte of it is taken
    }
    let place = place(app)?;
    let file = in_turn(app, &app.calls, |jobs| jobs.spool()).await??;
    let time = limits::SAVEPOINT_TIME;
    let came = tokio::time::timeout(time, written(app, request, file, most)).await;
    let file = came.unwrap_or_else(|_| Err(late(time.as_secs())))?;
    let waiting = Arc::new(());
    let asker = Arc::downgrade(&waiting);
    let done = in_turn(app, &app.changes, move |jobs| {
        let _place = place;
        work(jobs, file, &|| asker.strong_count() > 0)
    });
    let done = done.await;
    drop(waiting);
    done
}

/// The body, in the file.
async fn written(app: &App, request: Request, file: File, most: u64) -> Result<File, Fault> {
    let awaited = request.extensions().get::<Awaited>().cloned();
    let (send, mut parts) = mpsc::channel::<Bytes>(limits::SAVEPOINT_CHUNKS_MAX);
    let writes = tokio::task::spawn_blocking(move || {
        let mut file = file;
        while let Some(part) = parts.blocking_recv() {
            file.write_all(&part)?;
        }
        file.rewind()?;
        Ok::<_, io::Error>(file)
    });
    let (mut body, mut bytes) = (request.into_body(), 0);
    loop {
        if let Some(awaited) = &awaited {
            awaited.more();
        }
        let frame = tokio::time::timeout(app.bounds.body_time, body.frame()).await;
        let Some(frame) = frame.map_err(|_| late(app.bounds.body_time.as_secs()))? else {
            break;
        };
        let frame = frame.map_err(|_| Fault::bad("the body ended too early"))?;
        let Ok(data) = frame.into_data() else {
            continue; // what stands behind a body is of no use here
        };
        bytes += data.len() as u64;
        if bytes > most {
            return Err(too_large(most));
        }
        if send.send(data).await.is_err() {
            break; // the file says why
        }
    }
    if let Some(awaited) = &awaited {
        awaited.is_there();
    }
    drop(send);
    let unwritten = |e: &dyn std::fmt::Display| {
        let words = format!("the savepoint cannot be kept in the data folder: {e}");
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, words)
    };
    match writes.await {
        Ok(written) => written.map_err(|e| unwritten(&e)),
        Err(e) => Err(unwritten(&e)),
    }
}

/// A form could be sent by any web page; a savepoint cannot.
fn is_bytes(headers: &HeaderMap) -> Result<(), Fault> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    match given
        .trim()
        .eq_ignore_ascii_case("application/octet-stream")
    {
        true => Ok(()),
        false => Err(Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the savepoint as the body, with `Content-Type: application/octet-stream`",
        )),
    }
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn too_large(most: u64) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the savepoint has more than {most} bytes: set `limits.savepoint-bytes` of this host higher"
        ),
    )
}

fn late(seconds: u64) -> Fault {
    Fault::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("nothing of the savepoint came for {seconds} s, or it took too long"),
    )
}

#[cfg(test)]
#[path = "savepoint_tests.rs"]
mod tests;
