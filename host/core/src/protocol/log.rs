//! Where the newest checkpoint and the planned batches of one job are kept.

use super::{Ledger, Plan};
use crate::state::{Delta, StageId, StateStore, StoreError};
use std::collections::BTreeSet;

/// Where one job's ledger and plans are kept, beside the state of its stages.
pub trait CheckpointLog: StateStore {
    /// One snapshot of the ledger and the plans after it, in order of their numbers.
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError>;

    /// One atomic write, durable at return: a checkpoint (the ledger, which deletes the plan of its batch, and what the
    /// batch changed in the stages' state) and the next plan, or either alone. The caller has checked that they follow
    /// what is there.
    fn write(&self, checkpoint: Option<(&Ledger, &Delta)>, plan: Option<&Plan>) -> Result<(), StoreError>;

    /// One atomic write, durable at return: this ledger, and none of the plans of before.
    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError>;

    /// Forgets the ledger, all plans and all state.
    fn forget(&self) -> Result<(), StoreError>;

    /// Removes the state of stages that neither `kept` nor the stored ledger and plans name, in portions. May run beside
    /// the job, however late: stages above all that are named may be under way (see [`StateStore::prepare`]), and stay.
    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError>;
}

/// Whether a sweep leaves a stage's state, given all stages that are named. Those above them are being prepared.
pub fn stays(named: &BTreeSet<StageId>, id: StageId) -> bool {
    named.contains(&id) || named.last().is_some_and(|&last| id > last)
}
