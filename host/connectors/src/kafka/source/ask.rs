//! What the source asks the brokers, and its errors.

use super::queue::list;
use crate::kafka::settling::{listed, settled};
use crate::kafka::{self, Fault, KafkaSource, SERVER};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use streamhost_core::limits;
use streamhost_core::types::{Offset, Partition, Positions};
use streamhost_engine::source::{Loss, SourceError};

impl KafkaSource {
    pub(super) fn away(&self, reason: String) -> SourceError {
        SourceError::Away {
            server: SERVER,
            address: self.settings.brokers.clone(),
            reason,
        }
    }

    pub(super) fn denied(&self, reason: String) -> SourceError {
        denied(&self.settings.brokers, reason)
    }

    /// A call knows only that no broker answers: what was heard beside tells more.
    pub(super) fn error(&self, topic: &str, fault: Fault, reason: String) -> SourceError {
        let (fault, reason) = match &self.away {
            Some(heard) if fault == Fault::Away => heard.clone(),
            _ => (fault, reason),
        };
        match fault {
            Fault::Missing => SourceError::TopicMissing {
                topic: topic.to_owned(),
            },
            Fault::Refused => refused(topic.to_owned(), reason),
            Fault::Denied => self.denied(reason),
            Fault::Away | Fault::Gone | Fault::Fenced => self.away(reason),
        }
    }

    /// How many partitions a topic has; the client's own `poll` would lose messages.
    pub(super) fn partitions_of(&self, topic: &str) -> Result<i32, (Fault, String)> {
        let client = self.queues.consumer();
        listed(topic, || {
            kafka::partitions_within(client, topic, limits::CONNECT_TIME)
        })
    }

    pub(super) fn client_error(&self, error: &KafkaError) -> SourceError {
        self.error(
            &names(&self.topics),
            kafka::fault(error),
            kafka::words(error),
        )
    }

    pub(super) fn topic(&self, partition: Partition) -> &str {
        &self.topics[usize::from(partition.source)]
    }

    pub(super) fn list(
        &self,
        at: impl Iterator<Item = (Partition, ClientOffset)>,
    ) -> Result<TopicPartitionList, SourceError> {
        list(at.map(|(p, offset)| (self.topic(p), p.id, offset)))
            .map_err(|error| self.client_error(&error))
    }

    /// The positions in a client's list, of those partitions that have one.
    pub(super) fn positions(&self, list: &TopicPartitionList) -> Result<Positions, SourceError> {
        let mut positions = Positions::new();
        for element in list.elements() {
            if let Err(error) = element.error() {
                return Err(self.error(
                    element.topic(),
                    kafka::fault(&error),
                    kafka::words(&error),
                ));
            }
            let source = self
                .topics
                .iter()
                .position(|topic| topic == element.topic());
            if let (Some(source), ClientOffset::Offset(offset)) = (source, element.offset()) {
                positions.insert(
                    Partition {
                        source: source as u16,
                        id: element.partition(),
                    },
                    offset,
                );
            }
        }
        Ok(positions)
    }

    /// Asks the brokers which offsets belong to a time in milliseconds, or to the oldest or newest
    /// record.
    pub(super) fn offsets(
        &self,
        partitions: &[Partition],
        at: ClientOffset,
    ) -> Result<Positions, SourceError> {
        if partitions.is_empty() {
            return Ok(Positions::new());
        }
        let times = self.list(partitions.iter().map(|&p| (p, at)))?;
        let consumer = self.queues.consumer();
        let found = settled(|| consumer.offsets_for_times(times.clone(), limits::CONNECT_TIME));
        self.positions(&found.map_err(|error| self.client_error(&error))?)
    }
}

pub(super) fn names(topics: &[String]) -> String {
    topics
        .iter()
        .filter(|topic| !topic.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn denied(brokers: &str, reason: String) -> SourceError {
    SourceError::Denied {
        server: SERVER,
        address: brokers.to_owned(),
        reason,
    }
}

pub(super) fn refused(place: String, reason: String) -> SourceError {
    SourceError::Refused {
        what: "topic",
        target: place,
        reason,
    }
}

pub(super) fn gone(topic: &str, partition: Partition, offset: Offset, reason: Loss) -> SourceError {
    SourceError::Gone {
        what: format!("topic `{topic}` partition {}", partition.id),
        offset,
        reason,
    }
}
