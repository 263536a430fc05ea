//! One row of a run, and its cells as people read them.

use crate::job::SinkSpec;
use crate::job::names;
use crate::limits;
use crate::types::{Header, Kind, Rows};
use std::ops::Range;

/// All rows of a run for one sink.
#[derive(Clone, Copy, Debug)]
pub(super) struct SinkRows<'a> {
    pub(super) spec: &'a SinkSpec,
    pub(super) rows: &'a [Rows],
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    spec: &'a SinkSpec,
    rows: &'a Rows,
    at: usize,
}

/// What stands in one place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cell<'a> {
    /// The row does not name the column, and what is there stays.
    Absent,
    /// It is to be deleted.
    Deleted,
    Value(&'a [u8]),
}

impl<'a> SinkRows<'a> {
    /// The rows in order.
    pub(super) fn iter(self) -> impl Iterator<Item = Row<'a>> {
        let of = move |rows: &'a Rows| {
            let spec = self.spec;
            (0..rows.len()).map(move |at| Row { spec, rows, at })
        };
        self.rows.iter().flat_map(of)
    }
}

impl<'a> Row<'a> {
    fn keys(self) -> usize {
        self.spec.keys.len().max(1) // one empty item where rows have no key
    }

    fn item(self, at: usize) -> usize {
        self.at * (self.keys() + self.spec.columns.len()) + at
    }

    /// What names the row: where it has no key, nothing.
    pub(super) fn key(self) -> Vec<&'a [u8]> {
        let items = 0..self.keys();
        items.map(|k| self.rows.cells.get(self.item(k))).collect()
    }

    /// The same for people.
    pub(super) fn shown_key(self) -> Vec<String> {
        let items = self.spec.keys.iter().zip(self.key());
        items
            .map(|(column, item)| shown(column.kind, item))
            .collect()
    }

    /// The whole row is to be deleted.
    pub(super) fn is_deleted(self) -> bool {
        let row = self.at as u32;
        self.rows.deleted_rows.binary_search(&row).is_ok()
    }

    /// A declared column by its number.
    pub(super) fn cell(self, column: usize) -> Cell<'a> {
        let item = self.item(self.keys() + column);
        let is_in = |list: &[u32]| list.binary_search(&(item as u32)).is_ok();
        match () {
            () if is_in(&self.rows.absent) => Cell::Absent,
            () if is_in(&self.rows.deleted) => Cell::Deleted,
            () => Cell::Value(self.rows.cells.get(item)),
        }
    }

    fn extra_range(self) -> Range<usize> {
        let at = |row: usize| {
            let below = |&of: &u32| (of as usize) < row;
            self.rows.extra.rows.partition_point(below)
        };
        match self.rows.extra.rows.is_empty() {
            true => 0..0,
            false => at(self.at)..at(self.at + 1),
        }
    }

    /// Cells in columns that only the data knows.
    pub(super) fn extra(self) -> impl Iterator<Item = (&'a str, Kind, &'a [u8])> {
        let extra = &self.rows.extra;
        self.extra_range().map(move |i| {
            let name = std::str::from_utf8(extra.names.get(i)).unwrap_or("?");
            (name, extra.kinds[i], extra.values.get(i))
        })
    }

    /// Its headers.
    pub(super) fn headers(self) -> Vec<Header<'a>> {
        self.rows.headers.of(self.at).collect()
    }
}

/// A cell as it is shown; none: it is absent.
pub(super) fn shown_cell(kind: Kind, cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Absent => None,
        Cell::Deleted => Some("(deleted)".to_owned()),
        Cell::Value(bytes) => Some(shown(kind, bytes)),
    }
}

/// A value as it is shown, of bounded length.
pub(super) fn shown(kind: Kind, bytes: &[u8]) -> String {
    let eight = <[u8; 8]>::try_from(bytes);
    match (kind, eight) {
        (Kind::Int | Kind::Time, Ok(bytes)) => i64::from_le_bytes(bytes).to_string(),
        (Kind::Uint, Ok(bytes)) => u64::from_le_bytes(bytes).to_string(),
        (Kind::Float, Ok(bytes)) => f64::from_le_bytes(bytes).to_string(),
        (Kind::Bool, _) if bytes.len() == 1 => (bytes[0] != 0).to_string(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => names::shown(text, limits::SHADOW_SHOWN_CHARS_MAX),
            Err(_) => {
                // Enough for what is shown, and not the whole of a large value.
                let part = &bytes[..bytes.len().min(limits::SHADOW_SHOWN_CHARS_MAX)];
                names::shown(
                    &part.escape_ascii().to_string(),
                    limits::SHADOW_SHOWN_CHARS_MAX,
                )
            }
        },
    }
}
