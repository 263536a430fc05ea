//! What the host checks of each answer. A derived row keeps all of it; one that is written by hand may not.

use crate::cell::Kind;
use crate::columns::ColumnBuf;
use crate::describe::{Description, SinkDef};
use crate::flow::Output;
use crate::row::RowWriter;

/// Err: which promise is broken.
pub(super) fn check(description: &Description, records: usize, output: &Output) -> Result<(), String> {
    let strange = output.faults.iter().find(|fault| fault.position as usize >= records);
    if let Some(fault) = strange {
        return Err(format!("a fault at position {} of {records} records", fault.position));
    }
    if output.rows.len() != description.sinks.len() {
        return Err(format!("rows for {} sinks of {}", output.rows.len(), description.sinks.len()));
    }
    for (rows, sink) in output.rows.iter().zip(&description.sinks) {
        check_rows(rows, sink, records).map_err(|broken| format!("sink `{}`: {broken}", sink.name))?;
    }
    Ok(())
}

fn check_rows(rows: &RowWriter, sink: &SinkDef, records: usize) -> Result<(), String> {
    let width = 1 + sink.shape.columns.len();
    let items = rows.positions.len() * width;
    if !rows.positions.is_sorted() || rows.positions.last().is_some_and(|&last| last as usize >= records) {
        return Err(format!("positions of rows descend, or go beyond the {records} records: {:?}", rows.positions));
    }
    if rows.cells.ends.len() != items {
        return Err(format!("{} items for {} rows of {width}", rows.cells.ends.len(), rows.positions.len()));
    }
    check_column("cells", &rows.cells)?;
    check_list("absent", &rows.absent, items)?;
    check_list("deleted", &rows.deleted, items)?;
    check_list("deleted-rows", &rows.deleted_rows, rows.positions.len())?;
    for item in 0..items {
        check_item(rows, sink, item, width)?;
    }
    check_extra(rows, sink)
}

fn check_item(rows: &RowWriter, sink: &SinkDef, item: usize, width: usize) -> Result<(), String> {
    let has = |list: &[u32]| list.binary_search(&(item as u32)).is_ok();
    let bytes = rows.cells.view().get(item);
    let (absent, deleted) = (has(&rows.absent), has(&rows.deleted));
    if (absent || deleted) && !bytes.is_empty() || absent && deleted {
        return Err(format!("item {item} is absent or deleted and yet has bytes, or is both"));
    }
    let Some(column) = (item % width).checked_sub(1).map(|c| &sink.shape.columns[c]) else {
        return if deleted { Err(format!("item {item} is a key, which cannot be deleted")) } else { Ok(()) };
    };
    let row_deleted = rows.deleted_rows.binary_search(&((item / width) as u32)).is_ok();
    if row_deleted && !absent {
        return Err(format!("row {} is deleted and has a cell in `{}`", item / width, column.name));
    }
    if absent || deleted {
        return if column.optional || row_deleted {
            Ok(())
        } else {
            Err(format!("column `{}` is not optional, and row {} lacks it", column.name, item / width))
        };
    }
    check_kind(column.name, column.kind, bytes)
}

fn check_extra(rows: &RowWriter, sink: &SinkDef) -> Result<(), String> {
    let extra = &rows.extra;
    let count = extra.rows.len();
    if count > 0 && !sink.shape.dynamic {
        return Err("it has dynamic cells and did not say so".into());
    }
    if extra.names.ends.len() != count || extra.values.ends.len() != count || extra.kinds.len() != count {
        return Err("dynamic cells' lists differ in length".into());
    }
    check_column("names of dynamic cells", &extra.names)?;
    check_column("dynamic cells", &extra.values)?;
    if !extra.rows.is_sorted() || extra.rows.last().is_some_and(|&row| row as usize >= rows.positions.len()) {
        return Err(format!("rows of dynamic cells descend, or are not there: {:?}", extra.rows));
    }
    for (i, kind) in extra.kinds.iter().enumerate() {
        match std::str::from_utf8(extra.names.view().get(i)) {
            Ok(name) if !name.is_empty() => check_kind(name, *kind, extra.values.view().get(i))?,
            _ => return Err(format!("the name of dynamic cell {i} is empty or not UTF-8")),
        }
    }
    Ok(())
}

fn check_column(what: &str, column: &ColumnBuf) -> Result<(), String> {
    let end = column.ends.last().map_or(0, |&end| end as usize);
    if column.ends.is_sorted() && end == column.data.len() {
        return Ok(());
    }
    Err(format!("ends of {what} descend, or do not end at {}", column.data.len()))
}

fn check_list(what: &str, list: &[u32], below: usize) -> Result<(), String> {
    if list.is_sorted_by(|a, b| a < b) && list.last().is_none_or(|&last| (last as usize) < below) {
        return Ok(());
    }
    Err(format!("`{what}` does not ascend below {below}: {list:?}"))
}

fn check_kind(column: &str, kind: Kind, bytes: &[u8]) -> Result<(), String> {
    let fits = match kind {
        Kind::Text => std::str::from_utf8(bytes).is_ok(),
        Kind::Bytes => true,
        Kind::Bool => matches!(bytes, [0 | 1]),
        Kind::Int | Kind::Uint | Kind::Float | Kind::Time => bytes.len() == 8,
    };
    if fits { Ok(()) } else { Err(format!("column `{column}` holds no {kind:?}: {bytes:?}")) }
}
