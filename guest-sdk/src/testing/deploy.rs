//! The next version takes over between two batches, with what the one before it kept.

use super::guest::Guest;
use super::workers::NativeWorkers;
use super::{Driver, EPOCH, run_told};
use crate::job::{Call, Job};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::executor::restore_state;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::state::{Delta, StageId};

impl<J: for<'b> Fn(Call<'b>) -> Job<'b>> Driver<J> {
    /// The next version of the job takes over, with what the stages kept under their names,
    /// migrated where it says so, and with the parameters that were set. Rows, dead letters and lines of the log that were not asked for
    /// are gone with this version. Panics with the reason where a deploy would be refused.
    pub fn deploy<K: for<'b> Fn(Call<'b>) -> Job<'b>>(self, job: K) -> Driver<K> {
        let set = self.set.clone();
        self.deploy_told(job, set)
    }

    /// The same, where the deploy sets these parameters beside those that were set before. Panics
    /// as [`deploy`](Driver::deploy) does.
    pub fn deploy_with<K: for<'b> Fn(Call<'b>) -> Job<'b>>(
        self,
        job: K,
        parameters: &[(&str, &str)],
    ) -> Driver<K> {
        let mut set = self.set.clone();
        set.extend(super::pairs(parameters));
        self.deploy_told(job, set)
    }

    fn deploy_told<K: for<'b> Fn(Call<'b>) -> Job<'b>>(
        self,
        job: K,
        set: BTreeMap<String, String>,
    ) -> Driver<K> {
        let mut next = run_told(job, set);
        next.sources = self
            .sources
            .carry_to(&self.spec.sources, &next.spec.sources);
        next.clock_ms = self.clock_ms;
        next.begin(self.checkpoint, self.store);
        next
    }

    /// Goes on after a checkpoint, of another version or of none.
    pub(super) fn begin(&mut self, checkpoint: Checkpoint, store: Arc<MemoryStore>) {
        let guest = Guest::new(&self.job, &self.spec);
        let mut workers = NativeWorkers::whole(&guest);
        let stages = restore_state(
            &self.spec,
            &checkpoint.stages,
            EPOCH,
            store.as_ref(),
            &mut &mut workers,
            &|| false,
        );
        let stages = stages
            .unwrap_or_else(|refused| panic!("the next version cannot be deployed: {refused}"));
        let (logs, _) = guest.into_told();
        self.logs.extend(logs);
        let kept: Vec<StageId> = stages.values().map(|facts| facts.id).collect();
        self.checkpoint = Checkpoint {
            stages,
            ..checkpoint
        };
        self.store = store;
        let written = self
            .store
            .write(Some((&self.checkpoint, &Delta::default())), None)
            .and_then(|()| self.store.sweep(&kept));
        written.expect("a store in memory takes all");
    }
}
