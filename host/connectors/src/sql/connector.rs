//! A SQL database as a connector.

use super::{Database, SqlSink, provision};
use crate::connector::{
    Connector, HeldContext, Presence, SinkConnector, SinkContext, is_told_by_key,
};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::ConnectorRules;
use streamhost_engine::sink::{HeldPlace, Sink, SinkError};

/// One database.
#[derive(Debug)]
pub(crate) struct SqlConnector<D>(pub(crate) D);

impl<D: Database> Connector for SqlConnector<D> {
    fn rules(&self) -> &'static ConnectorRules {
        D::RULES
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl<D: Database> SinkConnector for SqlConnector<D> {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        provision::inspect(&self.0, spec, create)
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        provision::create(&self.0, spec)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        Box::new(SqlSink::new(self.0.clone(), spec, context))
    }

    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str> {
        is_told_by_key(spec)?;
        self.0.held(spec, context)
    }
}
