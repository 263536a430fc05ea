//! Offsets that consumer groups have committed. They stay until the group or the topic is deleted.

use super::BrokerError;
use super::store::Store;
use bytes::{Buf, BufMut};
use fjall::{OwnedWriteBatch, Readable, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One committed offset: where the group goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    /// The client's own words.
    pub(super) metadata: String,
}

/// Names have lengths before them, so no name can be mistaken for a part of another.
fn group_prefix(group: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + group.len());
    key.put_u16(group.len() as u16); // lengths come from the protocol's own 15 bits
    key.put_slice(group.as_bytes());
    key
}

fn key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut key = group_prefix(group);
    key.put_u16(topic.len() as u16);
    key.put_slice(topic.as_bytes());
    key.put_i32(partition);
    key
}

fn parse_key(mut key: &[u8]) -> Option<(String, String, i32)> {
    let mut name = || {
        let length = usize::from(key.try_get_u16().ok()?);
        let (name, rest) = key.split_at_checked(length)?;
        key = rest;
        String::from_utf8(name.to_vec()).ok()
    };
    let (group, topic) = (name()?, name()?);
    Some((group, topic, key.try_get_i32().ok()?))
}

fn parse_committed(mut value: &[u8]) -> Option<Committed> {
    let (offset, leader_epoch) = (value.try_get_i64().ok()?, value.try_get_i32().ok()?);
    Some(Committed {
        offset,
        leader_epoch,
        metadata: String::from_utf8(value.to_vec()).ok()?,
    })
}

const DAMAGED: BrokerError = BrokerError::Damaged {
    what: "a committed offset",
};

/// Puts one committed offset into `write`.
pub(super) fn stage(
    store: &Store,
    write: &mut OwnedWriteBatch,
    (group, topic, partition): (&str, &str, i32),
    committed: &Committed,
) {
    let mut value = Vec::with_capacity(12 + committed.metadata.len());
    value.put_i64(committed.offset);
    value.put_i32(committed.leader_epoch);
    value.put_slice(committed.metadata.as_bytes());
    write.insert(&store.offsets, key(group, topic, partition), value);
}

/// What a group has committed for one partition.
pub(super) fn get(
    view: &Snapshot,
    store: &Store,
    group: &str,
    topic: &str,
    partition: i32,
) -> Result<Option<Committed>, BrokerError> {
    let value = view.get(&store.offsets, key(group, topic, partition))?;
    value
        .map(|value| parse_committed(&value).ok_or(DAMAGED))
        .transpose()
}

/// All that a group has committed, in the order of topics' lengths, names and partitions.
pub(super) fn all_of_group(
    view: &Snapshot,
    store: &Store,
    group: &str,
) -> Result<Vec<(String, i32, Committed)>, BrokerError> {
    let mut all = Vec::new();
    for pair in view.prefix(&store.offsets, group_prefix(group)) {
        let (key, value) = pair.into_inner()?;
        let (_, topic, partition) = parse_key(&key).ok_or(DAMAGED)?;
        all.push((topic, partition, parse_committed(&value).ok_or(DAMAGED)?));
    }
    Ok(all)
}

/// Whether a group has committed anything.
pub(super) fn has_group(store: &Store, group: &str) -> bool {
    store.offsets.prefix(group_prefix(group)).next().is_some()
}

/// Every group that has committed anything.
pub(super) fn groups(store: &Store) -> Result<BTreeSet<String>, BrokerError> {
    let mut groups = BTreeSet::new();
    let mut from = Vec::new();
    while let Some(pair) = store.offsets.range(from.clone()..).next() {
        let (group, _, _) = parse_key(&pair.key()?).ok_or(DAMAGED)?;
        from = group_prefix(&group);
        // Beyond every topic of this group, whose lengths have 15 bits.
        from.extend_from_slice(&[0xff; 3]);
        groups.insert(group);
    }
    Ok(groups)
}

/// Removes all that a group has committed.
pub(super) fn stage_forget_group(
    store: &Store,
    write: &mut OwnedWriteBatch,
    group: &str,
) -> Result<(), BrokerError> {
    for pair in store.offsets.prefix(group_prefix(group)) {
        write.remove(&store.offsets, pair.key()?);
    }
    Ok(())
}

/// Removes one committed offset.
pub(super) fn stage_forget(
    store: &Store,
    write: &mut OwnedWriteBatch,
    (group, topic, partition): (&str, &str, i32),
) {
    write.remove(&store.offsets, key(group, topic, partition));
}

/// Removes what all groups have committed for a topic.
pub(super) fn stage_forget_topic(
    store: &Store,
    write: &mut OwnedWriteBatch,
    topic: &str,
) -> Result<(), BrokerError> {
    for pair in store.offsets.iter() {
        let key = pair.key()?;
        if parse_key(&key).ok_or(DAMAGED)?.1 == topic {
            write.remove(&store.offsets, key);
        }
    }
    Ok(())
}
