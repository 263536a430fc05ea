//! One job's checkpoint and state at one moment.

use super::{JobCheckpointLog, own_entry};
use fjall::{Readable, Snapshot};
use streamhost_core::protocol::Checkpoint;
use streamhost_core::state::{Entries, Most, StageId, StoreError};

/// One job's checkpoint and state at one moment. As long as one is there, the store keeps all that
/// is written meanwhile in memory, so it is for short looks.
pub struct CheckpointSnapshot {
    pub(super) log: JobCheckpointLog,
    pub(super) at: Snapshot,
}

impl CheckpointSnapshot {
    /// The newest checkpoint, if there is one.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.log.checkpoint(&self.at)
    }

    /// Entries of a stage's state with keys from `from` on and below `to`, ascending, `most` at
    /// most.
    pub fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: &[u8],
        most: Most,
    ) -> Result<Entries, StoreError> {
        let range = self.log.key(stage, from)..self.log.key(stage, to);
        if range.is_empty() {
            return Ok(Entries::new());
        }
        let before_key = self.log.before_key();
        most.of(self
            .at
            .range(&self.log.all.state, range)
            .map(|entry| own_entry(entry, before_key)))
    }
}
