//! What keyed stages keep from batch to batch: opaque bytes by stage and key, in memory as far as
//! it is used, the rest in the embedded store.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod cache;
pub mod change;
mod empty_ranges;
pub mod memory;
mod merge;
pub mod migrate;
pub mod shape;
mod store;
mod fork;
mod journal;
mod walk;
mod overlay;
mod read_ahead;

pub use fork::StateFork;
pub use journal::{Journal, JournalEntry, JournalOffset};
pub use overlay::StateOverlay;
pub use read_ahead::{StateFound, StateRead};
pub use store::{StateStore, StoreError, broken};
pub use walk::StateWalk;

/// The number under which a stage's state is kept. A stage that is migrated or begun anew gets
/// another, so that its old state is out of the way the moment that a checkpoint names the new one;
/// numbers rise for ever, as they begin at the epoch's number times [`STAGES_PER_EPOCH`].
pub type StageId = u64;

/// How many numbers an epoch has for its stages.
pub const STAGES_PER_EPOCH: u64 = 1 << 16;

/// Entries whose keys begin with this byte are what a stage keeps for keys; others are its own,
/// such as timers.
pub const KEPT: u8 = 1;

/// The same, of what counts for some of the hopping windows alone that its time is in.
pub const KEPT_FOR_SOME: u8 = 3;

/// Whether an entry is counted among the keys.
pub fn is_kept(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(KEPT | KEPT_FOR_SOME)))
}

/// What the checkpoint knows of a stage's state.
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

/// One entry: key and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Entries in the order of their keys.
pub type Entries = Vec<Entry>;

/// How much one read of a range gives: it ends with the entry that reaches either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Entries.
    pub entries: usize,
    /// Bytes of them, keys included. There is an entry in what is read, however large, if there is
    /// one in the range.
    pub bytes: usize,
}

impl Most {
    /// So many entries, of any length.
    pub fn entries(entries: usize) -> Most {
        Most {
            entries,
            bytes: usize::MAX,
        }
    }

    /// Whether what was found may have ended because of these bounds: then there may be more.
    pub fn is_reached(self, found: &[Entry]) -> bool {
        found.len() >= self.entries
            || found
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>()
                >= self.bytes
    }

    /// The first entries within these bounds.
    pub fn of<E>(self, mut entries: impl Iterator<Item = Result<Entry, E>>) -> Result<Entries, E> {
        let (mut found, mut bytes) = (Entries::new(), 0usize);
        while found.len() < self.entries
            && (bytes < self.bytes || found.is_empty())
            && let Some(entry) = entries.next()
        {
            let (key, value) = entry?;
            bytes = bytes.saturating_add(key.len() + value.len());
            found.push((key, value));
        }
        Ok(found)
    }
}

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

/// The state of one job's stages, as it stands within the batch that is run. Reads see the batches
/// before, durable or not, and this batch's own writes. After an error nothing is known of the
/// batch under way, which is then abandoned.
pub trait StageState {
    /// One entry.
    fn get(&mut self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes an entry.
    fn put(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Writes an entry that is known not to be there, which costs no look.
    fn add(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// What the store would have to be asked for, were these entries read one by one. Nothing, where
    /// that costs as little.
    fn unread(
        &mut self,
        stage: StageId,
        keys: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Vec<StateRead> {
        _ = (stage, keys);
        Vec::new()
    }

    /// Takes what was read of that: reads of these entries ask the store no more, as far as they are
    /// remembered.
    fn learn(&mut self, found: StateFound) {
        drop(found);
    }

    /// Removes an entry. Whether it was there.
    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<bool, StoreError>;

    /// Entries with keys from `from` on and below `to`, ascending, `most` at most. Keys of one
    /// stage whose first bytes differ are of different kinds; what was found empty is remembered by
    /// kind, so a scan that begins where it began before does not pass all over again what was
    /// removed meanwhile.
    fn scan(
        &mut self,
        stage: StageId,
        from: &[u8],
        to: &[u8],
        most: Most,
    ) -> Result<Entries, StoreError>;
}
