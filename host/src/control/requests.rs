//! What a request brings: its parameters, the job in its path, its body.

use super::App;
use super::connections::Awaited;
use super::reply::Fault;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use streamhost_core::job::names;
use streamhost_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

pub(super) fn unknown(key: &str, known: &[&str]) -> Fault {
    let meant = names::meant(key, known);
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
pub(super) async fn body(app: &App, request: Request, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    Ok(received(app, request, bytes_max, None).await?.0)
}

/// The same with what it takes of `shared` bytes, which are for all bodies that are under way: each
/// takes them as they come, so one that stalls holds no more than it has sent.
pub(super) async fn received(
    app: &App,
    request: Request,
    bytes_max: usize,
    shared: Option<&Arc<Semaphore>>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Fault> {
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
    let awaited = request.extensions().get::<Awaited>().cloned();
    let mut body = request.into_body();
    let (mut bytes, mut held) = (Vec::new(), None::<OwnedSemaphorePermit>);
    let coming = async {
        loop {
            if let Some(awaited) = &awaited {
                awaited.more();
            }
            let Some(frame) = body.frame().await else {
                break;
            };
            let frame = frame.map_err(|_| Fault::bad("the body ended too early"))?;
            let Ok(data) = frame.into_data() else {
                continue; // what stands behind a body is of no use here
            };
            if bytes.len() + data.len() > bytes_max {
                return Err(too_large());
            }
            if let Some(shared) = shared {
                let more = take(app, shared, data.len()).await?;
                match &mut held {
                    Some(held) => held.merge(more),
                    None => held = Some(more),
                }
            }
            bytes.extend_from_slice(&data);
        }
        if let Some(awaited) = &awaited {
            awaited.is_there();
        }
        Ok(())
    };
    match tokio::time::timeout(app.bounds.body_time, coming).await {
        Ok(Ok(())) => Ok((bytes, held)),
        Ok(Err(fault)) => Err(fault),
        Err(_) => {
            let seconds = app.bounds.body_time.as_secs();
            Err(Fault::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body was not there within {seconds} s"),
            ))
        }
    }
}

/// So many bytes of those that all uploads share, once they are free.
async fn take(
    app: &App,
    shared: &Arc<Semaphore>,
    bytes: usize,
) -> Result<OwnedSemaphorePermit, Fault> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let taken = Arc::clone(shared).acquire_many_owned(bytes);
    match tokio::time::timeout(app.bounds.turn_time, taken).await {
        Ok(Ok(taken)) => Ok(taken),
        _ => Err(Fault::busy("uploads")),
    }
}
