//! Brings kept state to what a version begins with: carried on, migrated, or none.

use crate::contract::{Calls, VersionFault};
use crate::job::JobSpec;
use crate::job::validate::in_words;
use crate::keyed::entry;
use crate::state::change::{StageChange, facts, last_number, stages_after};
use crate::state::migrate::{MigrateError, prepare};
use crate::state::{Stages, StateStore, StoreError};

/// Why a version cannot begin with what was kept.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Its stages do not fit what was kept.
    #[error("{0}")]
    Unfit(String),
    /// The store's, before anything was migrated.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was kept could not be migrated.
    #[error(transparent)]
    Migrate(MigrateError),
}

/// Makes the stages' state of before this version's, and says where it is then. Old state is left
/// alone until a checkpoint names the new one, so that a version that proves unfit in its first
/// batch leaves the one before it whole. `stopped` is asked again and again whether to leave it.
pub fn restore_state(
    spec: &JobSpec,
    before: &Stages,
    epoch: u64,
    store: &dyn StateStore,
    calls: &mut dyn Calls,
    stopped: &dyn Fn() -> bool,
) -> Result<Stages, RestoreError> {
    let changes = stages_after(before, spec, epoch);
    let mut changes = changes.map_err(|refusals| RestoreError::Unfit(in_words(&refusals)))?;
    // Here and not with a sweep, which may run beside a later migration to the same numbers.
    store.discard_above(last_number(before, epoch))?;
    let sources = spec.sources.len();
    let kind = |change: &StageChange| spec.stages[change.number as usize - sources].kind;
    let format = (entry::accumulators, entry::with_accumulators);
    let mut cut_short = false;
    let mut convert = |stage, column| {
        let migrated = calls.migrate(stage, &column);
        cut_short = matches!(migrated, Err(VersionFault::Stopped));
        migrated.map_err(|fault| fault.to_string())
    };
    let done = prepare(store, &mut changes, kind, &format, &mut convert, stopped);
    done.map_err(|error| {
        RestoreError::Migrate(if cut_short {
            MigrateError::Stopped
        } else {
            error
        })
    })?;
    Ok(facts(&changes))
}
