//! Entries that are read of the store side by side, ahead of whoever needs them one by one. It saves
//! time and changes nothing else: what is known of an entry is what the store has.

use super::{StageId, StateStore, StoreError};
use crate::limits::{STATE_READ_BYTES_MAX, STATE_READ_KEYS, STATE_READ_KEYS_MIN};
use std::sync::Arc;

/// A read of some entries that any thread may do.
pub struct StateRead {
    store: Arc<dyn StateStore>,
    stage: StageId,
    keys: Vec<Vec<u8>>,
}

/// What was found: keys, and each one's value if it is there.
#[derive(Debug)]
pub struct StateFound {
    pub(super) stage: StageId,
    pub(super) entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl StateRead {
    /// The reads of these entries, each of a run of keys that stand together in the store: they
    /// share its blocks. Few entries are no run: reading them when they are needed costs no more.
    pub(super) fn in_runs(
        store: &Arc<dyn StateStore>,
        stage: StageId,
        mut keys: Vec<Vec<u8>>,
    ) -> Vec<StateRead> {
        if keys.len() < STATE_READ_KEYS_MIN {
            return Vec::new();
        }
        keys.sort_unstable();
        let mut keys = keys.into_iter();
        let next_run = || {
            let keys: Vec<_> = keys.by_ref().take(STATE_READ_KEYS).collect();
            (!keys.is_empty()).then(|| StateRead {
                store: Arc::clone(store),
                stage,
                keys,
            })
        };
        std::iter::from_fn(next_run).collect()
    }

    /// Asks the store. What is beyond the bytes of one read is left to be read when it is needed.
    pub fn run(&self) -> Result<StateFound, StoreError> {
        let (mut entries, mut bytes) = (Vec::with_capacity(self.keys.len()), 0);
        for key in &self.keys {
            let value = self.store.state(self.stage, key)?;
            bytes += value.as_ref().map_or(0, Vec::len);
            entries.push((key.clone(), value));
            if bytes >= STATE_READ_BYTES_MAX {
                break;
            }
        }
        Ok(StateFound {
            stage: self.stage,
            entries,
        })
    }
}
