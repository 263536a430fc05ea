//! The one list of connectors. Whoever meets one elsewhere asks the registry by its name.

use crate::connector::{Connector, SinkConnector, SinkContext, SourceConnector, SourceContext};
use crate::console::ConsoleConnector;
use crate::elasticsearch::{ElasticsearchConnector, ElasticsearchSettings};
use crate::files::FilesConnector;
use crate::hbase::{HbaseConnector, HbaseSettings};
use crate::kafka::{KafkaConnector, KafkaSettings};
use crate::sql::DatabaseSettings;
use crate::{file, mysql, postgres, rate, socket};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamhost_core::job::connector::{
    CONSOLE, ConnectorRules, Connectors, ELASTICSEARCH, FILE, FILES, HBASE, KAFKA, MYSQL, POSTGRES,
    RATE, SOCKET, SinkRules, SourceRules,
};
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_core::types::{Guarantee, RowLimits};
use streamhost_engine::sink::{CancelSignal, SinkError};
use streamhost_engine::source::{Source, SourceError, mixed};

/// What is known of each connector without a server, in the order in which they are shown.
pub static RULES: [&ConnectorRules; 10] = [
    &KAFKA,
    &HBASE,
    &POSTGRES,
    &MYSQL,
    &ELASTICSEARCH,
    &FILE,
    &FILES,
    &SOCKET,
    &RATE,
    &CONSOLE,
];

/// The connectors of a host, as they are configured.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The usual instance of each, in the order of [`RULES`].
    usual: Vec<Arc<dyn Connector>>,
    /// The others, by connector and name.
    named: BTreeMap<(&'static str, String), Arc<dyn Connector>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new(KafkaSettings::default(), HbaseSettings::default())
    }
}

impl Registry {
    /// All connectors, with these servers.
    pub fn new(kafka: KafkaSettings, hbase: HbaseSettings) -> Self {
        Registry {
            usual: vec![
                Arc::new(KafkaConnector::new(kafka)),
                Arc::new(HbaseConnector::new(hbase)),
                postgres::connector(postgres::usual()),
                mysql::connector(mysql::usual()),
                Arc::new(ElasticsearchConnector::new(ElasticsearchSettings::default())),
                Arc::new(file::CONNECTOR),
                Arc::new(FilesConnector),
                Arc::new(socket::CONNECTOR),
                Arc::new(rate::CONNECTOR),
                Arc::new(ConsoleConnector),
            ],
            named: BTreeMap::new(),
        }
    }

    /// With these databases, by their names; the usual one has none.
    #[must_use]
    pub fn with_postgres(self, all: BTreeMap<String, DatabaseSettings>) -> Self {
        self.with_instances(all, postgres::connector)
    }

    /// With these databases of MySQL or MariaDB, by their names; the usual one has none.
    #[must_use]
    pub fn with_mysql(self, all: BTreeMap<String, DatabaseSettings>) -> Self {
        self.with_instances(all, mysql::connector)
    }

    /// With these clusters of Elasticsearch, by their names; the usual one has none.
    #[must_use]
    pub fn with_elasticsearch(self, all: BTreeMap<String, ElasticsearchSettings>) -> Self {
        self.with_instances(all, |settings| {
            Arc::new(ElasticsearchConnector::new(settings))
        })
    }

    /// With these clusters of HBase beside the usual one, by their names.
    #[must_use]
    pub fn with_hbase(self, others: BTreeMap<String, HbaseSettings>) -> Self {
        self.with_instances(others, |settings| Arc::new(HbaseConnector::new(settings)))
    }

    fn with_instances<S>(
        mut self,
        all: BTreeMap<String, S>,
        connector: impl Fn(S) -> Arc<dyn Connector>,
    ) -> Self {
        for (name, settings) in all {
            let connector = connector(settings);
            let rules = connector.rules();
            let mut usual = self.usual.iter_mut();
            match usual.find(|there| name.is_empty() && there.rules().name == rules.name) {
                Some(there) => *there = connector,
                None => drop(self.named.insert((rules.name, name), connector)),
            }
        }
        self
    }

    fn get(&self, name: &str, instance: &str) -> Option<&dyn Connector> {
        let mut usual = self.usual.iter();
        let usual = usual.find(|connector| connector.rules().name == name)?;
        let found = match instance {
            "" => usual,
            _ => self.named.get(&(usual.rules().name, instance.to_owned()))?,
        };
        Some(found.as_ref())
    }

    /// The connector of a source.
    ///
    /// # Errors
    /// It was configured when the job was deployed, and is no more.
    pub fn source(&self, spec: &SourceSpec) -> Result<&dyn SourceConnector, SourceError> {
        let found = self.get(&spec.connector, &spec.instance);
        found
            .and_then(|connector| connector.source())
            .ok_or_else(|| SourceError::Refused {
                what: "source",
                target: spec.name.clone(),
                reason: gone(&spec.connector, &spec.instance),
            })
    }

    /// The connector of a sink.
    ///
    /// # Errors
    /// It was configured when the job was deployed, and is no more.
    pub fn sink(&self, spec: &SinkSpec) -> Result<&dyn SinkConnector, SinkError> {
        let found = self.get(&spec.connector, &spec.instance);
        found
            .and_then(|connector| connector.sink())
            .ok_or_else(|| SinkError::Refused {
                server: "this host",
                name: spec.name.clone(),
                reason: gone(&spec.connector, &spec.instance),
            })
    }

    /// What rows of a sink may be, whatever its server. Asks none.
    ///
    /// # Errors
    /// As [`Registry::sink`].
    pub fn row_limits(&self, spec: &SinkSpec) -> Result<RowLimits, SinkError> {
        let context = SinkContext {
            sources: &[],
            owner: "",
            cancel: &CancelSignal::default(),
        };
        Ok(self.sink(spec)?.open(spec, &context).limits())
    }

    /// Opens a job's sources, in their order; sources of one instance together.
    ///
    /// # Errors
    /// [`SourceError::Refused`] if settings or names cannot be. What is away is noticed later.
    pub fn open_sources(
        &self,
        context: &SourceContext<'_>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let mut instances: Vec<(&SourceSpec, BTreeSet<u16>)> = Vec::new();
        for (i, spec) in (0..).zip(context.sources) {
            let is_same = |of: &&mut (&SourceSpec, _)| {
                (&of.0.connector, &of.0.instance) == (&spec.connector, &spec.instance)
            };
            match instances.iter_mut().find(is_same) {
                Some((_, own)) => drop(own.insert(i)),
                None => instances.push((spec, [i].into())),
            }
        }
        let mut parts = Vec::new();
        for (spec, own) in instances {
            parts.extend(self.source(spec)?.open(&own, context)?);
        }
        Ok(mixed::join(parts))
    }
}

/// What is known of a sink's connector, if there is one of this name.
pub fn sink_rules(connector: &str) -> Option<&'static SinkRules> {
    RULES.rules(connector)?.sink.as_ref()
}

/// What is known of a source's connector, if there is one of this name.
pub fn source_rules(connector: &str) -> Option<&'static SourceRules> {
    RULES.rules(connector)?.source.as_ref()
}

/// What a second delivery to a sink does.
pub fn guarantee(sink: &SinkSpec) -> Option<Guarantee> {
    Some((sink_rules(&sink.connector)?.guarantee)(&sink.options))
}

fn gone(connector: &str, instance: &str) -> String {
    match instance {
        "" => format!("this host has no connector `{connector}`"),
        _ => format!("`[{connector}.{instance}]` is no longer in the host's streamhost.toml"),
    }
}

impl Connectors for Registry {
    fn rules(&self, name: &str) -> Option<&'static ConnectorRules> {
        RULES.rules(name)
    }

    fn names(&self) -> Vec<&'static str> {
        RULES.names()
    }

    fn instances(&self, name: &str) -> Vec<String> {
        let of = |(connector, _): &&(&str, String)| *connector == name;
        let named = self.named.keys().filter(of);
        named.map(|(_, instance)| instance.clone()).collect()
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
