//! Topics by hand: records that a person puts in, and looks at. No job is part of it.

use super::sink::BatchProducer;
use super::{
    Fault, KafkaProvision, KafkaSettings, Quiet, fault, is_of_group, metadata, partitions, words,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::limits;
use streamhost_core::types::Offset;
use streamhost_engine::sink::{CancelSignal, SinkError};

use super::background::Client;

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The brokers do not answer.
    #[error("Kafka at {brokers} is away: {reason}")]
    Away {
        /// Their addresses.
        brokers: String,
        /// What the client said.
        reason: String,
    },
    /// The brokers do not let the host in.
    #[error("Kafka at {brokers} does not let the host in: {reason}")]
    Denied {
        /// Their addresses.
        brokers: String,
        /// Why, and what to do.
        reason: String,
    },
    /// There is no such topic or partition.
    #[error("topic `{topic}` {reason}")]
    Missing {
        /// Its name.
        topic: String,
        /// What is missing.
        reason: String,
    },
    /// The topic cannot be read.
    #[error("topic `{topic}` cannot be read: {reason}")]
    Refused {
        /// Its name.
        topic: String,
        /// What the client said.
        reason: String,
    },
}

/// Puts records into a topic.
pub struct TopicWriter {
    producer: BatchProducer,
    /// Since they were last waited for.
    sent: usize,
}

impl TopicWriter {
    /// Looks for the topic, and creates it if it is missing and `create` says so.
    ///
    /// # Errors
    /// The brokers are away, or there is no such topic.
    pub fn open(settings: &KafkaSettings, topic: &str, create: bool) -> Result<Self, SinkError> {
        KafkaProvision::new(settings).topic(topic, create)?;
        let cancel = CancelSignal::default();
        Ok(TopicWriter {
            producer: BatchProducer::new(settings, topic, None, &cancel)?,
            sent: 0,
        })
    }

    /// Sends a record. Where its key puts it is decided as by a Java client.
    ///
    /// # Errors
    /// Of this record or one before it, as they are acknowledged later.
    pub fn send(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), SinkError> {
        self.producer.send(key, value)?;
        self.sent += 1;
        if self.sent >= limits::KAFKA_SEND_QUEUE_MAX.0 {
            self.settle()?;
        }
        Ok(())
    }

    /// Waits until all that was sent is acknowledged.
    ///
    /// # Errors
    /// Some of it was not.
    pub fn settle(&mut self) -> Result<(), SinkError> {
        self.sent = 0;
        self.producer.settle_all()
    }
}

/// A record as it lies in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
}

/// Where reading begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicSpan {
    /// With the first record that is there; else with the next one that comes.
    pub from_beginning: bool,
    /// Goes on behind the ends that the partitions have now.
    pub follow: bool,
    /// This partition alone.
    pub partition: Option<i32>,
}

/// Reads a topic. It is of no group, and commits nothing.
pub struct TopicReader {
    consumer: Client<BaseConsumer<Quiet>>,
    brokers: String,
    topic: String,
    /// Of each partition that is not read to its end yet the offset at which it is; none where
    /// reading goes on behind it.
    ends: Option<BTreeMap<i32, Offset>>,
}

impl TopicReader {
    /// Begins to read.
    ///
    /// # Errors
    /// The brokers are away, or there is no such topic or partition.
    pub fn open(
        settings: &KafkaSettings,
        topic: &str,
        span: TopicSpan,
    ) -> Result<Self, TopicError> {
        let brokers = settings.brokers.clone();
        let said = |error: KafkaError| failed(&brokers, topic, fault(&error), words(&error));
        // A consumer must have a group, though nothing is said to it.
        let consumer = settings.consumer("streamhost-consume").map_err(said)?;
        let count = partitions(&consumer, topic);
        let count = count.map_err(|(fault, reason)| failed(&brokers, topic, fault, reason))?;
        let ids: Vec<i32> = match span.partition {
            None => (0..count).collect(),
            Some(id) if (0..count).contains(&id) => vec![id],
            Some(id) => {
                return Err(TopicError::Missing {
                    topic: topic.to_owned(),
                    reason: format!("has no partition {id}, but {count} of them, from 0"),
                });
            }
        };
        let (mut ends, mut assigned) = (BTreeMap::new(), TopicPartitionList::new());
        for id in ids {
            let asked = consumer.fetch_watermarks(topic, id, limits::CONNECT_TIME);
            let (low, high) = asked.map_err(said)?;
            let from = if span.from_beginning { low } else { high };
            let at = ClientOffset::Offset(from);
            assigned.add_partition_offset(topic, id, at).map_err(said)?;
            if from < high {
                ends.insert(id, high);
            }
        }
        consumer.assign(&assigned).map_err(said)?;
        Ok(TopicReader {
            consumer: Client::new(consumer),
            topic: topic.to_owned(),
            ends: (!span.follow && span.from_beginning).then_some(ends),
            brokers,
        })
    }

    /// Whether all that was to be read is read.
    pub fn is_done(&self) -> bool {
        self.ends.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// The next record, if one comes within this time. Those of a partition come in its order.
    ///
    /// # Errors
    /// What the brokers said.
    pub fn next(&mut self, time: Duration) -> Result<Option<TopicRecord>, TopicError> {
        let message = match self.consumer.poll(time) {
            None => return Ok(None),
            Some(Err(KafkaError::PartitionEOF(id))) => {
                // What lies before its end is no record, but a mark of a transaction.
                if let Some(ends) = &mut self.ends {
                    ends.remove(&id);
                }
                return Ok(None);
            }
            Some(Err(error)) => {
                return match fault(&error) {
                    _ if is_of_group(&error) => Ok(None),
                    Fault::Away => Ok(None), // the client tries again by itself
                    fault => Err(failed(&self.brokers, &self.topic, fault, words(&error))),
                };
            }
            Some(Ok(message)) => message,
        };
        let (partition, offset) = (message.partition(), message.offset());
        if let Some(ends) = &mut self.ends {
            let Some(&end) = ends.get(&partition) else {
                return Ok(None); // it came after reading had begun
            };
            if offset + 1 >= end {
                ends.remove(&partition);
            }
            if offset >= end {
                return Ok(None);
            }
        }
        Ok(Some(TopicRecord {
            partition,
            offset,
            time_ms: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        }))
    }
}

/// How many brokers there are, where one of them answers.
///
/// # Errors
/// None answers, or the settings are wrong.
pub fn broker_count(settings: &KafkaSettings) -> Result<usize, TopicError> {
    let said = |(fault, reason)| failed(&settings.brokers, "", fault, reason);
    let asker = settings.asker(None);
    let asker = asker.map_err(|error| said((fault(&error), words(&error))))?;
    Ok(metadata(&asker, None).map_err(said)?.brokers().len())
}

/// What a topic is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// How many partitions it has.
    pub partitions: i32,
    /// Of records with one key the last is kept.
    pub compacted: bool,
    /// Bytes of its largest record, if its brokers say so.
    pub message_bytes_max: Option<usize>,
}

/// Asks what a topic is like.
///
/// # Errors
/// The brokers are away, or there is no such topic.
pub fn topic_facts(settings: &KafkaSettings, topic: &str) -> Result<TopicFacts, TopicError> {
    let said = |(fault, reason)| failed(&settings.brokers, topic, fault, reason);
    let asker = settings.asker(None);
    let asker = asker.map_err(|error| said((fault(&error), words(&error))))?;
    let partitions = partitions(&asker, topic).map_err(said)?;
    // Who may read a topic need not be allowed to ask for its settings.
    let config = settings.topic_config(topic).unwrap_or_default();
    Ok(TopicFacts {
        partitions,
        compacted: config.compacted,
        message_bytes_max: config.batch_bytes_max,
    })
}

fn failed(brokers: &str, topic: &str, fault: Fault, reason: String) -> TopicError {
    let topic = topic.to_owned();
    match fault {
        Fault::Away => TopicError::Away {
            brokers: brokers.to_owned(),
            reason,
        },
        Fault::Denied => TopicError::Denied {
            brokers: brokers.to_owned(),
            reason,
        },
        Fault::Missing => TopicError::Missing {
            topic,
            reason: format!("is not there: {reason}"),
        },
        Fault::Refused | Fault::Gone | Fault::Fenced => TopicError::Refused { topic, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::mocking::MockCluster;

    #[test]
    fn what_is_put_in_is_read_in_order_and_ends() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("t", 2, 1).unwrap();
        let settings = KafkaSettings {
            brokers: brokers.bootstrap_servers(),
            ..KafkaSettings::default()
        };
        let mut writer = TopicWriter::open(&settings, "t", false).unwrap();
        for n in 0..20 {
            let value = n.to_string();
            writer.send(Some(b"k"), Some(value.as_bytes())).unwrap();
        }
        writer.settle().unwrap();
        let span = TopicSpan {
            from_beginning: true,
            ..TopicSpan::default()
        };
        let mut reader = TopicReader::open(&settings, "t", span).unwrap();
        let mut found = Vec::new();
        while !reader.is_done() {
            let next = reader.next(Duration::from_millis(100)).unwrap();
            found.extend(next.and_then(|record| record.value));
        }
        let want: Vec<Vec<u8>> = (0..20).map(|n| n.to_string().into_bytes()).collect();
        assert_eq!(found, want);
        let seventh = TopicSpan {
            partition: Some(7),
            ..span
        };
        let refused = TopicReader::open(&settings, "t", seventh).err();
        let words = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(words.contains("no partition 7, but 2"), "{words}");
    }
}
