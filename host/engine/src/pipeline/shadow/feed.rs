//! Gives a shadow the batches that the active version runs, as far as it keeps up.

use super::inbox::{Room, Work};
use super::{Shadow, ShadowSlot};
use crate::cpu;
use crate::pipeline::LoadedDeployment;
use crate::pipeline::execute::{ExecutedBatch, LaneExecutor};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::executor::{BatchInputs, BatchOutcome, ExecutorFork};
use streamhost_core::limits;
use streamhost_core::types::{BatchNumber, Chunk, Rows};

/// What a pipeline knows of the shadow that it feeds.
pub(in crate::pipeline) struct ShadowFeed {
    slot: ShadowSlot,
    /// The shadow that was given a batch last, and the number of the next one.
    fed: Option<(Arc<Shadow>, BatchNumber)>,
}

/// A batch that the shadow has room for, before it is run.
pub(in crate::pipeline) struct Turn {
    shadow: Arc<Shadow>,
    fork: Option<ExecutorFork>,
    given: BatchInputs,
    cpu: Duration,
}

/// CPU time that the lanes have used so far. This thread is one of them.
fn lanes_cpu(runs: &LaneExecutor) -> Duration {
    cpu::of_this_thread() + runs.others_cpu()
}

impl ShadowFeed {
    pub(in crate::pipeline) fn new(slot: ShadowSlot) -> ShadowFeed {
        ShadowFeed { slot, fed: None }
    }

    /// Before a batch is run: whether the shadow, if there is one, has room for it.
    pub(in crate::pipeline) fn before(
        &mut self,
        runs: &mut LaneExecutor,
        active: &LoadedDeployment,
        given: &BatchInputs,
    ) -> Option<Turn> {
        let shadow = self.slot.get().filter(|shadow| !shadow.has_ended());
        let Some(shadow) = shadow else {
            self.fed = None;
            return None;
        };
        if shadow.beside != active.deployment {
            shadow.end(&format!("version {} is active now", active.version));
            return None;
        }
        let is_fed = |(fed, next): &(Arc<Shadow>, BatchNumber)| {
            Arc::ptr_eq(fed, &shadow) && *next == runs.executor.next
        };
        let fork = match shadow.inbox.room(self.fed.as_ref().is_some_and(is_fed)) {
            Room::None => {
                self.fed = None;
                shadow.report().skipped += 1;
                return None;
            }
            Room::Batch => None,
            Room::Fork => Some(runs.executor.fork()),
        };
        Some(Turn {
            shadow,
            fork,
            given: given.clone(),
            cpu: lanes_cpu(runs),
        })
    }

    /// After the batch was run.
    pub(in crate::pipeline) fn after(
        &mut self,
        turn: Turn,
        runs: &LaneExecutor,
        done: &ExecutedBatch,
        epoch: u64,
    ) {
        let shadow = turn.shadow;
        let fits = bytes(&done.outcome) <= limits::SHADOW_BATCH_BYTES_MAX;
        let work = || Work {
            fork: turn.fork.map(|fork| (fork, epoch)),
            given: turn.given,
            active: done.active.clone(),
            outcome: done.outcome.clone(),
            cpu: lanes_cpu(runs).saturating_sub(turn.cpu),
            memory_bytes: runs.lanes.largest_memory_bytes(),
        };
        if fits && shadow.inbox.put(work()) {
            self.fed = Some((shadow, done.outcome.batch + 1));
        } else {
            self.fed = None;
            shadow.report().skipped += 1;
        }
    }
}

/// What a copy of a batch takes.
fn bytes(outcome: &BatchOutcome) -> usize {
    let records: usize = outcome.records.iter().map(Chunk::bytes).sum();
    let of = |rows: &Rows| rows.cells.data.len() + rows.extra.values.data.len();
    let rows: usize = outcome.rows.iter().flatten().map(of).sum();
    records + rows
}
