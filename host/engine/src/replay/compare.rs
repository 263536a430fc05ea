//! Reads places back and holds them against what was made.

use super::place::{Page, Places};
use super::report::{ReplayedCell, ReplayedRow, RowKind};
use super::run::Broken;
use super::{Replay, ReplayPlace, TableId, What};
use crate::sink::{Remedy, SinkError};
use std::collections::BTreeMap;
use streamhost_core::compare::{HeldCell, HeldRow, LastWrites, RowFound, shown_bytes};
use streamhost_core::{clock, limits};

/// What may not be as it was made: it is not known yet whether later records wrote it.
pub(super) struct Comparison<'a> {
    pub(super) replay: &'a Replay,
    pub(super) places: &'a mut Places,
    /// A place has nothing else than what was made.
    pub(super) is_all: bool,
    /// What the active version makes of the same records is known.
    pub(super) has_active: bool,
    /// The newest time of a cell that was read back and may be mended.
    pub(super) newest_ms: i64,
    /// The place under way is read from the replay's own store, as it was read from front to back.
    pub(super) is_copied: bool,
}

/// What is found of the rows of one page.
#[derive(Default)]
struct Found {
    mends: Page,
    extra: Page,
    held: Page,
    /// The newest time of a cell of theirs.
    newest_ms: i64,
}

impl Comparison<'_> {
    /// Reads all places back.
    pub(super) fn run(&mut self) -> Result<(), Broken> {
        for place in self.places.numbers() {
            self.is_copied = self.copy(place)?;
            self.made(place)?;
            match (self.is_all, self.has_active) {
                (true, _) => self.whole(place)?,
                (false, true) => self.made_by_active(place)?,
                (false, false) => {}
            }
        }
        Ok(())
    }

    /// Copies a place that is only read from front to back.
    fn copy(&mut self, number: u16) -> Result<bool, Broken> {
        let table = TableId {
            what: What::There,
            place: number,
        };
        loop {
            let next = self.patiently(number, |place| place.held.next_written().transpose())?;
            let Some(rows) = next else {
                return Ok(false);
            };
            if rows.is_empty() {
                return Ok(true);
            }
            let mut last: BTreeMap<Vec<u8>, LastWrites> = BTreeMap::new();
            for (key, writes) in rows {
                last.entry(key).or_default().then(writes);
            }
            self.places.add(table, last)?;
        }
    }

    /// The rows that were made.
    fn made(&mut self, number: u16) -> Result<(), Broken> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.places.next(What::Made, number, after.as_deref())?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let there = self.rows(number, page.iter().map(|(key, _)| key.clone()).collect())?;
            let (mut found, mut alike, mut overtaken) = (Found::default(), 0, 0);
            for (key, made) in page {
                let (row, later) = (there.get(&key), self.places.of(What::Later, number, &key)?);
                let held = &self.places.list[usize::from(number)].held;
                let is_own = |column: &[u8]| held.is_own(column);
                let of = RowFound::of(&made, row, &later, self.is_all, is_own);
                match of.mends.cells.is_empty() && of.extra.cells.is_empty() {
                    true if of.is_overtaken => overtaken += 1,
                    true => alike += 1,
                    false => found.take(&self.places.list[usize::from(number)], key, row, of),
                }
            }
            self.keep(number, found)?;
            let place = &self.places.list[usize::from(number)].name;
            if let Some(report) = self.replay.report().places.get_mut(place) {
                report.alike += alike;
                report.overtaken += overtaken;
            }
        }
    }

    /// All rows that there are, for those that were not made.
    fn whole(&mut self, number: u16) -> Result<(), Broken> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = match self.is_copied {
                true => self.copied(number, after.as_deref())?,
                false => self.patiently(number, |place| place.held.scan(after.as_deref()))?,
            };
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.key.clone());
            let mut found = Found::default();
            for row in &rows {
                let table = TableId {
                    what: What::Made,
                    place: number,
                };
                let made = self.places.tables.get(table, &row.key);
                if made.map_err(super::run::said)?.is_some() {
                    continue;
                }
                let later = self.places.of(What::Later, number, &row.key)?;
                let place = &self.places.list[usize::from(number)];
                let is_own = |column: &[u8]| place.held.is_own(column);
                let of = RowFound::of(&LastWrites::default(), Some(row), &later, true, is_own);
                let extra = LastWrites {
                    is_erased: true, // the row itself was not made
                    ..of.extra
                };
                if !extra.cells.is_empty() {
                    found.take_extra(place, row, extra);
                }
            }
            self.keep(number, found)?;
        }
    }

    /// What the active version makes of the same records and the other one does not, where the place
    /// still has it.
    fn made_by_active(&mut self, number: u16) -> Result<(), Broken> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.places.next(What::Active, number, after.as_deref())?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let mut suspects: BTreeMap<Vec<u8>, (LastWrites, bool)> = BTreeMap::new();
            for (key, mut active) in page {
                let made = self.places.of(What::Made, number, &key)?;
                let later = self.places.of(What::Later, number, &key)?;
                active.cells.retain(|column, value| {
                    value.is_some() && !made.covers(column) && !later.covers(column)
                });
                if !active.cells.is_empty() {
                    let is_row = made == LastWrites::default();
                    suspects.insert(key, (active, is_row));
                }
            }
            let there = self.rows(number, suspects.keys().cloned().collect())?;
            let mut found = Found::default();
            for (key, row) in &there {
                let Some((active, is_row)) = suspects.get(key) else {
                    continue;
                };
                let is_there = |(column, value): &(&Vec<u8>, &Option<Vec<u8>>)| {
                    row.cells.get(*column).map(|cell| &cell.value) == value.as_ref()
                };
                let cells = active.cells.iter().filter(is_there);
                let extra = LastWrites {
                    is_erased: *is_row,
                    cells: cells.map(|(column, _)| (column.clone(), None)).collect(),
                };
                if !extra.cells.is_empty() {
                    found.take_extra(&self.places.list[usize::from(number)], row, extra);
                }
            }
            self.keep(number, found)?;
        }
    }

    /// The rows of these keys that are there.
    fn rows(
        &mut self,
        number: u16,
        keys: Vec<Vec<u8>>,
    ) -> Result<BTreeMap<Vec<u8>, HeldRow>, Broken> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = match self.is_copied {
            true => {
                let there = |key: Vec<u8>| Ok((self.places.of(What::There, number, &key)?, key));
                let all = keys
                    .into_iter()
                    .map(there)
                    .collect::<Result<Vec<_>, Broken>>()?;
                all.into_iter()
                    .filter_map(|(of, key)| held_row(key, of))
                    .collect()
            }
            false => self.patiently(number, |place| place.held.rows(&keys))?,
        };
        let by_key = rows.into_iter().map(|row| (row.key.clone(), row));
        Ok(by_key.collect())
    }

    /// The next rows of a place that was copied. Deleted ones are among them, without a cell.
    fn copied(&self, number: u16, after: Option<&[u8]>) -> Result<Vec<HeldRow>, Broken> {
        let page = self.places.next(What::There, number, after)?;
        let row = |(key, of): (Vec<u8>, LastWrites)| {
            let none = HeldRow {
                key: key.clone(),
                ..HeldRow::default()
            };
            held_row(key, of).unwrap_or(none)
        };
        Ok(page.into_iter().map(row).collect())
    }

    fn patiently<T>(
        &mut self,
        number: u16,
        ask: impl FnMut(&mut ReplayPlace) -> Result<T, SinkError>,
    ) -> Result<T, Broken> {
        patiently(self.replay, self.places.place(number), ask)
    }

    fn keep(&mut self, place: u16, found: Found) -> Result<(), Broken> {
        self.newest_ms = self.newest_ms.max(found.newest_ms);
        let pages = [
            (What::Mends, found.mends),
            (What::Extra, found.extra),
            (What::Held, found.held),
        ];
        for (what, page) in pages {
            self.places.put(TableId { what, place }, page)?;
        }
        Ok(())
    }
}

impl Found {
    fn take(&mut self, place: &ReplayPlace, key: Vec<u8>, row: Option<&HeldRow>, of: RowFound) {
        if !of.mends.cells.is_empty() {
            self.mends.push((key.clone(), of.mends));
        }
        if !of.extra.cells.is_empty() {
            self.extra.push((key.clone(), of.extra));
        }
        self.hold(place, key, row);
    }

    fn take_extra(&mut self, place: &ReplayPlace, row: &HeldRow, extra: LastWrites) {
        self.extra.push((row.key.clone(), extra));
        self.hold(place, row.key.clone(), Some(row));
    }

    /// Takes the cells of a row that may be the sink's.
    fn hold(&mut self, place: &ReplayPlace, key: Vec<u8>, row: Option<&HeldRow>) {
        let mut held = LastWrites::default();
        for (column, cell) in row.into_iter().flat_map(|row| &row.cells) {
            if place.held.is_own(column) {
                self.newest_ms = self.newest_ms.max(cell.time_ms.unwrap_or(0));
                held.cells.insert(column.clone(), Some(cell.value.clone()));
            }
        }
        self.held.push((key, held));
    }
}

/// A row as its last writes leave it; none where they leave nothing.
fn held_row(key: Vec<u8>, of: LastWrites) -> Option<HeldRow> {
    let cells = of.cells.into_iter();
    let cells = cells.filter_map(|(column, value)| {
        let (value, time_ms) = (value?, None);
        Some((column, HeldCell { value, time_ms }))
    });
    let cells: BTreeMap<_, _> = cells.collect();
    (!cells.is_empty()).then_some(HeldRow { key, cells })
}

/// Asks a place, and again while its server is away, but not for ever.
pub(super) fn patiently<T>(
    replay: &Replay,
    place: &mut ReplayPlace,
    mut ask: impl FnMut(&mut ReplayPlace) -> Result<T, SinkError>,
) -> Result<T, Broken> {
    let began = clock::monotonic();
    loop {
        if replay.is_stopped() {
            return Err(None);
        }
        let error = match ask(place) {
            Ok(answer) => {
                replay.report().waits = None;
                return Ok(answer);
            }
            Err(SinkError::Cancelled) => return Err(None),
            Err(error) => error,
        };
        if error.remedy() == Remedy::Stop || clock::since(began) >= limits::REPLAY_AWAY_TIME {
            return Err(Some(error.to_string()));
        }
        replay.report().waits = Some(error.to_string());
        std::thread::sleep(limits::BACKOFF.0);
    }
}

/// Leaves out what later records are known to have written by now. Gives, by place, how many rows
/// nothing is left of.
pub(super) fn settle(places: &Places) -> Result<Vec<u64>, Broken> {
    let mut gone = Vec::new();
    for place in places.numbers() {
        let (mut after, mut overtaken): (Option<Vec<u8>>, u64) = (None, 0);
        loop {
            let page = places.next(What::Held, place, after.as_deref())?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = Some(last.clone());
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
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = places.next(What::Held, number, after.as_deref())?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = Some(last.clone());
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
