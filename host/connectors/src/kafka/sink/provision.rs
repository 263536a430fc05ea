//! Whether a sink's topic is there, and takes its rows.

use super::error;
use crate::kafka::settling::listed;
use crate::kafka::{self, Fault, KafkaSettings, TopicConfig};
use streamhost_core::job::SinkSpec;
use streamhost_engine::sink::{Provision, SinkError};

/// The topics of one Kafka cluster.
pub struct KafkaProvision {
    settings: KafkaSettings,
}

impl KafkaProvision {
    /// The cluster that these settings name. Asks no server.
    pub fn new(settings: &KafkaSettings) -> Self {
        KafkaProvision {
            settings: settings.clone(),
        }
    }

    /// Whether a topic is missing, and could be created. Where it is not to be, a new one has some
    /// time to be known.
    pub fn is_missing(&self, topic: &str, create: bool) -> Result<bool, SinkError> {
        match self.find_in_time(topic, create) {
            Ok(()) => Ok(false),
            Err((Fault::Missing, _)) => Ok(true),
            Err((fault, reason)) => Err(error(&self.settings.brokers, topic, fault, reason)),
        }
    }

    fn find_in_time(&self, topic: &str, create: bool) -> Result<(), (Fault, String)> {
        match create {
            true => self.find(topic),
            false => listed(topic, || self.find(topic)),
        }
    }

    fn find(&self, topic: &str) -> Result<(), (Fault, String)> {
        let asker = self
            .settings
            .asker(None)
            .map_err(|e| (kafka::fault(&e), kafka::words(&e)))?;
        kafka::partitions(&asker, topic).map(drop)
    }

    /// Checks that a topic is there. A missing one is created only if `create` says so, with the
    /// brokers' default partitions and replicas; that the brokers would create it at the first
    /// record does not count, as a mistyped name would be created too.
    pub fn topic(&self, topic: &str, create: bool) -> Result<(), SinkError> {
        let words = |(fault, reason)| error(&self.settings.brokers, topic, fault, reason);
        match self.find_in_time(topic, create) {
            Ok(()) => Ok(()),
            Err((Fault::Missing, _)) if create => {
                self.settings.create_topic(topic, &[]).map_err(words)
            }
            Err(fault) => Err(words(fault)),
        }
    }

    /// Checks the topic, and creates it if `create` says so.
    fn check(&mut self, spec: &SinkSpec, create: bool) -> Result<(), SinkError> {
        self.topic(&spec.target, create)?;
        let words = |(fault, reason)| error(&self.settings.brokers, &spec.target, fault, reason);
        match self.settings.topic_config(&spec.target) {
            Ok(config) => takes(config, spec).map_err(|reason| words((Fault::Refused, reason))),
            // Who may write to a topic need not be allowed to ask for its settings.
            Err((Fault::Refused, _)) => Ok(()),
            Err(fault) => Err(words(fault)),
        }
    }
}

impl Provision for KafkaProvision {
    fn inspect(&mut self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.check(spec, false)
    }

    fn create(&mut self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.check(spec, true)
    }
}

/// Whether a topic takes what the plan's rows are.
fn takes(config: TopicConfig, spec: &SinkSpec) -> Result<(), String> {
    match config.compacted && !spec.is_keyed() {
        true => {
            Err("the topic is compacted (`cleanup.policy`), and takes no record without a key: mark one field of the \
                     rows with #[row(key)], or write to another topic"
                .to_owned())
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::sink::tests::sink_spec;
    use streamhost_core::job::ColumnSpec;

    #[test]
    fn a_compacted_topic_takes_rows_with_keys_alone() {
        for (compacted, keyed, fits) in [
            (false, false, true),
            (false, true, true),
            (true, true, true),
            (true, false, false),
        ] {
            let config = TopicConfig {
                compacted,
                ..TopicConfig::default()
            };
            let spec = SinkSpec {
                keys: keyed.then(ColumnSpec::key).into_iter().collect(),
                ..sink_spec("t")
            };
            assert_eq!(
                takes(config, &spec).is_ok(),
                fits,
                "compacted {compacted}, keyed {keyed}"
            );
        }
    }
}
