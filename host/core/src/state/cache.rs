//! Entries in memory: two generations of a hash table. What is used moves to the young one; when
//! that is full, the old one is dropped and the young one becomes the old. No order is kept, so a
//! hit costs a look-up and no more.

use super::StageId;
use crate::limits::STATE_CACHE_ENTRY_BYTES;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// One entry, or the knowledge that there is none. Key and value share one allocation.
struct Entry {
    stage: StageId,
    key_bytes: u32,
    absent: bool,
    bytes: Box<[u8]>,
}

impl Entry {
    fn new(stage: StageId, key: &[u8], value: Option<&[u8]>) -> Entry {
        let bytes = [key, value.unwrap_or_default()].concat().into_boxed_slice();
        let key_bytes = u32::try_from(key.len()).expect("keys are bounded by STATE_KEY_BYTES_MAX");
        Entry {
            stage,
            key_bytes,
            absent: value.is_none(),
            bytes,
        }
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes as usize]
    }

    fn is(&self, stage: StageId, key: &[u8]) -> bool {
        self.stage == stage && self.key() == key
    }

    fn value(&self) -> Option<&[u8]> {
        (!self.absent).then(|| &self.bytes[self.key_bytes as usize..])
    }

    fn cost(&self) -> usize {
        self.bytes.len() + STATE_CACHE_ENTRY_BYTES
    }
}

/// The entries of a job's stages that were used last, as they stand with the batch under way.
pub(super) struct Cache {
    young: HashTable<Entry>,
    old: HashTable<Entry>,
    /// Of the young ones.
    bytes: usize,
    /// Of one generation.
    bytes_max: usize,
    hashes: DefaultHashBuilder,
}

impl Cache {
    /// A cache of so many bytes, what surrounds the entries included.
    pub(super) fn new(bytes_max: usize) -> Cache {
        Cache {
            young: HashTable::new(),
            old: HashTable::new(),
            bytes: 0,
            bytes_max: bytes_max / 2,
            hashes: DefaultHashBuilder::default(),
        }
    }

    /// What is known of an entry: nothing, that there is none, or its value.
    pub(super) fn get(&mut self, stage: StageId, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let hash = self.hash(stage, key);
        self.entry(hash, stage, key)
            .map(|entry| entry.value().map(<[u8]>::to_vec))
    }

    /// Whether anything is known of an entry. It gets no younger by this.
    pub(super) fn knows(&self, stage: StageId, key: &[u8]) -> bool {
        let hash = self.hash(stage, key);
        let is_there =
            |table: &HashTable<Entry>| table.find(hash, |entry| entry.is(stage, key)).is_some();
        is_there(&self.young) || is_there(&self.old)
    }

    /// Keeps an entry as it stands from now on. Gives back what was known of it, by its length.
    pub(super) fn put(
        &mut self,
        stage: StageId,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Option<Option<usize>> {
        let hash = self.hash(stage, key);
        let Some(entry) = self.entry(hash, stage, key) else {
            self.insert(hash, Entry::new(stage, key, value));
            return None;
        };
        let before = entry.value().map(<[u8]>::len);
        match value {
            Some(value) if before == Some(value.len()) => {
                entry.bytes[key.len()..].copy_from_slice(value)
            }
            _ => {
                self.take(hash, stage, key);
                self.insert(hash, Entry::new(stage, key, value));
            }
        }
        Some(before)
    }

    /// Keeps an entry unless it is known already.
    pub(super) fn offer(&mut self, stage: StageId, key: &[u8], value: Option<&[u8]>) {
        let hash = self.hash(stage, key);
        if self.entry(hash, stage, key).is_none() {
            self.insert(hash, Entry::new(stage, key, value));
        }
    }

    /// Knows nothing of an entry any more. Gives back what was known of it, by its length.
    pub(super) fn forget(&mut self, stage: StageId, key: &[u8]) -> Option<Option<usize>> {
        let hash = self.hash(stage, key);
        self.take(hash, stage, key)
            .map(|entry| entry.value().map(<[u8]>::len))
    }

    fn hash(&self, stage: StageId, key: &[u8]) -> u64 {
        self.hashes.hash_one((stage, key))
    }

    /// An entry, which is young from now on.
    fn entry(&mut self, hash: u64, stage: StageId, key: &[u8]) -> Option<&mut Entry> {
        if self
            .young
            .find(hash, |entry| entry.is(stage, key))
            .is_none()
        {
            let found = self
                .old
                .find_entry(hash, |entry| entry.is(stage, key))
                .ok()?;
            let (entry, _) = found.remove();
            self.insert(hash, entry);
        }
        self.young.find_mut(hash, |entry| entry.is(stage, key))
    }

    /// Inserts what is not there. What is larger than a generation is not kept.
    fn insert(&mut self, hash: u64, entry: Entry) {
        let cost = entry.cost();
        if cost > self.bytes_max {
            return;
        }
        if self.bytes + cost > self.bytes_max {
            // The dropped generation's table is used again: making one grow would need room for
            // both sizes.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.bytes = 0;
        }
        self.bytes += cost;
        let hashes = &self.hashes;
        self.young.insert_unique(hash, entry, |entry| {
            hashes.hash_one((entry.stage, entry.key()))
        });
    }

    fn take(&mut self, hash: u64, stage: StageId, key: &[u8]) -> Option<Entry> {
        if let Ok(found) = self.young.find_entry(hash, |entry| entry.is(stage, key)) {
            let (entry, _) = found.remove();
            self.bytes -= entry.cost();
            return Some(entry);
        }
        let found = self
            .old
            .find_entry(hash, |entry| entry.is(stage, key))
            .ok()?;
        Some(found.remove().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bytes_and_keeps_what_is_used() {
        let mut cache = Cache::new(100 * (STATE_CACHE_ENTRY_BYTES + 12));
        cache.put(1, b"hot!", Some(b"12345678"));
        for i in 0..10_000u32 {
            cache.put(1, &i.to_be_bytes(), Some(b"12345678"));
            assert_eq!(
                cache.get(1, b"hot!"),
                Some(Some(b"12345678".to_vec())),
                "after {i}"
            );
            assert!(cache.young.len() + cache.old.len() <= 100);
        }
        assert_eq!(cache.get(1, &0u32.to_be_bytes()), None);
        assert_eq!(cache.get(2, b"hot!"), None);
    }

    #[test]
    fn a_value_that_grows_beyond_all_is_forgotten_and_not_kept_as_it_was() {
        let mut cache = Cache::new(2 * (STATE_CACHE_ENTRY_BYTES + 10));
        assert_eq!(cache.put(1, b"k", Some(b"v")), None);
        assert_eq!(cache.put(1, b"k", Some(&[0; 100])), Some(Some(1)));
        assert_eq!(cache.get(1, b"k"), None);
    }

    #[test]
    fn absence_is_knowledge() {
        let mut cache = Cache::new(1 << 20);
        assert_eq!(cache.put(1, b"k", None), None);
        assert_eq!(cache.get(1, b"k"), Some(None));
        assert_eq!(cache.put(1, b"k", Some(b"")), Some(None));
        assert_eq!(cache.get(1, b"k"), Some(Some(Vec::new())));
        cache.offer(1, b"k", Some(b"old"));
        assert_eq!(cache.forget(1, b"k"), Some(Some(0)));
        assert_eq!(cache.forget(1, b"k"), None);
    }
}
