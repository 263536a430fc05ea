//! Writes a batch's rows but for those that the server refuses for what is in them: a value that its
//! column cannot hold, a rule of the table that a row breaks. They are found by halves, each tried
//! behind a savepoint of the batch's one transaction, so that what is taken stays.

use super::{Failure, Merged};
use crate::halves::{Failed, refused_alone};
use std::collections::BTreeMap;
use streamhost_core::contract::render::RowRef;
use streamhost_core::limits;
use streamhost_core::types::RefusedRow;
use streamhost_engine::sink::{Refusals, SinkError};

/// Writes into a transaction.
pub(crate) trait Attempt {
    /// Writes some of the units, ascending: all of them, or none and says why.
    fn attempt(&mut self, merged: &Merged<'_>, some: &[usize]) -> Result<(), Failure>;
}

/// The rows of a batch.
pub(super) struct Rows<'f, I> {
    /// Who refuses some.
    pub(super) server: &'static str,
    /// Those of one key are one.
    pub(super) keyed: bool,
    /// All of them, each time the same.
    pub(super) all: &'f dyn Fn() -> I,
}

/// Writes rows, and tells which of them are left out.
pub(super) fn write<'a, I: Iterator<Item = RowRef<'a>>>(
    writer: &mut impl Attempt,
    rows: &Rows<'_, I>,
    refusals: &mut dyn Refusals,
    explain: &dyn Fn(Failure) -> SinkError,
) -> Result<(), SinkError> {
    let merged = Merged::of((rows.all)(), rows.keyed);
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
        for at in of_unit(writer, rows, &merged, unit).map_err(explain)? {
            left_out.insert(at, format!("{} refuses the row: {words}", rows.server));
        }
    }
    let told = |(row, reason)| RefusedRow { row, reason };
    refusals.take(left_out.into_iter().map(told).collect())
}

/// Writes some units. The server's words if it refuses one of them, or the two of them together.
fn taken(
    writer: &mut impl Attempt,
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
    writer: &mut impl Attempt,
    rows: &Rows<'_, I>,
    merged: &Merged<'_>,
    unit: usize,
) -> Result<Vec<usize>, Failure> {
    let of = &merged.units[unit].row;
    if !rows.keyed || !of.has_key() {
        let place = |(_, row): &(usize, RowRef<'a>)| row.is(of);
        return Ok((rows.all)()
            .enumerate()
            .filter(place)
            .map(|(at, _)| at)
            .collect());
    }
    let is_same = |row: &RowRef<'a>| row.has_key() && row.keys().eq(of.keys());
    let places: Vec<usize> = (rows.all)()
        .enumerate()
        .filter(|(_, row)| is_same(row))
        .map(|(at, _)| at)
        .collect();
    if !(2..=limits::SQL_ROWS_TRIED_MAX).contains(&places.len()) {
        return Ok(places);
    }
    for &left_out in &places {
        let others = (rows.all)().enumerate();
        let others = others.filter(|(at, row)| *at != left_out && is_same(row));
        let others = Merged::of(others.map(|(_, row)| row), rows.keyed);
        if taken(writer, &others, &[0])?.is_none() {
            return Ok(vec![left_out]);
        }
    }
    Ok(places)
}
