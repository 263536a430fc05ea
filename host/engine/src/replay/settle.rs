//! What is left of what was not as it was made, once later records are known: counted, and shown.

use super::place::{Pages, Places};
use super::report::{ReplayedCell, ReplayedRow, RowKind};
use super::run::Broken;
use super::{Replay, TableId, What};
use streamhost_core::compare::{LastWrites, shown_bytes};
use streamhost_core::limits;

/// Leaves out what later records are known to have written by now. Gives, by place, how many rows
/// nothing is left of.
pub(super) fn settle(places: &Places) -> Result<Vec<u64>, Broken> {
    let mut gone = Vec::new();
    for place in places.numbers() {
        let (mut pages, mut overtaken) = (Pages::of(What::Held, place), 0);
        while let Some(page) = pages.next(places)? {
            for (key, _) in page {
                let later = places.of(What::Later, place, &key)?;
                if later == LastWrites::default() {
                    continue;
                }
                let mut is_empty = true;
                for what in [What::Mends, What::Extra] {
                    let mut of = places.of(what, place, &key)?;
                    of.cells.retain(|column, _| !later.covers(column));
                    match of.cells.is_empty() {
                        true => places.remove(what, place, std::slice::from_ref(&key))?,
                        false => {
                            is_empty = false;
                            places.put(TableId { what, place }, vec![(key.clone(), of)])?;
                        }
                    }
                }
                if is_empty {
                    // A row that later records made alone was never made here.
                    let made = places.of(What::Made, place, &key)?;
                    overtaken += u64::from(made != LastWrites::default());
                    places.remove(What::Held, place, &[key])?;
                }
            }
        }
        gone.push(overtaken);
    }
    Ok(gone)
}

/// Counts what is left, and takes samples of it.
pub(super) fn count(replay: &Replay, places: &Places) -> Result<(), Broken> {
    for (number, place) in (0..).zip(&places.list) {
        let mut pages = Pages::of(What::Held, number);
        while let Some(page) = pages.next(places)? {
            for (key, held) in page {
                let mends = places.of(What::Mends, number, &key)?;
                let extra = places.of(What::Extra, number, &key)?;
                let row = row_of(&key, &mends, &extra, &held);
                if let Some(report) = replay.report().places.get_mut(&place.name) {
                    report.take(row);
                }
            }
        }
    }
    Ok(())
}

fn row_of(key: &[u8], mends: &LastWrites, extra: &LastWrites, held: &LastWrites) -> ReplayedRow {
    let kind = match () {
        () if mends.cells.is_empty() && extra.is_erased => RowKind::Extra,
        () if held.cells.is_empty() => RowKind::Missing,
        () => RowKind::Differing,
    };
    let shown = |value: &Option<Vec<u8>>| value.as_deref().map(shown_bytes);
    let cell = |(column, made): (&Vec<u8>, &Option<Vec<u8>>)| ReplayedCell {
        column: shown_bytes(column),
        held: held.cells.get(column).and_then(shown),
        made: shown(made),
    };
    // A place may have a cell without a name, which says that the row is there.
    let columns = mends.cells.iter().chain(&extra.cells);
    let columns = columns.filter(|(column, _)| !column.is_empty()).map(cell);
    ReplayedRow {
        kind,
        key: shown_bytes(key),
        columns: columns.take(limits::REPLAY_COLUMNS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(cells: &[(&str, Option<&str>)], is_erased: bool) -> LastWrites {
        let cell = |(column, value): &(&str, Option<&str>)| {
            let value = value.map(|value| value.as_bytes().to_vec());
            (column.as_bytes().to_vec(), value)
        };
        LastWrites {
            is_erased,
            cells: cells.iter().map(cell).collect(),
        }
    }

    #[test]
    fn a_row_is_missing_extra_or_differs() {
        let cases = [
            (
                &[("a", Some("1"))][..],
                &[][..],
                false,
                &[][..],
                RowKind::Missing,
            ),
            (
                &[("a", Some("1"))],
                &[],
                false,
                &[("a", Some("2"))],
                RowKind::Differing,
            ),
            (
                &[],
                &[("b", None)],
                true,
                &[("b", Some("2"))],
                RowKind::Extra,
            ),
            (
                &[],
                &[("b", None)],
                false,
                &[("b", Some("2"))],
                RowKind::Differing,
            ),
        ];
        for (mends, extra, is_erased, held, kind) in cases {
            let row = row_of(
                b"k",
                &writes(mends, false),
                &writes(extra, is_erased),
                &writes(held, false),
            );
            assert_eq!(row.kind, kind, "{mends:?} {extra:?}");
            assert_eq!(row.columns.len(), mends.len() + extra.len());
        }
    }
}
