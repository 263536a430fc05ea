//! What a request brings: its parameters, the job in its path, its body.

use super::App;
use super::reply::Fault;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use streamhost_core::job::names;
use streamhost_core::limits;

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
pub(super) async fn body(
    app: &App,
    mut request: Request,
    bytes_max: usize,
) -> Result<Bytes, Fault> {
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
