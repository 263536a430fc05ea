//! The state of one stage, and walks over stretches of it in bounded portions.

use super::{KeyedError, entry};
use crate::state::{Entries, Most, StageId, StageState, StateFound, StateRead, StoreError};

/// One stage's part of the state.
pub(super) struct StageStore<'a> {
    state: &'a mut dyn StageState,
    id: StageId,
}

impl<'a> StageStore<'a> {
    pub(super) fn new(state: &'a mut dyn StageState, id: StageId) -> Self {
        StageStore { state, id }
    }

    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.state.get(self.id, key)
    }

    pub(super) fn unread(&mut self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Vec<StateRead> {
        self.state.unread(self.id, keys)
    }

    pub(super) fn learn(&mut self, found: StateFound) {
        self.state.learn(found);
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.state.put(self.id, key, value)
    }

    /// Writes what is known not to be there.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.state.add(self.id, key, value)
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        self.state.remove(self.id, key)
    }

    /// The stage's one number that belongs to no key, if it was ever noted.
    pub(super) fn note(&mut self) -> Result<Option<i64>, StoreError> {
        self.number(&[entry::NOTE], "a stage's note")
    }

    pub(super) fn set_note(&mut self, number: i64) -> Result<(), StoreError> {
        self.set_number(&[entry::NOTE], number)
    }

    /// The last window that was given, though it was not over.
    pub(super) fn given(&mut self) -> Result<Option<i64>, StoreError> {
        self.number(&entry::GIVEN, "what a stage has given")
    }

    pub(super) fn set_given(&mut self, window: i64) -> Result<(), StoreError> {
        self.set_number(&entry::GIVEN, window)
    }

    /// A number that stands by itself, if it was ever set.
    pub(super) fn number(&mut self, key: &[u8], what: &str) -> Result<Option<i64>, StoreError> {
        match self.get(key)? {
            Some(value) => entry::time_at(&value, 0)
                .map(Some)
                .ok_or_else(|| entry::damaged(what)),
            None => Ok(None),
        }
    }

    pub(super) fn set_number(&mut self, key: &[u8], number: i64) -> Result<(), StoreError> {
        self.put(key, &entry::time_bytes(number))
    }
}

/// Goes over the entries from one key on and below another, so many at a time. Entries that were
/// given may be removed.
pub(super) struct Walk {
    from: Vec<u8>,
    to: Vec<u8>,
    most: Most,
    is_over: bool,
}

impl Walk {
    pub(super) fn new(from: Vec<u8>, to: Vec<u8>, most: Most) -> Self {
        Walk {
            from,
            to,
            most,
            is_over: false,
        }
    }

    /// The next entries; none at the end.
    pub(super) fn next(&mut self, store: &mut StageStore<'_>) -> Result<Entries, KeyedError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let found = store
            .state
            .scan(store.id, &self.from, &self.to, self.most)?;
        self.is_over = !self.most.is_reached(&found);
        if let Some((last, _)) = found.last() {
            self.from.clone_from(last);
            self.from.push(0); // the least key above it
        }
        Ok(found)
    }
}

/// The first entry of a stretch.
pub(super) fn first(
    store: &mut StageStore<'_>,
    from: &[u8],
    to: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let found = store.state.scan(store.id, from, to, Most::entries(1))?;
    Ok(found.into_iter().next().map(|(key, _)| key))
}
