//! What the calls have in common.

use super::{Bytes, Handler, before, cell, row_result, selection};
use crate::tables::change::When;
use crate::tables::fault::Fault;
use crate::tables::rows::{Question, Selection, Weight};
use crate::tables::scan::Scan;
use crate::tables::schema::Column;
use crate::tables::write::row_key;
use hbase_thrift::hbase::{TCell, TRowResult};
use streamhost_core::clock::now_ms;
use thrift::Result;

impl Handler {
    pub(super) fn get_cells(
        &self,
        table: &[u8],
        row: &[u8],
        column: &[u8],
        versions: i32,
        before_ms: i64,
    ) -> Result<Vec<TCell>> {
        let read = || {
            let versions = usize::try_from(versions)
                .ok()
                .filter(|&versions| versions > 0);
            let versions =
                versions.ok_or_else(|| Fault::Argument("versions must be positive".to_owned()))?;
            row_key(row)?;
            let (table, column) = (self.0.table(table)?, Column::new(column));
            table.family(column.family)?;
            let question = Question {
                selection: Selection::default(),
                before_ms: before(before_ms)?,
                versions,
                now_ms: now_ms(),
            };
            let cells = table.read_cells(row, column, &question)?;
            Ok(cells.iter().map(cell).collect())
        };
        read().map_err(Fault::told_as_io)
    }

    pub(super) fn get_rows(
        &self,
        table: &[u8],
        rows: &[Bytes],
        columns: &[Bytes],
        before_ms: i64,
    ) -> Result<Vec<TRowResult>> {
        let read = || {
            let table = self.0.table(table)?;
            let selection = selection(columns);
            selection
                .0
                .iter()
                .try_for_each(|(family, _)| table.family(family).map(|_| ()))?;
            let question = Question {
                selection,
                before_ms: before(before_ms)?,
                versions: 1,
                now_ms: now_ms(),
            };
            let mut weight = Weight::default();
            let mut found = Vec::new();
            for row in rows {
                row_key(row)?;
                if let Some(row) = table.read_row(row, &question)? {
                    row.cells
                        .iter()
                        .try_for_each(|cell| weight.add(cell, &row.key))?;
                    found.push(row_result(row, false));
                }
            }
            Ok(found)
        };
        read().map_err(Fault::told_as_io)
    }

    pub(super) fn open_scanner(&self, table: &[u8], scan: Scan) -> Result<i32> {
        self.0.open_scanner(table, scan).map_err(Fault::told_as_io)
    }

    pub(super) fn scan(&self, id: i32, rows_max: i32) -> Result<Vec<TRowResult>> {
        let read = || {
            let rows_max = usize::try_from(rows_max)
                .map_err(|_| Fault::Argument(format!("{rows_max} rows cannot be asked for")))?;
            let (rows, sorted) = self.0.scan_on(id, rows_max)?;
            Ok(rows
                .into_iter()
                .map(|row| row_result(row, sorted))
                .collect())
        };
        read().map_err(Fault::told)
    }

    pub(super) fn delete(
        &self,
        table: &[u8],
        row: &[u8],
        column: Option<&[u8]>,
        time_ms: i64,
    ) -> Result<()> {
        let when = When::new(time_ms).map_err(Fault::told_as_io)?;
        self.0
            .delete_cells(table, row, column, when)
            .map_err(Fault::told_as_io)
    }

    pub(super) fn refuse<T>(what: &str) -> Result<T> {
        Err(Fault::Refused(format!("the embedded table store has no {what}")).told_as_io())
    }
}

pub(super) fn simple_scan(
    start: Bytes,
    stop: Bytes,
    columns: &[Bytes],
    time_ms: i64,
) -> Result<Scan> {
    let before_ms = before(time_ms).map_err(Fault::told_as_io)?;
    Ok(Scan {
        start,
        stop,
        selection: selection(columns),
        before_ms,
        ..Scan::default()
    })
}
