//! History that is run through a version beside its job: started, looked at, stopped.

use super::App;
use super::audit::{Audited, Noted};
use super::deploy::{component, flag, take};
use super::handlers::{Answer, call, change};
use super::openapi::{ComponentBytes, ComponentFaults, JobFaults, JobPath, ReplayQuery};
use super::reply::Fault;
use super::requests::{JobName, pairs, unknown};
use super::savepoint;
use crate::api::{AuditEntry, Jobs, ReplayBound, ReplayRequest, ReplayView};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::routing::{MethodRouter, delete, get, post};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// The routes of replays.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        (Method::POST, "/v1/jobs/{job}/replay", post(begin)),
        (Method::GET, "/v1/jobs/{job}/replay", get(look)),
        (Method::DELETE, "/v1/jobs/{job}/replay", delete(stop)),
    ]
}

/// Runs history through a version beside its job: a component in the body, or one that is kept.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/replay",
    operation_id = "begin_replay",
    params(JobPath, ReplayQuery),
    request_body(content = Option<ComponentBytes>, content_type = "application/wasm", description = "A component that is not deployed; without it a version that is kept. With `state=true` a savepoint, as application/octet-stream, behind the component if there is one."),
    responses((status = 200, description = "It runs.", body = ReplayView), JobFaults, ComponentFaults),
)]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
    audited: Audited,
    request: Request,
) -> Answer<ReplayView> {
    let (asked, body, given) = replay_request(job, query.as_deref())?;
    audited.asks(None, given);
    if body.is_savepoint {
        let most = app.bounds.upload_bytes_max;
        let component_bytes = body.component_bytes.unwrap_or(0);
        if component_bytes > most {
            let words = format!("the component has more than {most} bytes");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, words));
        }
        let begun = savepoint::received(&app, request, move |jobs, file, wanted| {
            let (component, file) = parted(file, component_bytes)?;
            let begun = audited.through(jobs, |jobs| {
                jobs.replay(component, Some(file), asked, wanted)
            });
            Ok::<_, Fault>(begun?)
        });
        return Ok(Json(begun.await??));
    }
    if has_body(request.headers()) {
        let begun = component(&app, request, move |jobs, bytes, wanted| {
            audited.through(jobs, |jobs| jobs.replay(Some(bytes), None, asked, wanted))
        });
        return Ok(Json(begun.await??));
    }
    let begun = change(&app, audited, move |jobs| {
        jobs.replay(None, None, asked, &|| true)
    });
    Ok(Json(begun.await?))
}

/// What a body is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// A savepoint is in it.
    is_savepoint: bool,
    /// So many bytes of a component stand before the savepoint.
    component_bytes: Option<usize>,
}

/// A component of so many bytes, if there are any, and the file, which stands behind it.
fn parted(mut file: File, component_bytes: usize) -> Result<(Option<Vec<u8>>, File), Fault> {
    if component_bytes == 0 {
        return Ok((None, file));
    }
    let mut component = Vec::with_capacity(component_bytes);
    let read = (&mut file)
        .take(component_bytes as u64)
        .read_to_end(&mut component);
    let unread = |e| {
        let words = format!("the body cannot be read again: {e}");
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, words)
    };
    match read.map_err(unread)? == component_bytes {
        true => Ok((Some(component), file)),
        false => Err(Fault::bad(
            "the body has fewer bytes than `component-bytes` says",
        )),
    }
}

fn bytes(value: &str) -> Result<usize, Fault> {
    let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| {
        Fault::bad(format!(
            "`component-bytes={value}`: it is a number from 1 on"
        ))
    })
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length.as_bytes() != b"0")
        || headers.contains_key(header::TRANSFER_ENCODING)
}

/// What a job's replay has come to, or had when it ran last.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/replay",
    operation_id = "look_at_replay",
    params(JobPath),
    responses((status = 200, description = "So far.", body = ReplayView), JobFaults),
)]
pub(super) async fn look(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<ReplayView> {
    Ok(Json(call(&app, move |jobs| jobs.replay_of(&job)).await??))
}

/// Ends a job's replay, soon. What it came to is still to be seen.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{job}/replay",
    operation_id = "stop_replay",
    params(JobPath),
    responses((status = 200, description = "What it came to.", body = ReplayView), JobFaults),
)]
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
) -> Answer<ReplayView> {
    let stopped = change(&app, audited, move |jobs| jobs.stop_replay(&job));
    Ok(Json(stopped.await?))
}

impl Noted for ReplayView {
    fn tell(&self, _: &dyn Jobs, entry: &mut AuditEntry) {
        entry.job = Some(self.job.clone());
        entry.version = Some(self.version);
        entry.digest = Some(self.digest.clone());
    }
}

/// A connector has this name too.
const RECORDS_A_SECOND: &str = "rate";

const KEYS: [&str; 14] = [
    "from",
    "to",
    "version",
    RECORDS_A_SECOND,
    "sink",
    "diff",
    "write",
    "delete-extra",
    "empty-state",
    "state",
    "component-bytes",
    "create-tables",
    "reset-settings",
    "set",
];

/// What is asked in a query, and what of it is noted.
fn replay_request(
    job: String,
    query: Option<&str>,
) -> Result<(ReplayRequest, Parts, Vec<String>), Fault> {
    let (mut asked, mut body) = (ReplayRequest::default(), Parts::default());
    asked.deploy.name = Some(job);
    let mut given = Vec::new();
    for (key, value) in pairs(query)? {
        let wrong = |why: String| Fault::bad(format!("{key}: {why}"));
        if !matches!(&*key, "set" | "sink") {
            given.push(format!("{key}={value}"));
        }
        match &*key {
            "from" => asked.from = Some(ReplayBound::parse(&value).map_err(wrong)?),
            "state" => body.is_savepoint = flag(&key, &value)?,
            "component-bytes" => body.component_bytes = Some(bytes(&value)?),
            "to" => asked.to = ReplayBound::parse(&value).map_err(wrong)?,
            RECORDS_A_SECOND => asked.rate = Some(ReplayRequest::rate(&value).map_err(wrong)?),
            "version" => {
                let version = value.parse().ok().filter(|version| *version > 0);
                let no = || Fault::bad(format!("`version={value}`: it is a number from 1 on"));
                asked.version = Some(version.ok_or_else(no)?);
            }
            "sink" => {
                let (name, place) = value.split_once('=').ok_or_else(|| {
                    Fault::bad(format!(
                        "`sink={value}`: it is NAME=OTHER, escaped for a URL"
                    ))
                })?;
                given.push(format!("sink={name}"));
                let before = asked.sinks.insert(name.to_owned(), place.to_owned());
                if before.is_some() {
                    return Err(Fault::bad(format!("sink `{name}` is named twice")));
                }
            }
            "diff" => asked.diff = flag(&key, &value)?,
            "write" => asked.write = flag(&key, &value)?,
            "delete-extra" => asked.delete_extra = flag(&key, &value)?,
            "empty-state" => asked.empty_state = flag(&key, &value)?,
            "set" | "reset-settings" | "create-tables" => {
                take(&mut asked.deploy, &key, value, &[])?;
            }
            _ => return Err(unknown(&key, &KEYS)),
        }
    }
    match body.component_bytes.is_some() && !body.is_savepoint {
        true => Err(Fault::bad(
            "`component-bytes` says where a savepoint begins in the body: it is for `state=true`",
        )),
        false => Ok((asked, body, given)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_replayed_or_what_is_wrong() {
        let query =
            "from=earliest&to=0%3D7&rate=500&version=2&sink=a%3Db&write=true&set=param.x%3D1";
        let (asked, body, given) = replay_request("clicks".to_owned(), Some(query)).unwrap();
        assert_eq!(body, Parts::default());
        assert_eq!((asked.rate, asked.version), (Some(500), Some(2)));
        assert_eq!(asked.sinks["a"], "b");
        assert_eq!(asked.deploy.settings["param.x"], "1");
        assert!(asked.write && !asked.diff);
        assert_eq!(
            given,
            [
                "from=earliest",
                "to=0=7",
                "rate=500",
                "version=2",
                "sink=a",
                "write=true"
            ]
        );
        let cases = [
            ("from=yesterday", "0=100,1=250"),
            ("rate=0", "from 1 to"),
            ("version=0", "from 1 on"),
            ("sink=a", "NAME=OTHER"),
            ("sink=a%3Db&sink=a%3Dc", "twice"),
            ("diff=maybe", "true or false"),
            ("state=maybe", "true or false"),
            ("state=true&component-bytes=-1", "from 1 on"),
            ("component-bytes=7", "for `state=true`"),
            ("name=other", "no parameter"),
            ("replan=true", "no parameter"),
        ];
        for (query, words) in cases {
            let fault = replay_request("clicks".to_owned(), Some(query)).unwrap_err();
            assert!(format!("{fault:?}").contains(words), "{query}: {fault:?}");
        }
    }
}
