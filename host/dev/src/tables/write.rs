//! Changes of one call: gathered, then made all at once or not at all.

use super::fault::Fault;
use super::key::{self, Kind};
use super::rows::{Cell, Question, Selection};
use super::schema::{Column, Family};
use super::stamps::LATEST_MS;
use super::table::Table;
use fjall::{Database, PersistMode};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use streamhost_core::clock::now_ms;
use streamhost_core::limits::{
    HBASE_CELL_BYTES_MAX, HBASE_KEY_BYTES_MAX, TABLE_CALL_ERASED_CELLS_MAX, TABLE_ERASED_CELLS_MAX,
    TABLE_KEY_BYTES_MAX, TABLE_NAME_BYTES_MAX, TABLE_TRIM_PUTS,
};

/// Changes to one table that are not made yet. Whoever has one holds the table's lock.
pub(super) struct Changes<'a> {
    table: &'a Table,
    /// By stored key, so that the last word about a cell wins; `None` removes. One atomic write of
    /// the store must not name a key twice.
    entries: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Removals that this call may still make for the disk's sake.
    removals_left: usize,
}

impl<'a> Changes<'a> {
    pub(super) fn of(table: &'a Table) -> Self {
        Changes {
            table,
            entries: HashMap::new(),
            removals_left: TABLE_CALL_ERASED_CELLS_MAX,
        }
    }

    /// Puts a cell at `time_ms`, which is explicit and not negative.
    pub(super) fn put(
        &mut self,
        row: &[u8],
        column: &[u8],
        value: Vec<u8>,
        time_ms: i64,
    ) -> Result<(), Fault> {
        let Column {
            family,
            qualifier: Some(qualifier),
        } = Column::new(column)
        else {
            return Err(Fault::Argument(format!(
                "no column qualifier in '{}': a put needs family:qualifier",
                super::fault::shown(column)
            )));
        };
        let kept = self.table.family(family)?;
        if value.len() > HBASE_CELL_BYTES_MAX {
            return Err(Fault::Argument(format!(
                "KeyValue size too large: {} > {HBASE_CELL_BYTES_MAX}",
                value.len()
            )));
        }
        let family_key = key::family(&row_key(row)?, family);
        let column_key = key::column(&family_key, qualifier);
        let put_key = fitting(key::put(&column_key, time_ms))?;
        if is_trimmer(&put_key) {
            self.trim(&family_key, &column_key, kept)?;
        }
        self.entries.insert(put_key, Some(value));
        Ok(())
    }

    /// Hides all of a column, or of a family where there is no qualifier, up to `time_ms`.
    pub(super) fn erase(&mut self, row: &[u8], column: &[u8], time_ms: i64) -> Result<(), Fault> {
        let Column { family, qualifier } = Column::new(column);
        self.table.family(family)?;
        self.erase_under(&key::family(&row_key(row)?, family), qualifier, time_ms)
    }

    /// Hides all of a row up to `time_ms`.
    pub(super) fn erase_row(&mut self, row: &[u8], time_ms: i64) -> Result<(), Fault> {
        let row_key = row_key(row)?;
        let table = self.table;
        table
            .families
            .keys()
            .try_for_each(|family| self.erase_under(&key::family(&row_key, family), None, time_ms))
    }

    fn erase_under(
        &mut self,
        family_key: &[u8],
        qualifier: Option<&[u8]>,
        time_ms: i64,
    ) -> Result<(), Fault> {
        let column_key = qualifier.map(|qualifier| key::column(family_key, qualifier));
        let tombstone = match &column_key {
            Some(column_key) => fitting(key::column_erased(column_key))?,
            None => key::family_erased(family_key),
        };
        let time_ms = time_ms.max(self.tombstone_ms(&tombstone)?);
        // The tombstone alone hides them; taking them from the disk is housekeeping, so it may stop
        // at a bound.
        let range = match &column_key {
            Some(column_key) => self.table.untrimmed(column_key),
            None => family_key.to_vec()..key::behind(family_key),
        };
        let mut looked_at = 0;
        for entry in self.table.cells.range(range).take(TABLE_ERASED_CELLS_MAX) {
            looked_at += 1;
            let (key, value) = entry.into_inner()?;
            let hidden = match key::parse(&key).map(|entry| entry.kind) {
                Some(Kind::Put(put_ms)) => put_ms <= time_ms,
                Some(Kind::ColumnErased) => {
                    column_key.is_none() && key::time_of(&value).is_some_and(|ms| ms <= time_ms)
                }
                _ => false,
            };
            if hidden && self.removals_left > 0 {
                self.removals_left -= 1;
                self.entries.insert(key.to_vec(), None);
            }
        }
        self.entries
            .insert(tombstone, Some(key::time_value(time_ms).to_vec()));
        if let Some(column_key) = column_key
            && looked_at < TABLE_ERASED_CELLS_MAX
            && self.removals_left > 0
        {
            self.table.note_trimmed(&column_key, time_ms);
        }
        Ok(())
    }

    /// Removes what no reader can ever see: puts under a tombstone, and those beyond the versions
    /// that are kept. The latter cannot come back: a delete that hides the newer ones hides them as
    /// well.
    fn trim(&mut self, family_key: &[u8], column_key: &[u8], family: &Family) -> Result<(), Fault> {
        let mut hidden_ms = self
            .tombstone_ms(&key::family_erased(family_key))?
            .max(family.expired_ms(now_ms()));
        let (mut kept, mut looked_at, mut removed_ms) = (0, 0, None);
        for entry in self
            .table
            .cells
            .range(self.table.untrimmed(column_key))
            .take(TABLE_ERASED_CELLS_MAX)
        {
            looked_at += 1;
            let (key, value) = entry.into_inner()?;
            match key::parse(&key).map(|entry| entry.kind) {
                Some(Kind::ColumnErased) => {
                    hidden_ms = hidden_ms.max(key::time_of(&value).unwrap_or(-1))
                }
                Some(Kind::Put(put_ms)) if put_ms > hidden_ms && kept < family.versions_max => {
                    kept += 1
                }
                Some(Kind::Put(put_ms)) if self.removals_left > 0 => {
                    self.removals_left -= 1;
                    removed_ms = removed_ms.or(Some(put_ms));
                    // Unless this very call has put it: what is pending counts as newer than what
                    // is stored.
                    self.entries.entry(key.to_vec()).or_insert(None);
                }
                _ => {}
            }
        }
        // All from the newest one that goes.
        if let Some(until_ms) = removed_ms
            && looked_at < TABLE_ERASED_CELLS_MAX
            && self.removals_left > 0
        {
            self.table.note_trimmed(column_key, until_ms);
        }
        Ok(())
    }

    /// A tombstone's time, pending or stored; -1 if there is none.
    fn tombstone_ms(&self, tombstone: &[u8]) -> Result<i64, Fault> {
        let time = match self.entries.get(tombstone) {
            Some(pending) => pending.as_deref().and_then(key::time_of),
            None => self
                .table
                .cells
                .get(tombstone)?
                .as_deref()
                .and_then(key::time_of),
        };
        Ok(time.unwrap_or(-1))
    }

    /// Makes the changes, all at once. `Ok`: they survive a crash and a loss of power. `Err`: none
    /// is made, or, where the store itself failed, that is unknown until it is opened again.
    pub(super) fn commit(self, database: &Database) -> Result<(), Fault> {
        if self.entries.values().any(Option::is_some) {
            self.table.room.check()?;
        }
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        self.table.note_stored(
            self.entries
                .iter()
                .filter(|(_, value)| value.is_some())
                .map(|(key, _)| &key[..]),
        );
        for (key, value) in self.entries {
            match value {
                Some(value) => batch.insert(&self.table.cells, key, value),
                None => batch.remove(&self.table.cells, key),
            }
        }
        Ok(batch.commit()?)
    }
}

/// The newest cell of a column, for those who change it by what it is.
pub(super) fn newest(table: &Table, row: &[u8], column: Column<'_>) -> Result<Option<Cell>, Fault> {
    row_key(row)?;
    table.family(column.family)?;
    let question = Question {
        selection: Selection::default(),
        before_ms: LATEST_MS,
        versions: 1,
        now_ms: now_ms(),
    };
    Ok(table.read_cells(row, column, &question)?.into_iter().next())
}

/// A row's key in the store, if it may be one.
pub(super) fn row_key(row: &[u8]) -> Result<Vec<u8>, Fault> {
    match row.len() {
        0 => Err(Fault::Argument("Row length is 0".to_owned())),
        length if length > HBASE_KEY_BYTES_MAX => Err(Fault::Argument(format!(
            "Row length {length} is > {HBASE_KEY_BYTES_MAX}"
        ))),
        _ => fitting_with(key::row(row), TABLE_NAME_BYTES_MAX + 8), // any family and its tombstone
    }
}

/// A key that the store can take, or why not: it would fail on a longer one, even if it is only
/// looked for.
pub(super) fn fitting(key: Vec<u8>) -> Result<Vec<u8>, Fault> {
    fitting_with(key, 0)
}

/// The same for a key that may get `more` bytes.
fn fitting_with(key: Vec<u8>, more: usize) -> Result<Vec<u8>, Fault> {
    if key.len() + more > TABLE_KEY_BYTES_MAX {
        return Err(Fault::Argument(format!(
            "row, family and qualifier have {} bytes together (a zero byte counts twice), at most {TABLE_KEY_BYTES_MAX} fit",
            key.len()
        )));
    }
    Ok(key)
}

/// Looking for old versions at each put would cost more than the put itself. A put's time is in its
/// key, so each put of a column draws anew, and after a few hundred none has escaped.
fn is_trimmer(put_key: &[u8]) -> bool {
    let mut hasher = DefaultHasher::new();
    put_key.hash(&mut hasher);
    hasher.finish().is_multiple_of(TABLE_TRIM_PUTS)
}
