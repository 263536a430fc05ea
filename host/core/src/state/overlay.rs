//! A pipeline's state: what batches changed that are not durable yet, above a bounded cache, above
//! the store.
//!
//! The cache holds entries as they stand with the batch under way: each write goes through it, and
//! a batch that is abandoned is forgotten in it. So what it knows is never older than a layer, and
//! settling a layer leaves it alone.

use super::cache::Cache;
use super::empty_ranges::EmptyRanges;
use super::{
    Delta, Entries, Most, StageId, StageState, StateFork, StateFound, StateRead, StateStore,
    StoreError, Writes, is_kept, merge,
};
use crate::limits::STATE_KEY_BYTES_MAX;
use crate::types::BatchNumber;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

/// Entries and their bytes, keys included.
type Counts = BTreeMap<StageId, (u64, u64)>;

/// The state of one job's stages. One pipeline has it, and runs one batch after the other on it.
pub struct StateOverlay {
    store: Arc<dyn StateStore>,
    cache: Cache,
    /// The batch under way.
    now: Delta,
    /// Batches that ran and are not durable, oldest first. As many as a pipeline has batches under
    /// way.
    layers: VecDeque<(BatchNumber, Arc<Delta>)>,
    empty_ranges: EmptyRanges,
    counts: Counts,
    /// As they stood before the batch under way.
    counts_before: Counts,
    /// A second state that began as this one was, while somebody has it.
    fork: Weak<StateFork>,
    /// What the batch under way has written, as it stood before, for that one.
    before: BTreeMap<StageId, Writes>,
}

impl StateOverlay {
    /// The state as the store has it. `cache_bytes` bounds what is kept in memory beside what is
    /// not durable yet.
    pub fn new(store: Arc<dyn StateStore>, cache_bytes: usize) -> StateOverlay {
        StateOverlay {
            store,
            cache: Cache::new(cache_bytes),
            now: Delta::default(),
            layers: VecDeque::new(),
            empty_ranges: EmptyRanges::default(),
            counts: Counts::new(),
            counts_before: Counts::new(),
            fork: Weak::new(),
            before: BTreeMap::new(),
        }
    }

    /// A second state that is as this one is now, between two batches, and goes its own way. There
    /// is one at a time: one of before is detached. While somebody has it each write here looks at
    /// what it replaces.
    pub fn fork(&mut self) -> Arc<StateFork> {
        self.detach();
        let base = self.layers.iter().rev().map(|(_, delta)| delta.clone());
        let fork = Arc::new(StateFork::new(self.store.clone(), base.collect()));
        self.fork = Arc::downgrade(&fork);
        fork
    }

    fn detach(&self) {
        if let Some(fork) = self.fork.upgrade() {
            fork.detach();
        }
    }

    /// Notes for the second state what a write is about to replace.
    fn note(&mut self, stage: StageId, key: &[u8], is_new: bool) -> Result<(), StoreError> {
        let noted = |before: &BTreeMap<StageId, Writes>| {
            before
                .get(&stage)
                .is_some_and(|writes| writes.contains_key(key))
        };
        if self.fork.strong_count() == 0 || noted(&self.before) {
            return Ok(());
        }
        let old = match is_new {
            true => None,
            false => self.get(stage, key)?,
        };
        self.before
            .entry(stage)
            .or_default()
            .insert(key.to_vec(), old);
        Ok(())
    }

    /// Ends the batch under way, and gives what it changed. Reads go on seeing it.
    pub fn take(&mut self, batch: BatchNumber) -> Arc<Delta> {
        let before = std::mem::take(&mut self.before);
        if let Some(fork) = self.fork.upgrade() {
            fork.shield(before); // before it can become durable
        }
        let delta = Arc::new(std::mem::take(&mut self.now));
        if !delta.is_empty() {
            self.layers.push_back((batch, Arc::clone(&delta)));
        }
        self.counts_before.clone_from(&self.counts);
        delta
    }

    /// What batches up to this one changed is in the store, durable.
    pub fn settled(&mut self, batch: BatchNumber) {
        while self
            .layers
            .front()
            .is_some_and(|&(number, _)| number <= batch)
        {
            self.layers.pop_front();
        }
    }

    /// Drops what the batch under way changed: it failed, and is run again or not at all.
    pub fn abandon(&mut self) {
        self.before.clear();
        for (stage, writes) in std::mem::take(&mut self.now).stages {
            for key in writes.keys() {
                self.cache.forget(stage, key);
            }
        }
        // The batch may have emptied a range that is full again now.
        self.empty_ranges.clear();
        self.counts.clone_from(&self.counts_before);
    }

    /// Begins to count a stage's entries from what the checkpoint says of it. Between batches.
    pub fn count_from(&mut self, stage: StageId, keys: u64, bytes: u64) {
        self.counts.insert(stage, (keys, bytes));
        self.counts_before.insert(stage, (keys, bytes));
    }

    /// A stage's entries, and their bytes with keys, as they stand with the batch under way.
    pub fn counts(&self, stage: StageId) -> (u64, u64) {
        self.counts.get(&stage).copied().unwrap_or_default()
    }

    /// An entry that the cache does not know, before a write that is under way.
    fn uncached(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        for writes in self.layers_of(stage) {
            if let Some(value) = writes.get(key) {
                return Ok(value.clone());
            }
        }
        self.store.state(stage, key)
    }

    /// What was written of a stage and is not durable, newest first.
    fn layers_of(&self, stage: StageId) -> impl Iterator<Item = &Writes> {
        let newest_first =
            std::iter::once(&self.now).chain(self.layers.iter().rev().map(|(_, delta)| &**delta));
        newest_first.filter_map(move |delta| delta.stages.get(&stage))
    }

    /// Counts a write: the entry had `old` bytes of value and has `new` now.
    fn count(&mut self, stage: StageId, key: &[u8], old: Option<usize>, new: Option<usize>) {
        let (keys, bytes) = self.counts.entry(stage).or_default();
        if let Some(old) = old {
            *keys = keys.saturating_sub(u64::from(is_kept(key)));
            *bytes = bytes.saturating_sub((key.len() + old) as u64);
        }
        if let Some(new) = new {
            *keys += u64::from(is_kept(key));
            *bytes += (key.len() + new) as u64;
        }
    }

    fn write(&mut self, stage: StageId, key: &[u8], value: Option<&[u8]>) {
        // One search for an insertion and a replacement alike: it costs more than the key's copy.
        self.now
            .stages
            .entry(stage)
            .or_default()
            .insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }
}

/// Whoever writes to the store from then on notes nothing.
impl Drop for StateOverlay {
    fn drop(&mut self) {
        self.detach();
    }
}

impl StageState for StateOverlay {
    fn get(&mut self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(known) = self.cache.get(stage, key) {
            return Ok(known);
        }
        let value = self.uncached(stage, key)?;
        self.cache.put(stage, key, value.as_deref());
        Ok(value)
    }

    fn unread(
        &mut self,
        stage: StageId,
        keys: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Vec<StateRead> {
        let layers: Vec<_> = self.layers_of(stage).collect();
        let is_unread = |key: &Vec<u8>| {
            !self.cache.knows(stage, key) && layers.iter().all(|writes| !writes.contains_key(key))
        };
        let unread = keys.filter(is_unread).collect();
        StateRead::in_runs(&self.store, stage, unread)
    }

    fn learn(&mut self, found: StateFound) {
        for (key, value) in &found.entries {
            self.cache.offer(found.stage, key, value.as_deref());
        }
    }

    fn put(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        fits(key)?;
        self.note(stage, key, false)?;
        let old = match self.cache.put(stage, key, Some(value)) {
            Some(known) => known,
            None => match self.uncached(stage, key) {
                Ok(old) => old.map(|old| old.len()),
                Err(error) => {
                    self.cache.forget(stage, key);
                    return Err(error);
                }
            },
        };
        self.count(stage, key, old, Some(value.len()));
        self.empty_ranges.filled(stage, key);
        self.write(stage, key, Some(value));
        Ok(())
    }

    fn add(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        fits(key)?;
        self.note(stage, key, true)?;
        self.cache.put(stage, key, Some(value));
        self.count(stage, key, None, Some(value.len()));
        self.empty_ranges.filled(stage, key);
        self.write(stage, key, Some(value));
        Ok(())
    }

    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<bool, StoreError> {
        self.note(stage, key, false)?;
        // It is forgotten, not known to be absent: what windows leave behind does not come back,
        // and would fill the cache.
        let old = match self.cache.forget(stage, key) {
            Some(known) => known,
            None => self.uncached(stage, key)?.map(|old| old.len()),
        };
        if old.is_some() {
            self.count(stage, key, old, None);
            self.write(stage, key, None);
        }
        Ok(old.is_some())
    }

    fn scan(
        &mut self,
        stage: StageId,
        from: &[u8],
        to: &[u8],
        most: Most,
    ) -> Result<Entries, StoreError> {
        if from >= to || most.entries == 0 {
            return Ok(Vec::new());
        }
        let begin = self.empty_ranges.end(stage, from).unwrap_or(from);
        let found = if begin < to {
            let layers: Vec<_> = self.layers_of(stage).collect();
            merge::scan(&*self.store, &layers, stage, (begin, to), most)?
        } else {
            Vec::new()
        };
        self.empty_ranges
            .found(stage, from, found.first().map_or(to, |(key, _)| key));
        for (key, value) in &found {
            // What is scanned is often removed or written next, which then needs not read it again
            // to count it.
            self.cache.offer(stage, key, Some(value));
        }
        Ok(found)
    }
}

/// Whether the store can take a key.
fn fits(key: &[u8]) -> Result<(), StoreError> {
    match key.len() {
        bytes if bytes > STATE_KEY_BYTES_MAX => Err(StoreError::KeyTooLong {
            bytes,
            max: STATE_KEY_BYTES_MAX,
        }),
        _ => Ok(()),
    }
}
