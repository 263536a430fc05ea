//! One row model for every sink. Columns are declared once, so a row's cells cross without their
//! names.

use crate::call::Expect;
use crate::cell::{Cell, KeyPart, Kind, Put};
use crate::columns::ColumnBuf;
use crate::headers::{HeaderValue, Headers, HeadersOut};
use crate::record::Record;
use std::convert::Infallible;

/// A column as a row's type declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// HBase: `family:qualifier`. Kafka and console: a field's name; empty: the whole value, raw.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: Kind,
    /// Some rows may lack it.
    pub optional: bool,
}

impl ColumnDef {
    /// A key of this type.
    pub const fn key<K: KeyPart + ?Sized>(name: &'static str) -> Self {
        ColumnDef {
            name,
            kind: if K::IS_TEXT { Kind::Text } else { Kind::Bytes },
            optional: false,
        }
    }

    /// A key of this type where keys are columns of a table.
    pub const fn key_column<K: KeyPart + ?Sized>(name: &'static str) -> Self {
        ColumnDef {
            name,
            kind: K::KIND,
            optional: false,
        }
    }
}

/// What all rows of a type have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowShape {
    /// What names a row; none where rows have no key. One, whatever it is joined of; several where
    /// nothing says how they are joined, which only a sink with key columns takes.
    pub keys: &'static [ColumnDef],
    /// The same where keys are columns of a table: one for each part, by its own type.
    pub key_columns: &'static [ColumnDef],
    /// Rows may have columns that only the data knows.
    pub dynamic: bool,
    /// Rows may have headers.
    pub headers: bool,
    /// The declared columns, in the order of a row's cells.
    pub columns: &'static [ColumnDef],
}

impl RowShape {
    /// How many items a row has. `apart`: each part of its key is a column.
    pub(crate) const fn width(&self, apart: bool) -> usize {
        let keys = if apart {
            self.key_columns.len()
        } else {
            self.keys.len()
        };
        let keys = if keys == 0 { 1 } else { keys };
        keys + self.columns.len()
    }
}

/// What a sink takes: [derive it](derive@crate::Row).
///
/// Written by hand, `write` must write the key and then one cell for each declared column, in their
/// order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a sink: it is not a row",
    label = "these items are no rows",
    note = "put `#[derive(Row)]` on the struct, or `.map(…)` the stream to a struct that has it",
    note = "if the items are `Result`s, use `.try_map(…)` instead of `.map(…)`: an `Err` then goes to the dead letters"
)]
pub trait Row {
    /// What names one row: the type of its key field, or a tuple where there are several. Rows
    /// without a key have [`Infallible`], so that nobody can delete one.
    type Key;
    /// The declared columns.
    const SHAPE: RowShape;
    /// Rows may be deleted whole, as [`Change`](crate::Change) does.
    const DELETES: bool = false;
    /// Writes the key alone, of a row to be deleted.
    fn write_key(key: &Self::Key, out: &mut RowWriter);
    /// Writes key and cells.
    fn write(&self, out: &mut RowWriter);
}

/// Rows of one sink on their way out.
#[derive(Default, Debug)]
pub struct RowWriter {
    pub(crate) positions: Vec<u32>,
    pub(crate) cells: ColumnBuf,
    pub(crate) absent: Vec<u32>,
    pub(crate) deleted: Vec<u32>,
    pub(crate) deleted_rows: Vec<u32>,
    pub(crate) extra: Extra,
    pub(crate) headers: HeadersOut,
    refused: Option<String>,
    /// Each part of a key is a column, by its own type.
    apart: bool,
}

/// Cells in columns that only the data knows.
#[derive(Default, Debug)]
pub(crate) struct Extra {
    pub(crate) rows: Vec<u32>,
    pub(crate) names: ColumnBuf,
    pub(crate) values: ColumnBuf,
    pub(crate) kinds: Vec<Kind>,
}

/// Space for more cells than this is not set aside before they come: a filter may leave few of
/// them.
const CELLS_AHEAD_MAX: usize = 1 << 18;
/// Space for each row beside its record's own bytes: numbers take more room as 8 bytes than as
/// digits.
const ROW_BYTES_AHEAD: usize = 8;

impl RowWriter {
    /// For a sink whose keys are columns, if `apart`.
    pub(crate) fn new(apart: bool) -> Self {
        RowWriter {
            apart,
            ..RowWriter::default()
        }
    }

    /// Each part of a key is a column.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart
    }

    /// The key of a row that has one part, or the last part of several.
    #[inline]
    pub fn key<K: KeyPart + ?Sized>(&mut self, key: &K) {
        match self.apart {
            true => key.put_key_column(&mut self.cells.data),
            false => key.put_key(&mut self.cells.data),
        }
        self.cells.end();
    }

    /// A part of a key that is followed by another one. The row is refused, and its record set
    /// aside, where the part holds the separator, or ends in a piece of it that the separator goes
    /// on from (`x:` before `::`): two different rows could have one key then.
    #[inline]
    pub fn key_before<K: KeyPart + ?Sized>(&mut self, part: &K, separator: &str) {
        if self.apart {
            return self.key(part);
        }
        let from = self.cells.data.len();
        part.put_key(&mut self.cells.data);
        let end = self.cells.data.len();
        self.cells.data.extend_from_slice(separator.as_bytes());
        let written = &self.cells.data[from..];
        // Looked for in both, as a separator such as `::` may begin in the part: `x:` and then it
        // is `x:::`.
        let found = written
            .windows(separator.len())
            .position(|w| w == separator.as_bytes());
        if found != Some(end - from) {
            let part = String::from_utf8_lossy(&written[..end - from]);
            let how = if part.contains(separator) {
                "holds"
            } else {
                "ends in a piece of"
            };
            self.refused = Some(format!(
                "`{part}` is part of a key and {how} its separator `{separator}`"
            ));
        }
    }

    /// The key of a row that has none.
    #[inline]
    pub fn no_key(&mut self) {
        self.cells.end();
    }

    /// No key in a row of a kind that usually has one: a Kafka record without a key.
    #[inline]
    pub fn absent_key(&mut self) {
        self.absent.push(self.cells.ends.len() as u32);
        self.cells.end();
    }

    /// The next declared column.
    #[inline]
    pub fn cell<C: Cell + ?Sized>(&mut self, cell: &C) {
        let put = cell.put(self.cell_bytes());
        self.cell_end(put);
    }

    /// Where the next declared column's bytes go; [`RowWriter::cell_end`] must follow.
    #[doc(hidden)]
    #[inline]
    pub fn cell_bytes(&mut self) -> &mut Vec<u8> {
        &mut self.cells.data
    }

    /// Ends the declared column whose bytes were appended.
    #[doc(hidden)]
    #[inline]
    pub fn cell_end(&mut self, put: Put) {
        match put {
            Put::There => {}
            Put::Absent => self.absent.push(self.cells.ends.len() as u32),
            Put::Deleted => self.deleted.push(self.cells.ends.len() as u32),
        }
        self.cells.end();
    }

    /// A cell whose column only the data knows. The row is refused, and its record set aside, where
    /// the name is empty, or where the cell is to be deleted: only declared columns can be.
    pub fn dynamic<C: Cell + ?Sized>(&mut self, name: &str, cell: &C) {
        if name.is_empty() {
            self.refused = Some("a dynamic column has an empty name".into());
            return;
        }
        match cell.put(&mut self.extra.values.data) {
            Put::There => {
                self.extra.values.end();
                self.extra.names.push(name.as_bytes());
                self.extra.rows.push(self.positions.len() as u32);
                self.extra.kinds.push(C::KIND);
            }
            Put::Absent => {}
            Put::Deleted => {
                self.refused = Some(format!(
                    "`{name}` is a dynamic column, which cannot be deleted: declare it"
                ));
            }
        }
    }

    /// A header of the row. A sink that has none leaves it out.
    pub fn header<V: HeaderValue + ?Sized>(&mut self, name: &str, value: &V) {
        if name.is_empty() || name.contains('\0') {
            self.refused = Some(format!(
                "a header cannot be called `{}`",
                name.escape_debug()
            ));
            return;
        }
        self.headers.push(self.positions.len() as u32, name, value);
    }

    /// All of these as headers of the row.
    pub fn headers(&mut self, headers: Headers<'_>) {
        self.headers.push_all(self.positions.len() as u32, headers);
    }

    /// The row whose key was written is to be deleted whole.
    pub(crate) fn delete_row(&mut self, columns: usize) {
        self.deleted_rows.push(self.positions.len() as u32);
        for _ in 0..columns {
            self.cell_end(Put::Absent);
        }
    }

    /// Makes room for what is expected, or growing would cost more than the work itself.
    pub(crate) fn reserve(&mut self, expect: Expect, width: usize) {
        self.cells
            .data
            .reserve(expect.bytes + ROW_BYTES_AHEAD * expect.items);
        self.cells
            .ends
            .reserve((width * expect.items).min(CELLS_AHEAD_MAX));
        self.positions.reserve(expect.items);
    }

    /// Ends a row. Err: it was refused, and is as if it had not been written.
    #[inline]
    pub(crate) fn end_row(&mut self, position: u32, width: usize) -> Result<(), String> {
        if let Some(reason) = self.refused.take() {
            self.undo(width);
            return Err(reason);
        }
        self.positions.push(position);
        Ok(())
    }

    #[cold]
    fn undo(&mut self, width: usize) {
        let row = self.positions.len();
        let item = (row * width) as u32;
        self.cells.truncate(row * width);
        self.absent
            .truncate(self.absent.partition_point(|&at| at < item));
        self.deleted
            .truncate(self.deleted.partition_point(|&at| at < item));
        self.deleted_rows
            .truncate(self.deleted_rows.partition_point(|&at| at < row as u32));
        let extra = self.extra.rows.partition_point(|&at| at < row as u32);
        self.extra.rows.truncate(extra);
        self.extra.kinds.truncate(extra);
        self.extra.names.truncate(extra);
        self.extra.values.truncate(extra);
        self.headers.truncate(row as u32);
    }
}

impl<R: Row + ?Sized> Row for &R {
    type Key = R::Key;
    const SHAPE: RowShape = R::SHAPE;
    const DELETES: bool = R::DELETES;
    #[inline]
    fn write_key(key: &R::Key, out: &mut RowWriter) {
        R::write_key(key, out);
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        (**self).write(out);
    }
}

const RAW: ColumnDef = ColumnDef {
    name: "",
    kind: Kind::Bytes,
    optional: false,
};

/// A record as it came: its key, its value raw, its headers. Saves a topic to another one. A key that
/// is missing stays missing, and so does a value.
impl<'b> Row for Record<'b> {
    type Key = &'b [u8];
    const SHAPE: RowShape = RowShape {
        keys: &[ColumnDef::key::<[u8]>("key")],
        key_columns: &[ColumnDef::key_column::<[u8]>("key")],
        dynamic: false,
        headers: true,
        columns: &[ColumnDef {
            optional: true,
            ..RAW
        }],
    };
    #[inline]
    fn write_key(key: &Self::Key, out: &mut RowWriter) {
        out.key(key);
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        if self.has_key() {
            out.key(self.key);
        } else {
            out.absent_key();
        }
        out.cell(&self.has_value().then_some(self.value));
        out.headers(self.headers);
    }
}

/// A line: no key, and the text as the whole value.
impl Row for str {
    type Key = Infallible;
    const SHAPE: RowShape = RowShape {
        keys: &[],
        key_columns: &[],
        dynamic: false,
        headers: false,
        columns: &[ColumnDef {
            kind: Kind::Text,
            ..RAW
        }],
    };
    fn write_key(key: &Infallible, _: &mut RowWriter) {
        match *key {}
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        out.no_key();
        out.cell(self);
    }
}

/// A line: no key, and the text as the whole value.
impl Row for String {
    type Key = Infallible;
    const SHAPE: RowShape = <str as Row>::SHAPE;
    fn write_key(key: &Infallible, _: &mut RowWriter) {
        match *key {}
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        self.as_str().write(out);
    }
}
