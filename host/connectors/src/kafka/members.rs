//! Who lives: the members of a consumer group that reads nothing. One of them has the group's one
//! partition, and leads.

use super::background::Client;
use super::log::LogError;
use super::{Asker, KafkaSettings, Quiet, fault, words};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use std::collections::BTreeSet;
use std::time::Duration;
use streamhost_core::limits;

/// A member of the group. It has to be polled.
pub struct Member {
    consumer: Client<BaseConsumer<Quiet>>,
}

impl Member {
    /// Joins, as `name`.
    pub fn join(
        settings: &KafkaSettings,
        group: &str,
        topic: &str,
        name: &str,
    ) -> Result<Self, LogError> {
        let joined: Result<_, KafkaError> = (|| {
            let mut config = settings.reader(group)?;
            config
                .set("client.id", name)
                .set("auto.offset.reset", "latest")
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set(
                    "session.timeout.ms",
                    limits::CLUSTER_SESSION_TIME.as_millis().to_string(),
                )
                .set(
                    "heartbeat.interval.ms",
                    limits::CLUSTER_BEAT_TIME.as_millis().to_string(),
                );
            let consumer = settings.reading(config)?;
            consumer.subscribe(&[topic])?;
            Ok(consumer)
        })();
        let consumer = joined.map_err(|e| LogError::of(topic, (fault(&e), words(&e))))?;
        Ok(Member {
            consumer: Client::new(consumer),
        })
    }

    /// Does what members do, for this long. Whether this one leads.
    pub fn poll(&self, time: Duration) -> bool {
        drop(self.consumer.poll(time)); // what stands in the topic is read elsewhere
        self.consumer
            .assignment()
            .is_ok_and(|assigned| assigned.count() > 0)
    }
}

/// Who asks about the group without being one of it.
pub struct Members {
    asker: Asker,
    group: String,
}

impl Members {
    /// Connects.
    pub fn of(settings: &KafkaSettings, group: &str) -> Result<Self, LogError> {
        let asker = settings.asker(None);
        Ok(Members {
            asker: asker.map_err(|e| LogError::of(group, (fault(&e), words(&e))))?,
            group: group.to_owned(),
        })
    }

    /// The names of those that live; none while the group is not settled.
    pub fn now(&self) -> Result<Option<BTreeSet<String>>, LogError> {
        let listed = self
            .asker
            .fetch_group_list(Some(&self.group), limits::CONNECT_TIME);
        let listed = listed.map_err(|e| LogError::of(&self.group, (fault(&e), words(&e))))?;
        let Some(group) = listed.groups().iter().find(|g| g.name() == self.group) else {
            return Ok(Some(BTreeSet::new()));
        };
        let settled = ["Stable", "Empty", "Dead"].contains(&group.state());
        let names = group.members().iter();
        let names = names.map(|member| member.client_id().to_owned()).collect();
        Ok(settled.then_some(names))
    }
}
