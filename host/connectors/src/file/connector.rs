//! Files as a connector.

use super::FileSource;
use crate::connector::{Connector, SourceConnector, SourceContext, part_each};
use std::collections::BTreeSet;
use streamhost_core::job::connector::{ConnectorRules, FILE};
use streamhost_engine::source::SourceError;
use streamhost_engine::source::mixed::Part;

/// Files; there is nothing to configure.
#[derive(Debug)]
pub struct FileConnector;

impl Connector for FileConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &FILE
    }

    fn source(&self) -> Option<&dyn SourceConnector> {
        Some(self)
    }
}

impl SourceConnector for FileConnector {
    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError> {
        Ok(part_each(own, context, |i, spec| {
            Box::new(FileSource::new(i, spec, context.until_end))
        }))
    }
}
