//! Writes a batch's rows but for those that HBase refuses for what is in them: a family that the data
//! names and the table does not have, a cell that is too large. What is written twice on the way to them
//! is what is written at last, at the same times.

use super::HbaseSink;
use super::words::Failure;
use crate::halves::{Failed, refused_alone};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use streamhost_core::contract::render::RowRef;
use streamhost_core::limits;
use streamhost_core::types::RefusedRow;
use streamhost_engine::sink::{Refusals, Remedy, SinkError};

/// Why rows are left out, by their places in the batch.
type LeftOut = BTreeMap<usize, String>;

/// Delivers what `rows` gives, each time the same.
pub(super) fn deliver<'a, I: Iterator<Item = RowRef<'a>>>(
    sink: &mut HbaseSink,
    time_ms: i64,
    rows: &dyn Fn() -> I,
    refusals: &mut dyn Refusals,
) -> Result<(), SinkError> {
    let mut left_out = LeftOut::new();
    loop {
        let kept = rows().enumerate();
        let kept = kept.filter(|(at, _)| !left_out.contains_key(at));
        let failures = sink.write(time_ms, kept.map(|(_, row)| row))?;
        if failures.is_empty() || left_out.len() > refusals.most() {
            let refused = |(row, reason)| RefusedRow { row, reason };
            return refusals.take(left_out.into_iter().map(refused).collect());
        }
        let before = left_out.len();
        match of_content(sink, failures)? {
            Content::Family => left_out.extend(of_families(sink, rows)?),
            Content::Other => {
                let more = (refusals.most() + 1).saturating_sub(before);
                let found = of_keys(sink, time_ms, rows, &left_out, more)?;
                left_out.extend(found);
            }
        }
        if left_out.len() == before {
            let reason = "it refused what it takes now".to_owned();
            return Err(sink.explain(Failure::Away(reason)));
        }
    }
}

/// What of rows is refused.
enum Content {
    /// A family that is not there.
    Family,
    /// Anything else.
    Other,
}

/// What all these failures are about, if it is the rows. Of a stop and a retry the stop is told.
fn of_content(sink: &mut HbaseSink, failures: Vec<Failure>) -> Result<Content, SinkError> {
    let (mut content, mut errors) = (Content::Other, Vec::new());
    for failure in failures {
        match failure {
            Failure::NoFamily(_) => content = Content::Family,
            Failure::Content(_) => {}
            other => errors.push(sink.explain(other)),
        }
    }
    let worst = errors
        .into_iter()
        .max_by_key(|error| error.remedy() == Remedy::Stop);
    worst.map_or(Ok(content), Err)
}

/// Rows with a family that the table does not have. One of a declared column stops the job.
fn of_families<'a, I: Iterator<Item = RowRef<'a>>>(
    sink: &mut HbaseSink,
    rows: &dyn Fn() -> I,
) -> Result<LeftOut, SinkError> {
    let there = sink.check_families()?;
    let why = |(at, row): (usize, RowRef<'a>)| Some((at, sink.without_family(&row, &there)?));
    Ok(rows().enumerate().filter_map(why).collect())
}

/// Rows that are refused whatever comes with them. HBase takes a row whole or not at all, and one row
/// of it may be written by several of the batch; so keys are found first.
fn of_keys<'a, I: Iterator<Item = RowRef<'a>>>(
    sink: &mut HbaseSink,
    time_ms: i64,
    rows: &dyn Fn() -> I,
    left_out: &LeftOut,
    most: usize,
) -> Result<LeftOut, SinkError> {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut keys: Vec<Vec<usize>> = Vec::new();
    for (at, row) in rows().enumerate() {
        if !left_out.contains_key(&at) {
            let place = *places.entry(row.key()).or_insert(keys.len());
            match keys.get_mut(place) {
                Some(key) => key.push(at),
                None => keys.push(vec![at]),
            }
        }
    }
    let all: Vec<usize> = (0..keys.len()).collect();
    let refused = refused_alone(&all, most, |group| {
        let mut some: Vec<usize> = group.iter().flat_map(|&key| &keys[key]).copied().collect();
        some.sort_unstable();
        let refused = refuses(sink, time_ms, rows, &some)?;
        let every = |words: String| group.iter().map(|&key| (key, words.clone())).collect();
        Ok(refused.map_or_else(Failed::new, every))
    })?;
    let mut found = LeftOut::new();
    for (key, words) in refused {
        for at in of_one_key(sink, time_ms, rows, &keys[key])? {
            let reason = format!("HBase refuses the row: {words}");
            found.insert(at, reason);
        }
    }
    Ok(found)
}

/// Which of the rows of one key is refused: the one without which the others are taken, or all of
/// them where that is not one alone.
fn of_one_key<'a, I: Iterator<Item = RowRef<'a>>>(
    sink: &mut HbaseSink,
    time_ms: i64,
    rows: &dyn Fn() -> I,
    key: &[usize],
) -> Result<Vec<usize>, SinkError> {
    if (2..=limits::HBASE_ROWS_TRIED_MAX).contains(&key.len()) {
        for &at in key {
            let others: Vec<usize> = key.iter().copied().filter(|&other| other != at).collect();
            if refuses(sink, time_ms, rows, &others)?.is_none() {
                return Ok(vec![at]);
            }
        }
    }
    Ok(key.to_vec())
}

/// Writes the rows at some places, and gives the words by which they are refused, if so.
fn refuses<'a, I: Iterator<Item = RowRef<'a>>>(
    sink: &mut HbaseSink,
    time_ms: i64,
    rows: &dyn Fn() -> I,
    some: &[usize],
) -> Result<Option<String>, SinkError> {
    let picked = rows().enumerate();
    let picked = picked.filter(|(at, _)| some.binary_search(at).is_ok());
    let failures = sink.write(time_ms, picked.map(|(_, row)| row))?;
    let mut words = None;
    for failure in failures {
        match failure {
            Failure::Content(said) => words = Some(said),
            other => return Err(sink.explain(other)),
        }
    }
    Ok(words)
}
