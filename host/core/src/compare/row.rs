//! One row of a run, and its cells as people read them.

use crate::contract::render::{self, RowRef, RowsView};
use crate::job::SinkSpec;
use crate::job::names;
use crate::limits;
use crate::types::{Header, Kind, Rows};

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
    row: RowRef<'a>,
}

/// What stands in one place of a row, whatever it is read as.
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
        let spec = self.spec;
        let calls = self.rows.iter();
        let rows = calls.flat_map(|rows| RowsView::new(rows, &spec.columns));
        rows.map(move |row| Row { spec, row })
    }
}

impl<'a> Row<'a> {
    /// What names the row: where it has no key, nothing.
    pub(super) fn key(self) -> Vec<&'a [u8]> {
        self.row.keys().collect()
    }

    /// The same for people.
    pub(super) fn shown_key(self) -> Vec<String> {
        let items = self.spec.keys.iter().zip(self.row.keys());
        items
            .map(|(column, item)| shown(column.kind, item))
            .collect()
    }

    /// The whole row is to be deleted.
    pub(super) fn is_deleted(self) -> bool {
        self.row.is_deleted()
    }

    /// Its declared columns, in their order.
    pub(super) fn cells(self) -> Vec<Cell<'a>> {
        let cell = |cell| match cell {
            render::Cell::Absent => Cell::Absent,
            render::Cell::Deleted => Cell::Deleted,
            render::Cell::Value(_, bytes) => Cell::Value(bytes),
        };
        self.row.cells().map(cell).collect()
    }

    /// Cells in columns that only the data knows.
    pub(super) fn extra(self) -> impl Iterator<Item = (&'a str, Kind, &'a [u8])> {
        self.row.extra().map(|cell| {
            let name = std::str::from_utf8(cell.name).unwrap_or("?");
            (name, cell.kind, cell.value)
        })
    }

    /// Its headers.
    pub(super) fn headers(self) -> Vec<Header<'a>> {
        self.row.headers().collect()
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
