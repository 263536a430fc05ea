//! Writes a batch's rows but for those that the server refuses for what is in them: a value that its
//! column cannot hold, a rule of the table that a row breaks. They are found by halves, each tried
//! behind a savepoint of the batch's one transaction, so that what is taken stays.

use super::merge::Merged;
use super::words::Failure;
use super::write::Writer;
use crate::halves::{Failed, refused_alone};
use std::collections::BTreeMap;
use streamhost_core::contract::render::RowRef;
use streamhost_core::limits;
use streamhost_core::types::RefusedRow;
use streamhost_engine::sink::{Refusals, SinkError};

/// Writes what `rows` gives, each time the same, and tells which of them are left out.
pub(super) fn write<'a, I: Iterator<Item = RowRef<'a>>>(
    writer: &mut Writer<'_>,
    keyed: bool,
    rows: &dyn Fn() -> I,
    refusals: &mut dyn Refusals,
    explain: &dyn Fn(Failure) -> SinkError,
) -> Result<(), SinkError> {
    let merged = Merged::of(rows(), keyed);
    let all: Vec<usize> = (0..merged.units.len()).collect();
    if taken(writer, &merged, &all).map_err(explain)?.is_none() {
        return refusals.take(Vec::new());
    }
    let refused = refused_alone(&all, refusals.most() + 1, |group| {
        let words = taken(writer, &merged, group).map_err(explain)?;
        let each = |words: String| group.iter().map(|&at| (at, words.clone())).collect();
        Ok(words.map_or_else(Failed::new, each))
    })?;
    let mut left_out: BTreeMap<usize, String> = BTreeMap::new();
    for (unit, words) in refused {
        for at in of_unit(writer, keyed, rows, &merged, unit).map_err(explain)? {
            left_out.insert(at, format!("PostgreSQL refuses the row: {words}"));
        }
    }
    let told = |(row, reason)| RefusedRow { row, reason };
    refusals.take(left_out.into_iter().map(told).collect())
}

/// Writes some units. The server's words if it refuses one of them, or the two of them together.
fn taken(
    writer: &mut Writer<'_>,
    merged: &Merged<'_>,
    some: &[usize],
) -> Result<Option<String>, Failure> {
    match writer.attempt(merged, some) {
        Ok(()) => Ok(None),
        Err(Failure::Content(words) | Failure::Together(words)) => Ok(Some(words)),
        Err(failure) => Err(failure),
    }
}

/// Which rows of a unit are left out: the one without which the others are taken, or all of them
/// where that is not one alone.
fn of_unit<'a, I: Iterator<Item = RowRef<'a>>>(
    writer: &mut Writer<'_>,
    keyed: bool,
    rows: &dyn Fn() -> I,
    merged: &Merged<'_>,
    unit: usize,
) -> Result<Vec<usize>, Failure> {
    let of = &merged.units[unit].row;
    if !keyed || !of.has_key() {
        let place = |(_, row): &(usize, RowRef<'a>)| row.is(of);
        return Ok(rows().enumerate().filter(place).map(|(at, _)| at).collect());
    }
    let is_same = |row: &RowRef<'a>| row.has_key() && row.keys().eq(of.keys());
    let places: Vec<usize> = rows()
        .enumerate()
        .filter(|(_, row)| is_same(row))
        .map(|(at, _)| at)
        .collect();
    if !(2..=limits::POSTGRES_ROWS_TRIED_MAX).contains(&places.len()) {
        return Ok(places);
    }
    for &left_out in &places {
        let others = rows().enumerate();
        let others = others.filter(|(at, row)| *at != left_out && is_same(row));
        let others = Merged::of(others.map(|(_, row)| row), keyed);
        if taken(writer, &others, &[0])?.is_none() {
            return Ok(vec![left_out]);
        }
    }
    Ok(places)
}
