//! The hosts that share their jobs.

use super::App;
use super::audit::{Audited, Noted};
use super::handlers::{Answer, call, change};
use super::openapi::{AllFaults, BodyFaults, BusyFaults};
use super::reply::Fault;
use super::requests::told;
use crate::api::{AuditEntry, HostStatus, Jobs, Peers, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The routes of hosts.
pub(super) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        (Method::GET, "/v1/hosts", get(hosts)),
        (Method::POST, "/v1/hosts/{host}/drain", post(drain)),
    ]
}

fn peers(jobs: &dyn Jobs) -> Result<&dyn Peers, Refusal> {
    let by_itself = || {
        Refusal::Conflict(
        "this host is by itself: name a cluster under [cluster] in the configuration of each host that is to share its jobs"
            .to_owned(),
    )
    };
    jobs.peers().ok_or_else(by_itself)
}

/// All hosts of the cluster by name, with the jobs that are placed on each.
#[utoipa::path(
    get,
    path = "/v1/hosts",
    responses((status = 200, description = "They.", body = [HostStatus]), AllFaults, BusyFaults),
)]
pub(super) async fn hosts(State(app): State<Arc<App>>) -> Answer<Vec<HostStatus>> {
    let all = call(&app, |jobs| peers(jobs).map(Peers::hosts));
    Ok(Json(all.await??))
}

/// What `drain` may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Drain {
    /// The host may run jobs again.
    undo: bool,
}

impl Noted for Vec<HostStatus> {
    fn tell(&self, _: &dyn Jobs, _: &mut AuditEntry) {}
}

/// Has a host give its jobs to the others and take none, until it is started anew or this is undone.
///
/// Returns when its jobs are placed elsewhere.
#[utoipa::path(
    post,
    path = "/v1/hosts/{host}/drain",
    params(("host" = String, Path, description = "The host's name.")),
    request_body = Option<Drain>,
    responses((status = 200, description = "All hosts.", body = [HostStatus]), AllFaults, BusyFaults, BodyFaults),
)]
pub(super) async fn drain(
    State(app): State<Arc<App>>,
    audited: Audited,
    request: Request,
) -> Result<Json<Vec<HostStatus>>, Fault> {
    let Drain { undo } = told(&app, request, "{\"undo\": true}").await?;
    let options = undo.then(|| "undo".to_owned());
    audited.asks(None, options.into_iter().collect());
    // Which host it is was decided by whoever handed it on.
    let all = change(&app, audited, move |jobs| peers(jobs)?.drain(!undo)).await?;
    Ok(Json(all))
}
