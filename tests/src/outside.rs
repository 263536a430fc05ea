//! Topics and tables through clients that are not ours: kafka-python and happybase (`oracle/*.py`).

use crate::command::{Said, say};
use crate::paths::{python, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A table: row key → column → value.
pub type Table = BTreeMap<String, BTreeMap<String, String>>;

/// A record as kafka-python reads it; bytes that are no UTF-8 are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its partition.
    pub partition: i64,
    /// Its offset.
    pub offset: i64,
    /// When it was written.
    pub time_ms: i64,
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
}

/// A value and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The value.
    pub value: String,
    /// The cell's time, or the record's.
    pub time_ms: i64,
}

fn script(name: &str, arguments: &[&str]) -> Said {
    say(Command::new(python())
        .arg("-B")
        .arg(root().join("tests/oracle").join(name))
        .args(arguments))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// All rows of a table.
#[track_caller]
pub fn table(gateway: &str, name: &str) -> Table {
    serde_json::from_str(&script("outside.py", &["table-rows", gateway, name]).ok())
        .expect("outside.py prints a table")
}

/// The newest value of a column in each row that has one.
#[track_caller]
pub fn column(gateway: &str, table: &str, column: &str) -> BTreeMap<String, Written> {
    let rows = script("outside.py", &["table-column", gateway, table, column]).ok();
    let rows: BTreeMap<String, Value> =
        serde_json::from_str(&rows).expect("outside.py prints a column");
    let written = |cell: Value| Written {
        value: text(&cell["value"]).expect("a value"),
        time_ms: cell["time_ms"].as_i64().expect("a time"),
    };
    rows.into_iter()
        .map(|(key, cell)| (key, written(cell)))
        .collect()
}

/// How many values the table keeps of a column in these rows: one, unless it was written again at
/// another time.
#[track_caller]
pub fn values_kept(
    gateway: &str,
    table: &str,
    column: &str,
    rows: &[&str],
) -> BTreeMap<String, u64> {
    let counts = script(
        "outside.py",
        &[&["table-values", gateway, table, column], rows].concat(),
    )
    .ok();
    serde_json::from_str(&counts).expect("outside.py prints a count a row")
}

/// Creates a table with families, each of which keeps three values of a cell.
#[track_caller]
pub fn create_table(gateway: &str, name: &str, families: &[&str]) {
    script(
        "outside.py",
        &[&["table-create", gateway, name], families].concat(),
    )
    .ok();
}

/// Changes cells of a table by hand: `(row, column, value)`. Without a value the cell is deleted, and
/// without a column the row.
#[track_caller]
pub fn change_table(gateway: &str, name: &str, changes: &[(String, Option<&str>, Option<String>)]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("changes.json");
    let json = serde_json::to_vec(changes).expect("texts have a JSON form");
    std::fs::write(&file, json).expect("the folder can be written");
    let file = file.display().to_string();
    script("outside.py", &["table-change", gateway, name, &file]).ok();
}

/// Deletes a table.
#[track_caller]
pub fn drop_table(gateway: &str, name: &str) {
    script("outside.py", &["table-drop", gateway, name]).ok();
}

/// All records of a topic that committed transactions or plain producers wrote, in partition and
/// offset order.
#[track_caller]
pub fn topic(brokers: &str, name: &str) -> Vec<Seen> {
    let seen = |line: &str| {
        let record: Value =
            serde_json::from_str(line).expect("outside.py prints a JSON line a record");
        let headers = record["headers"]
            .as_object()
            .expect("headers are an object");
        Seen {
            partition: record["partition"].as_i64().expect("partition"),
            offset: record["offset"].as_i64().expect("offset"),
            time_ms: record["time_ms"].as_i64().expect("a time"),
            key: text(&record["key"]),
            value: text(&record["value"]),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), text(value).unwrap_or_default()))
                .collect(),
        }
    };
    script("outside.py", &["topic-read", brokers, name])
        .ok()
        .lines()
        .map(seen)
        .collect()
}

/// Creates a topic.
#[track_caller]
pub fn create_topic(brokers: &str, name: &str, partitions: i32) {
    script(
        "outside.py",
        &["topic-create", brokers, name, &partitions.to_string()],
    )
    .ok();
}

/// Sends values without keys to a topic.
#[track_caller]
pub fn send(brokers: &str, topic: &str, values: &[&str]) {
    script(
        "outside.py",
        &[&["topic-send", brokers, topic], values].concat(),
    )
    .ok();
}

/// What a member of a consumer group got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its partitions, in order.
    pub partitions: Vec<i64>,
    /// The values it read, in the order it read them.
    pub values: Vec<String>,
}

/// Has so many consumers join a group; once each has partitions, sends the values to all partitions
/// in turn. What the members read is committed before they leave.
#[track_caller]
pub fn share(
    brokers: &str,
    topic: &str,
    group: &str,
    members: usize,
    values: &[String],
) -> Vec<Share> {
    let members = members.to_string();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let shares = script(
        "outside.py",
        &[
            &["group-share", brokers, topic, group, &members],
            &values[..],
        ]
        .concat(),
    )
    .ok();
    let shares: Vec<Value> =
        serde_json::from_str(&shares).expect("outside.py prints a share a member");
    let list = |share: &Value, name: &str| share[name].as_array().cloned().expect("a list");
    let share = |share: &Value| Share {
        partitions: list(share, "partitions")
            .iter()
            .filter_map(Value::as_i64)
            .collect(),
        values: list(share, "values").iter().filter_map(text).collect(),
    };
    shares.iter().map(share).collect()
}

/// Has an oracle compare what is in these places, each with the oracle's name for it. Panics with
/// the first differences; returns the counts.
#[track_caller]
pub fn oracle(name: &str, places: &[(&str, String)]) -> Value {
    let places: Vec<String> = places
        .iter()
        .map(|(name, place)| format!("{name}={place}"))
        .collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let counts = script(&format!("{name}.py"), &places).ok();
    serde_json::from_str(&counts).expect("the oracle prints one JSON object")
}

/// What the oracle says of a topic of clicks and the table that was made of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Records in the topic.
    pub records: u64,
    /// Records that make a row.
    pub rows: u64,
    /// Records with quantity 0.
    pub dropped: u64,
    /// Records that are refused.
    pub dead_letters: u64,
    /// Dead letters beyond one for each refused record.
    pub dead_letters_doubled: u64,
}

/// Has the oracle compare table and dead letters with the topic, cell for cell and letter for
/// letter. Panics with the first differences.
#[track_caller]
pub fn clicks_are_right(
    brokers: &str,
    topic: &str,
    gateway: &str,
    table: &str,
    dead_letters: &str,
) -> Verdict {
    verdict(script(
        "clicks.py",
        &[brokers, topic, gateway, table, dead_letters],
    ))
}

/// The same with a table of PostgreSQL, as psql reads it at this URL.
#[track_caller]
pub fn clicks_in_postgres_are_right(
    brokers: &str,
    topic: &str,
    url: &str,
    table: &str,
    dead_letters: &str,
) -> Verdict {
    let asked = [brokers, topic, url, table, dead_letters];
    verdict(script("clicks_postgres.py", &asked))
}

/// The same with a table of MySQL or MariaDB, as its own client reads it at this URL.
#[track_caller]
pub fn clicks_in_mysql_are_right(
    brokers: &str,
    topic: &str,
    url: &str,
    table: &str,
    dead_letters: &str,
) -> Verdict {
    let asked = [brokers, topic, url, table, dead_letters];
    verdict(script("clicks_mysql.py", &asked))
}

/// The same with an index of Elasticsearch at this `host:port`.
#[track_caller]
pub fn clicks_in_elasticsearch_are_right(
    brokers: &str,
    topic: &str,
    address: &str,
    index: &str,
    dead_letters: &str,
) -> Verdict {
    let asked = [brokers, topic, address, index, dead_letters];
    verdict(script("clicks_elasticsearch.py", &asked))
}

/// Has Python hold a folder of JSON lines against what was sent: `line 0`, `line 1`, … up to so many
/// records, each once. Panics with the first differences; else says how many files and rows there are.
#[track_caller]
pub fn lines_in_files(folder: &Path, records: u64) -> String {
    let folder = folder.to_str().expect("a plain path");
    script("lines_in_files.py", &[folder, &records.to_string()]).ok()
}

#[track_caller]
fn verdict(said: Said) -> Verdict {
    let verdict = said.ok();
    let verdict: Value = serde_json::from_str(&verdict).expect("the oracle prints one JSON object");
    let count = |name: &str| {
        verdict[name]
            .as_u64()
            .unwrap_or_else(|| panic!("the oracle tells no {name}"))
    };
    Verdict {
        records: count("records"),
        rows: count("rows"),
        dropped: count("dropped"),
        dead_letters: count("dead_letters"),
        dead_letters_doubled: count("dead_letters_doubled"),
    }
}
