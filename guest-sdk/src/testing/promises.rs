//! What the host checks of each answer. A derived row keeps all of it; one that is written by hand
//! may not.

use super::model::Kind;
use crate::call::{Keyed, Moment, Output};
use crate::cell;
use crate::columns::ColumnBuf;
use crate::describe::{Description, SinkDef};
use crate::row::RowWriter;
use std::collections::HashSet;

/// Err: which promise is broken, in an answer to a call of stage `number` with `count` records,
/// groups or pairs.
pub(super) fn check(
    description: &Description,
    kinds: &[Kind],
    number: usize,
    moment: Moment,
    count: usize,
    output: &Output,
) -> Result<(), String> {
    let strange = output
        .faults
        .iter()
        .find(|fault| fault.position as usize >= count);
    if let Some(fault) = strange {
        return Err(format!(
            "a fault at position {} of {count} records",
            fault.position
        ));
    }
    if output.rows.len() != description.sinks.len() {
        return Err(format!(
            "rows for {} sinks of {}",
            output.rows.len(),
            description.sinks.len()
        ));
    }
    for (rows, sink) in output.rows.iter().zip(&description.sinks) {
        check_rows(rows, sink, count)
            .map_err(|broken| format!("sink `{}`: {broken}", sink.name))?;
    }
    check_list("late", &output.late, count)?;
    if output.largest_ms < moment.partition_ms {
        return Err(format!(
            "the largest event time falls from {} to {}",
            moment.partition_ms, output.largest_ms
        ));
    }
    let places: Vec<(u32, u8)> = output
        .keyed
        .iter()
        .map(|keyed| (keyed.stage, keyed.side))
        .collect();
    if let Some(twice) = (1..places.len()).find(|&i| places[..i].contains(&places[i])) {
        return Err(format!(
            "stage {} is given side {} twice",
            places[twice].0, places[twice].1
        ));
    }
    for keyed in &output.keyed {
        let at = (keyed.stage as usize).checked_sub(description.sources.len());
        let Some((stage, kind)) = at.and_then(|at| description.stages.get(at).zip(kinds.get(at)))
        else {
            return Err(format!(
                "something goes to stage {}, which is no keyed stage",
                keyed.stage
            ));
        };
        if keyed.stage as usize <= number || !stage.inputs.contains(&(number as u32)) {
            return Err(format!(
                "stage {number} is no input of stage `{}`, and gives it something",
                stage.name
            ));
        }
        check_keyed(keyed, *kind, moment, count)
            .map_err(|broken| format!("stage `{}`: {broken}", stage.name))?;
    }
    Ok(())
}

/// Err: it is not one item for each of `wanted`.
pub(super) fn check_items(column: &ColumnBuf, wanted: usize) -> Result<(), String> {
    check_column("the answer", column)?;
    let made = column.ends.len();
    if made == wanted {
        Ok(())
    } else {
        Err(format!("{made} items for {wanted}"))
    }
}

fn check_keyed(keyed: &Keyed, kind: Kind, moment: Moment, count: usize) -> Result<(), String> {
    let items = keyed.values.ends.len();
    if keyed.keys.ends.len() != items || keyed.times_ms.len() != items {
        return Err(format!(
            "{} keys and {} times for {items} values",
            keyed.keys.ends.len(),
            keyed.times_ms.len()
        ));
    }
    check_column("keys", &keyed.keys)?;
    check_column("values", &keyed.values)?;
    check_list("positions", &keyed.positions, count)?;
    check_list("deleted", &keyed.deleted, items)?;
    if keyed.positions.is_empty() != (items == 0) {
        return Err(format!(
            "{items} items come of {} records",
            keyed.positions.len()
        ));
    }
    if keyed.side > u8::from(matches!(kind, Kind::Join { .. } | Kind::Lookup)) {
        return Err(format!("it has no side {}", keyed.side));
    }
    if !keyed.deleted.is_empty() && (kind, keyed.side) != (Kind::Lookup, 1) {
        return Err("items are deleted that are no table's".into());
    }
    if keyed
        .deleted
        .iter()
        .any(|&at| !keyed.values.view().get(at as usize).is_empty())
    {
        return Err("an item is deleted and yet has a value".into());
    }
    let reached_ms = moment.watermark_ms.max(moment.partition_ms);
    for (at, &time_ms) in keyed.times_ms.iter().enumerate() {
        if kind.is_late(
            time_ms,
            keyed.until_ms.get(at).copied().unwrap_or(time_ms),
            reached_ms,
        ) {
            return Err(format!(
                "an item at {time_ms} ms comes too late, as {reached_ms} ms was reached before"
            ));
        }
    }
    match kind {
        Kind::Join { .. } | Kind::Lookup => check_until(keyed, 0),
        _ => check_groups(keyed, kind, moment),
    }
}

/// Accumulators: one for each key and pane.
fn check_groups(keyed: &Keyed, kind: Kind, moment: Moment) -> Result<(), String> {
    let fits = |time_ms: i64| match kind {
        Kind::Panes { hop_ms, timing, .. } if timing.processing => {
            time_ms
                == moment
                    .batch_ms
                    .saturating_sub(moment.batch_ms.rem_euclid(hop_ms))
        }
        Kind::Panes { hop_ms, .. } => time_ms.rem_euclid(hop_ms) == 0 || time_ms == i64::MIN,
        Kind::Session { timing, .. } if timing.processing => time_ms == moment.batch_ms,
        Kind::Session { .. } => true,
        _ => time_ms == 0,
    };
    if let Some(time_ms) = keyed.times_ms.iter().find(|time_ms| !fits(**time_ms)) {
        return Err(format!(
            "an accumulator at {time_ms} ms, which fits no {kind:?}"
        ));
    }
    let Kind::Session { gap_ms, .. } = kind else {
        let mut seen = HashSet::new();
        let twice = keyed
            .keys
            .view()
            .iter()
            .zip(&keyed.times_ms)
            .any(|place| !seen.insert(place));
        return if twice {
            Err("two accumulators of one key and pane".into())
        } else {
            check_until(keyed, 0)
        };
    };
    check_until(keyed, keyed.times_ms.len())?;
    let mut sessions: Vec<_> = keyed
        .keys
        .view()
        .iter()
        .zip(&keyed.times_ms)
        .zip(&keyed.until_ms)
        .map(|((k, f), u)| (k, *f, *u))
        .collect();
    sessions.sort_unstable();
    if sessions
        .iter()
        .any(|(_, first_ms, until_ms)| until_ms < first_ms)
    {
        return Err("a session ends before it begins".into());
    }
    let near = |pair: &[(&[u8], i64, i64)]| {
        pair[0].0 == pair[1].0 && pair[1].1 <= pair[0].2.saturating_add(gap_ms)
    };
    if sessions.windows(2).any(near) {
        Err("two sessions of one key that are one".into())
    } else {
        Ok(())
    }
}

fn check_until(keyed: &Keyed, wanted: usize) -> Result<(), String> {
    let made = keyed.until_ms.len();
    if made == wanted {
        Ok(())
    } else {
        Err(format!("{made} last events, and not {wanted}"))
    }
}

fn check_rows(rows: &RowWriter, sink: &SinkDef, records: usize) -> Result<(), String> {
    let width = 1 + sink.shape.columns.len();
    let items = rows.positions.len() * width;
    if !rows.positions.is_sorted()
        || rows
            .positions
            .last()
            .is_some_and(|&last| last as usize >= records)
    {
        return Err(format!(
            "positions of rows descend, or go beyond the {records} records: {:?}",
            rows.positions
        ));
    }
    if rows.cells.ends.len() != items {
        return Err(format!(
            "{} items for {} rows of {width}",
            rows.cells.ends.len(),
            rows.positions.len()
        ));
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
        return Err(format!(
            "item {item} is absent or deleted and yet has bytes, or is both"
        ));
    }
    let row_deleted = rows
        .deleted_rows
        .binary_search(&((item / width) as u32))
        .is_ok();
    let Some(column) = (item % width)
        .checked_sub(1)
        .map(|c| &sink.shape.columns[c])
    else {
        return match () {
            () if deleted => Err(format!("item {item} is a key, which cannot be deleted")),
            () if row_deleted && (absent || !sink.shape.keyed) => {
                Err(format!("row {} is deleted, but has no key", item / width))
            }
            () => Ok(()),
        };
    };
    if row_deleted && !absent {
        return Err(format!(
            "row {} is deleted and has a cell in `{}`",
            item / width,
            column.name
        ));
    }
    if absent || deleted {
        return if column.optional || row_deleted {
            Ok(())
        } else {
            Err(format!(
                "column `{}` is not optional, and row {} lacks it",
                column.name,
                item / width
            ))
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
    if extra.names.ends.len() != count
        || extra.values.ends.len() != count
        || extra.kinds.len() != count
    {
        return Err("dynamic cells' lists differ in length".into());
    }
    check_column("names of dynamic cells", &extra.names)?;
    check_column("dynamic cells", &extra.values)?;
    if let Some(row) = extra
        .rows
        .iter()
        .find(|row| rows.deleted_rows.binary_search(row).is_ok())
    {
        return Err(format!("row {row} is deleted and has dynamic cells"));
    }
    if !extra.rows.is_sorted()
        || extra
            .rows
            .last()
            .is_some_and(|&row| row as usize >= rows.positions.len())
    {
        return Err(format!(
            "rows of dynamic cells descend, or are not there: {:?}",
            extra.rows
        ));
    }
    for (i, kind) in extra.kinds.iter().enumerate() {
        match std::str::from_utf8(extra.names.view().get(i)) {
            Ok(name) if !name.is_empty() => check_kind(name, *kind, extra.values.view().get(i))?,
            _ => {
                return Err(format!(
                    "the name of dynamic cell {i} is empty or not UTF-8"
                ));
            }
        }
    }
    Ok(())
}

fn check_column(what: &str, column: &ColumnBuf) -> Result<(), String> {
    let end = column.ends.last().map_or(0, |&end| end as usize);
    if column.ends.is_sorted() && end == column.data.len() {
        return Ok(());
    }
    Err(format!(
        "ends of {what} descend, or do not end at {}",
        column.data.len()
    ))
}

fn check_list(what: &str, list: &[u32], below: usize) -> Result<(), String> {
    if list.is_sorted_by(|a, b| a < b) && list.last().is_none_or(|&last| (last as usize) < below) {
        return Ok(());
    }
    Err(format!("`{what}` does not ascend below {below}: {list:?}"))
}

fn check_kind(column: &str, kind: cell::Kind, bytes: &[u8]) -> Result<(), String> {
    let fits = match kind {
        cell::Kind::Text => std::str::from_utf8(bytes).is_ok(),
        cell::Kind::Bytes => true,
        cell::Kind::Bool => matches!(bytes, [0 | 1]),
        cell::Kind::Int | cell::Kind::Uint | cell::Kind::Float | cell::Kind::Time => {
            bytes.len() == 8
        }
    };
    if fits {
        Ok(())
    } else {
        Err(format!("column `{column}` holds no {kind:?}: {bytes:?}"))
    }
}
