//! Brings kept state to what a version begins with, on the job's lanes.

use super::execute::LaneExecutor;
use super::{LoadedDeployment, PipelineExit, PipelineStatus};
use std::collections::BTreeSet;
use std::sync::Arc;
use streamhost_core::clock;
use streamhost_core::contract::GroupQuarantines;
use streamhost_core::executor::{RestoreError, restore_state};
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::state::migrate::{MigrateError, counts};
use streamhost_core::state::{StageId, Stages};

impl LaneExecutor {
    /// What was kept becomes this version's; what it has no use for is removed meanwhile.
    pub(super) fn restore_state(
        &mut self,
        active: &LoadedDeployment,
        epoch: u64,
        store: Arc<dyn CheckpointLog>,
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        let before = self.executor.stages().clone();
        let mut calls = self
            .lanes
            .calls(&active.guest_version, GroupQuarantines::new());
        let began = clock::monotonic();
        let stages = restore_state(
            &active.spec,
            &before,
            epoch,
            store.as_ref(),
            &mut calls,
            &|| status.stop.gives_up(began),
        );
        let stages = stages.map_err(|error| match error {
            RestoreError::Migrate(error) => ends(error, active.deployment),
            RestoreError::Unfit(_) | RestoreError::Store(_) => {
                PipelineExit::Failed(error.to_string())
            }
        })?;
        let kept: Vec<StageId> = before
            .values()
            .chain(stages.values())
            .map(|facts| facts.id)
            .collect();
        self.executor.begin_stages(stages);
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
        let known: BTreeSet<StageId> = self
            .executor
            .stages()
            .values()
            .map(|facts| facts.id)
            .collect();
        for facts in stages.values().filter(|facts| !known.contains(&facts.id)) {
            let (keys, bytes) = counts(store, facts.id, &|| status.stop.gives_up(began))
                .map_err(|error| ends(error, 0))?;
            self.executor.state.count_from(facts.id, keys, bytes);
        }
        self.executor.replay_stages(stages);
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
