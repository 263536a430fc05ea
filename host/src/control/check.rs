//! `POST /v1/check`: what a component would do if it were deployed.

use super::App;
use super::deploy::{component, deploy_request};
use super::handlers::Answer;
use super::openapi::{AllFaults, BusyFaults, ComponentBytes, ComponentFaults, DeployQuery};
use super::reply::Fault;
use crate::api::{Change, Checked, StateFate, changes};
use crate::monitor::{Graph, describe, guarantee};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use serde::Serialize;
use std::sync::Arc;
use streamhost_core::clock;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_core::job::validate::in_words;
use utoipa::ToSchema;

/// What is said of a component.
#[derive(Serialize, ToSchema)]
#[schema(as = Checked)]
pub(super) struct CheckView {
    job: String,
    digest: String,
    component_bytes: usize,
    contract: String,
    /// Components do not say it yet.
    sdk: Option<String>,
    imports: Vec<Import>,
    graph: Graph,
    sinks: Vec<SinkView>,
    errors: Vec<String>,
    warnings: Vec<String>,
    active: Option<ActiveView>,
    changes: Vec<Change>,
    state: StateFate,
    starts: String,
    creates: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct Import {
    name: String,
    allowed: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedSink)]
struct SinkView {
    kind: String,
    name: String,
    target: String,
    guarantee: &'static str,
    key: Option<String>,
    columns: Vec<ColumnView>,
    exists: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedColumn)]
struct ColumnView {
    name: String,
    #[schema(value_type = String)]
    r#type: streamhost_core::types::Kind,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ActiveVersion)]
struct ActiveView {
    version: u64,
    digest: String,
    deployed_at: String,
}

/// What a component would do if it were deployed: parameters and body of a deploy. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/check",
    params(DeployQuery),
    request_body(content = ComponentBytes, content_type = "application/wasm", description = "The component."),
    responses((status = 200, description = "What it is, and what would happen.", body = CheckView), AllFaults, BusyFaults, ComponentFaults),
)]
pub(super) async fn check(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer<CheckView> {
    let asked = deploy_request(query.as_deref())?;
    Settings::parse(&asked.given(), JobLimits::default())
        .map_err(|faults| Fault::bad(in_words(&faults)))?;
    let checked = component(&app, request, move |jobs, bytes, wanted| {
        jobs.check(bytes, asked, wanted)
    });
    Ok(Json(view(checked.await??)))
}

pub(super) fn view(checked: Checked) -> CheckView {
    let changes = changes(&checked, describe);
    let spec = checked.spec.as_deref();
    let sinks = spec.map_or(&[][..], |spec| &spec.sinks);
    let exists = checked
        .exists
        .iter()
        .copied()
        .chain(std::iter::repeat(None));
    CheckView {
        graph: spec.map_or_else(Graph::default, |spec| {
            Graph::of_spec(spec, &checked.dead_letter_topic)
        }),
        sinks: sinks.iter().zip(exists).map(sink_view).collect(),
        changes,
        sdk: None,
        imports: checked
            .imports
            .into_iter()
            .map(|name| Import {
                name,
                allowed: true,
            })
            .collect(),
        active: checked.active.map(|active| ActiveView {
            version: active.deployment.version,
            digest: active.digest,
            deployed_at: clock::rfc3339(active.deployment.at_ms),
        }),
        job: checked.job,
        digest: checked.digest,
        component_bytes: checked.component_bytes,
        contract: checked.contract,
        errors: checked.errors,
        warnings: checked.warnings,
        state: checked.state,
        starts: checked.starts,
        creates: checked.creates,
    }
}

fn sink_view((sink, exists): (&SinkSpec, Option<bool>)) -> SinkView {
    let columns = sink.columns.iter().map(|column| ColumnView {
        name: column.name.clone(),
        r#type: column.kind,
    });
    let keys: Vec<&str> = sink.keys.iter().map(|key| key.name.as_str()).collect();
    SinkView {
        kind: sink.connector.clone(),
        name: sink.name.clone(),
        target: sink.target.clone(),
        guarantee: guarantee(sink),
        key: (!keys.is_empty()).then(|| keys.join(", ")),
        columns: columns.collect(),
        exists,
    }
}
