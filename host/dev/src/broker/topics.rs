//! Which topics there are, and their partitions.

use super::log::Partition;
use super::retention::{Retention, Swept, sweep_topic};
use super::store::{PartitionKey, Store};
use super::{BrokerError, CallError, Settings, offsets};
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use streamhost_core::clock::now_ms;
use streamhost_core::limits::{
    BROKER_BATCH_BYTES_MAX, BROKER_PARTITIONS_MAX, BROKER_TOPIC_PARTITIONS_MAX, BROKER_TOPICS_MAX,
};

/// Kafka's own limit of a topic's name.
const TOPIC_NAME_BYTES_MAX: usize = 249;
const NEXT_TOPIC_ID: &str = "cnext-topic-id";

/// One topic. A topic that is deleted and created again is another one, with another id.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: u32,
    created_ms: i64,
    pub(super) config: TopicConfig,
    partitions: RwLock<Vec<Arc<Partition>>>,
}

/// What a topic says for itself; the broker's settings fill the gaps. −1 is Kafka's word for
/// "without bound".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicConfig {
    pub(super) retention_ms: Option<i64>,
    pub(super) retention_bytes: Option<i64>,
    /// Bytes of one batch.
    pub(super) max_message_bytes: Option<u32>,
}

impl TopicConfig {
    pub(super) fn batch_bytes_max(self) -> usize {
        self.max_message_bytes
            .map_or(BROKER_BATCH_BYTES_MAX, |bytes| bytes as usize)
    }

    pub(super) fn retention(self, settings: &Settings) -> Retention {
        let age = match self.retention_ms {
            None => Some(settings.retention),
            Some(millis) => u64::try_from(millis).ok().map(Duration::from_millis),
        };
        let bytes = match self.retention_bytes {
            None => Some(settings.retention_bytes),
            Some(bytes) => u64::try_from(bytes).ok(),
        };
        Retention { age, bytes }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredTopic {
    id: u32,
    partitions: u32,
    config: TopicConfig,
    /// 0: not known.
    #[serde(default)]
    created_ms: i64,
}

impl Topic {
    /// What clients know it by: another one for each topic, also where the data folder was made
    /// anew.
    pub(super) fn uuid(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&self.created_ms.to_be_bytes());
        uuid[12..].copy_from_slice(&self.id.to_be_bytes());
        uuid
    }

    pub(super) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(index)
            .cloned()
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn partition_count(&self) -> u32 {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u32 // BROKER_TOPIC_PARTITIONS_MAX fits
    }
}

/// All topics. Looking one up takes a short shared lock; changes are one after another.
pub(super) struct Topics {
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    changes: Mutex<Changes>,
}

struct Changes {
    next_id: u32,
    /// Ids of deleted topics whose records are still to be removed.
    doomed: BTreeMap<u32, Swept>,
}

impl Topics {
    pub(super) fn load(store: &Store) -> Result<Topics, BrokerError> {
        let damaged = || BrokerError::Damaged {
            what: "the list of topics",
        };
        let mut by_name = BTreeMap::new();
        for pair in store.meta.prefix("t") {
            let (key, value) = pair.into_inner()?;
            let name = std::str::from_utf8(&key[1..])
                .map_err(|_| damaged())?
                .to_owned();
            let stored: StoredTopic = serde_json::from_slice(&value).map_err(|_| damaged())?;
            let partitions = load_partitions(store, stored.id, 0..stored.partitions)?;
            let StoredTopic {
                id,
                created_ms,
                config,
                ..
            } = stored;
            let topic = Topic {
                name: name.clone(),
                id,
                created_ms,
                config,
                partitions,
            };
            by_name.insert(name, Arc::new(topic));
        }
        let next_id = match store.meta.get(NEXT_TOPIC_ID)? {
            None => 1,
            Some(bytes) => u32::from_be_bytes(bytes[..].try_into().map_err(|_| damaged())?),
        };
        let mut doomed = BTreeMap::new();
        for pair in store.meta.prefix("d") {
            let id = u32::from_be_bytes(pair.key()?[1..].try_into().map_err(|_| damaged())?);
            doomed.insert(id, Swept::default());
        }
        Ok(Topics {
            by_name: RwLock::new(by_name),
            changes: Mutex::new(Changes { next_id, doomed }),
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub(super) fn partition(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<Arc<Partition>, ResponseError> {
        self.get(topic)
            .and_then(|topic| topic.partition(index))
            .ok_or(ResponseError::UnknownTopicOrPartition)
    }

    pub(super) fn partition_of_id(&self, key: PartitionKey) -> Option<Arc<Partition>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let topic = by_name.values().find(|topic| topic.id == key.topic)?;
        topic.partition(i32::try_from(key.partition).ok()?)
    }

    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Creates a topic, durably against a power loss. With `only_check` nothing happens but the
    /// checks.
    pub(super) fn create(
        &self,
        store: &Store,
        name: &str,
        partitions: u32,
        config: TopicConfig,
        only_check: bool,
    ) -> Result<Arc<Topic>, CallError> {
        check_name(name)?;
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.get(name).is_some() {
            return Err(ResponseError::TopicAlreadyExists.into());
        }
        self.check_room(partitions, partitions)?;
        if self.all().len() >= BROKER_TOPICS_MAX {
            return Err(ResponseError::PolicyViolation.into());
        }
        let id = changes.next_id;
        let partitions_loaded = load_partitions(store, id, 0..partitions)?;
        let (name_owned, created_ms) = (name.to_owned(), now_ms());
        let topic = Arc::new(Topic {
            name: name_owned,
            id,
            created_ms,
            config,
            partitions: partitions_loaded,
        });
        if only_check {
            return Ok(topic);
        }
        let mut write = store.write_synced()?;
        write.insert(&store.meta, format!("t{name}"), stored(&topic, partitions));
        write.insert(&store.meta, NEXT_TOPIC_ID, (id + 1).to_be_bytes());
        write.commit().map_err(BrokerError::from)?;
        changes.next_id += 1;
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), topic.clone());
        Ok(topic)
    }

    /// Gives a topic more partitions. `to` is the new number, which must be larger.
    pub(super) fn grow(
        &self,
        store: &Store,
        name: &str,
        to: u32,
        only_check: bool,
    ) -> Result<(), CallError> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = self
            .get(name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        let from = topic.partition_count();
        if to <= from {
            return Err(ResponseError::InvalidPartitions.into());
        }
        self.check_room(to, to - from)?;
        if only_check {
            return Ok(());
        }
        let more = load_partitions(store, topic.id, from..to)?
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut write = store.write_synced()?;
        write.insert(&store.meta, format!("t{name}"), stored(&topic, to));
        write.commit().map_err(BrokerError::from)?;
        topic
            .partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(more);
        Ok(())
    }

    /// Deletes a topic and what groups have committed for it. Its records go later, by
    /// [`Topics::sweep`].
    pub(super) fn delete(&self, store: &Store, name: &str) -> Result<(), CallError> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = self
            .get(name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        let mut write = store.removal_synced();
        write.remove(&store.meta, format!("t{name}"));
        write.insert(&store.meta, doomed_key(topic.id), []);
        offsets::stage_forget_topic(store, &mut write, name)?;
        write.commit().map_err(BrokerError::from)?;
        changes.doomed.insert(topic.id, Swept::default());
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        for partition in topic.partitions() {
            partition.delete();
        }
        Ok(())
    }

    /// Removes a part of what deleted topics left behind. `true`: there is more.
    pub(super) fn sweep(&self, store: &Store) -> Result<bool, BrokerError> {
        let changes = || self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let first = changes()
            .doomed
            .first_key_value()
            .map(|(id, swept)| (*id, swept.clone()));
        let Some((id, mut swept)) = first else {
            return Ok(false);
        };
        if !sweep_topic(store, id, &mut swept)? {
            changes().doomed.insert(id, swept);
            return Ok(true);
        }
        store.meta.remove(doomed_key(id))?;
        let mut changes = changes();
        changes.doomed.remove(&id);
        Ok(!changes.doomed.is_empty())
    }

    fn check_room(&self, of_topic: u32, more: u32) -> Result<(), ResponseError> {
        let all: u32 = self.all().iter().map(|topic| topic.partition_count()).sum();
        let fits = (1..=BROKER_TOPIC_PARTITIONS_MAX).contains(&of_topic)
            && all + more <= BROKER_PARTITIONS_MAX;
        if fits {
            Ok(())
        } else {
            Err(ResponseError::InvalidPartitions)
        }
    }
}

fn load_partitions(
    store: &Store,
    topic: u32,
    range: std::ops::Range<u32>,
) -> Result<RwLock<Vec<Arc<Partition>>>, BrokerError> {
    let load = |partition| {
        Ok(Arc::new(Partition::load(
            store,
            PartitionKey { topic, partition },
        )?))
    };
    Ok(RwLock::new(
        range.map(load).collect::<Result<_, BrokerError>>()?,
    ))
}

fn stored(topic: &Topic, partitions: u32) -> Vec<u8> {
    let Topic {
        id,
        created_ms,
        config,
        ..
    } = *topic;
    serde_json::to_vec(&StoredTopic {
        id,
        partitions,
        config,
        created_ms,
    })
    .expect("numbers are JSON")
}

fn doomed_key(id: u32) -> Vec<u8> {
    [b"d".as_slice(), &id.to_be_bytes()].concat()
}

/// Kafka's rule for the name of a topic.
pub(super) fn check_name(name: &str) -> Result<(), ResponseError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits =
        !name.is_empty() && name.len() <= TOPIC_NAME_BYTES_MAX && name != "." && name != "..";
    if fits && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(ResponseError::InvalidTopicException)
    }
}
