//! PostgreSQL: rows of tables, by `COPY`. What every database's sink does is in [`crate::sql`].
//!
//! ```text
//! rows by groups of columns ─► COPY ─► temporary table ─► upsert
//! ```

mod settings;
mod words;
mod session;
mod types;
mod catalog;
mod marks;
mod copy;
mod write;
mod mend;
mod held;

pub use settings::{of_url, usual};

use crate::connector::{Connector, HeldContext};
use crate::sql::{Database, DatabaseSettings, Failure, Mark, MarkRow, SqlConnector, Table};
use session::{Session, value};
use std::sync::Arc;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, POSTGRES, POSTGRES_ROWS};
use streamhost_core::protocol::Marker;
use streamhost_core::types::RowLimits;
use streamhost_engine::sink::{CancelSignal, HeldPlace, SinkError};
use write::{Shape, Writer};

/// The database that these settings name, as a connector.
pub fn connector(settings: DatabaseSettings) -> Arc<dyn Connector> {
    Arc::new(SqlConnector(Postgres(settings)))
}

/// What version the server says that it has.
///
/// # Errors
/// It is away, or does not let the host in.
pub fn server_version(settings: &DatabaseSettings) -> Result<String, SinkError> {
    crate::sql::server_version(&Postgres(settings.clone()))
}

/// One database.
#[derive(Clone, Debug)]
struct Postgres(DatabaseSettings);

impl Database for Postgres {
    const RULES: &'static ConnectorRules = &POSTGRES;
    const ROWS: RowLimits = POSTGRES_ROWS;
    type Session = Session;
    type Shape = Shape;
    type Writer<'s> = Writer<'s>;

    fn settings(&self) -> &DatabaseSettings {
        &self.0
    }

    fn connect(&self, cancel: &CancelSignal) -> Result<Session, Failure> {
        Session::connect(&self.0, cancel)
    }

    fn version(session: &Session) -> Result<String, Failure> {
        let row = session.query_one("SHOW server_version", &[]);
        row.and_then(|row| value(&row, 0))
    }

    fn find(session: &Session, target: &str) -> Result<Option<Table<Self>>, Failure> {
        catalog::find(session, target)
    }

    fn create_table(_: &Session, spec: &SinkSpec) -> String {
        catalog::create_table(spec)
    }

    fn execute(session: &Session, sql: &str) -> Result<(), Failure> {
        session.batch(sql)
    }

    fn is_there_already(failure: &Failure) -> bool {
        words::is_there_already(failure)
    }

    fn shape(session: &Session, spec: &SinkSpec, table: &Table<Self>) -> Result<Shape, Failure> {
        let shape = Shape::new(spec, table)?;
        if let Some(stage) = shape.stage() {
            session.batch(&stage)?;
        }
        Ok(shape)
    }

    fn take(session: &Session, mark: &Mark, table: &Table<Self>) -> Result<MarkRow, Failure> {
        marks::take(session, mark, table)
    }

    fn peek(
        session: &Session,
        mark: &Mark,
        table: Option<&Table<Self>>,
    ) -> Result<Option<MarkRow>, Failure> {
        marks::peek(session, mark, table)
    }

    fn begin(session: &Session) -> Result<(), Failure> {
        // A rule that is looked at only by the commit could not be told from a row.
        session.batch("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")
    }

    fn put(
        session: &Session,
        mark: &Mark,
        shape: &Shape,
        fence: i64,
        marker: (&Marker, &str),
    ) -> Result<bool, Failure> {
        marks::put(session, mark, shape.table, fence, marker)
    }

    fn writer<'s>(session: &'s Session, shape: &'s Shape) -> Writer<'s> {
        Writer::new(session, shape)
    }

    fn commit(session: &Session) -> Result<(), Failure> {
        session.batch("COMMIT")
    }

    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str> {
        let held = held::PostgresHeld::new(spec, self.clone(), context);
        Ok(Box::new(held))
    }
}
