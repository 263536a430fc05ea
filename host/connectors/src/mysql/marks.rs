//! The statements of a sink's mark.

use super::MySql;
use super::session::{Session, value};
use super::words::{self, NO_TABLE};
use crate::sql::{Failure, Mark, MarkRow, Table, number};
use mysql_async::{Row, Value};
use streamhost_core::protocol::Marker;

const READ: &str = "fence, epoch, batch, digest, target, offsets";

/// Takes the sink over, and reads.
pub(super) fn take(session: &Session, mark: &Mark, table: &str) -> Result<MarkRow, Failure> {
    session.begin()?;
    let sql = format!(
        "INSERT INTO {} (sink, fence, epoch, batch, digest, target, target_id, offsets) \
         VALUES (?, 1, 0, 0, '', ?, 0, '{{}}') ON DUPLICATE KEY UPDATE fence = fence + 1",
        mark.table
    );
    session.exec(&sql, vec![text(&mark.sink), text(table)])?;
    let row = lock(session, mark, table)?;
    session.end("COMMIT")?;
    Ok(row)
}

/// Reads, and takes nothing over. None: there is no mark.
pub(super) fn peek(
    session: &Session,
    mark: &Mark,
    table: Option<&Table<MySql>>,
) -> Result<Option<MarkRow>, Failure> {
    let sql = format!("SELECT {READ} FROM {} WHERE sink = ?", mark.table);
    match session.query(&sql, vec![text(&mark.sink)]) {
        Ok(rows) => {
            let row = rows.first().map(|row| read(row, table.map(|of| &*of.id)));
            row.transpose()
        }
        Err(failure) if words::is(&failure, NO_TABLE) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Locks the mark in the session's transaction, and reads it: no batch of the sink can come until
/// that is over.
pub(super) fn lock(session: &Session, mark: &Mark, table: &str) -> Result<MarkRow, Failure> {
    let sql = format!(
        "SELECT {READ} FROM {} WHERE sink = ? FOR UPDATE",
        mark.table
    );
    let rows = session.query(&sql, vec![text(&mark.sink)])?;
    match rows.first() {
        Some(row) => read(row, Some(table)),
        None => Err(mark.is_gone()),
    }
}

/// Moves the mark. `false`: somebody else has taken the sink over.
pub(super) fn put(
    session: &Session,
    mark: &Mark,
    table: &str,
    fence: i64,
    (marker, offsets): (&Marker, &str),
) -> Result<bool, Failure> {
    let sql = format!(
        "UPDATE {} SET epoch = ?, batch = ?, digest = ?, target = ?, offsets = ? WHERE sink = ? AND fence = ?",
        mark.table
    );
    let values = vec![
        Value::Int(number(marker.epoch)),
        Value::Int(number(marker.batch)),
        text(&marker.digest),
        text(table),
        text(offsets),
        text(&mark.sink),
        Value::Int(fence),
    ];
    Ok(session.exec(&sql, values)? == 1)
}

fn text(of: &str) -> Value {
    Value::Bytes(of.as_bytes().to_vec())
}

fn read(row: &Row, table: Option<&str>) -> Result<MarkRow, Failure> {
    let target: String = value(row, 4)?;
    Ok(MarkRow {
        fence: value(row, 0)?,
        epoch: value(row, 1)?,
        batch: value(row, 2)?,
        digest: value(row, 3)?,
        is_own: table.is_some_and(|table| table == target),
        offsets: value(row, 5)?,
    })
}
