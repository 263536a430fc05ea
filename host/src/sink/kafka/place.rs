//! Whether a sink's topic is there.

use super::error;
use crate::job::SinkPlan;
use crate::kafka::{self, Fault, KafkaSettings};
use crate::sink::{Place, SinkError};

/// The topics of one Kafka cluster.
pub struct KafkaPlace {
    settings: KafkaSettings,
}

impl KafkaPlace {
    /// The cluster that these settings name. Asks no server.
    pub fn new(settings: &KafkaSettings) -> Self {
        KafkaPlace { settings: settings.clone() }
    }

    /// Whether a topic is missing, and could be created.
    pub fn lacks(&self, topic: &str) -> Result<bool, SinkError> {
        let words = |(fault, reason)| error(&self.settings.brokers, topic, fault, reason);
        let asker = self.settings.asker(None).map_err(|e| words((kafka::fault(&e), kafka::words(&e))))?;
        match kafka::partitions(&asker, topic) {
            Ok(_) => Ok(false),
            Err((Fault::Missing, _)) => Ok(true),
            Err(fault) => Err(words(fault)),
        }
    }

    /// Checks that a topic is there. A missing one is created only if `create` says so, with the brokers' default
    /// partitions and replicas; that the brokers would create it at the first record does not count, as a mistyped name
    /// would be created too.
    pub fn topic(&self, topic: &str, create: bool) -> Result<(), SinkError> {
        let words = |(fault, reason)| error(&self.settings.brokers, topic, fault, reason);
        let asker = self.settings.asker(None).map_err(|e| words((kafka::fault(&e), kafka::words(&e))))?;
        match kafka::partitions(&asker, topic) {
            Ok(_) => Ok(()),
            Err((Fault::Missing, _)) if create => self.settings.create_topic(topic, &[]).map_err(words),
            Err(fault) => Err(words(fault)),
        }
    }
}

impl Place for KafkaPlace {
    fn check(&mut self, plan: &SinkPlan, create: bool) -> Result<(), SinkError> {
        self.topic(&plan.place, create)
    }
}
