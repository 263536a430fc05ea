//! The one row model of all sinks: reads rows out of their columns, and renders cells as text and
//! rows as JSON. Pure.
//!
//! What crosses a boundary is checked where it crosses, so here a number has its 8 bytes, a `bool`
//! its one byte, text is UTF-8, and positions are ascending and in range. A row that breaks this is
//! a fault of the host, and panics.

use crate::clock::{Civil, civil};
use crate::job::ColumnSpec;
use crate::types::{Header, Kind, Rows};
use std::collections::HashMap;

/// What stands in one column of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// A value, in the guest's bytes; [`Kind`] says how to read them.
    Value(Kind, &'a [u8]),
    /// Nothing: what a table holds there stays.
    Absent,
    /// Nothing, and what a table holds there goes.
    Deleted,
}

/// A cell in a column that only the data knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtraCell<'a> {
    /// The column's name, UTF-8.
    pub name: &'a [u8],
    /// What the value holds.
    pub kind: Kind,
    /// The value, in the guest's bytes.
    pub value: &'a [u8],
}

/// Goes over the rows of one call in order, without an allocation a row.
#[derive(Clone, Debug)]
pub struct RowsView<'a> {
    rows: &'a Rows,
    columns: &'a [ColumnSpec],
    keys: usize,
    next: usize,
    absent: &'a [u32],
    deleted: &'a [u32],
    deleted_rows: &'a [u32],
    extra_from: usize,
    headers_from: usize,
}

/// One row of [`Rows`].
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    rows: &'a Rows,
    columns: &'a [ColumnSpec],
    /// How many key items it has, at least one.
    keys: usize,
    /// Its first key's item; the cells follow the last one.
    item: usize,
    absent: &'a [u32],
    deleted: &'a [u32],
    extra: (usize, usize),
    headers: (usize, usize),
    erased: bool,
    position: u32,
}

impl<'a> RowsView<'a> {
    /// The rows of one call, with the columns that their sink declares. What a row has before them
    /// is its keys.
    pub fn new(rows: &'a Rows, columns: &'a [ColumnSpec]) -> Self {
        let (absent, deleted) = (&rows.absent[..], &rows.deleted[..]);
        let width = rows.cells.len().checked_div(rows.len()).unwrap_or(0);
        RowsView {
            rows,
            columns,
            keys: width.saturating_sub(columns.len()).max(1),
            next: 0,
            absent,
            deleted,
            deleted_rows: &rows.deleted_rows,
            extra_from: 0,
            headers_from: 0,
        }
    }
}

/// Takes the leading items below `end` off an ascending list.
#[inline]
fn take_below<'a>(list: &mut &'a [u32], end: usize) -> &'a [u32] {
    let taken = list
        .iter()
        .take_while(|&&item| (item as usize) < end)
        .count();
    let (taken, rest) = list.split_at(taken);
    *list = rest;
    taken
}

impl<'a> Iterator for RowsView<'a> {
    type Item = RowRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RowRef<'a>> {
        let row = self.next;
        let position = *self.rows.positions.get(row)?;
        let item = row * (self.keys + self.columns.len());
        let end = item + self.keys + self.columns.len();
        self.next += 1;
        let extra_rows = &mut &self.rows.extra.rows[self.extra_from..];
        let extra = (
            self.extra_from,
            self.extra_from + take_below(extra_rows, row + 1).len(),
        );
        self.extra_from = extra.1;
        let header_rows = &mut &self.rows.headers.positions[self.headers_from..];
        let headers = (
            self.headers_from,
            self.headers_from + take_below(header_rows, row + 1).len(),
        );
        self.headers_from = headers.1;
        Some(RowRef {
            rows: self.rows,
            columns: self.columns,
            keys: self.keys,
            item,
            absent: take_below(&mut self.absent, end),
            deleted: take_below(&mut self.deleted, end),
            extra,
            headers,
            erased: !take_below(&mut self.deleted_rows, row + 1).is_empty(),
            position,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rows.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for RowsView<'_> {}

impl<'a> RowRef<'a> {
    /// The position of the record that it comes from.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// Its key, or the first of several; empty where the sink's rows have none.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.rows.cells.get(self.item)
    }

    /// Both are the same row of the same call.
    pub fn is(&self, other: &RowRef<'_>) -> bool {
        std::ptr::eq(self.rows, other.rows) && self.item == other.item
    }

    /// All of its keys, in the order of the sink's key columns; one empty item where rows have none.
    #[inline]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let rows = self.rows;
        (self.item..self.item + self.keys).map(move |item| rows.cells.get(item))
    }

    /// It has a key: one that is not there is another thing than an empty one in Kafka.
    pub fn has_key(&self) -> bool {
        self.absent.first() != Some(&(self.item as u32))
    }

    /// How many cells it has at most.
    pub fn width(&self) -> usize {
        self.columns.len() + self.extra.1 - self.extra.0
    }

    /// The whole row is to be deleted; its cells are all absent.
    pub fn is_deleted(&self) -> bool {
        self.erased
    }

    /// Its declared columns' cells, in the order of the columns; absent ones too.
    #[inline]
    pub fn cells(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let (first, rows) = (self.item + self.keys, self.rows);
        // The key's item may be absent as well, in rows without one.
        let (mut absent, mut deleted) = (self.absent, self.deleted);
        take_below(&mut absent, first);
        take_below(&mut deleted, first);
        self.columns.iter().enumerate().map(move |(c, column)| {
            let item = first + c;
            if !take_below(&mut deleted, item + 1).is_empty() {
                take_below(&mut absent, item + 1);
                Cell::Deleted
            } else if !take_below(&mut absent, item + 1).is_empty() {
                Cell::Absent
            } else {
                Cell::Value(column.kind, rows.cells.get(item))
            }
        })
    }

    /// As [`RowRef::cells`], each with its column's name.
    #[inline]
    pub fn named_cells(&self) -> impl Iterator<Item = (&'a [u8], Cell<'a>)> + use<'a> {
        self.columns
            .iter()
            .map(|column| column.name.as_bytes())
            .zip(self.cells())
    }

    /// Its headers, in their order.
    #[inline]
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let headers = &self.rows.headers;
        (self.headers.0..self.headers.1).map(|i| headers.get(i))
    }

    /// Some declared cell is to be deleted.
    pub fn has_deleted_cells(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// Its cells in columns that only the data knows, as they came. Of two with one name the later
    /// counts; so it does over a declared column of that name.
    #[inline]
    pub fn extra(
        &self,
    ) -> impl DoubleEndedIterator<Item = ExtraCell<'a>> + ExactSizeIterator + use<'a> {
        let extra = &self.rows.extra;
        (self.extra.0..self.extra.1).map(move |i| ExtraCell {
            name: extra.names.get(i),
            kind: extra.kinds[i],
            value: extra.values.get(i),
        })
    }
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes
        .try_into()
        .expect("a number's length was checked when it came from the guest")
}

/// Appends a cell as text: numbers in decimal, a float in the fewest digits that read back to it
/// (`1.0`, `1e300`, `NaN`, `Infinity`), `true` or `false`, a time in milliseconds since 1970; text
/// and bytes as they are.
#[inline]
pub fn text(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Text | Kind::Bytes | Kind::Json => out.extend_from_slice(bytes),
        Kind::Int | Kind::Time => write_json(&i64::from_le_bytes(eight(bytes)), out),
        Kind::Uint => write_json(&u64::from_le_bytes(eight(bytes)), out),
        Kind::Float => {
            let float = f64::from_le_bytes(eight(bytes));
            match not_finite(float) {
                Some(word) => out.extend_from_slice(word.as_bytes()),
                None => write_json(&float, out),
            }
        }
        Kind::Bool => out.extend_from_slice(if bytes == [0] { b"false" } else { b"true" }),
    }
}

/// Appends a row's key as text: one as [`text`], several as a JSON array.
pub fn key(keys: &[ColumnSpec], row: &RowRef<'_>, out: &mut Vec<u8>) {
    match keys {
        [] => {}
        [one] => text(one.kind, row.key(), out),
        several => {
            out.push(b'[');
            for (n, (key, bytes)) in several.iter().zip(row.keys()).enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                json(key.kind, bytes, out);
            }
            out.push(b']');
        }
    }
}

/// A cell for a reader: as [`text`], but bytes that are no plain text in hex (`0xff00`).
pub fn readable(kind: Kind, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    text(kind, bytes, &mut out);
    match String::from_utf8(out) {
        Ok(text) if !text.contains(char::is_control) => text,
        _ => bytes
            .iter()
            .fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
    }
}

fn not_finite(float: f64) -> Option<&'static str> {
    match float {
        f if f.is_nan() => Some("NaN"),
        f if f.is_finite() => None,
        f if f > 0.0 => Some("Infinity"),
        _ => Some("-Infinity"),
    }
}

fn write_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("numbers and strings have a JSON form, and a Vec takes all of it");
}

/// Appends a cell as a JSON value: numbers as exact numbers, `true` or `false`, a time in
/// milliseconds since 1970, text as a string. What JSON has no number for is the string `"NaN"`,
/// `"Infinity"` or `"-Infinity"`. Bytes are a string in base64 (RFC 4648, padded), always, so that
/// a reader need not guess.
pub fn json(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Text => write_json(&*String::from_utf8_lossy(bytes), out), // borrowed: it is UTF-8
        Kind::Bytes => {
            out.push(b'"');
            base64(bytes, out);
            out.push(b'"');
        }
        Kind::Float if !f64::from_le_bytes(eight(bytes)).is_finite() => {
            out.push(b'"');
            text(kind, bytes, out);
            out.push(b'"');
        }
        Kind::Int | Kind::Uint | Kind::Float | Kind::Bool | Kind::Time | Kind::Json => {
            text(kind, bytes, out);
        }
    }
}

/// Appends JSON on one line: that of a component may have line ends between its values, never within
/// them.
pub fn one_line(json: &[u8], out: &mut Vec<u8>) {
    let blank = |&byte: &u8| if b"\r\n".contains(&byte) { b' ' } else { byte };
    out.extend(json.iter().map(blank));
}

/// Appends a time as a JSON string of ISO 8601 in UTC, to the millisecond. Years that this has no room
/// for are numbers, milliseconds since 1970.
pub fn iso_time(bytes: &[u8], out: &mut Vec<u8>) {
    let ms = i64::from_le_bytes(eight(bytes));
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ms: part,
    } = civil(ms);
    let text = match year {
        0..=9999 => format!(
            "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:03}Z\""
        ),
        _ => ms.to_string(),
    };
    out.extend_from_slice(text.as_bytes());
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let there = digit <= three.len();
            out.push(if there {
                DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

/// Renders rows as values of records: a JSON object with a field for each column, or the cell
/// itself, as [`text`], where the only column has the empty name and the row no other.
#[derive(Clone, Debug)]
pub struct ValueWriter {
    /// `"name":` of each declared column, escaped once.
    names: Vec<Vec<u8>>,
    raw: bool,
}

impl ValueWriter {
    /// For the rows of a sink with these columns.
    pub fn new(columns: &[ColumnSpec]) -> Self {
        let names = columns.iter().map(|column| {
            let mut name = Vec::new();
            write_json(&column.name, &mut name);
            name.push(b':');
            name
        });
        ValueWriter {
            names: names.collect(),
            raw: matches!(columns, [only] if only.name.is_empty()),
        }
    }

    /// A row's value is its only cell.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Appends the row's value and says `true`; or appends nothing and says `false` if it has none:
    /// it is deleted, or its only cell is not there. In an object an absent cell has no field, and
    /// a deleted one the value `null`.
    pub fn value(&self, row: &RowRef<'_>, out: &mut Vec<u8>) -> bool {
        if row.is_deleted() {
            return false;
        }
        if self.raw && row.extra().len() == 0 {
            let Some(Cell::Value(kind, bytes)) = row.cells().next() else {
                return false;
            };
            text(kind, bytes, out);
            return true;
        }
        out.push(b'{');
        // Where a name occurs twice the last one counts, as in a table; two equal fields mean
        // nothing certain.
        let last: HashMap<&[u8], usize> = row
            .extra()
            .enumerate()
            .map(|(i, extra)| (extra.name, i))
            .collect();
        for ((cell, name), column) in row.cells().zip(&self.names).zip(row.columns) {
            if last.is_empty() || !last.contains_key(column.name.as_bytes()) {
                match cell {
                    Cell::Absent => {}
                    Cell::Deleted => field(name, out).extend_from_slice(b"null"),
                    Cell::Value(kind, bytes) => json(kind, bytes, field(name, out)),
                }
            }
        }
        for (_, extra) in row
            .extra()
            .enumerate()
            .filter(|(i, extra)| last[extra.name] == *i)
        {
            let mut name = Vec::new();
            json(Kind::Text, extra.name, &mut name);
            name.push(b':');
            json(extra.kind, extra.value, field(&name, out));
        }
        out.push(b'}');
        true
    }
}

/// Begins a field of the object that `out` ends in.
fn field<'a>(name: &[u8], out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, Kind)]) -> Vec<ColumnSpec> {
        let column = |&(name, kind): &(&str, Kind)| ColumnSpec {
            name: name.to_owned(),
            kind,
            optional: true,
        };
        columns.iter().map(column).collect()
    }

    /// Rows of two columns beside the key: 0 is whole, 1 lacks `a` and deletes `b`, 2 is deleted, 3
    /// has extra cells.
    fn rows() -> Rows {
        let mut rows = Rows {
            positions: vec![0, 0, 4, 5],
            ..Rows::default()
        };
        for (key, a, b) in [
            ("k0", "x'1", 7),
            ("k1", "", 0),
            ("k2", "", 0),
            ("k3", "y", 9_i64),
        ] {
            rows.cells.push(key.as_bytes());
            rows.cells.push(a.as_bytes());
            rows.cells
                .push(&b.to_le_bytes()[..if b == 0 { 0 } else { 8 }]);
        }
        rows.absent = vec![4, 7, 8];
        rows.deleted = vec![5];
        rows.deleted_rows = vec![2];
        rows.extra.rows = vec![3, 3, 3];
        rows.extra.kinds = vec![Kind::Bool; 3];
        for (name, value) in [("b", 1), ("more", 0), ("more", 1)] {
            rows.extra.names.push(name.as_bytes());
            rows.extra.values.push(&[value]);
        }
        rows
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let (rows, columns) = (rows(), columns(&[("a", Kind::Text), ("b", Kind::Int)]));
        let view = RowsView::new(&rows, &columns);
        assert_eq!(view.len(), 4);
        let read: Vec<_> = view
            .map(|r| {
                (
                    r.position(),
                    r.key(),
                    r.is_deleted(),
                    r.cells().collect::<Vec<_>>(),
                )
            })
            .collect();
        let seven = 7_i64.to_le_bytes();
        let nine = 9_i64.to_le_bytes();
        let expected: [(u32, &[u8], bool, Vec<Cell<'_>>); 4] = [
            (
                0,
                b"k0",
                false,
                vec![
                    Cell::Value(Kind::Text, b"x'1"),
                    Cell::Value(Kind::Int, &seven),
                ],
            ),
            (0, b"k1", false, vec![Cell::Absent, Cell::Deleted]),
            (4, b"k2", true, vec![Cell::Absent, Cell::Absent]),
            (
                5,
                b"k3",
                false,
                vec![Cell::Value(Kind::Text, b"y"), Cell::Value(Kind::Int, &nine)],
            ),
        ];
        assert_eq!(read, expected);
        let extra: Vec<usize> = RowsView::new(&rows, &columns)
            .map(|row| row.extra().len())
            .collect();
        assert_eq!(extra, [0, 0, 0, 3]);
    }

    #[test]
    fn rows_become_json() {
        let (rows, columns) = (rows(), columns(&[("a", Kind::Text), ("b", Kind::Int)]));
        let writer = ValueWriter::new(&columns);
        let values: Vec<Option<String>> = RowsView::new(&rows, &columns)
            .map(|row| {
                let mut out = Vec::new();
                writer
                    .value(&row, &mut out)
                    .then(|| String::from_utf8(out).unwrap())
            })
            .collect();
        let expected = [
            Some(r#"{"a":"x'1","b":7}"#),
            Some(r#"{"b":null}"#),
            None,
            Some(r#"{"a":"y","b":true,"more":true}"#),
        ];
        assert_eq!(values, expected.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn a_column_without_a_name_is_the_raw_value() {
        let columns = columns(&[("", Kind::Uint)]);
        let mut rows = Rows {
            positions: vec![0, 1],
            absent: vec![0, 2, 3],
            ..Rows::default()
        };
        for item in [&b""[..], &u64::MAX.to_le_bytes(), b"", b""] {
            rows.cells.push(item);
        }
        let mut out = Vec::new();
        let wrote: Vec<bool> = RowsView::new(&rows, &columns)
            .map(|row| ValueWriter::new(&columns).value(&row, &mut out))
            .collect();
        assert_eq!(
            (wrote, &out[..]),
            (vec![true, false], &b"18446744073709551615"[..])
        );
    }

    #[test]
    fn cells_become_text_and_json() {
        let (int, uint) = (i64::MIN.to_le_bytes(), u64::MAX.to_le_bytes());
        let float = |f: f64| f.to_le_bytes();
        let cases: [(Kind, &[u8], &str, &str); 15] = [
            (
                Kind::Text,
                "a\"\n\u{e9}".as_bytes(),
                "a\"\n\u{e9}",
                "\"a\\\"\\n\u{e9}\"",
            ),
            (
                Kind::Int,
                &int,
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (
                Kind::Time,
                &1_700_000_000_123_i64.to_le_bytes(),
                "1700000000123",
                "1700000000123",
            ),
            (
                Kind::Uint,
                &uint,
                "18446744073709551615",
                "18446744073709551615",
            ),
            (Kind::Float, &float(1.0), "1.0", "1.0"),
            (
                Kind::Float,
                &float(0.1 + 0.2),
                "0.30000000000000004",
                "0.30000000000000004",
            ),
            (Kind::Float, &float(-0.0), "-0.0", "-0.0"),
            (Kind::Float, &float(f64::NAN), "NaN", "\"NaN\""),
            (
                Kind::Float,
                &float(f64::NEG_INFINITY),
                "-Infinity",
                "\"-Infinity\"",
            ),
            (Kind::Bool, &[0], "false", "false"),
            (Kind::Bool, &[1], "true", "true"),
            (Kind::Bytes, b"", "", "\"\""),
            (Kind::Bytes, b"f", "f", "\"Zg==\""),
            (Kind::Bytes, b"fo", "fo", "\"Zm8=\""),
            (Kind::Bytes, b"foobar?>", "foobar?>", "\"Zm9vYmFyPz4=\""),
        ];
        for (kind, bytes, as_text, as_json) in cases {
            let (mut t, mut j) = (Vec::new(), Vec::new());
            text(kind, bytes, &mut t);
            json(kind, bytes, &mut j);
            assert_eq!(
                (t, j),
                (as_text.into(), as_json.into()),
                "{kind:?} {bytes:?}"
            );
        }
    }
}
