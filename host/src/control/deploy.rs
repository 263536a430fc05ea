//! `POST /v1/jobs`: a component comes with its settings.

use super::audit::Audited;
use super::handlers::Answer;
use super::openapi::{AllFaults, BusyFaults, ComponentBytes, ComponentFaults, DeployQuery};
use super::reply::Fault;
use super::requests::{pairs, received, unknown};
use super::{App, in_turn};
use crate::api::{DeployRequest, Deployed, Jobs};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
use streamhost_core::job::Share;

/// Checks, compiles, warms and activates a component.
///
/// Returns when the outcome is durable; the same component with the same settings changes nothing.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    params(DeployQuery),
    request_body(content = ComponentBytes, content_type = "application/wasm", description = "The component, or a core module that carries its component type; 64 MiB at most."),
    responses((status = 200, description = "What became of it.", body = Deployed), AllFaults, BusyFaults, ComponentFaults),
)]
pub(super) async fn deploy(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    audited: Audited,
    request: Request,
) -> Answer<Deployed> {
    let asked = deploy_request(query.as_deref())?;
    audited.asks(asked.name.as_deref(), options(&asked));
    let deployed = component(&app, request, move |jobs, bytes, wanted| {
        audited.through(jobs, |jobs| jobs.deploy(bytes, asked, wanted))
    });
    Ok(Json(deployed.await??))
}

/// What is asked for beside the component and its settings.
pub(super) fn options(asked: &DeployRequest) -> Vec<String> {
    let all = [
        ("create-tables", asked.create_tables),
        ("reset-state", asked.reset_state),
        ("replan", asked.replan),
        ("reset-settings", asked.reset_settings),
    ];
    let given = all.into_iter().filter(|(_, given)| *given);
    let canary = asked.canary.as_ref().map(|share| format!("canary={share}"));
    let given = given.map(|(option, _)| option.to_owned());
    given.chain(canary).collect()
}

/// Takes a component from the request's body, and does something with it.
pub(super) async fn component<T: Send + 'static>(
    app: &App,
    request: Request,
    work: impl FnOnce(&dyn Jobs, Vec<u8>, &dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Fault> {
    wasm_type(request.headers())?;
    let most = app.bounds.upload_bytes_max;
    let (bytes, held) = received(app, request, most, Some(&app.upload_bytes)).await?;
    // Its turn comes once it is there: one that stalls keeps nobody else from deploying.
    let turn = tokio::time::timeout(
        app.bounds.turn_time,
        Arc::clone(&app.uploads).acquire_owned(),
    )
    .await;
    let Ok(Ok(turn)) = turn else {
        return Err(Fault::busy("deployments"));
    };
    // It goes with this call, which ends when its client leaves.
    let waiting = Arc::new(());
    let asker = Arc::downgrade(&waiting);
    let done = in_turn(app, &app.changes, move |jobs| {
        let _held = (turn, held); // with the component's bytes, not with the client's patience
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

/// A deployment's settings in its query: `name`, `create-tables`, `reset-state`, `replan`,
/// `reset-settings`, `canary`, and `set=KEY=VALUE` as often as needed.
pub(super) fn deploy_request(query: Option<&str>) -> Result<DeployRequest, Fault> {
    let mut asked = DeployRequest::default();
    for (key, value) in pairs(query)? {
        match &*key {
            "canary" => asked.canary = Some(share(&value)?),
            _ => take(&mut asked, &key, value, &["canary"])?,
        }
    }
    Ok(asked)
}

/// A part of a job's records.
pub(super) fn share(value: &str) -> Result<Share, Fault> {
    value.parse().map_err(Fault::bad)
}

const SETTINGS: [&str; 6] = [
    "name",
    "create-tables",
    "reset-state",
    "replan",
    "reset-settings",
    "set",
];

/// Takes one pair of a query. `beside`: other keys that there are.
pub(super) fn take(
    asked: &mut DeployRequest,
    key: &str,
    value: String,
    beside: &[&str],
) -> Result<(), Fault> {
    match key {
        "name" => asked.name = Some(value),
        "create-tables" => asked.create_tables = flag(key, &value)?,
        "reset-state" => asked.reset_state = flag(key, &value)?,
        "replan" => asked.replan = flag(key, &value)?,
        "reset-settings" => asked.reset_settings = flag(key, &value)?,
        "set" => {
            let (setting, to) = value.split_once('=').ok_or_else(|| {
                Fault::bad(format!(
                    "`set={value}`: a setting is KEY=VALUE, escaped for a URL"
                ))
            })?;
            let before = asked.settings.insert(setting.to_owned(), to.to_owned());
            if before.is_some() {
                return Err(Fault::bad(format!("`{setting}` is set twice")));
            }
        }
        _ => return Err(unknown(key, &[&SETTINGS, beside].concat())),
    }
    Ok(())
}

pub(super) fn flag(key: &str, value: &str) -> Result<bool, Fault> {
    match value {
        "true" | "" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::bad(format!("`{key}` is true or false"))),
    }
}
