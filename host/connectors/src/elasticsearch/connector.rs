//! Elasticsearch as a connector.

use super::{ElasticsearchSettings, ElasticsearchSink, provision};
use crate::connector::{Connector, Presence, SinkConnector, SinkContext};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, ELASTICSEARCH};
use streamhost_engine::sink::{Sink, SinkError};

/// One cluster.
#[derive(Debug)]
pub struct ElasticsearchConnector {
    settings: ElasticsearchSettings,
}

impl ElasticsearchConnector {
    /// The cluster that these settings name.
    pub fn new(settings: ElasticsearchSettings) -> Self {
        ElasticsearchConnector { settings }
    }
}

impl Connector for ElasticsearchConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &ELASTICSEARCH
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SinkConnector for ElasticsearchConnector {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        provision::inspect(&self.settings, spec, create)
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        provision::create(&self.settings, spec)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        let settings = self.settings.clone();
        let sink = ElasticsearchSink::new(settings, spec, context.owner, context.cancel);
        Box::new(sink)
    }
}
