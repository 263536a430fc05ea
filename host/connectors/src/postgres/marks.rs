//! What a sink holds, in a row of a table beside the one that it writes: moved in the transaction of
//! each batch before its rows, so that its lock keeps everybody else out until the outcome is known.
//! It never expires.

use super::catalog::{Table, quoted_table};
use super::session::{Session, value};
use super::words::Failure;
use streamhost_core::job::connector::table_parts;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Kind, TopicOffsets};
use tokio_postgres::Row;

/// The table's name; it stands in the schema of the table that is written.
pub(super) const NAME: &str = "streamhost_marks";

/// What a mark says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Counts who opened the sink: only the last one may write.
    pub(super) fence: i64,
    /// The marker, if it is of the table that the sink writes now.
    pub(super) own: Option<Marker>,
    /// The marker, if it is of another table, or of one that was dropped.
    pub(super) elsewhere: Option<Marker>,
    /// The source offsets of the marker.
    pub(super) offsets: TopicOffsets,
}

/// The table of marks that belongs to a target, as rows of a sink.
pub(super) fn spec_of(target: &str) -> SinkSpec {
    let column = |name: &str, kind| ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: false,
    };
    SinkSpec {
        target: match table_parts(target) {
            (Some(schema), _) => format!("{schema}.{NAME}"),
            (None, _) => NAME.to_owned(),
        },
        keys: vec![column("sink", Kind::Text)],
        columns: vec![
            column("fence", Kind::Int),
            column("epoch", Kind::Int),
            column("batch", Kind::Int),
            column("digest", Kind::Text),
            column("target", Kind::Text),
            column("target_id", Kind::Int),
            column("offsets", Kind::Text),
        ],
        ..SinkSpec::default()
    }
}

const READ: &str = "fence, epoch, batch, digest, target_id, offsets";

/// The mark of one sink.
#[derive(Debug)]
pub(super) struct Mark {
    /// Its row, for ever.
    pub(super) sink: String,
    /// The table of marks.
    table: String,
    target: String,
}

impl Mark {
    pub(super) fn new(sink: String, target: &str) -> Self {
        Mark {
            sink,
            table: quoted_table(&spec_of(target).target),
            target: target.to_owned(),
        }
    }

    /// Takes the sink over: waits for a transaction that is under way, and ends the right to write
    /// of whoever had it. Then reads.
    pub(super) fn take(&self, session: &Session, table: &Table) -> Result<Held, Failure> {
        let sql = format!(
            "INSERT INTO {0} AS m (sink, fence, epoch, batch, digest, target, target_id, offsets) \
             VALUES ($1, 1, 0, 0, '', $2, $3, '{{}}') \
             ON CONFLICT (sink) DO UPDATE SET fence = m.fence + 1 RETURNING {READ}",
            self.table
        );
        let row = session.query_one(&sql, &[&self.sink, &self.target, &table.id])?;
        read(&row, Some(table.id))
    }

    /// Reads, and takes nothing over. None: there is no mark.
    pub(super) fn peek(
        &self,
        session: &Session,
        table: Option<&Table>,
    ) -> Result<Option<Held>, Failure> {
        let is_there = "SELECT to_regclass($1::text) IS NOT NULL";
        if !value::<bool>(&session.query_one(is_there, &[&self.table])?, 0)? {
            return Ok(None);
        }
        let sql = format!("SELECT {READ} FROM {} WHERE sink = $1", self.table);
        let rows = session.query(&sql, &[&self.sink])?;
        let held = rows.first().map(|row| read(row, table.map(|t| t.id)));
        held.transpose()
    }

    /// Locks the mark in the session's transaction, and reads it: no batch of the sink can come until
    /// that is over.
    pub(super) fn lock(&self, session: &Session, table: i64) -> Result<Held, Failure> {
        let sql = format!(
            "SELECT {READ} FROM {} WHERE sink = $1 FOR UPDATE",
            self.table
        );
        let rows = session.query(&sql, &[&self.sink])?;
        match rows.first() {
            Some(row) => read(row, Some(table)),
            None => Err(Failure::Refused(format!(
                "{NAME} has no row `{}`: the sink was not opened since, so it is not known what is in its table",
                self.sink
            ))),
        }
    }

    /// Moves the mark, as the first thing in a batch's transaction. `false`: somebody else has taken
    /// the sink over.
    pub(super) fn put(
        &self,
        session: &Session,
        held: &Held,
        marker: &Marker,
        table: i64,
    ) -> Result<bool, Failure> {
        let offsets = serde_json::to_string(&held.offsets)
            .map_err(|error| Failure::Refused(format!("offsets: {error}")))?;
        let sql = format!(
            "UPDATE {} SET epoch = $3, batch = $4, digest = $5, target = $6, target_id = $7, \
             offsets = $8 WHERE sink = $1 AND fence = $2 RETURNING fence",
            self.table
        );
        let (epoch, batch) = (number(marker.epoch), number(marker.batch));
        let moved = session.query(
            &sql,
            &[
                &self.sink,
                &held.fence,
                &epoch,
                &batch,
                &marker.digest,
                &self.target,
                &table,
                &offsets,
            ],
        )?;
        Ok(!moved.is_empty())
    }
}

/// As the database counts. Epochs are milliseconds, batches are far fewer.
fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

fn read(row: &Row, table: Option<i64>) -> Result<Held, Failure> {
    let unreadable = |what: String| {
        Failure::Refused(format!(
            "a row of {NAME} cannot be read ({what}): delete it (a batch that was under way may be there twice then)"
        ))
    };
    let count = |column| {
        let read = value::<i64>(row, column)?;
        u64::try_from(read).map_err(|_| unreadable(format!("{read}")))
    };
    let (epoch, batch) = (count(1)?, count(2)?);
    let marker = (epoch > 0).then_some(Marker {
        epoch,
        batch,
        digest: value(row, 3)?,
    });
    let is_own = table.is_some_and(|id| value(row, 4).is_ok_and(|of: i64| of == id));
    let offsets = serde_json::from_str(value(row, 5)?);
    let offsets: TopicOffsets = offsets.map_err(|error| unreadable(error.to_string()))?;
    let (own, elsewhere, offsets) = match is_own {
        true => (marker, None, offsets),
        false => (None, marker, TopicOffsets::new()),
    };
    Ok(Held {
        fence: value(row, 0)?,
        own,
        elsewhere,
        offsets,
    })
}
