//! Where the newest checkpoint and the planned batches of one job are kept.

use super::{BatchIntent, Checkpoint};
use crate::state::{Delta, StageId, StateStore, StoreError};
use std::collections::BTreeSet;

/// Where one job's checkpoint and intents are kept, beside the state of its stages.
pub trait CheckpointLog: StateStore {
    /// One snapshot of the checkpoint and the intents after it, in order of their numbers.
    fn load(&self) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), StoreError>;

    /// One atomic write, durable at return: a checkpoint with what its batch changed in the stages'
    /// state, and the next intent, or either alone. A checkpoint deletes the intent of its batch,
    /// and what its batch retried of the dead letters is remembered until the log is forgotten.
    /// The caller has checked that they follow what is there. The intent of the newest batch may be
    /// written again, with what became known of it.
    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), StoreError>;

    /// One atomic write, durable at return: this checkpoint, and none of the intents of before.
    fn begin(&self, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// Forgets the checkpoint, all intents and all state; but not how far their times had come.
    fn forget(&self) -> Result<(), StoreError>;

    /// The newest time of the checkpoints and intents that were forgotten; none, if none were. What
    /// they wrote may still be in tables, and newer cells must not lie under it.
    fn forgotten_ms(&self) -> Result<Option<i64>, StoreError>;

    /// Removes the state of stages that neither `kept` nor the stored checkpoint and intents name,
    /// in portions. May run beside the job, however late: stages above all that are named may be
    /// under way (see [`StateStore::prepare`]), and stay.
    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError>;
}

/// Whether a sweep leaves a stage's state, given all stages that are named. Those above them are
/// being prepared.
pub fn stays(named: &BTreeSet<StageId>, id: StageId) -> bool {
    named.contains(&id) || named.last().is_some_and(|&last| id > last)
}

/// The newest time of a checkpoint and the intents after it.
pub fn newest_ms(checkpoint: Option<&Checkpoint>, intents: &[BatchIntent]) -> Option<i64> {
    let of_intents = intents.iter().map(|intent| intent.time_ms).max();
    checkpoint
        .map(|checkpoint| checkpoint.time_ms)
        .max(of_intents)
}
