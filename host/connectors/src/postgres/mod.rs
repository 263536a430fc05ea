//! PostgreSQL: rows of tables. Each batch is one transaction, which moves the sink's mark first; so
//! every row is there once, whatever crashes in between.
//!
//! ```text
//! rows of the batch ─► merge by key ─► groups by columns ─► BEGIN · mark · COPY · upsert · COMMIT
//! ```

mod settings;
mod words;
mod session;
mod types;
mod catalog;
mod marks;
mod copy;
mod merge;
mod write;
mod refused;
mod provision;
mod mend;
mod held;
mod connector;

pub use connector::PostgresConnector;
pub use provision::server_version;
pub use settings::PostgresSettings;

use catalog::Table;
use marks::{Held, Mark};
use session::Session;
use std::collections::BTreeMap;
use streamhost_core::contract::render::RowsView;
use streamhost_core::job::connector::POSTGRES_ROWS;
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, RowLimits, Rows, TopicOffsets, by_topic};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};
use words::Failure;
use write::{Shape, Writer};

const SERVER: &str = "PostgreSQL";

/// A table as a sink.
pub struct PostgresSink {
    settings: PostgresSettings,
    spec: SinkSpec,
    /// What the sources read, in their order: the mark says how far each was read.
    topics: Vec<String>,
    mark: Mark,
    cancel: CancelSignal,
    /// What the mark said when it was read last.
    held: Held,
    /// The marker of the last batch that was sent, whatever became of it.
    tried: Option<Marker>,
    /// Somebody else has taken the sink over since the last batch.
    is_fenced: bool,
    open: Option<Open>,
}

/// A sink that was taken over.
struct Open {
    session: Session,
    /// None: the version's columns are not looked at yet.
    shape: Option<Shape>,
}

impl PostgresSink {
    /// For a spec that was found good. `owner` is whose sink it is, such as `streamhost.JOB`: its
    /// mark is named after it. Asks no server.
    pub fn new(
        settings: PostgresSettings,
        spec: &SinkSpec,
        sources: &[SourceSpec],
        owner: &str,
        cancel: &CancelSignal,
    ) -> Self {
        PostgresSink {
            settings,
            mark: Mark::new(format!("{owner}.{}", spec.name), &spec.target),
            spec: spec.clone(),
            topics: sources.iter().map(|source| source.target.clone()).collect(),
            cancel: cancel.clone(),
            held: Held::default(),
            tried: None,
            is_fenced: false,
            open: None,
        }
    }

    fn error(&self, failure: Failure) -> SinkError {
        if self.cancel.is_cancelled() {
            return SinkError::Cancelled;
        }
        failure.error(&self.settings.address(), &self.spec.target)
    }

    fn connect(&self) -> Result<Session, SinkError> {
        if self.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        let session = Session::connect(&self.settings, &self.cancel);
        session.map_err(|failure| self.error(failure))
    }

    /// The table, which must be there and fit.
    fn table(&self, session: &Session) -> Result<Table, SinkError> {
        let found = Table::find(session, &self.spec.target);
        let found = found.map_err(|failure| self.error(failure))?;
        let table = found.ok_or_else(|| provision::missing(&self.spec))?;
        table
            .fits(&self.spec)
            .map_err(|failure| self.error(failure))?;
        Ok(table)
    }

    /// The shape of the version's rows, and the temporary table for them.
    fn shape(&self, session: &Session, table: &Table) -> Result<Shape, SinkError> {
        let shape = Shape::new(&self.spec, table);
        let shape = shape.map_err(|failure| self.error(failure))?;
        if let Some(stage) = shape.stage() {
            session
                .batch(&stage)
                .map_err(|failure| self.error(failure))?;
        }
        Ok(shape)
    }

    /// The mark was not there to be moved. A server that ended our session for its silence lets
    /// nobody else in; but a mark that was deleted by hand, or taken over: so the first time it is
    /// taken back, and [`Sink::open`] looks whether somebody else wrote. The second time it is
    /// somebody else, and the two must not fence each other back and forth.
    fn on_fenced(&mut self) -> SinkError {
        if std::mem::replace(&mut self.is_fenced, true) {
            return self.fenced();
        }
        let reason = format!("{} was taken over", self.called());
        Failure::Away(reason).error(&self.settings.address(), &self.spec.target)
    }

    fn fenced(&self) -> SinkError {
        SinkError::Fenced { id: self.called() }
    }

    fn called(&self) -> String {
        format!("the mark `{}`", self.mark.sink)
    }

    /// Writes a batch in the session's transaction, up to its commit. `false`: fenced.
    fn write(
        &self,
        session: &Session,
        shape: &Shape,
        held: &Held,
        marker: &Marker,
        (rows, refusals): (&[Rows], &mut dyn Refusals),
    ) -> Result<bool, SinkError> {
        let explain = |failure: Failure| self.error(failure);
        // A rule that is looked at only by the commit could not be told from a row.
        let begin = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE";
        session.batch(begin).map_err(explain)?;
        let moved = self.mark.put(session, held, marker, shape.table);
        if !moved.map_err(explain)? {
            return Ok(false);
        }
        let columns = &self.spec.columns;
        let views = || rows.iter().flat_map(|rows| RowsView::new(rows, columns));
        let mut writer = Writer::new(session, shape);
        refused::write(&mut writer, shape.is_keyed(), &views, refusals, &explain)?;
        session.batch("COMMIT").map_err(explain)?;
        Ok(true)
    }
}

impl Sink for PostgresSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Marked
    }

    fn marker_expires(&self) -> bool {
        false
    }

    fn limits(&self) -> RowLimits {
        POSTGRES_ROWS
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.spec = spec.clone();
        if let Some(open) = &mut self.open {
            open.shape = None;
        }
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        self.open = None; // which ends what may be under way
        let session = self.connect()?;
        let table = self.table(&session)?;
        let held = self.mark.take(&session, &table);
        let held = held.map_err(|failure| self.error(failure))?;
        let is_ours = held.own == self.held.own || held.own == self.tried;
        if self.is_fenced && !is_ours {
            return Err(self.fenced());
        }
        let shape = Some(self.shape(&session, &table)?);
        (self.held, self.tried) = (held, None);
        self.open = Some(Open { session, shape });
        Ok(self.held.own.clone())
    }

    fn peek(&mut self) -> Result<Option<Marker>, SinkError> {
        let session = self.connect()?;
        let table = Table::find(&session, &self.spec.target);
        let table = table.map_err(|failure| self.error(failure))?;
        let held = self.mark.peek(&session, table.as_ref());
        let held = held.map_err(|failure| self.error(failure))?;
        self.held = held.unwrap_or_default();
        Ok(self.held.own.clone())
    }

    fn committed(&self) -> TopicOffsets {
        self.held.offsets.clone()
    }

    fn elsewhere(&self) -> Option<Marker> {
        self.held.elsewhere.clone()
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let Open { session, shape } = self
            .open
            .take()
            .expect("the pipeline opens a sink before it delivers, and after a failure");
        let shape = match shape {
            Some(shape) => shape,
            None => {
                let table = self.table(&session)?;
                self.shape(&session, &table)?
            }
        };
        let marker = Marker {
            epoch: delivery.epoch,
            batch: delivery.batch,
            digest: delivery.digest.to_owned(),
        };
        let held = self.after(delivery, &marker);
        self.tried = Some(marker.clone());
        if !self.write(&session, &shape, &held, &marker, (rows, refusals))? {
            return Err(self.on_fenced());
        }
        (self.held, self.tried, self.is_fenced) = (held, None, false);
        self.open = Some(Open {
            session,
            shape: Some(shape),
        });
        Ok(())
    }
}

impl PostgresSink {
    /// What the mark says once a batch is there. Offsets of partitions that the batch does not name
    /// stay true within their epoch.
    fn after(&self, delivery: &Delivery<'_>, marker: &Marker) -> Held {
        let is_same = |own: &Marker| own.epoch == marker.epoch;
        let mut offsets = match self.held.own.as_ref().is_some_and(is_same) {
            true => self.held.offsets.clone(),
            false => TopicOffsets::new(),
        };
        let ends: BTreeMap<_, _> = delivery
            .spans
            .iter()
            .map(|(p, span)| (*p, span.to))
            .collect();
        for (topic, ends) in by_topic(&self.topics, &ends) {
            offsets.entry(topic).or_default().extend(ends);
        }
        Held {
            fence: self.held.fence,
            own: Some(marker.clone()),
            elsewhere: None,
            offsets,
        }
    }
}
