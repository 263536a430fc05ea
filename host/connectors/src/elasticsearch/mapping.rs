//! An index as it is: looked at when a job is deployed, and whenever its sink is opened.

use super::client::{Client, escaped};
use super::types::{self, made};
use super::words::Failure;
use crate::connector::all_of;
use serde_json::{Map, Value, json};
use std::time::Duration;
use streamhost_core::job::connector::REFRESH;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;

pub(super) use super::types::TimeForm;

/// What a target's name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An index, with the number that tells it from another of its name.
    Index { uuid: String },
    /// Another name of an index.
    Alias,
    /// Indices that are only added to.
    DataStream,
}

/// An index that is there.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) place: Place,
    /// Why rows cannot be written to it at all.
    unfit: Vec<String>,
    properties: Map<String, Value>,
    /// How long it remembers what was deleted.
    pub(super) gc_deletes: Duration,
    /// Searches never find what is new by themselves.
    is_never_refreshed: bool,
}

/// How the rows of a sink become documents.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) keys: Vec<ColumnSpec>,
    /// Those of the keys, then those of the columns.
    pub(super) fields: Vec<Field>,
}

/// A field of a document.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Its name as JSON, with the colon behind it.
    pub(super) name: Vec<u8>,
    pub(super) time: TimeForm,
}

impl Field {
    pub(super) fn new(name: &str, time: TimeForm) -> Self {
        let name = format!("{}:", Value::from(name)).into_bytes();
        Field { name, time }
    }
}

/// How long an index remembers deletes where it says nothing.
const GC_DELETES_DEFAULT: Duration = Duration::from_secs(60);

impl Index {
    /// Looks at the index of this name; none if it is not there.
    pub(super) fn find(client: &mut Client, name: &str) -> Result<Option<Index>, Failure> {
        match client.get(&format!("/{}", escaped(name))) {
            Ok(Value::Object(all)) => match Index::read(name, &all) {
                Some(index) => Ok(Some(index)),
                None => Err(client.senseless()),
            },
            Ok(_) => Err(client.senseless()),
            Err(Failure::NoIndex) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// By what the server says of one name: the indices that it stands for.
    fn read(name: &str, all: &Map<String, Value>) -> Option<Index> {
        let is_written = |of: &Value| of["aliases"][name]["is_write_index"] == true;
        let written = all.iter().find(|(_, of)| is_written(of));
        let (index, of) = written.or(all.iter().next_back())?; // the newest of a data stream is last
        let settings = of["settings"]["index"].as_object()?;
        let place = match () {
            () if of["data_stream"].is_string() => Place::DataStream,
            () if index == name => Place::Index {
                uuid: settings.get("uuid")?.as_str()?.to_owned(),
            },
            () => Place::Alias,
        };
        let mut unfit = Vec::new();
        let is_on = |key: &str| text(settings, key) == "true";
        if is_on("verified_before_close") {
            unfit.push(format!("it is closed: POST /{index}/_open opens it"));
        }
        for block in ["read_only", "read_only_allow_delete", "write"] {
            if settings
                .get("blocks")
                .is_some_and(|all| all[block] == "true")
            {
                unfit.push(format!(
                    "it takes no writes: PUT /{index}/_settings {{\"index.blocks.{block}\": null}} lets them in"
                ));
            }
        }
        if of["mappings"]["_routing"]["required"] == true {
            unfit.push("it wants a routing value for each row, and rows have none".to_owned());
        }
        if place == Place::Alias && all.len() > 1 && written.is_none() {
            unfit.push(format!(
                "it is an alias of {} indices, of which none is its write index",
                all.len()
            ));
        }
        let gc_deletes = duration(text(settings, "gc_deletes"));
        Some(Index {
            place,
            unfit,
            properties: of["mappings"]["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
            gc_deletes: gc_deletes.unwrap_or(GC_DELETES_DEFAULT),
            is_never_refreshed: text(settings, "refresh_interval").starts_with('-'),
        })
    }

    /// Whether a sink's rows fit into it, and how they do; else all that is in the way, each with what to
    /// do.
    pub(super) fn fits(&self, spec: &SinkSpec) -> Result<Shape, Failure> {
        let mut faults = self.unfit.clone();
        faults.extend(own_faults(spec));
        faults.extend(self.place_faults(spec));
        let mut fields = Vec::new();
        for column in spec.keys.iter().chain(&spec.columns) {
            match self.field(column, &spec.target) {
                Ok(field) => fields.push(field),
                Err(fault) => faults.push(fault),
            }
        }
        match faults.is_empty() {
            true => Ok(Shape {
                keys: spec.keys.clone(),
                fields,
            }),
            false => Err(Failure::Refused(all_of(
                faults,
                limits::ELASTICSEARCH_FAULTS_SHOWN_MAX,
            ))),
        }
    }

    /// What of the name's meaning is in the way.
    fn place_faults(&self, spec: &SinkSpec) -> Vec<String> {
        let mut faults = Vec::new();
        if self.place == Place::DataStream {
            if spec.is_keyed() {
                faults.push(
                    "it is a data stream, which is only added to, and the rows have a key: name an index, or leave \
                     the key out"
                        .to_owned(),
                );
            }
            if !spec
                .columns
                .iter()
                .any(|column| column.name == "@timestamp")
            {
                faults.push(
                    "it is a data stream, and its rows have no time: give them `#[row(\"@timestamp\")] at: Time`"
                        .to_owned(),
                );
            }
        }
        if spec.options.is(REFRESH, "wait_for") && self.is_never_refreshed {
            faults.push(
                "`refresh = \"wait_for\"` would wait for ever, as its `index.refresh_interval` is -1: set one, or \
                 leave the option out"
                    .to_owned(),
            );
        }
        faults
    }

    /// The field of a column, or why there is none.
    fn field(&self, column: &ColumnSpec, index: &str) -> Result<Field, String> {
        let ColumnSpec { name, kind, .. } = column;
        let Some(found) = find_field(&self.properties, name) else {
            let add = properties([column]).to_string();
            return Err(format!(
                "it has no field `{name}`, and would guess its type: PUT /{index}/_mapping {{\"properties\": {add}}} adds it"
            ));
        };
        match types::form(found, *kind) {
            Ok(time) => Ok(Field::new(name, time)),
            Err(reason) => Err(format!("field `{name}` is {reason}")),
        }
    }
}

/// What is wrong with the names that the job gives, whatever the index.
fn own_faults(spec: &SinkSpec) -> Vec<String> {
    let fault = |column: &ColumnSpec| {
        let name = &column.name;
        let parts_are_good = !name.split('.').any(str::is_empty);
        match name.starts_with('_') || !parts_are_good {
            true => Some(format!(
                "`{name}` cannot be a field's name: it does not begin with `_`, and has something on both \
                 sides of each dot"
            )),
            false => None,
        }
    };
    spec.keys
        .iter()
        .chain(&spec.columns)
        .filter_map(fault)
        .collect()
}

/// The field of this name; `a.b` is `b` in the object `a`.
fn find_field<'a>(properties: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(found) = properties.get(name) {
        return Some(found);
    }
    let (first, rest) = name.split_once('.')?;
    find_field(properties.get(first)?.get("properties")?.as_object()?, rest)
}

fn text<'a>(settings: &'a Map<String, Value>, key: &str) -> &'a str {
    settings
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A time as the server's settings say it, such as `10m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    let ms = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "micros" | "nanos" => 0,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(ms)))
}

/// The fields of columns, as a mapping has them.
fn properties<'a>(columns: impl IntoIterator<Item = &'a ColumnSpec>) -> Value {
    let field = |column: &ColumnSpec| (column.name.clone(), made(column.kind));
    Value::Object(columns.into_iter().map(field).collect())
}

/// What makes an index for a sink.
pub(super) fn create_index(spec: &SinkSpec) -> Value {
    let gc = 2 * limits::ELASTICSEARCH_GC_DELETES_MIN.as_secs();
    json!({
        "settings": {"index.gc_deletes": format!("{gc}s")},
        "mappings": {
            "dynamic": "strict",
            "properties": properties(spec.keys.iter().chain(&spec.columns)),
        },
    })
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
