//! A version that runs beside the active one: started, looked at, promoted, dropped.

use super::App;
use super::audit::{Audited, Noted};
use super::deploy::{component, options, share, take};
use super::handlers::{Answer, call, change};
use super::openapi::{
    AllFaults, BusyFaults, ComponentBytes, ComponentFaults, ConflictFaults, JobFaults, JobPath,
    PromoteQuery, RefusalFaults, ShadowQuery,
};
use super::reply::Fault;
use super::requests::{JobName, pairs, unknown};
use crate::api::{AuditEntry, DeployRequest, Deployed, Jobs, PromoteIf, ShadowRequest, ShadowView};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Method, StatusCode};
use axum::routing::{MethodRouter, delete, get, post};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits;

/// The routes of shadows.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        (Method::POST, "/v1/shadows", post(begin)),
        (Method::GET, "/v1/jobs/{job}/shadow", get(look)),
        (Method::DELETE, "/v1/jobs/{job}/shadow", delete(forget)),
        (Method::POST, "/v1/jobs/{job}/promote", post(promote)),
    ]
}

/// Checks, compiles and warms a component, and runs it beside the active version of its job, on the
/// same batches. Nothing of it is written.
#[utoipa::path(
    post,
    path = "/v1/shadows",
    params(ShadowQuery),
    request_body(content = ComponentBytes, content_type = "application/wasm", description = "As of a deploy."),
    responses((status = 200, description = "It runs.", body = ShadowView), AllFaults, BusyFaults, ComponentFaults),
)]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    audited: Audited,
    request: Request,
) -> Answer<ShadowView> {
    let asked = shadow_request(query.as_deref())?;
    let mut given = options(&asked.deploy);
    given.extend(asked.promote_if.as_ref().map(|c| format!("promote-if={c}")));
    audited.asks(asked.deploy.name.as_deref(), given);
    let begun = component(&app, request, move |jobs, bytes, wanted| {
        audited.through(jobs, |jobs| jobs.shadow(bytes, asked, wanted))
    });
    Ok(Json(begun.await??))
}

/// How a job's shadow differs from the active version, or did when it ran last.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/shadow",
    params(JobPath),
    responses((status = 200, description = "So far.", body = ShadowView), JobFaults),
)]
pub(super) async fn look(State(app): State<Arc<App>>, JobName(job): JobName) -> Answer<ShadowView> {
    Ok(Json(call(&app, move |jobs| jobs.shadow_of(&job)).await??))
}

/// Ends a job's shadow and forgets it.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{job}/shadow",
    params(JobPath),
    responses((status = 204, description = "It is gone."), JobFaults),
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
) -> Result<StatusCode, Fault> {
    change(&app, audited, move |jobs| jobs.drop_shadow(&job)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a job's canary active, or its shadow, at a batch boundary; with `to` a canary runs another
/// part of the records instead.
///
/// Refused (409) where another version became active since the shadow began.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/promote",
    params(JobPath, PromoteQuery),
    responses((status = 200, description = "What became of it.", body = Deployed), JobFaults, ConflictFaults, RefusalFaults),
)]
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
    audited: Audited,
) -> Answer<Deployed> {
    let mut to = None;
    for (key, value) in pairs(query.as_deref())? {
        match &*key {
            "to" => to = Some(share(&value)?),
            _ => return Err(unknown(&key, &["to"])),
        }
    }
    let given = to.as_ref().map(|share| format!("to={share}"));
    audited.asks(Some(&job), given.into_iter().collect());
    let promoted = change(&app, audited, move |jobs| jobs.promote(&job, to));
    Ok(Json(promoted.await?))
}

impl Noted for ShadowView {
    fn tell(&self, _: &dyn Jobs, entry: &mut AuditEntry) {
        entry.job = Some(self.job.clone());
        entry.version = Some(self.version);
        entry.digest = Some(self.digest.clone());
    }
}

/// What is asked of a shadow in its query: as of a deploy, and `for`, `batches`, `promote-if`.
fn shadow_request(query: Option<&str>) -> Result<ShadowRequest, Fault> {
    let mut asked = ShadowRequest {
        deploy: DeployRequest::default(),
        time: limits::SHADOW_TIME_DEFAULT,
        batches: None,
        promote_if: None,
    };
    for (key, value) in pairs(query)? {
        match &*key {
            "for" => asked.time = time(&value)?,
            "batches" => {
                let number = value.parse().ok().filter(|number| *number > 0);
                let wrong = || Fault::bad(format!("`batches={value}`: it is a number from 1 on"));
                asked.batches = Some(number.ok_or_else(wrong)?);
            }
            "promote-if" => {
                let condition = PromoteIf::parse(&value);
                asked.promote_if =
                    Some(condition.map_err(|e| Fault::bad(format!("promote-if: {e}")))?);
            }
            _ => take(
                &mut asked.deploy,
                &key,
                value,
                &["for", "batches", "promote-if"],
            )?,
        }
    }
    Ok(asked)
}

fn time(value: &str) -> Result<Duration, Fault> {
    let most = limits::SHADOW_TIME_MAX;
    let time = humantime::parse_duration(value).ok();
    let fits = time.filter(|time| !time.is_zero() && *time <= most);
    fits.ok_or_else(|| {
        let most = humantime::format_duration(most);
        Fault::bad(format!(
            "`for={value}`: it is a time such as 10m, {most} at most"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_how_long_and_what_for_or_what_is_wrong() {
        let asked = shadow_request(Some(
            "name=clicks&for=2m&batches=7&set=every%3D1s&promote-if=differing%20%3D%200",
        ))
        .unwrap();
        assert_eq!(
            (asked.time, asked.batches),
            (Duration::from_secs(120), Some(7))
        );
        assert_eq!(asked.deploy.name.as_deref(), Some("clicks"));
        assert_eq!(asked.deploy.settings["every"], "1s");
        assert!(asked.promote_if.is_some());
        let usual = shadow_request(None).unwrap();
        assert_eq!(usual.time, limits::SHADOW_TIME_DEFAULT);
        let cases = [
            ("for=0s", "10m"),
            ("for=2d", "1day"),
            ("for=long", "10m"),
            ("batches=0", "from 1 on"),
            ("batches=-1", "from 1 on"),
            ("promote-if=speed%3D1", "no figure"),
            ("until=now", "promote-if"),
        ];
        for (query, words) in cases {
            let fault = shadow_request(Some(query)).unwrap_err();
            assert!(format!("{fault:?}").contains(words), "{query}: {fault:?}");
        }
    }
}
