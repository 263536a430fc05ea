//! One table: its keyspace, what is read from it, and the lock of those who write.

use super::TablesError;
use super::fault::Fault;
use super::key::{self, Entry, Kind};
use super::rows::{Cell, Gather, Question, Row};
use super::schema::{Column, Families, Family, Schema, by_name};
use super::write::{fitting, row_key};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Slice, Snapshot};
use std::collections::HashMap;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::limits::{TABLE_TRIMMED_COLUMNS_MAX, TABLES_SCAN_BYTES};
use streamhost_core::room::Room;

/// One table.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) id: u64,
    pub(super) families: Families,
    pub(super) cells: Keyspace,
    pub(super) room: Room,
    database: Database,
    gate: Arc<Gate>,
}

/// Who may write; one for all the forms that a table has had, as calls under way hold the one they
/// began with.
struct Gate {
    enabled: AtomicBool,
    writing: Mutex<()>,
    trimmed: Mutex<Trimmed>,
}

/// By column key: no put at this time or before is stored. The store walks over all that was
/// removed, so whoever looks for more to remove in a column that is written often must not begin
/// anew each time. What is not known costs time alone.
type Trimmed = HashMap<Vec<u8>, i64>;

/// The keys that a scan still has to pass, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: Vec<u8>,
    /// `None`: to the end of the table.
    pub(super) to: Option<Vec<u8>>,
}

impl Stretch {
    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            Bound::Included(&self.from),
            self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        )
    }

    /// Whether no key can be in it; a range of the wrong order is not for the store.
    pub(super) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

impl Table {
    /// The name of the keyspace of the table with this id.
    pub(super) fn keyspace_name(id: u64) -> String {
        format!("{}{id}", Self::keyspace_name_start())
    }

    /// What only our tables' keyspaces begin with.
    pub(super) fn keyspace_name_start() -> &'static str {
        "tables-cells-"
    }

    /// Opens the table, making its keyspace if it is new.
    pub(super) fn open(
        database: &Database,
        name: String,
        schema: &Schema,
    ) -> Result<Self, TablesError> {
        let keyspace = Self::keyspace_name(schema.id);
        let cells = database.keyspace(&keyspace, KeyspaceCreateOptions::default)?;
        Ok(Table {
            name,
            id: schema.id,
            families: by_name(&schema.families),
            room: Room::of(cells.path().to_owned()),
            cells,
            database: database.clone(),
            gate: Arc::new(Gate {
                enabled: AtomicBool::new(schema.enabled),
                writing: Mutex::default(),
                trimmed: Mutex::default(),
            }),
        })
    }

    /// The same table with these families.
    pub(super) fn with(&self, families: &[Family]) -> Table {
        Table {
            name: self.name.clone(),
            id: self.id,
            families: by_name(families),
            cells: self.cells.clone(),
            room: self.room.clone(),
            database: self.database.clone(),
            gate: Arc::clone(&self.gate),
        }
    }

    /// What is stored of the table.
    pub(super) fn schema(&self, enabled: bool) -> Schema {
        Schema {
            id: self.id,
            enabled,
            families: self.families.values().cloned().collect(),
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.gate.enabled.load(Ordering::Acquire)
    }

    pub(super) fn must_be_enabled(&self) -> Result<(), Fault> {
        if self.is_enabled() {
            Ok(())
        } else {
            Err(Fault::TableDisabled(self.name.clone()))
        }
    }

    /// Sets the flag once no writer is under way.
    pub(super) fn set_enabled(&self, enabled: bool) {
        let _writing = self
            .gate
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.gate.enabled.store(enabled, Ordering::Release);
    }

    /// Lets one writer in. Refused when the table is disabled, so that a table being deleted has no
    /// writers.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, ()>, Fault> {
        // Nothing is half done in memory when a writer panics: changes are made by one atomic write
        // at the end.
        let writing = self
            .gate
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.must_be_enabled()?;
        Ok(writing)
    }

    fn trimmed(&self) -> MutexGuard<'_, Trimmed> {
        self.gate
            .trimmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The column's keys among which there may be puts to remove.
    pub(super) fn untrimmed(&self, column_key: &[u8]) -> Range<Vec<u8>> {
        let behind = match self.trimmed().get(column_key) {
            Some(&until_ms) => key::put(column_key, until_ms),
            None => key::behind(column_key),
        };
        column_key.to_vec()..behind
    }

    /// Notes that this call removes all of a column's puts up to a time.
    pub(super) fn note_trimmed(&self, column_key: &[u8], until_ms: i64) {
        let mut trimmed = self.trimmed();
        if trimmed.len() >= TABLE_TRIMMED_COLUMNS_MAX {
            trimmed.clear();
        }
        let known = trimmed.entry(column_key.to_vec()).or_insert(until_ms);
        *known = until_ms.max(*known);
    }

    /// Notes the keys that a call stores: there may be late puts among them.
    pub(super) fn note_stored<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut trimmed = self.trimmed();
        for stored in keys {
            if trimmed.is_empty() {
                return;
            }
            let Some(Entry {
                column_end,
                kind: Kind::Put(time_ms),
                ..
            }) = key::parse(stored)
            else {
                continue;
            };
            let column_key = &stored[..column_end];
            if trimmed
                .get(column_key)
                .is_some_and(|until_ms| time_ms <= *until_ms)
            {
                trimmed.remove(column_key);
            }
        }
    }

    /// The family, or why not.
    pub(super) fn family(&self, name: &[u8]) -> Result<&Family, Fault> {
        self.families.get(name).ok_or_else(|| Fault::FamilyMissing {
            family: super::fault::shown(name),
            table: self.name.clone(),
        })
    }

    /// Versions of one column, or of all columns of a family, in a row.
    pub(super) fn read_cells(
        &self,
        row: &[u8],
        column: Column<'_>,
        question: &Question,
    ) -> Result<Vec<Cell>, Fault> {
        let family_key = key::family(&row_key(row)?, column.family);
        let mut gather = Gather::new(&self.families, question);
        // One view for both reads, or a delete and a put between them would be seen by half.
        let view = self.database.snapshot();
        let prefix = match column.qualifier {
            None => family_key,
            Some(qualifier) => {
                let column_key = fitting(key::column(&family_key, qualifier))?;
                let erased = key::family_erased(&family_key);
                if let Some(time) = view.get(&self.cells, &erased)? {
                    gather.add(Slice::from(erased), time)?;
                }
                column_key
            }
        };
        let at = Stretch {
            to: Some(key::behind(&prefix)),
            from: prefix,
        };
        if column.qualifier.is_none() {
            self.pass(&view, &at, &mut gather, |_| true)?;
        } else {
            for entry in view.range::<&[u8], _>(&self.cells, at.bounds()) {
                let (key, value) = entry.into_inner()?;
                gather.add(key, value)?;
                if gather.is_column_done() {
                    break; // behind it may lie all that was removed
                }
            }
        }
        Ok(gather.finish().map_or_else(Vec::new, |row| row.cells))
    }

    /// One row, if it has cells that were asked for; as it is at one moment.
    pub(super) fn read_row(&self, row: &[u8], question: &Question) -> Result<Option<Row>, Fault> {
        self.row_of(&self.database.snapshot(), row_key(row)?, question)
    }

    fn row_of(
        &self,
        view: &Snapshot,
        row_key: Vec<u8>,
        question: &Question,
    ) -> Result<Option<Row>, Fault> {
        let mut gather = Gather::new(&self.families, question);
        let at = Stretch {
            to: Some(key::behind(&row_key)),
            from: row_key,
        };
        self.pass(view, &at, &mut gather, |_| true)?;
        Ok(gather.finish())
    }

    /// Gathers a stretch until `takes` a row says false. The rest of a column of which nothing more
    /// can be seen is passed over by a new search: a cell that is written often leaves behind it
    /// what the store has to walk over, one by one.
    fn pass(
        &self,
        view: &Snapshot,
        at: &Stretch,
        gather: &mut Gather<'_>,
        mut takes: impl FnMut(Row) -> bool,
    ) -> Result<(), Fault> {
        let mut at = at.clone();
        while !at.is_empty() {
            let behind_column = 'search: {
                for entry in view.range::<&[u8], _>(&self.cells, at.bounds()) {
                    let (key, value) = entry.into_inner()?;
                    if gather.add(key, value)?.is_some_and(|row| !takes(row)) {
                        return Ok(());
                    }
                    if let Some(behind_column) = gather.behind_column() {
                        break 'search behind_column;
                    }
                }
                return Ok(());
            };
            at.from = behind_column;
        }
        Ok(())
    }

    /// The next rows of a stretch, upward, at most `rows_max` and few bytes at once; leaves the
    /// stretch behind them. All are as they are at one moment.
    pub(super) fn read_up(
        &self,
        at: &mut Stretch,
        question: &Question,
        rows_max: usize,
    ) -> Result<Vec<Row>, Fault> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        if at.is_empty() || rows_max == 0 {
            return Ok(rows);
        }
        let mut gather = Gather::new(&self.families, question);
        self.pass(&self.database.snapshot(), at, &mut gather, |row| {
            bytes += row.bytes();
            rows.push(row);
            rows.len() < rows_max && bytes < TABLES_SCAN_BYTES
        })?;
        let full = rows.len() == rows_max || bytes >= TABLES_SCAN_BYTES;
        match rows.last() {
            Some(last) if full => at.from = key::behind_row(&last.key),
            _ => {
                rows.extend(gather.finish());
                at.to = Some(at.from.clone()); // all passed
            }
        }
        Ok(rows)
    }

    /// As [`Table::read_up`], downward; each row as it is at a moment of its own. It is found from
    /// behind and read forward, where tombstones come first.
    pub(super) fn read_down(
        &self,
        at: &mut Stretch,
        question: &Question,
        rows_max: usize,
    ) -> Result<Vec<Row>, Fault> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < rows_max && bytes < TABLES_SCAN_BYTES && !at.is_empty() {
            let view = self.database.snapshot();
            let Some(last) = view.range::<&[u8], _>(&self.cells, at.bounds()).next_back() else {
                at.to = Some(at.from.clone());
                break;
            };
            let last = last.key()?;
            let entry = key::parse(&last)
                .ok_or_else(|| Fault::Storage(format!("a stored key is damaged: {last:?}")))?;
            let row_key = last[..entry.row_end].to_vec();
            if let Some(row) = self.row_of(&view, row_key.clone(), question)? {
                bytes += row.bytes();
                rows.push(row);
            }
            at.to = Some(row_key);
        }
        Ok(rows)
    }
}
