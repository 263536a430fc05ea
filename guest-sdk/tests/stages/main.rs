//! What follows `key_by`: scopes, windows, lateness to the exact boundary, joins, tables, several
//! keyed stages.

mod scopes;
mod windows;
mod sessions;
mod reductions;
mod aggregates;
mod joins;
mod chains;
mod versions;
mod any;
mod parameters;
mod processes;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use streamhost::flow::Flow;
use streamhost::*;

/// Records `word` or `word number`, each at its time.
fn at<'a>(records: &[(i64, &'a str)]) -> Vec<Record<'a>> {
    records
        .iter()
        .map(|(time_ms, text)| Record::from(*text).at(*time_ms))
        .collect()
}

fn words<'b>(source: &str) -> Stream<'b, impl Flow<'b, Item = &'b str>> {
    kafka(source).try_map(|record| record.text())
}

/// `word number` as a pair.
fn pairs<'b>(source: &str) -> Stream<'b, impl Flow<'b, Item = (&'b str, i64)>> {
    kafka(source).try_map(|record| pair(record))
}

fn pair(record: Record<'_>) -> Result<(&str, i64), String> {
    let [word, number] = fields(record.text()?, ' ')?;
    Ok((
        word,
        number
            .parse()
            .map_err(|e| format!("number `{number}`: {e}"))?,
    ))
}

/// A finished group on one line: `key value start..end`.
fn line<K: std::fmt::Display, V: std::fmt::Debug>(group: Group<K, V>) -> String {
    let Group {
        key, value, window, ..
    } = group;
    format!("{key} {value:?} {}..{}", window.start.0, window.end.0)
}
