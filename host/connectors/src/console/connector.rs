//! The console as a connector.

use super::ConsoleSink;
use crate::connector::{Connector, Presence, SinkConnector, SinkContext};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{CONSOLE, ConnectorRules};
use streamhost_engine::sink::{Sink, SinkError};

/// Standard output; there is nothing to configure.
#[derive(Debug)]
pub struct ConsoleConnector;

impl Connector for ConsoleConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &CONSOLE
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SinkConnector for ConsoleConnector {
    fn inspect(&self, _spec: &SinkSpec, _create: bool) -> Result<Presence, SinkError> {
        Ok(Presence::There)
    }

    fn create(&self, _spec: &SinkSpec) -> Result<(), SinkError> {
        Ok(())
    }

    fn open(&self, spec: &SinkSpec, _context: &SinkContext<'_>) -> Box<dyn Sink> {
        Box::new(ConsoleSink::new(spec))
    }
}
