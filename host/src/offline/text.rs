//! What came of a run, as lines for people and for files of expected results, and as JSON.

use super::origin;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use streamhost_core::contract::render::{Cell, RowRef, RowsView, json, key, readable};
use streamhost_core::executor::BatchOutcome;
use streamhost_core::job::{JobSpec, SinkSpec};
use streamhost_core::types::Kind;

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SinkRow {
    /// The sink's name.
    pub sink: String,
    /// The key; none where the sink's rows have none.
    pub key: Option<String>,
    /// The row is to be deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The cells by column; `null`: the cell is to be deleted.
    pub columns: Map<String, Value>,
    /// The row's headers; of several with one name the last.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// The row on one line.
    #[serde(skip)]
    line: String,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Letter {
    /// `source@offset`, or the keyed stage.
    pub dead_letter: String,
    /// Why.
    pub reason: String,
}

/// All that came of a run.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The rows, in the order of their delivery.
    pub rows: Vec<SinkRow>,
    /// The dead letters.
    pub letters: Vec<Letter>,
    /// How many records were taken in.
    pub records_in: u64,
    /// How many were dropped.
    pub dropped: u64,
    /// How many were late.
    pub late: u64,
}

impl Found {
    pub(super) fn take(&mut self, job: &JobSpec, outcome: BatchOutcome) {
        for (sink, rows) in job.sinks.iter().zip(&outcome.rows) {
            for row in rows
                .iter()
                .flat_map(|rows| RowsView::new(rows, &sink.columns))
            {
                self.rows.push(sink_row(sink, &row));
            }
        }
        self.letters
            .extend(outcome.dead_letters.iter().map(|letter| Letter {
                dead_letter: origin(letter),
                reason: letter.reason.clone(),
            }));
        self.records_in += outcome.counts.records_in;
        self.dropped += outcome.counts.dropped;
        self.late += outcome.counts.late;
    }

    /// A line for each row and dead letter: `clicks: key=1 clickinfo:url=/home`.
    pub fn lines(&self) -> Vec<String> {
        let rows = self.rows.iter().map(|row| row.line.clone());
        let letter =
            |letter: &Letter| format!("dead letter {}: {}", letter.dead_letter, letter.reason);
        rows.chain(self.letters.iter().map(letter)).collect()
    }

    /// What a reader of the sinks finds at the end, whatever the batches: the last row of each key,
    /// all rows without keys, and all dead letters; sorted.
    pub fn at_the_end(&self) -> Vec<String> {
        let mut last: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let mut lines: Vec<String> = Vec::new();
        for row in &self.rows {
            match &row.key {
                Some(key) => drop(last.insert((&row.sink, key), &row.line)),
                None => lines.push(row.line.clone()),
            }
        }
        lines.extend(last.into_values().map(str::to_owned));
        lines.extend(self.lines().split_off(self.rows.len()));
        lines.sort();
        lines
    }
}

fn sink_row(sink: &SinkSpec, row: &RowRef<'_>) -> SinkRow {
    let mut line = format!("{}:", sink.name);
    let key = sink.is_keyed().then(|| {
        let mut text = Vec::new();
        key(&sink.keys, row, &mut text);
        readable(Kind::Bytes, &text)
    });
    if let Some(key) = &key {
        line += &format!(" key={key}");
    }
    if row.is_deleted() {
        line += " (deleted)";
    }
    let mut headers = Map::new();
    for header in row.headers() {
        let value = header.value.map(|value| readable(Kind::Bytes, value));
        let shown = value.as_ref().map(|value| format!("={value}"));
        line += &format!(" header:{}{}", header.name, shown.unwrap_or_default());
        headers.insert(
            header.name.to_owned(),
            value.map_or(Value::Null, Value::String),
        );
    }
    let mut columns = Map::new();
    let declared = row.named_cells();
    let extra = row
        .extra()
        .map(|cell| (cell.name, Cell::Value(cell.kind, cell.value)));
    for (name, cell) in declared.chain(extra) {
        let name = match name {
            b"" => "value".into(),
            name => String::from_utf8_lossy(name),
        };
        match cell {
            Cell::Absent => {}
            Cell::Deleted => {
                line += &format!(" {name} (deleted)");
                columns.insert(name.into_owned(), Value::Null);
            }
            Cell::Value(kind, bytes) => {
                line += &format!(" {name}={}", readable(kind, bytes));
                let mut value = Vec::new();
                json(kind, bytes, &mut value);
                let value = serde_json::from_slice(&value).unwrap_or(Value::Null);
                columns.insert(name.into_owned(), value);
            }
        }
    }
    SinkRow {
        sink: sink.name.clone(),
        key,
        deleted: row.is_deleted(),
        columns,
        headers,
        line,
    }
}
