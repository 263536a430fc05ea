//! The statements of a sink's mark.

use super::Postgres;
use super::session::{Session, value};
use crate::sql::{Failure, Mark, MarkRow, Table, number};
use streamhost_core::protocol::Marker;
use tokio_postgres::Row;

const READ: &str = "fence, epoch, batch, digest, target_id, offsets";

/// Takes the sink over, and reads.
pub(super) fn take(
    session: &Session,
    mark: &Mark,
    table: &Table<Postgres>,
) -> Result<MarkRow, Failure> {
    let sql = format!(
        "INSERT INTO {0} AS m (sink, fence, epoch, batch, digest, target, target_id, offsets) \
         VALUES ($1, 1, 0, 0, '', $2, $3, '{{}}') \
         ON CONFLICT (sink) DO UPDATE SET fence = m.fence + 1 RETURNING {READ}",
        mark.table
    );
    let row = session.query_one(&sql, &[&mark.sink, &mark.target, &table.id])?;
    read(&row, Some(table.id))
}

/// Reads, and takes nothing over. None: there is no mark.
pub(super) fn peek(
    session: &Session,
    mark: &Mark,
    table: Option<&Table<Postgres>>,
) -> Result<Option<MarkRow>, Failure> {
    let is_there = "SELECT to_regclass($1::text) IS NOT NULL";
    if !value::<bool>(&session.query_one(is_there, &[&mark.table])?, 0)? {
        return Ok(None);
    }
    let sql = format!("SELECT {READ} FROM {} WHERE sink = $1", mark.table);
    let rows = session.query(&sql, &[&mark.sink])?;
    let row = rows.first().map(|row| read(row, table.map(|t| t.id)));
    row.transpose()
}

/// Locks the mark in the session's transaction, and reads it: no batch of the sink can come until
/// that is over.
pub(super) fn lock(session: &Session, mark: &Mark, table: i64) -> Result<MarkRow, Failure> {
    let sql = format!(
        "SELECT {READ} FROM {} WHERE sink = $1 FOR UPDATE",
        mark.table
    );
    let rows = session.query(&sql, &[&mark.sink])?;
    match rows.first() {
        Some(row) => read(row, Some(table)),
        None => Err(mark.is_gone()),
    }
}

/// Moves the mark. `false`: somebody else has taken the sink over.
pub(super) fn put(
    session: &Session,
    mark: &Mark,
    table: i64,
    fence: i64,
    (marker, offsets): (&Marker, &str),
) -> Result<bool, Failure> {
    let sql = format!(
        "UPDATE {} SET epoch = $3, batch = $4, digest = $5, target = $6, target_id = $7, \
         offsets = $8 WHERE sink = $1 AND fence = $2 RETURNING fence",
        mark.table
    );
    let (epoch, batch) = (number(marker.epoch), number(marker.batch));
    let moved = session.query(
        &sql,
        &[
            &mark.sink,
            &fence,
            &epoch,
            &batch,
            &marker.digest,
            &mark.target,
            &table,
            &offsets,
        ],
    )?;
    Ok(!moved.is_empty())
}

fn read(row: &Row, table: Option<i64>) -> Result<MarkRow, Failure> {
    Ok(MarkRow {
        fence: value(row, 0)?,
        epoch: value(row, 1)?,
        batch: value(row, 2)?,
        digest: value(row, 3)?,
        is_own: table.is_some_and(|id| value(row, 4).is_ok_and(|of: i64| of == id)),
        offsets: value(row, 5)?,
    })
}
