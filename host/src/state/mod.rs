//! What keyed stages keep from batch to batch: opaque bytes by stage and key, in memory as far as it is used, the rest
//! in the embedded store.

use crate::checkpoint::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod cache;
pub mod change;
mod gaps;
pub mod memory;
mod merge;
pub mod migrate;
mod view;
#[cfg(test)]
mod tests;

pub use view::State;

/// The number under which a stage's state is kept. A stage that is migrated or begun anew gets another, so that its old
/// state is out of the way the moment that a checkpoint names the new one; numbers rise for ever, as they begin at the
/// incarnation's number times [`STAGES_PER_INCARNATION`].
pub type StageId = u64;

/// How many numbers an incarnation has for its stages.
pub const STAGES_PER_INCARNATION: u64 = 1 << 16;

/// Entries whose keys begin with this byte are what a stage keeps for keys; others are its own, such as timers.
pub const KEPT: u8 = 1;

/// Whether an entry is counted among the keys.
pub fn is_kept(key: &[u8]) -> bool {
    key.first() == Some(&KEPT)
}

/// What the ledger knows of a stage's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFacts {
    /// Where its state is.
    pub id: StageId,
    /// What kept state must match to be carried on.
    pub fingerprint: String,
    /// The shape of its accumulators, and the author's version of them.
    pub shape: (String, u32),
    /// Entries kept for keys.
    pub keys: u64,
    /// Bytes of all entries, keys included.
    pub bytes: u64,
}

/// All stages' facts, by the stage's name. Stages that keep nothing are not among them.
pub type Stages = BTreeMap<String, StageFacts>;

/// Entries in the order of their keys: key and value.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// One stage's writes: the last one of each entry; none: it is removed.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What one batch changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// By stage. No stage is without writes.
    pub stages: BTreeMap<StageId, Writes>,
}

impl Delta {
    /// Nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// How many entries were changed.
    pub fn len(&self) -> usize {
        self.stages.values().map(BTreeMap::len).sum()
    }
}

/// The state of one job's stages, as it stands within the batch that is run. Reads see the batches before, durable or
/// not, and this batch's own writes. After an error nothing is known of the batch under way, which is then abandoned.
pub trait StageState {
    /// One entry.
    fn get(&mut self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes an entry.
    fn put(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes an entry, if it is there.
    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<(), StoreError>;

    /// Entries with keys from `from` on and below `to`, ascending, `max` at most. Keys of one stage whose first bytes
    /// differ are of different kinds; what was found empty is remembered by kind, so a scan that begins where it began
    /// before does not pass all over again what was removed meanwhile.
    fn scan(&mut self, stage: StageId, from: &[u8], to: &[u8], max: usize) -> Result<Entries, StoreError>;
}
