//! The generator as a connector.

use super::RateSource;
use crate::connector::{Connector, SourceConnector, SourceContext, part_each};
use std::collections::BTreeSet;
use streamhost_core::job::connector::{ConnectorRules, RATE};
use streamhost_engine::source::SourceError;
use streamhost_engine::source::mixed::Part;

/// Generators; there is nothing to configure.
#[derive(Debug)]
pub struct RateConnector;

impl Connector for RateConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &RATE
    }

    fn source(&self) -> Option<&dyn SourceConnector> {
        Some(self)
    }
}

impl SourceConnector for RateConnector {
    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError> {
        Ok(part_each(own, context, |i, spec| {
            Box::new(RateSource::new(i, spec))
        }))
    }
}
