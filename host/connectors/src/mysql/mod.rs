//! MySQL and MariaDB: rows of tables, by prepared statements of many rows each. What every database's
//! sink does is in [`crate::sql`].
//!
//! ```text
//! rows by groups of columns ─► values ─► INSERT … ON DUPLICATE KEY UPDATE
//! ```

mod settings;
mod words;
mod session;
mod types;
mod value;
mod catalog;
mod marks;
mod write;

pub use settings::{of_url, usual};

use crate::connector::{Connector, HeldContext};
use crate::sql::{Database, DatabaseSettings, Failure, Mark, MarkRow, SqlConnector, Table};
use session::Session;
use std::sync::Arc;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, MYSQL, MYSQL_ROWS};
use streamhost_core::protocol::Marker;
use streamhost_core::types::RowLimits;
use streamhost_engine::sink::{CancelSignal, HeldPlace, SinkError};
use write::{Shape, Writer};

/// The database that these settings name, as a connector.
pub fn connector(settings: DatabaseSettings) -> Arc<dyn Connector> {
    Arc::new(SqlConnector(MySql(settings)))
}

/// What version the server says that it has.
///
/// # Errors
/// It is away, or does not let the host in.
pub fn server_version(settings: &DatabaseSettings) -> Result<String, SinkError> {
    crate::sql::server_version(&MySql(settings.clone()))
}

/// One database.
#[derive(Clone, Debug)]
struct MySql(DatabaseSettings);

/// A table that somebody else has just made.
const THERE_ALREADY: u16 = 1050;

impl Database for MySql {
    const RULES: &'static ConnectorRules = &MYSQL;
    const ROWS: RowLimits = MYSQL_ROWS;
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
        Ok(session.version.clone())
    }

    fn find(session: &Session, target: &str) -> Result<Option<Table<Self>>, Failure> {
        catalog::find(session, target)
    }

    fn create_table(session: &Session, spec: &SinkSpec) -> String {
        catalog::create_table(session.flavor, spec)
    }

    fn execute(session: &Session, sql: &str) -> Result<(), Failure> {
        session.text(sql)
    }

    fn is_there_already(failure: &Failure) -> bool {
        words::is(failure, THERE_ALREADY)
    }

    /// Rights are looked at where a statement is prepared.
    fn probe(session: &Session, spec: &SinkSpec, table: &Table<Self>) -> Result<(), Failure> {
        session.prepare(&Shape::new(spec, table)?.whole())
    }

    fn shape(_: &Session, spec: &SinkSpec, table: &Table<Self>) -> Result<Shape, Failure> {
        Shape::new(spec, table)
    }

    fn take(session: &Session, mark: &Mark, table: &Table<Self>) -> Result<MarkRow, Failure> {
        marks::take(session, mark, &table.id)
    }

    fn peek(
        session: &Session,
        mark: &Mark,
        table: Option<&Table<Self>>,
    ) -> Result<Option<MarkRow>, Failure> {
        marks::peek(session, mark, table)
    }

    fn begin(session: &Session) -> Result<(), Failure> {
        session.begin()
    }

    fn put(
        session: &Session,
        mark: &Mark,
        shape: &Shape,
        fence: i64,
        marker: (&Marker, &str),
    ) -> Result<bool, Failure> {
        marks::put(session, mark, &shape.table, fence, marker)
    }

    fn writer<'s>(session: &'s Session, shape: &'s Shape) -> Writer<'s> {
        Writer::new(session, shape)
    }

    fn commit(session: &Session) -> Result<(), Failure> {
        session.end("COMMIT")
    }

    fn held(&self, _: &SinkSpec, _: &HeldContext<'_>) -> Result<Box<dyn HeldPlace>, &'static str> {
        Err("rows of MySQL cannot be read back yet")
    }
}
