//! Holds the rows of a guest's answer against the contract. Nothing that comes back is trusted:
//! what passes here can be read by the sinks without a further check.

use crate::contract::render::{RowsView, ValueWriter};
use crate::job::{ColumnSpec, SinkSpec, names};
use crate::limits::{JSON_AROUND_BYTES, JSON_GROWTH_MAX};
use crate::types::{Column, ColumnNames, Kind, Measure, RowLimits, Rows};
use std::ops::Range;

/// What rows for one sink must look like.
#[derive(Clone, Debug)]
pub struct RowShape {
    name: String,
    kinds: Vec<Kind>,
    optional: Vec<bool>,
    keys: Vec<Kind>,
    dynamic: bool,
    headers: bool,
    names_bytes: usize,
    limits: RowLimits,
    /// Rows become JSON, and so are measured as that.
    json: Option<(Vec<ColumnSpec>, ValueWriter)>,
}

impl RowShape {
    /// The shape that a described sink promises, within what the real sink can hold.
    pub fn new(spec: &SinkSpec, limits: RowLimits) -> Self {
        let values = ValueWriter::new(&spec.columns);
        let json = (limits.measure == Measure::Json && !values.is_raw())
            .then(|| (spec.columns.clone(), values));
        RowShape {
            name: spec.name.clone(),
            kinds: spec.columns.iter().map(|column| column.kind).collect(),
            optional: spec.columns.iter().map(|column| column.optional).collect(),
            keys: spec.keys.iter().map(|key| key.kind).collect(),
            dynamic: spec.dynamic,
            headers: spec.headers,
            names_bytes: spec.columns.iter().map(|column| column.name.len()).sum(),
            limits,
            json,
        }
    }

    /// Items before a row's cells.
    fn key_items(&self) -> usize {
        self.keys.len().max(1)
    }

    fn width(&self) -> usize {
        self.key_items() + self.kinds.len()
    }
}

/// Rows of a call with so many records, groups or pairs. `Err` says which promise was broken.
pub(crate) fn check_rows(rows: &Rows, items: usize, shape: &RowShape) -> Result<(), String> {
    kept(rows, items, shape).map_err(|broken| format!("sink `{}`: {broken}", shape.name))
}

fn kept(rows: &Rows, asked: usize, shape: &RowShape) -> Result<(), String> {
    if !rows.positions.is_sorted()
        || rows
            .positions
            .last()
            .is_some_and(|&last| last as usize >= asked)
    {
        return Err(format!(
            "the rows' positions descend, or lie beyond the {asked} that were asked"
        ));
    }
    let items = rows.len() * shape.width();
    if rows.cells.len() != items {
        let (found, cells) = (rows.cells.len(), shape.kinds.len());
        let keys = match shape.key_items() {
            1 => "a key".to_owned(),
            keys => format!("{keys} keys"),
        };
        return Err(format!(
            "{} rows of {keys} and {cells} cells make {items} items, not {found}",
            rows.len()
        ));
    }
    check_column(&rows.cells).map_err(|broken| format!("cells: {broken}"))?;
    for (name, list) in [("absent", &rows.absent), ("deleted", &rows.deleted)] {
        check_ascending(name, list, items)?;
        if let Some(item) = list
            .iter()
            .find(|&&item| !rows.cells.get(item as usize).is_empty())
        {
            return Err(format!("item {item} is both {name} and there"));
        }
    }
    check_ascending("deleted-rows", &rows.deleted_rows, rows.len())?;
    check_cells(rows, shape)?;
    check_extra(rows, shape)?;
    check_headers(rows, shape).map_err(|broken| format!("headers: {broken}"))
}

fn check_headers(rows: &Rows, shape: &RowShape) -> Result<(), String> {
    let headers = &rows.headers;
    let n = headers.positions.len();
    if n > 0 && !shape.headers {
        return Err("there are some, where `describe` says that there are none".into());
    }
    if headers.names.len() != n || headers.values.len() != n {
        return Err("the lists differ in length".into());
    }
    check_column(&headers.names).map_err(|broken| format!("names: {broken}"))?;
    check_column(&headers.values).map_err(|broken| format!("values: {broken}"))?;
    check_ascending("absent", &headers.absent, n)?;
    let last = headers.positions.last();
    if !headers.positions.is_sorted() || last.is_some_and(|&last| last as usize >= rows.len()) {
        return Err("`positions` descends, or names a row that is not there".into());
    }
    let is_name =
        |name: &[u8]| !name.is_empty() && !name.contains(&0) && std::str::from_utf8(name).is_ok();
    if let Some(i) = headers.names.iter().position(|name| !is_name(name)) {
        return Err(format!("name {i} is empty, not UTF-8, or has a NUL in it"));
    }
    let has_value = |&&i: &&u32| !headers.values.get(i as usize).is_empty();
    match headers.absent.iter().find(has_value) {
        Some(i) => Err(format!("header {i} is both absent and there")),
        None => Ok(()),
    }
}

pub(crate) fn check_column(column: &Column) -> Result<(), String> {
    let last = column.ends.last().map_or(0, |&end| end as usize);
    if !column.ends.is_sorted() || last != column.data.len() {
        return Err(format!(
            "`ends` descends, or its last is {last} where `data` has {} bytes",
            column.data.len()
        ));
    }
    Ok(())
}

pub(crate) fn check_ascending(name: &str, list: &[u32], below: usize) -> Result<(), String> {
    if !list.is_sorted_by(|a, b| a < b) || list.last().is_some_and(|&last| last as usize >= below) {
        return Err(format!(
            "`{name}` does not ascend, or has a number from {below} on"
        ));
    }
    Ok(())
}

/// Every cell is of its kind, and there unless it may be away. One pass, two fingers in the short
/// lists.
fn check_cells(rows: &Rows, shape: &RowShape) -> Result<(), String> {
    let (mut absent, mut deleted, mut gone) = (
        rows.absent.iter().peekable(),
        rows.deleted.iter().peekable(),
        rows.deleted_rows.iter().peekable(),
    );
    let ascii = rows.cells.data.is_ascii();
    let mut item = 0u32;
    for row in 0..rows.len() as u32 {
        let whole = gone.next_if_eq(&&row).is_some();
        let mut keyless = shape.keys.is_empty();
        for key in 0..shape.key_items() {
            let is_absent = absent.next_if_eq(&&item).is_some();
            if deleted.next_if_eq(&&item).is_some() {
                return Err(format!("row {row} has its key among the cells to delete"));
            }
            match shape.keys.get(key) {
                Some(_) if is_absent && shape.keys.len() > 1 => {
                    return Err(format!("row {row} lacks key {key}"));
                }
                Some(&kind) if !is_absent => check_cell(rows.cells.get(item as usize), kind, ascii)
                    .map_err(|b| format!("row {row}, key {key}: {b}"))?,
                Some(_) | None => {}
            }
            keyless |= is_absent;
            item += 1;
        }
        if whole && keyless {
            return Err(format!("row {row} is deleted, but has no key"));
        }
        for (column, &kind) in shape.kinds.iter().enumerate() {
            let is_absent = absent.next_if_eq(&&item).is_some();
            let is_deleted = deleted.next_if_eq(&&item).is_some();
            if (is_absent && is_deleted) || (whole && !is_absent) {
                return Err(format!(
                    "row {row}: a cell is absent and deleted at once, or there in a deleted row"
                ));
            }
            if is_absent && !whole && !shape.optional[column] {
                return Err(format!(
                    "row {row} lacks column {column}, which is not optional"
                ));
            }
            if !is_absent && !is_deleted {
                check_cell(rows.cells.get(item as usize), kind, ascii)
                    .map_err(|b| format!("row {row}, column {column}: {b}"))?;
            }
            item += 1;
        }
    }
    Ok(())
}

#[inline]
fn check_cell(bytes: &[u8], kind: Kind, ascii: bool) -> Result<(), String> {
    let fits = match kind {
        Kind::Bytes => true,
        Kind::Text => ascii || std::str::from_utf8(bytes).is_ok(),
        Kind::Int | Kind::Uint | Kind::Float | Kind::Time => bytes.len() == 8,
        Kind::Bool => matches!(bytes, [0 | 1]),
        Kind::Json => serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{} bytes are no {kind:?}", bytes.len()))
    }
}

fn check_extra(rows: &Rows, shape: &RowShape) -> Result<(), String> {
    let extra = &rows.extra;
    let n = extra.rows.len();
    if n > 0 && !shape.dynamic {
        return Err(
            "it has cells in undeclared columns, where `describe` says that there are none".into(),
        );
    }
    if extra.names.len() != n || extra.values.len() != n || extra.kinds.len() != n {
        return Err("the lists of `extra` differ in length".into());
    }
    check_column(&extra.names).map_err(|broken| format!("names: {broken}"))?;
    check_column(&extra.values).map_err(|broken| format!("values: {broken}"))?;
    if extra
        .rows
        .iter()
        .any(|row| rows.deleted_rows.binary_search(row).is_ok())
    {
        return Err("`extra` has cells in a deleted row".into());
    }
    if !extra.rows.is_sorted()
        || extra
            .rows
            .last()
            .is_some_and(|&last| last as usize >= rows.len())
    {
        return Err("`extra.rows` descends, or names a row that is not there".into());
    }
    for i in 0..n {
        let name = extra.names.get(i);
        if name.is_empty() || std::str::from_utf8(name).is_err() {
            return Err(format!(
                "extra cell {i}: its column's name is empty or not UTF-8"
            ));
        }
        check_cell(extra.values.get(i), extra.kinds[i], false)
            .map_err(|broken| format!("extra cell {i}: {broken}"))?;
    }
    Ok(())
}

/// Takes out the rows that the sink cannot hold, and says why, by position. A row's cells are there
/// in a checked answer.
pub fn take_unfit(rows: &mut Rows, shape: &RowShape) -> Vec<(u32, String)> {
    let unfit: Vec<(usize, String)> = (0..rows.len())
        .filter_map(|row| unfit(rows, row, shape).map(|reason| (row, reason)))
        .collect();
    if unfit.is_empty() {
        return Vec::new();
    }
    let reasons = unfit
        .iter()
        .map(|(row, reason)| (rows.positions[*row], reason.clone()))
        .collect();
    *rows = without(
        rows,
        &unfit.iter().map(|(row, _)| *row as u32).collect::<Vec<_>>(),
        shape.width(),
    );
    reasons
}

#[inline]
fn unfit(rows: &Rows, row: usize, shape: &RowShape) -> Option<String> {
    let (first, width, limits) = (row * shape.width(), shape.width(), &shape.limits);
    let begin = if first == 0 {
        0
    } else {
        rows.cells.ends[first - 1]
    };
    let headers: usize = rows.headers.of(row).map(|header| header.bytes()).sum();
    let cells = (rows.cells.ends[first + width - 1] - begin) as usize;
    let row_bytes = cells + shape.names_bytes + headers;
    let keys_end = rows.cells.ends[first + shape.key_items() - 1];
    let key_bytes = (keys_end - begin) as usize;
    let sink = &shape.name;
    if !shape.keys.is_empty() && !limits.key_bytes.contains(&key_bytes) {
        return Some(match key_bytes {
            0 => format!("sink `{sink}`: the row's key is empty"),
            _ => format!(
                "sink `{sink}`: the row's key has {key_bytes} bytes, over {}",
                limits.key_bytes.end()
            ),
        });
    }
    if let Some((columns, values)) = &shape.json {
        return unfit_json(rows, row, row_bytes, (columns, values), shape);
    }
    if row_bytes > limits.row_bytes_max {
        return Some(format!(
            "sink `{sink}`: the row has {row_bytes} bytes, over {}",
            limits.row_bytes_max
        ));
    }
    if row_bytes > limits.cell_bytes_max {
        let longest = (first + shape.key_items()..first + width)
            .map(|item| rows.cells.get(item).len())
            .max()
            .unwrap_or(0);
        if longest > limits.cell_bytes_max {
            return Some(format!(
                "sink `{sink}`: a cell has {longest} bytes, over {}",
                limits.cell_bytes_max
            ));
        }
    }
    if rows.extra.rows.is_empty() {
        None
    } else {
        unfit_extra(rows, row, row_bytes, shape)
    }
}

/// As JSON a row is made only where it may be too long.
fn unfit_json(
    rows: &Rows,
    row: usize,
    declared_bytes: usize,
    (columns, values): (&[ColumnSpec], &ValueWriter),
    shape: &RowShape,
) -> Option<String> {
    let (extra, sink, max) = (&rows.extra, &shape.name, shape.limits.row_bytes_max);
    let own = extra_of(rows, row);
    let around_bytes = JSON_AROUND_BYTES * (columns.len() + own.len() + 1);
    let extra_bytes: usize = own
        .map(|i| extra.names.get(i).len() + extra.values.get(i).len())
        .sum();
    if (declared_bytes + extra_bytes) * JSON_GROWTH_MAX + around_bytes <= max {
        return None;
    }
    let mut value = Vec::new();
    values.value(&RowsView::new(rows, columns).nth(row)?, &mut value);
    let bytes = value.len();
    (bytes > max).then(|| format!("sink `{sink}`: the row has {bytes} bytes as JSON, over {max}"))
}

fn unfit_extra(rows: &Rows, row: usize, declared_bytes: usize, shape: &RowShape) -> Option<String> {
    let (extra, limits, sink) = (&rows.extra, &shape.limits, &shape.name);
    let mut row_bytes = declared_bytes;
    for i in extra_of(rows, row) {
        let (name, cell_bytes) = (extra.names.get(i), extra.values.get(i).len());
        if limits.columns == ColumnNames::FamilyAndQualifier
            && names::family_and_qualifier(name).is_none()
        {
            let name = String::from_utf8_lossy(name);
            return Some(format!(
                "sink `{sink}`: the column `{name}` is not `family:qualifier`"
            ));
        }
        if cell_bytes > limits.cell_bytes_max {
            return Some(format!(
                "sink `{sink}`: a cell has {cell_bytes} bytes, over {}",
                limits.cell_bytes_max
            ));
        }
        row_bytes += name.len() + cell_bytes;
    }
    let max = limits.row_bytes_max;
    (row_bytes > max).then(|| format!("sink `{sink}`: the row has {row_bytes} bytes, over {max}"))
}

/// Where a row's cells are in `extra`, whose rows ascend.
fn extra_of(rows: &Rows, row: usize) -> Range<usize> {
    let extra = &rows.extra.rows;
    extra.partition_point(|&r| (r as usize) < row)..extra.partition_point(|&r| (r as usize) <= row)
}

/// The rows but for some, which are rare.
fn without(rows: &Rows, left_out: &[u32], width: usize) -> Rows {
    let mut kept = Rows::default();
    let is_in = |list: &[u32], n: usize| list.binary_search(&(n as u32)).is_ok();
    for row in (0..rows.len()).filter(|&row| !is_in(left_out, row)) {
        let number = kept.len() as u32;
        if is_in(&rows.deleted_rows, row) {
            kept.deleted_rows.push(number);
        }
        for item in row * width..(row + 1) * width {
            let at = kept.cells.len() as u32;
            if is_in(&rows.absent, item) {
                kept.absent.push(at);
            }
            if is_in(&rows.deleted, item) {
                kept.deleted.push(at);
            }
            kept.cells.push(rows.cells.get(item));
        }
        for i in extra_of(rows, row) {
            kept.extra.rows.push(number);
            kept.extra.names.push(rows.extra.names.get(i));
            kept.extra.values.push(rows.extra.values.get(i));
            kept.extra.kinds.push(rows.extra.kinds[i]);
        }
        for header in rows.headers.of(row) {
            kept.headers.push(number, header);
        }
        kept.positions.push(rows.positions[row]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ColumnSpec;
    use crate::types::ExtraCells;

    fn shape(dynamic: bool) -> RowShape {
        let column = |name: &str, kind, optional| ColumnSpec {
            name: name.into(),
            kind,
            optional,
        };
        let spec = SinkSpec {
            connector: "hbase".into(),
            name: "s".into(),
            target: "s".into(),
            keys: vec![ColumnSpec::key()],
            dynamic,
            columns: vec![
                column("f:text", Kind::Text, false),
                column("f:n", Kind::Uint, true),
            ],
            ..SinkSpec::default()
        };
        RowShape::new(
            &spec,
            RowLimits {
                key_bytes: 1..=10,
                cell_bytes_max: 20,
                row_bytes_max: 60,
                measure: Measure::Cells,
                columns: ColumnNames::FamilyAndQualifier,
            },
        )
    }

    fn column(items: &[&[u8]]) -> Column {
        let mut column = Column::default();
        items.iter().for_each(|item| column.push(item));
        column
    }

    /// Two rows: `a` with a text and a number, `b` without its number.
    fn good() -> Rows {
        let cells = column(&[b"a", b"text", &7u64.to_le_bytes(), b"b", b"more", b""]);
        Rows {
            positions: vec![0, 2],
            cells,
            absent: vec![5],
            ..Rows::default()
        }
    }

    #[test]
    fn a_good_answer_passes() {
        assert_eq!(check_rows(&good(), 3, &shape(false)), Ok(()));
        let deleted = Rows {
            positions: vec![0],
            cells: column(&[b"a", b"", b""]),
            absent: vec![1, 2],
            deleted_rows: vec![0],
            ..Rows::default()
        };
        assert_eq!(check_rows(&deleted, 3, &shape(false)), Ok(()));
        let mut dynamic = good();
        let (names, values) = (column(&[b"f:x"]), column(&[b"1"]));
        dynamic.extra = ExtraCells {
            rows: vec![1],
            names,
            values,
            kinds: vec![Kind::Text],
        };
        assert_eq!(check_rows(&dynamic, 3, &shape(true)), Ok(()));
    }

    #[test]
    fn every_broken_promise_is_named() {
        type Spoil = fn(&mut Rows);
        let cases: &[(&str, Spoil)] = &[
            ("positions descend", |r| r.positions = vec![2, 0]),
            ("positions descend", |r| r.positions = vec![0, 3]),
            ("make 6 items, not 5", |r| r.cells.ends.truncate(5)),
            ("make 3 items, not 6", |r| r.positions.truncate(1)),
            ("`ends` descends", |r| r.cells.ends.swap(0, 1)),
            ("`ends` descends", |r| r.cells.data.push(0)),
            ("`ends` descends", |r| r.cells.ends[5] = u32::MAX),
            ("`absent` does not ascend", |r| r.absent = vec![5, 5]),
            ("`absent` does not ascend", |r| r.absent = vec![6]),
            ("both absent and there", |r| r.absent = vec![2]),
            ("both deleted and there", |r| r.deleted = vec![2]),
            ("absent and deleted at once", |r| r.deleted = vec![5]),
            ("`deleted-rows` does not ascend", |r| {
                r.deleted_rows = vec![2]
            }),
            ("there in a deleted row", |r| r.deleted_rows = vec![0]),
            ("lacks column 0", |r| {
                r.cells = column(&[b"a", b"", &7u64.to_le_bytes(), b"b", b"more", b""]);
                r.absent = vec![1, 5];
            }),
            ("0 bytes are no Uint", |r| r.absent.clear()),
            ("are no Text", |r| r.cells.data[1] = 0xff),
            ("undeclared columns", |r| r.extra.rows.push(0)),
        ];
        for (words, change) in cases {
            let mut rows = good();
            change(&mut rows);
            let broken = check_rows(&rows, 3, &shape(false)).unwrap_err();
            assert!(broken.contains(words), "{broken:?} lacks {words:?}");
        }
    }

    #[test]
    fn rows_that_the_sink_cannot_hold_are_taken_out_with_a_reason() {
        let long = [b'x'; 21];
        let cells = column(&[
            b"",
            b"t",
            b"",
            b"b",
            &long,
            b"",
            b"c",
            b"t",
            b"",
            b"a very long key",
            b"t",
            b"",
        ]);
        let absent = vec![2, 5, 8, 11];
        let mut rows = Rows {
            positions: vec![4, 5, 6, 7],
            cells,
            absent,
            ..Rows::default()
        };
        let reasons = take_unfit(&mut rows, &shape(false));
        let words: Vec<_> = reasons
            .iter()
            .map(|(position, reason)| (*position, reason.as_str()))
            .collect();
        assert_eq!(
            words,
            [
                (4, "sink `s`: the row's key is empty"),
                (5, "sink `s`: a cell has 21 bytes, over 20"),
                (7, "sink `s`: the row's key has 15 bytes, over 10")
            ]
        );
        let cells = column(&[b"c", b"t", b""]);
        assert_eq!(
            rows,
            Rows {
                positions: vec![6],
                cells,
                absent: vec![2],
                ..Rows::default()
            }
        );

        let cells = column(&[b"a", b"t", b"", b"b", b"t", b""]);
        let names = column(&[b"no family", b"f:x"]);
        let extra = ExtraCells {
            rows: vec![0, 1],
            names,
            values: column(&[b"1", b"2"]),
            kinds: vec![Kind::Text; 2],
        };
        let mut rows = Rows {
            positions: vec![0, 1],
            cells,
            absent: vec![2, 5],
            extra,
            ..Rows::default()
        };
        let reasons = take_unfit(&mut rows, &shape(true));
        assert_eq!(
            reasons,
            [(
                0,
                "sink `s`: the column `no family` is not `family:qualifier`".to_string()
            )]
        );
        assert_eq!((rows.positions, rows.extra.rows), (vec![1], vec![0]));
    }

    /// Rows that stay keep all their cells and no others, and each is looked for once: a guest's
    /// answer of this size took the host hours where every row that stays looked through all cells
    /// of all rows.
    #[test]
    fn many_dynamic_cells_stay_with_their_rows() {
        let (n, each) = (30_000, 10);
        let mut rows = Rows {
            positions: (0..n).collect(),
            ..Rows::default()
        };
        for row in 0..n {
            let key: &[u8] = if row == 7 { b"a very long key" } else { b"k" };
            [key, b"t", b""]
                .iter()
                .for_each(|item| rows.cells.push(item));
            rows.absent.push(3 * row + 2);
            for _ in 0..each {
                rows.extra.rows.push(row);
                rows.extra.names.push(b"f:x");
                rows.extra.values.push(&[row as u8]);
                rows.extra.kinds.push(Kind::Bytes);
            }
        }
        assert_eq!(check_rows(&rows, n as usize, &shape(true)), Ok(()));
        assert_eq!(take_unfit(&mut rows, &shape(true)).len(), 1);
        assert_eq!(
            (rows.len(), rows.extra.rows.len()),
            (n as usize - 1, each * (n as usize - 1))
        );
        let is_own = |i: usize| {
            let row = i / each;
            rows.extra.rows[i] as usize == row
                && rows.extra.values.get(i) == [rows.positions[row] as u8]
        };
        assert!((0..rows.extra.rows.len()).all(is_own));
    }

    #[test]
    fn rows_of_a_topic_are_measured_as_the_json_that_they_become() {
        let columns = |name: &str| {
            vec![ColumnSpec {
                name: name.into(),
                kind: Kind::Text,
                optional: false,
            }]
        };
        let spec = |name: &str| SinkSpec {
            connector: "kafka".into(),
            name: "s".into(),
            target: "s".into(),
            keys: vec![ColumnSpec::key()],
            dynamic: true,
            columns: columns(name),
            ..SinkSpec::default()
        };
        let limits = RowLimits {
            key_bytes: 0..=10,
            cell_bytes_max: 100,
            row_bytes_max: 100,
            measure: Measure::Json,
            columns: ColumnNames::Fields,
        };
        let around = r#"{"f":""}"#.len();
        let cases = [
            ("f", "x", 100 - around, true),
            ("f", "x", 100 - around + 1, false),
            ("f", "\"", (100 - around) / 2, true),
            ("f", "\"", (100 - around) / 2 + 1, false),
            ("f", "\u{1}", (100 - around) / 6, true),
            ("f", "\u{1}", (100 - around) / 6 + 1, false),
            ("", "\u{1}", 97, true), // raw, and counted with its key
            ("", "\u{1}", 98, false),
        ];
        for (name, letter, times, fits) in cases {
            let text = letter.repeat(times);
            let cells = column(&[b"first", b"-", b"key", text.as_bytes()]);
            let mut rows = Rows {
                positions: vec![0, 1],
                cells,
                ..Rows::default()
            };
            let unfit = take_unfit(&mut rows, &RowShape::new(&spec(name), limits.clone()));
            assert_eq!(unfit.is_empty(), fits, "{times} of {letter:?}: {unfit:?}");
            assert!(
                unfit
                    .iter()
                    .all(|(position, reason)| *position == 1 && reason.contains("over 100")),
                "{unfit:?}"
            );
        }
        let cells = column(&[b"key", b"-"]);
        let (names, values) = (column(&[b"more"]), column(&[&[b'x'; 90]]));
        let extra = ExtraCells {
            rows: vec![0],
            names,
            values,
            kinds: vec![Kind::Text],
        };
        let mut rows = Rows {
            positions: vec![0],
            cells,
            extra,
            ..Rows::default()
        };
        assert_eq!(
            take_unfit(&mut rows, &RowShape::new(&spec("f"), limits)).len(),
            1,
            "undeclared cells count too"
        );
    }
}
