//! Sockets as a connector.

use super::SocketSource;
use crate::connector::{Connector, SourceConnector, SourceContext, part_each};
use std::collections::BTreeSet;
use streamhost_core::job::connector::{ConnectorRules, SOCKET};
use streamhost_engine::source::SourceError;
use streamhost_engine::source::mixed::Part;

/// Sockets; there is nothing to configure.
#[derive(Debug)]
pub struct SocketConnector;

impl Connector for SocketConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &SOCKET
    }

    fn source(&self) -> Option<&dyn SourceConnector> {
        Some(self)
    }
}

impl SourceConnector for SocketConnector {
    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError> {
        Ok(part_each(own, context, |i, spec| {
            Box::new(SocketSource::new(i, spec, context.until_end))
        }))
    }
}
