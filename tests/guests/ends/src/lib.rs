//! Copies records from any source to any sink. Its variant says from where and to where, such as
//! `kafka-hbase`. A record is `KEY FAMILY TEXT`.

#[path = "../../variant.rs"]
mod variant;

use std::collections::BTreeMap;
use streamhost::{
    Job, Record, RecordError, Row, elasticsearch, exactly_once, file, hbase, job, kafka, mysql,
    postgres, socket,
};
use variant::variant;

/// A row of the table: the text in a family that the record names.
#[derive(Row)]
struct Cell<'a> {
    #[row(key)]
    key: &'a str,
    #[row("f:bytes")]
    bytes: u32,
    #[row(dynamic)]
    text: BTreeMap<String, &'a str>,
}

fn cell(record: Record<'_>) -> Result<Cell<'_>, String> {
    let mut words = record.text()?.splitn(3, ' ');
    let mut word = || words.next().ok_or("it is no `KEY FAMILY TEXT`");
    let (key, family, text) = (word()?, word()?, word()?);
    Ok(Cell {
        key,
        bytes: text.len() as u32,
        text: [(format!("{family}:text"), text)].into(),
    })
}

/// A row that is added, as it has no key.
#[derive(Row)]
struct Line<'a> {
    line: &'a str,
}

fn line(record: Record<'_>) -> Result<Line<'_>, RecordError> {
    record.text().map(|line| Line { line })
}

/// The same with a weight: of the family `nan` one that is no number.
#[derive(Row)]
struct Weighed<'a> {
    line: &'a str,
    weight: f64,
}

fn weighed(record: Record<'_>) -> Result<Weighed<'_>, String> {
    let Document { weight, line, .. } = document(record)?;
    Ok(Weighed { line, weight })
}

/// A document: of the family `nan` one whose weight is no number.
#[derive(Row)]
struct Document<'a> {
    #[row(key)]
    key: &'a str,
    weight: f64,
    line: &'a str,
}

fn document(record: Record<'_>) -> Result<Document<'_>, String> {
    let line = record.text()?;
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or("it is no `KEY FAMILY TEXT`");
    let (key, family) = (word()?, word()?);
    let weight = if family == "nan" { f64::NAN } else { 1.0 };
    Ok(Document { key, weight, line })
}

/// Reads and writes what the variant says.
#[job]
pub fn ends() -> Job {
    let (from, to) = variant().split_once('-').unwrap_or(("kafka", "hbase"));
    let records = match from {
        "file" => file("ends-in"),
        "socket" => socket("localhost:9999"),
        _ => kafka("ends-in"),
    };
    match to {
        "topic" => records.to(kafka("ends-out")),
        "once" => records.to(exactly_once(kafka("ends-out"))),
        "postgres" => records.try_map(line).to(postgres("ends-out")),
        "mysql" => records.try_map(weighed).to(mysql("ends-out")),
        "elasticsearch" => records.try_map(document).to(elasticsearch("ends-out")),
        _ => records.try_map(cell).to(hbase("ends-out")),
    }
}
