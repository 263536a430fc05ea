//! Rows as a reader of a test wants to see them.

use streamhost_core::contract::render::{RowsView, key, readable};
use streamhost_core::job::SinkSpec;
use streamhost_core::types::{Kind, Rows};

/// The rows of one answer, which must have passed the checks.
pub(super) fn rows<'a>(rows: &'a Rows, sink: &'a SinkSpec) -> impl Iterator<Item = String> + 'a {
    let keys = RowsView::new(rows, &sink.columns).map(|row| {
        let mut text = Vec::new();
        if row.has_key() {
            key(&sink.keys, &row, &mut text);
        }
        text
    });
    keys.enumerate().map(|(i, key)| row(rows, sink, i, &key))
}

fn row(rows: &Rows, sink: &SinkSpec, row: usize, key: &[u8]) -> String {
    let (cells, keys) = (&rows.cells, sink.keys.len().max(1));
    let first = row * (keys + sink.columns.len());
    let has = |list: &[u32], at: usize| list.binary_search(&(at as u32)).is_ok();
    let mut parts = Vec::new();
    if !key.is_empty() {
        parts.push(format!("key={}", bytes(key)));
    }
    if has(&rows.deleted_rows, row) {
        parts.push("(deleted)".into());
    }
    for (at, column) in (first + keys..).zip(&sink.columns) {
        let name = if column.name.is_empty() {
            "value"
        } else {
            &column.name
        };
        if has(&rows.deleted, at) {
            parts.push(format!("{name} (deleted)"));
        } else if !has(&rows.absent, at) {
            parts.push(format!("{name}={}", readable(column.kind, cells.get(at))));
        }
    }
    let extra = &rows.extra;
    for i in (0..extra.rows.len()).filter(|&i| extra.rows[i] as usize == row) {
        let name = bytes(extra.names.get(i));
        parts.push(format!(
            "{name}={}",
            readable(extra.kinds[i], extra.values.get(i))
        ));
    }
    for header in rows.headers.of(row) {
        let value = header.value.map(|value| format!("={}", bytes(value)));
        parts.push(format!(
            "header:{}{}",
            header.name,
            value.unwrap_or_default()
        ));
    }
    parts.join(" ")
}

/// Plain text as it is, other bytes in hex.
pub(super) fn bytes(item: &[u8]) -> String {
    readable(Kind::Bytes, item)
}

/// The same row, but for the last digits of numbers that have a fraction.
pub(super) fn near(one: &str, two: &str) -> bool {
    let parts = |row: &str| -> Vec<String> {
        row.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '+' | '-' | '_'))
            .map(str::to_owned)
            .collect()
    };
    let (one, two) = (parts(one), parts(two));
    one.len() == two.len()
        && one
            .iter()
            .zip(&two)
            .all(|(a, b)| a == b || near_numbers(a, b))
}

/// How far apart two sums of the same numbers may be that were added in another order, relative to
/// their size.
const ROUNDING: f64 = 1e-9;

fn near_numbers(one: &str, two: &str) -> bool {
    let has_fraction = one.contains('.') || two.contains('.');
    match (one.parse::<f64>(), two.parse::<f64>()) {
        (Ok(a), Ok(b)) => has_fraction && (a - b).abs() <= ROUNDING * a.abs().max(b.abs()).max(1.0),
        _ => false,
    }
}
