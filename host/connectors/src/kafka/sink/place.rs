//! Whether a sink's topic is there, and takes its rows.

use super::error;
use crate::kafka::{self, Fault, KafkaSettings, TopicConfig};
use streamhost_core::job::SinkPlan;
use streamhost_engine::sink::{Place, SinkError};

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
        match self.find(topic) {
            Ok(()) => Ok(false),
            Err((Fault::Missing, _)) => Ok(true),
            Err((fault, reason)) => Err(error(&self.settings.brokers, topic, fault, reason)),
        }
    }

    fn find(&self, topic: &str) -> Result<(), (Fault, String)> {
        let asker = self.settings.asker(None).map_err(|e| (kafka::fault(&e), kafka::words(&e)))?;
        kafka::partitions(&asker, topic).map(drop)
    }

    /// Checks that a topic is there. A missing one is created only if `create` says so, with the brokers' default
    /// partitions and replicas; that the brokers would create it at the first record does not count, as a mistyped name
    /// would be created too.
    pub fn topic(&self, topic: &str, create: bool) -> Result<(), SinkError> {
        let words = |(fault, reason)| error(&self.settings.brokers, topic, fault, reason);
        match self.find(topic) {
            Ok(()) => Ok(()),
            Err((Fault::Missing, _)) if create => self.settings.create_topic(topic, &[]).map_err(words),
            Err(fault) => Err(words(fault)),
        }
    }
}

impl Place for KafkaPlace {
    fn check(&mut self, plan: &SinkPlan, create: bool) -> Result<(), SinkError> {
        self.topic(&plan.place, create)?;
        let words = |(fault, reason)| error(&self.settings.brokers, &plan.place, fault, reason);
        match self.settings.topic_config(&plan.place) {
            Ok(config) => takes(config, plan).map_err(|reason| words((Fault::Refused, reason))),
            Err((Fault::Refused, _)) => Ok(()), // who may write to a topic need not be allowed to ask for its settings
            Err(fault) => Err(words(fault)),
        }
    }
}

/// Whether a topic takes what the plan's rows are.
fn takes(config: TopicConfig, plan: &SinkPlan) -> Result<(), String> {
    match config.compacted && !plan.keyed {
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
    use crate::kafka::sink::tests::sink_plan;

    #[test]
    fn a_compacted_topic_takes_rows_with_keys_alone() {
        for (compacted, keyed, fits) in
            [(false, false, true), (false, true, true), (true, true, true), (true, false, false)]
        {
            let config = TopicConfig { compacted, ..TopicConfig::default() };
            let plan = SinkPlan { keyed, ..sink_plan("t") };
            assert_eq!(takes(config, &plan).is_ok(), fits, "compacted {compacted}, keyed {keyed}");
        }
    }
}
