//! Whether an index is as a job needs it; asked at deploy.

use super::client::{Client, escaped};
use super::mapping::{Index, create_index};
use super::types::UNSIGNED;
use super::words::Failure;
use super::{ElasticsearchSettings, SERVER};
use crate::connector::Presence;
use serde_json::Value;
use streamhost_core::job::SinkSpec;
use streamhost_engine::sink::{CancelSignal, SinkError};

/// What the server says that it is, and its version.
///
/// # Errors
/// It is away, or does not let the host in.
pub fn server_version(settings: &ElasticsearchSettings) -> Result<String, SinkError> {
    let mut client = client(settings);
    let version = client.get("/").and_then(|said| {
        let number = said["version"]["number"].as_str();
        let number = number.ok_or_else(|| client.senseless())?;
        Ok(match said["version"]["distribution"].as_str() {
            Some("opensearch") => format!("OpenSearch {number}"),
            _ => format!("{SERVER} {number}"),
        })
    });
    version.map_err(|failure| failure.error(settings, ""))
}

fn client(settings: &ElasticsearchSettings) -> Client {
    Client::new(settings.clone(), CancelSignal::default(), 0)
}

/// Looks at the index of a sink.
pub(super) fn inspect(
    settings: &ElasticsearchSettings,
    spec: &SinkSpec,
    create: bool,
) -> Result<Presence, SinkError> {
    let explain = |failure: Failure| failure.error(settings, &spec.target);
    match Index::find(&mut client(settings), &spec.target).map_err(explain)? {
        Some(index) => {
            index.fits(spec).map_err(explain)?;
            Ok(Presence::There)
        }
        None if create && has_columns(spec) => Ok(Presence::Missing),
        None => Err(missing(spec)),
    }
}

/// Makes what [`inspect`] found missing.
pub(super) fn create(settings: &ElasticsearchSettings, spec: &SinkSpec) -> Result<(), SinkError> {
    let explain = |failure: Failure| failure.error(settings, &spec.target);
    let mut client = client(settings);
    let (path, wanted) = (format!("/{}", escaped(&spec.target)), create_index(spec));
    let mut made = client.put(&path, &wanted);
    if lacks_unsigned(&made) {
        tracing::warn!(
            index = spec.target,
            "the server has no type `{UNSIGNED}`: unsigned columns are made as `long`, and values over its range will be refused"
        );
        made = client.put(&path, &signed(&wanted));
    }
    match made {
        // Somebody else was faster; what it has is looked at next.
        Err(Failure::Refused(words)) if words.contains("resource_already_exists_exception") => {}
        Err(failure) => return Err(explain(failure)),
        Ok(_) => tracing::info!(index = spec.target, "created in {SERVER}"),
    }
    inspect(settings, spec, false).map(drop)
}

/// Not every server has it: in Elasticsearch it is no part of the free core.
fn lacks_unsigned(made: &Result<Value, Failure>) -> bool {
    let words = format!("No handler for type [{UNSIGNED}]");
    matches!(made, Err(Failure::Refused(said)) if said.contains(&words))
}

/// The same with `long` for what is unsigned.
fn signed(wanted: &Value) -> Value {
    let mut signed = wanted.clone();
    let fields = signed["mappings"]["properties"].as_object_mut();
    for field in fields.into_iter().flat_map(|fields| fields.values_mut()) {
        if field["type"] == UNSIGNED {
            field["type"] = "long".into();
        }
    }
    signed
}

fn has_columns(spec: &SinkSpec) -> bool {
    !spec.keys.is_empty() || !spec.columns.is_empty()
}

/// An index that is not there.
pub(super) fn missing(spec: &SinkSpec) -> SinkError {
    SinkError::TableMissing {
        server: SERVER,
        what: "index",
        table: spec.target.clone(),
        mend: match has_columns(spec) {
            true => format!(
                "deploy with --create-tables, or make it yourself: PUT /{} {}",
                spec.target,
                create_index(spec)
            ),
            false => "its rows have no columns, so none can be made".to_owned(),
        },
    }
}
