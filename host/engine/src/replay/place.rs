//! What rows come to in their places, kept in the replay's own store.

use super::run::{Broken, said};
use super::{ReplayPlace, TableId, What, WriteTables};
use crate::pipeline::LoadedDeployment;
use crate::sink::Mending;
use std::collections::BTreeMap;
use streamhost_core::compare::LastWrites;
use streamhost_core::contract::render::RowsView;
use streamhost_core::executor::BatchOutcome;
use streamhost_core::limits;

/// Rows of a place by their keys.
pub(super) type Page = Vec<(Vec<u8>, LastWrites)>;

/// The places of a replay, and what was made of them.
pub(super) struct Places {
    pub(super) list: Vec<ReplayPlace>,
    pub(super) tables: Box<dyn WriteTables>,
}

impl Places {
    /// The numbers of all places.
    pub(super) fn numbers(&self) -> std::ops::Range<u16> {
        0..self.list.len() as u16
    }

    /// Those whose cells are mended at a time.
    pub(super) fn at_time(&self) -> Vec<u16> {
        self.mended(Mending::AtTime)
    }

    /// Those that are mended in this way.
    pub(super) fn mended(&self, how: Mending) -> Vec<u16> {
        let all = self.numbers().zip(&self.list);
        let all = all.filter(|(_, place)| place.held.mending() == how);
        all.map(|(number, _)| number).collect()
    }

    pub(super) fn place(&mut self, number: u16) -> &mut ReplayPlace {
        &mut self.list[usize::from(number)]
    }

    /// Takes the rows of a batch of the version, or of the active one.
    pub(super) fn take(
        &self,
        what: What,
        loaded: &LoadedDeployment,
        outcome: &BatchOutcome,
    ) -> Result<(), Broken> {
        for (place, number) in self.list.iter().zip(0..) {
            let sinks = match what {
                What::Made => &place.sinks,
                _ => &place.active_sinks,
            };
            let mut rows: BTreeMap<Vec<u8>, LastWrites> = BTreeMap::new();
            for &sink in sinks {
                let columns = &loaded.spec.sinks[sink].columns;
                let all = outcome.rows[sink].iter();
                for row in all.flat_map(|rows| RowsView::new(rows, columns)) {
                    if !row.has_key() {
                        continue; // nothing tells it from others
                    }
                    let (key, mut writes) = place.held.writes(&row);
                    if what == What::Later {
                        writes.cells.values_mut().for_each(|value| *value = None);
                    }
                    rows.entry(key).or_default().then(writes);
                }
            }
            self.add(
                TableId {
                    what,
                    place: number,
                },
                rows,
            )?;
        }
        let bytes = self.tables.bytes().map_err(said)?;
        if bytes > limits::REPLAY_DISK_BYTES_MAX {
            return Err(Some(format!(
                "what the records make takes more than {} bytes on the disk: replay fewer at once, with --from and --to",
                limits::REPLAY_DISK_BYTES_MAX
            )));
        }
        Ok(())
    }

    /// Adds later writes to what is kept.
    pub(super) fn add(
        &self,
        table: TableId,
        rows: BTreeMap<Vec<u8>, LastWrites>,
    ) -> Result<(), Broken> {
        let mut page = Page::with_capacity(rows.len());
        for (key, writes) in rows {
            let mut all = self.tables.get(table, &key).map_err(said)?;
            match &mut all {
                Some(all) => all.then(writes),
                None => all = Some(writes),
            }
            page.extend(all.map(|all| (key, all)));
        }
        self.put(table, page)
    }

    pub(super) fn put(&self, table: TableId, page: Page) -> Result<(), Broken> {
        match page.is_empty() {
            true => Ok(()),
            false => self.tables.put(table, page).map_err(said),
        }
    }

    /// What is kept of a row; nothing where there is none.
    pub(super) fn of(&self, what: What, place: u16, key: &[u8]) -> Result<LastWrites, Broken> {
        let kept = self.tables.get(TableId { what, place }, key);
        Ok(kept.map_err(said)?.unwrap_or_default())
    }

    /// Rows of a table with keys above `after`.
    pub(super) fn next(
        &self,
        what: What,
        place: u16,
        after: Option<&[u8]>,
    ) -> Result<Page, Broken> {
        let next = self
            .tables
            .next(TableId { what, place }, after, limits::REPLAY_ROWS_AT_ONCE);
        next.map_err(said)
    }

    pub(super) fn remove(&self, what: What, place: u16, keys: &[Vec<u8>]) -> Result<(), Broken> {
        match keys.is_empty() {
            true => Ok(()),
            false => (self.tables.remove(TableId { what, place }, keys)).map_err(said),
        }
    }
}

/// Walks over a table, page by page, in the order of the keys.
pub(super) struct Pages {
    what: What,
    place: u16,
    after: Option<Vec<u8>>,
}

impl Pages {
    pub(super) fn of(what: What, place: u16) -> Pages {
        Pages {
            what,
            place,
            after: None,
        }
    }

    /// The next page; none at the end. Rows that were looked at may be removed meanwhile.
    pub(super) fn next(&mut self, places: &Places) -> Result<Option<Page>, Broken> {
        let page = places.next(self.what, self.place, self.after.as_deref())?;
        self.after = page.last().map(|(key, _)| key.clone());
        Ok((!page.is_empty()).then_some(page))
    }
}
