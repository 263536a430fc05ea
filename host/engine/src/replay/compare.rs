//! Reads places back and holds them against what was made.

use super::place::{Page, Pages, Places};
use super::run::Broken;
use super::{Replay, ReplayPlace, TableId, What};
use std::collections::BTreeMap;
use streamhost_core::compare::{HeldRow, LastWrites, RowFound};

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

    /// The rows that were made.
    fn made(&mut self, number: u16) -> Result<(), Broken> {
        let mut pages = Pages::of(What::Made, number);
        while let Some(page) = pages.next(self.places)? {
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
        Ok(())
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
        let mut pages = Pages::of(What::Active, number);
        while let Some(page) = pages.next(self.places)? {
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
        Ok(())
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
