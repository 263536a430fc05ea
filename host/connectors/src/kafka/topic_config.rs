//! What a topic's own configuration says of the records that it takes.

use super::{Fault, KafkaSettings, classify, code_words, fault, wait_for, words};
use rdkafka::admin::{AdminOptions, ConfigEntry, ResourceSpecifier};
use streamhost_core::limits;

/// What surrounds a batch's records on their way, rounded up.
const AROUND_BYTES: usize = 1000;

/// A topic's configuration, as far as it bounds what may be written. The default bounds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    /// Of records with one key the last is kept, so that a record without a key is refused.
    pub(crate) compacted: bool,
    /// The largest batch, `max.message.bytes`; one record is a batch too.
    pub(crate) batch_bytes_max: Option<usize>,
}

impl TopicConfig {
    fn read(entries: &[ConfigEntry]) -> Self {
        let value = |name: &str| {
            entries
                .iter()
                .find(|entry| entry.name == name)?
                .value
                .as_deref()
        };
        TopicConfig {
            compacted: value("cleanup.policy")
                .is_some_and(|policy| policy.split(',').any(|p| p.trim() == "compact")),
            batch_bytes_max: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
        }
    }

    /// How many bytes of records may go in one batch, where the topic takes fewer than brokers do
    /// by default. A batch that is too long is refused with all its records, though each of them
    /// would fit.
    pub(crate) fn batch_bytes(&self) -> Option<usize> {
        let bytes = self.batch_bytes_max?.saturating_sub(AROUND_BYTES).max(1);
        (bytes < limits::KAFKA_VALUE_BYTES_MAX).then_some(bytes)
    }
}

impl KafkaSettings {
    /// A topic's configuration; the default where the brokers do not tell it, as there is no such
    /// topic or it is none of our business. Asks the brokers, for [`limits::CONNECT_TIME`] at most.
    pub(crate) fn topic_config(&self, topic: &str) -> Result<TopicConfig, (Fault, String)> {
        let words = |error| (fault(&error), words(&error));
        let admin = self.admin().map_err(words)?;
        let options = AdminOptions::new().request_timeout(Some(limits::CONNECT_TIME));
        let answers =
            wait_for(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options))
                .map_err(words)?;
        match answers.into_iter().next() {
            Some(Ok(found)) => Ok(TopicConfig::read(&found.entries)),
            Some(Err(code)) => Err((classify(code), code_words(code))),
            None => Ok(TopicConfig::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::admin::ConfigSource;
    use streamhost_dev::broker::{Broker, Settings};

    #[test]
    fn a_configuration_is_read() {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: name.to_string(),
            value: (!value.is_empty()).then(|| value.to_string()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        type Case = (&'static [(&'static str, &'static str)], bool, Option<usize>);
        let cases: [Case; 6] = [
            (&[], false, None),
            (
                &[
                    ("cleanup.policy", "delete"),
                    ("max.message.bytes", "1048588"),
                ],
                false,
                None,
            ),
            (&[("cleanup.policy", "compact")], true, None),
            (
                &[
                    ("cleanup.policy", "delete,compact"),
                    ("max.message.bytes", "200000"),
                ],
                true,
                Some(199_000),
            ),
            (&[("max.message.bytes", "10")], false, Some(1)),
            (&[("max.message.bytes", "")], false, None),
        ];
        for (entries, compacted, batch_bytes) in cases {
            let read = TopicConfig::read(&entries.iter().map(entry).collect::<Vec<_>>());
            assert_eq!(
                (read.compacted, read.batch_bytes()),
                (compacted, batch_bytes),
                "{entries:?}"
            );
        }
    }

    #[test]
    fn a_broker_is_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = fjall::Database::builder(folder.path())
            .open()
            .expect("a store");
        let broker = Broker::open(&db, Settings::default()).expect("a broker");
        let broker = broker
            .listen(([127, 0, 0, 1], 0).into())
            .expect("a free port");
        let settings = KafkaSettings {
            brokers: broker.address().to_string(),
            ..KafkaSettings::default()
        };
        settings.create_topic("t", &[]).expect("it can be made");
        let batch_bytes_max = Some(limits::BROKER_BATCH_BYTES_MAX);
        assert_eq!(
            settings.topic_config("t"),
            Ok(TopicConfig {
                compacted: false,
                batch_bytes_max
            })
        );
        assert_eq!(
            settings.topic_config("never"),
            Ok(TopicConfig::default()),
            "what is not told bounds nothing"
        );
        broker.stop();
    }
}
