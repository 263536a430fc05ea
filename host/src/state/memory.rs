//! State in memory, for the host's own tests.

use super::{Entries, StageId, StageState};
use crate::checkpoint::StoreError;
use std::collections::BTreeMap;

/// Entries by stage and key.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    /// The entries.
    pub entries: BTreeMap<(StageId, Vec<u8>), Vec<u8>>,
}

impl StageState for MemoryState {
    fn get(&mut self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(&(stage, key.to_vec())).cloned())
    }

    fn put(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.entries.insert((stage, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<(), StoreError> {
        self.entries.remove(&(stage, key.to_vec()));
        Ok(())
    }

    fn scan(&mut self, stage: StageId, from: &[u8], to: &[u8], max: usize) -> Result<Entries, StoreError> {
        let range = self.entries.range((stage, from.to_vec())..(stage, to.to_vec()));
        Ok(range.take(max).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}
