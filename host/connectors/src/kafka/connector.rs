//! Kafka as a connector.

use super::held::KafkaHeld;
use super::{KafkaProvision, KafkaSettings, KafkaSink, KafkaSource};
use crate::connector::{
    Connector, HeldContext, Presence, SinkConnector, SinkContext, SourceConnector, SourceContext,
    is_told_by_key,
};
use std::collections::BTreeSet;
use std::fmt;
use streamhost_core::job::connector::{ConnectorRules, KAFKA};
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_engine::sink::{HeldPlace, Provision, Sink, SinkError};
use streamhost_engine::source::mixed::Part;
use streamhost_engine::source::{Source, SourceError};

/// One cluster.
pub struct KafkaConnector {
    settings: KafkaSettings,
}

impl fmt::Debug for KafkaConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Properties may hold a password.
        write!(f, "KafkaConnector({})", self.settings.brokers)
    }
}

impl KafkaConnector {
    /// The cluster that these settings name.
    pub fn new(settings: KafkaSettings) -> Self {
        KafkaConnector { settings }
    }

    fn provision(&self) -> KafkaProvision {
        KafkaProvision::new(&self.settings)
    }
}

impl Connector for KafkaConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &KAFKA
    }

    fn source(&self) -> Option<&dyn SourceConnector> {
        Some(self)
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SourceConnector for KafkaConnector {
    fn inspect(&self, spec: &SourceSpec, create: bool) -> Result<Presence, SourceError> {
        let missing = self.provision().is_missing(&spec.target, create);
        missing.map(presence).map_err(|error| reading(spec, error))
    }

    fn create(&self, spec: &SourceSpec) -> Result<(), SourceError> {
        let created = self.provision().topic(&spec.target, true);
        created.map_err(|error| reading(spec, error))
    }

    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError> {
        let source = KafkaSource::new(&self.settings, context.sources, own, context.group)?;
        let source: Box<dyn Source> = match context.until_end {
            true => Box::new(source.until_end()),
            false => Box::new(source),
        };
        Ok(vec![Part::new(own.clone(), source)])
    }
}

impl SinkConnector for KafkaConnector {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        if create {
            self.provision()
                .is_missing(&spec.target, create)
                .map(presence)
        } else {
            self.provision().inspect(spec).map(|()| Presence::There)
        }
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.provision().create(spec)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        Box::new(KafkaSink::new(
            &self.settings,
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
        Ok(Box::new(KafkaHeld::new(
            spec,
            settings,
            context.cancel.clone(),
        )))
    }
}

fn presence(missing: bool) -> Presence {
    match missing {
        true => Presence::Missing,
        false => Presence::There,
    }
}

/// What the cluster said of a topic, as an error of who reads it.
fn reading(spec: &SourceSpec, error: SinkError) -> SourceError {
    match error {
        SinkError::Away {
            server,
            address,
            reason,
        } => SourceError::Away {
            server,
            address,
            reason,
        },
        SinkError::Denied {
            server,
            address,
            reason,
        } => SourceError::Denied {
            server,
            address,
            reason,
        },
        SinkError::Refused { reason, .. } => SourceError::Refused {
            what: "topic",
            target: spec.target.clone(),
            reason,
        },
        other => SourceError::Refused {
            what: "topic",
            target: spec.target.clone(),
            reason: other.to_string(),
        },
    }
}
