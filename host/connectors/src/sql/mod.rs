//! What connectors of SQL databases have in common. Each batch is one transaction, which moves the
//! sink's mark first; so every row is there once, whatever crashes in between. A database says how it
//! speaks ([`Database`]); what is written, and when, is decided here.
//!
//! ```text
//! rows of the batch ─► merge by key ─► BEGIN · mark · rows but for those that are refused · COMMIT
//! ```

mod settings;
mod failure;
mod table;
mod marks;
mod merge;
mod refused;
mod sink;
mod provision;
mod connector;

pub use settings::DatabaseSettings;

pub(crate) use connector::SqlConnector;
pub(crate) use failure::{Failure, of_connection, shown};
pub(crate) use marks::{Mark, MarkRow, marks_of, number};
pub(crate) use merge::{Merged, Unit};
pub(crate) use provision::{missing, server_version};
pub(crate) use refused::Attempt;
pub(crate) use settings::NO_PASSWORD;
pub(crate) use sink::SqlSink;
pub(crate) use table::{Column, ColumnType, Dialect, Table};

use crate::connector::HeldContext;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::ConnectorRules;
use streamhost_core::protocol::Marker;
use streamhost_core::types::RowLimits;
use streamhost_engine::sink::{CancelSignal, HeldPlace};

/// A kind of database, with the settings of one.
pub(crate) trait Database: Dialect + Clone + Send + Sync + 'static {
    /// What is known of it without a server.
    const RULES: &'static ConnectorRules;
    /// What its rows may be.
    const ROWS: RowLimits;
    /// A connection that is set up. It is dropped after any doubt about it, which ends its
    /// transaction.
    type Session: Send;
    /// How the rows of a sink go into its table.
    type Shape: Send;
    /// Writes rows in a session's transaction.
    type Writer<'s>: Attempt;

    /// Which database it is, and how one gets in.
    fn settings(&self) -> &DatabaseSettings;

    /// Connects to the server that takes writes.
    fn connect(&self, cancel: &CancelSignal) -> Result<Self::Session, Failure>;

    /// The server's version, as it says it.
    fn version(session: &Self::Session) -> Result<String, Failure>;

    /// Looks at a table; none if it is not there.
    fn find(session: &Self::Session, target: &str) -> Result<Option<Table<Self>>, Failure>;

    /// The statement that makes a table for a sink's rows.
    fn create_table(session: &Self::Session, spec: &SinkSpec) -> String;

    /// Runs a statement without an answer.
    fn execute(session: &Self::Session, sql: &str) -> Result<(), Failure>;

    /// Whether a failure of creating something says that somebody else has just made it.
    fn is_there_already(failure: &Failure) -> bool;

    /// Asks what the catalog does not tell of a table that fits.
    fn probe(_: &Self::Session, _: &SinkSpec, _: &Table<Self>) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes ready for rows, of which the table takes all columns.
    fn shape(
        session: &Self::Session,
        spec: &SinkSpec,
        table: &Table<Self>,
    ) -> Result<Self::Shape, Failure>;

    /// Takes the sink over: waits for a transaction that is under way, and ends the right to write of
    /// whoever had it. Then reads.
    fn take(session: &Self::Session, mark: &Mark, table: &Table<Self>) -> Result<MarkRow, Failure>;

    /// Reads the mark, and takes nothing over. None: there is none.
    fn peek(
        session: &Self::Session,
        mark: &Mark,
        table: Option<&Table<Self>>,
    ) -> Result<Option<MarkRow>, Failure>;

    /// Begins a transaction.
    fn begin(session: &Self::Session) -> Result<(), Failure>;

    /// Moves the mark to a marker and the offsets that are its own, as the first thing in a transaction, where its fence is still this one. `false`:
    /// somebody else has taken the sink over.
    fn put(
        session: &Self::Session,
        mark: &Mark,
        shape: &Self::Shape,
        fence: i64,
        marker: (&Marker, &str),
    ) -> Result<bool, Failure>;

    /// What writes into the session's transaction.
    fn writer<'s>(session: &'s Self::Session, shape: &'s Self::Shape) -> Self::Writer<'s>;

    /// Makes the transaction durable.
    fn commit(session: &Self::Session) -> Result<(), Failure>;

    /// Its table, to be read back, of a sink whose rows have keys.
    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str>;
}
