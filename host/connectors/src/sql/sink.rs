//! A table as a sink.

use super::marks::Held;
use super::{Database, Failure, Mark, MarkRow, Table, missing, refused};
use crate::connector::SinkContext;
use std::collections::BTreeMap;
use streamhost_core::contract::render::RowsView;
use streamhost_core::job::SinkSpec;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, RowLimits, Rows, TopicOffsets, by_topic};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};

/// A table as a sink.
pub(crate) struct SqlSink<D: Database> {
    database: D,
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
    open: Option<Open<D>>,
}

/// A sink that was taken over.
struct Open<D: Database> {
    session: D::Session,
    /// None: the version's columns are not looked at yet.
    shape: Option<D::Shape>,
}

impl<D: Database> SqlSink<D> {
    /// For a spec that was found good. Its mark is named after whose sink it is. Asks no server.
    pub(crate) fn new(database: D, spec: &SinkSpec, context: &SinkContext<'_>) -> Self {
        let sink = format!("{}.{}", context.owner, spec.name);
        let topics = context.sources.iter();
        SqlSink {
            database,
            mark: Mark::new(sink, &spec.target, D::quoted_table),
            spec: spec.clone(),
            topics: topics.map(|source| source.target.clone()).collect(),
            cancel: context.cancel.clone(),
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
        self.told(failure)
    }

    fn told(&self, failure: Failure) -> SinkError {
        let address = self.database.settings().address();
        failure.error(D::SERVER, &address, &self.spec.target)
    }

    fn connect(&self) -> Result<D::Session, SinkError> {
        if self.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        let session = self.database.connect(&self.cancel);
        session.map_err(|failure| self.error(failure))
    }

    /// The table, which must be there and fit.
    fn table(&self, session: &D::Session) -> Result<Table<D>, SinkError> {
        let found = D::find(session, &self.spec.target);
        let found = found.map_err(|failure| self.error(failure))?;
        let table = found.ok_or_else(|| missing::<D>(session, &self.spec))?;
        table
            .fits(&self.spec)
            .map_err(|failure| self.error(failure))?;
        Ok(table)
    }

    fn shape(&self, session: &D::Session, table: &Table<D>) -> Result<D::Shape, SinkError> {
        let shape = D::shape(session, &self.spec, table);
        shape.map_err(|failure| self.error(failure))
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
        self.told(Failure::Away(reason))
    }

    fn fenced(&self) -> SinkError {
        SinkError::Fenced { id: self.called() }
    }

    fn called(&self) -> String {
        format!("the mark `{}`", self.mark.sink)
    }

    /// Writes a batch in a transaction of the session. `false`: fenced.
    fn write(
        &self,
        Open { session, shape }: &Open<D>,
        held: &Held,
        marker: &Marker,
        (rows, refusals): (&[Rows], &mut dyn Refusals),
    ) -> Result<bool, SinkError> {
        let explain = |failure: Failure| self.error(failure);
        let shape = shape.as_ref().expect("it was looked at");
        let offsets = serde_json::to_string(&held.offsets)
            .map_err(|error| explain(Failure::Refused(format!("offsets: {error}"))))?;
        D::begin(session).map_err(explain)?;
        let moved = D::put(session, &self.mark, shape, held.fence, (marker, &offsets));
        if !moved.map_err(explain)? {
            return Ok(false);
        }
        let columns = &self.spec.columns;
        let views = || rows.iter().flat_map(|rows| RowsView::new(rows, columns));
        let mut writer = D::writer(session, shape);
        let rows = refused::Rows {
            server: D::SERVER,
            keyed: self.spec.is_keyed(),
            all: &views,
        };
        refused::write(&mut writer, &rows, refusals, &explain)?;
        D::commit(session).map_err(explain)?;
        Ok(true)
    }
}

impl<D: Database> Sink for SqlSink<D> {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Marked
    }

    fn marker_expires(&self) -> bool {
        false
    }

    fn limits(&self) -> RowLimits {
        D::ROWS
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
        let held = D::take(&session, &self.mark, &table);
        let held = held.and_then(MarkRow::held);
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
        let table = D::find(&session, &self.spec.target);
        let table = table.map_err(|failure| self.error(failure))?;
        let held = D::peek(&session, &self.mark, table.as_ref());
        let held = held.and_then(|row| row.map(MarkRow::held).transpose());
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
        let mut open = self
            .open
            .take()
            .expect("the pipeline opens a sink before it delivers, and after a failure");
        if open.shape.is_none() {
            let table = self.table(&open.session)?;
            open.shape = Some(self.shape(&open.session, &table)?);
        }
        let marker = Marker {
            epoch: delivery.epoch,
            batch: delivery.batch,
            digest: delivery.digest.to_owned(),
        };
        let held = self.after(delivery, &marker);
        self.tried = Some(marker.clone());
        if !self.write(&open, &held, &marker, (rows, refusals))? {
            return Err(self.on_fenced());
        }
        (self.held, self.tried, self.is_fenced) = (held, None, false);
        self.open = Some(open);
        Ok(())
    }
}

impl<D: Database> SqlSink<D> {
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
