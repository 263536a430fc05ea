//! History that is run through a version beside its job: started, looked at, stopped.

use super::App;
use super::audit::{Audited, Noted};
use super::deploy::{component, flag, take};
use super::handlers::{Answer, call, change};
use super::openapi::{ComponentBytes, ComponentFaults, JobFaults, JobPath, ReplayQuery};
use super::reply::Fault;
use super::requests::{JobName, pairs, unknown};
use crate::api::{AuditEntry, Jobs, ReplayBound, ReplayRequest, ReplayView};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::routing::{MethodRouter, delete, get, post};
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
    request_body(content = Option<ComponentBytes>, content_type = "application/wasm", description = "A component that is not deployed; without it a version that is kept."),
    responses((status = 200, description = "It runs.", body = ReplayView), JobFaults, ComponentFaults),
)]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
    audited: Audited,
    request: Request,
) -> Answer<ReplayView> {
    let (asked, given) = replay_request(job, query.as_deref())?;
    audited.asks(None, given);
    if has_body(request.headers()) {
        let begun = component(&app, request, move |jobs, bytes, wanted| {
            audited.through(jobs, |jobs| jobs.replay(Some(bytes), asked, wanted))
        });
        return Ok(Json(begun.await??));
    }
    let begun = change(&app, audited, move |jobs| {
        jobs.replay(None, asked, &|| true)
    });
    Ok(Json(begun.await?))
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

const KEYS: [&str; 12] = [
    "from",
    "to",
    "version",
    RECORDS_A_SECOND,
    "sink",
    "diff",
    "write",
    "delete-extra",
    "empty-state",
    "create-tables",
    "reset-settings",
    "set",
];

/// What is asked in a query, and what of it is noted.
fn replay_request(job: String, query: Option<&str>) -> Result<(ReplayRequest, Vec<String>), Fault> {
    let mut asked = ReplayRequest::default();
    asked.deploy.name = Some(job);
    let mut given = Vec::new();
    for (key, value) in pairs(query)? {
        let wrong = |why: String| Fault::bad(format!("{key}: {why}"));
        if !matches!(&*key, "set" | "sink") {
            given.push(format!("{key}={value}"));
        }
        match &*key {
            "from" => asked.from = ReplayBound::parse(&value).map_err(wrong)?,
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
    Ok((asked, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_replayed_or_what_is_wrong() {
        let query =
            "from=earliest&to=0%3D7&rate=500&version=2&sink=a%3Db&write=true&set=param.x%3D1";
        let (asked, given) = replay_request("clicks".to_owned(), Some(query)).unwrap();
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
            ("name=other", "no parameter"),
            ("replan=true", "no parameter"),
        ];
        for (query, words) in cases {
            let fault = replay_request("clicks".to_owned(), Some(query)).unwrap_err();
            assert!(format!("{fault:?}").contains(words), "{query}: {fault:?}");
        }
    }
}
