//! Writes rows to PostgreSQL. Its variant says which: `plain`, each record as a row without a key;
//! `keyed`, words with their counts, each by its name and shard. `mysql-plain` and `mysql-keyed` are the
//! same to MySQL, `added` and `documents` to Elasticsearch. `files` is `plain` to a folder of files.

#[path = "../../variant.rs"]
mod variant;

use streamhost::{
    Change, Job, Record, Row, elasticsearch, fields, job, json_files, kafka, mysql, postgres,
};
use variant::variant;

#[derive(Row)]
struct Line<'a> {
    line: &'a str,
    bytes: u32,
}

#[derive(Row)]
struct Word<'a> {
    #[row(key)]
    name: &'a str,
    #[row(key)]
    shard: u32,
    count: Option<i64>,
    note: Option<&'a str>,
}

/// `NAME,SHARD,COUNT,NOTE`: a row, which lacks what is empty; `NAME,SHARD,,-` deletes one.
fn word(record: Record<'_>) -> Result<Change<Word<'_>>, String> {
    let [name, shard, count, note] = fields(record.text()?, ',')?;
    let shard = shard.parse().map_err(|_| "the shard is no number")?;
    if note == "-" {
        return Ok(Change::Delete((name, shard)));
    }
    let count = match count {
        "" => None,
        digits => Some(digits.parse().map_err(|_| "the count is no number")?),
    };
    let note = (!note.is_empty()).then_some(note);
    Ok(Change::Put(Word {
        name,
        shard,
        count,
        note,
    }))
}

fn line(record: Record<'_>) -> Result<Line<'_>, String> {
    let line = record.text()?;
    let bytes = line.len() as u32;
    Ok(Line { line, bytes })
}

/// Reads `rows-in`.
#[job]
pub fn rows() -> Job {
    let records = kafka("rows-in");
    match variant() {
        "added" => records.try_map(line).to(elasticsearch("rows-out")),
        "documents" => records.try_map(word).to(elasticsearch("rows-out")),
        "files" => records.try_map(line).to(json_files("rows-out")),
        "mysql-plain" => records.try_map(line).to(mysql("rows-out")),
        "mysql-keyed" => records.try_map(word).to(mysql("rows-out")),
        "keyed" => records.try_map(word).to(postgres("rows-out")),
        _ => records.try_map(line).to(postgres("rows-out")),
    }
}
