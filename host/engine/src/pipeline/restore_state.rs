//! Brings kept state to what a version begins with: carried on, migrated, or none.

use super::execute::BatchExecutor;
use super::{LoadedDeployment, PipelineExit, PipelineStatus};
use std::collections::BTreeSet;
use std::sync::Arc;
use streamhost_core::clock;
use streamhost_core::contract::{Calls, GroupQuarantines, VersionFault};
use streamhost_core::job::validate::in_words;
use streamhost_core::keyed::entry;
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::state::change::{StageChange, facts, last_number, stages_after};
use streamhost_core::state::migrate::{MigrateError, counts, prepare};
use streamhost_core::state::{StageId, Stages};

impl BatchExecutor {
    /// What was kept becomes this version's. Old state is left alone until a checkpoint names the
    /// new one, so that a version that proves unfit in its first batch leaves the one before it
    /// whole.
    pub(super) fn restore_state(
        &mut self,
        active: &LoadedDeployment,
        epoch: u64,
        store: Arc<dyn CheckpointLog>,
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        let before = std::mem::take(&mut self.stages);
        let changes = stages_after(&before, &active.spec, epoch);
        let mut changes = changes.map_err(|refusals| PipelineExit::Failed(in_words(&refusals)))?;
        // Here and not with the sweep below, which may run beside a later migration to the same
        // numbers.
        store
            .discard_above(last_number(&before, epoch))
            .map_err(|error| PipelineExit::Failed(error.to_string()))?;
        let sources = active.spec.sources.len();
        let kind = |change: &StageChange| active.spec.stages[change.number as usize - sources].kind;
        let mut calls = self
            .lanes
            .calls(&active.guest_version, GroupQuarantines::new());
        let format = (entry::accumulators, entry::with_accumulators);
        let mut cut_short = false;
        let mut convert = |stage, column| {
            let migrated = calls.migrate(stage, &column);
            cut_short = matches!(migrated, Err(VersionFault::Stopped));
            migrated.map_err(|fault| fault.to_string())
        };
        let began = clock::monotonic();
        let stopped = || status.stop.gives_up(began);
        let done = prepare(
            store.as_ref(),
            &mut changes,
            kind,
            &format,
            &mut convert,
            &stopped,
        );
        done.map_err(|error| {
            if cut_short {
                PipelineExit::Stopped
            } else {
                ends(error, active.deployment)
            }
        })?;
        self.stages = facts(&changes);
        for facts in self.stages.values() {
            self.state.count_from(facts.id, facts.keys, facts.bytes);
        }
        let kept: Vec<StageId> = before
            .values()
            .chain(self.stages.values())
            .map(|facts| facts.id)
            .collect();
        sweep(store, kept);
        Ok(())
    }

    /// Goes over to an intent's stages for its replay. Those that the checkpoint does not know yet
    /// are counted.
    pub(super) fn replay_on(
        &mut self,
        stages: &Stages,
        store: &dyn CheckpointLog,
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        let began = clock::monotonic();
        let known: BTreeSet<StageId> = self.stages.values().map(|facts| facts.id).collect();
        for facts in stages.values().filter(|facts| !known.contains(&facts.id)) {
            let (keys, bytes) = counts(store, facts.id, &|| status.stop.gives_up(began))
                .map_err(|error| ends(error, 0))?;
            self.state.count_from(facts.id, keys, bytes);
        }
        self.stages.clone_from(stages);
        Ok(())
    }
}

/// How a pipeline ends that cannot go over to a deployment's state.
fn ends(error: MigrateError, deployment: u64) -> PipelineExit {
    match error {
        MigrateError::Store(error) => PipelineExit::Failed(error.to_string()),
        MigrateError::Stopped => PipelineExit::Stopped,
        refused => PipelineExit::VersionFault {
            deployment,
            reason: refused.to_string(),
            by_policy: false,
        },
    }
}

/// Removes what no stage keeps any more, beside the batches: millions of entries take seconds. What
/// is left undone is done at the next start.
fn sweep(store: Arc<dyn CheckpointLog>, kept: Vec<StageId>) {
    let run = move || {
        if let Err(error) = store.sweep(&kept) {
            tracing::warn!("state that is of no more use could not be removed: {error}");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("sweep".into()).spawn(run) {
        tracing::warn!(
            "state that is of no more use is not removed: no thread can be started: {error}"
        );
    }
}
