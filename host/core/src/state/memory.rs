//! State in memory, for the host's own tests.

use super::{Entries, Most, StageId, StageState};
use crate::state::StoreError;
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

    fn add(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let before = self.entries.insert((stage, key.to_vec()), value.to_vec());
        assert_eq!(before, None, "what is added is not there");
        Ok(())
    }

    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.entries.remove(&(stage, key.to_vec())).is_some())
    }

    fn scan(
        &mut self,
        stage: StageId,
        from: &[u8],
        to: &[u8],
        most: Most,
    ) -> Result<Entries, StoreError> {
        let range = self
            .entries
            .range((stage, from.to_vec())..(stage, to.to_vec()));
        most.of(range.map(|((_, key), value)| Ok((key.clone(), value.clone()))))
    }
}
