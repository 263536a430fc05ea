//! PostgreSQL as a connector.

use super::held::PostgresHeld;
use super::{PostgresSettings, PostgresSink, provision};
use crate::connector::{
    Connector, HeldContext, Presence, SinkConnector, SinkContext, is_told_by_key,
};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, POSTGRES};
use streamhost_engine::sink::{HeldPlace, Sink, SinkError};

/// One database.
#[derive(Debug)]
pub struct PostgresConnector {
    settings: PostgresSettings,
}

impl PostgresConnector {
    /// The database that these settings name.
    pub fn new(settings: PostgresSettings) -> Self {
        PostgresConnector { settings }
    }
}

impl Connector for PostgresConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &POSTGRES
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SinkConnector for PostgresConnector {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        provision::inspect(&self.settings, spec, create)
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        provision::create(&self.settings, spec)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        Box::new(PostgresSink::new(
            self.settings.clone(),
            spec,
            context.sources,
            context.owner,
            context.cancel,
        ))
    }

    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str> {
        is_told_by_key(spec)?;
        let settings = self.settings.clone();
        Ok(Box::new(PostgresHeld::new(spec, settings, context)))
    }
}
