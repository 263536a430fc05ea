//! Plans, delivers and settles batches, one after the other.

use super::deliver::Sinks;
use super::execute::ExecutedBatch;
use super::refused::Refused;
use super::{Backoff, BatchStep, PipelineExit, PipelineStatus, Stop};
use crate::cpu::ThreadCpu;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::state::{Delta, StoreError};
use streamhost_core::{clock, limits};

/// How many batches are on their way to the committer: run, and not taken yet.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<usize>,
    taken: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        *self.lock() == 0
    }

    /// One more is on its way.
    pub(super) fn joins(&self) {
        *self.lock() += 1;
    }

    /// The committer has taken one.
    fn takes(&self) {
        *self.lock() -= 1;
        self.taken.notify_all();
    }

    /// Waits until the one that joined last has room in the channel, but no longer than this.
    pub(super) fn room(&self, most: Duration) {
        let full = |waiting: &mut usize| *waiting > QUEUE_MAX;
        drop(
            self.taken
                .wait_timeout_while(self.lock(), most, full)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// Batches between the one that is run and the one in the sinks.
pub(super) const QUEUE_MAX: usize = limits::BATCHES_IN_FLIGHT_MAX - 2;

/// Who waits while the disk is full.
const DATA_FOLDER: &str = "data folder";

/// What the committer works with.
pub(super) struct Committer<'a> {
    pub(super) store: &'a dyn CheckpointLog,
    pub(super) sinks: Sinks,
    pub(super) status: &'a PipelineStatus,
    /// The newest checkpoint; durable unless something stands in `unsettled`.
    pub(super) checkpoint: Checkpoint,
    /// All sinks hold the checkpoint's batch, and the next write makes it durable with these
    /// changes of the state: together with the next intent, if that is at hand.
    pub(super) unsettled: Option<Arc<Delta>>,
    /// Some records cannot be read again: a batch that has them is planned even if a stop comes.
    pub(super) keeps: bool,
}

impl Committer<'_> {
    /// Takes batches until the runner has no more. `Ok`: all of them are delivered and durable.
    pub(super) fn run(
        &mut self,
        batches: &mpsc::Receiver<ExecutedBatch>,
        queue: &Queue,
    ) -> Result<(), PipelineExit> {
        let mut cpu = ThreadCpu::default();
        let mut next = batches.recv().ok();
        while let Some(mut batch) = next.take() {
            queue.takes();
            if self.status.stop.requested() >= Some(Stop::Soon) && !self.keeps {
                self.settle()?;
                return Err(PipelineExit::Stopped); // it is not planned, and read again later
            }
            let (meter, n) = (&self.status.meter, batch.outcome.batch);
            meter.ended(n, BatchStep::Queue);
            let intent = self.intent(&self.checkpoint, &mut batch);
            let before = self
                .unsettled
                .as_ref()
                .map(|delta| (&self.checkpoint, delta.as_ref()));
            self.write(before, Some(&intent))?;
            meter.ended(n, BatchStep::Intent);
            self.told();
            let held = BTreeSet::new();
            let delivered = self
                .sinks
                .deliver(self.store, &intent, &batch, &held, self.status);
            match delivered {
                Ok(refused) => {
                    self.acknowledged(&intent, batch.outcome.delta, &refused);
                    meter.used(cpu.more());
                }
                Err(PipelineExit::Stopped) if self.keeps => {
                    return self.intent_rest(&intent, batches, queue);
                }
                Err(end) => return Err(end),
            }
            // A batch that comes soon shares its intent's write with this checkpoint: one sync a
            // batch.
            next = batches.recv_timeout(limits::CHECKPOINT_WAIT).ok();
            if next.is_none() {
                self.settle()?;
                meter.used(cpu.more());
                next = batches.recv().ok();
            }
        }
        Ok(())
    }

    /// A stop came while sinks are away. What is behind the planned batch cannot be read again, so
    /// it is planned as well, and the next start delivers it. The runner has stopped, or does so
    /// now.
    fn intent_rest(
        &self,
        planned: &BatchIntent,
        batches: &mpsc::Receiver<ExecutedBatch>,
        queue: &Queue,
    ) -> Result<(), PipelineExit> {
        let mut checkpoint = after(&self.checkpoint, planned);
        while let Ok(mut batch) = batches.recv() {
            queue.takes();
            let intent = self.intent(&checkpoint, &mut batch);
            let written = self.store.write(None, Some(&intent));
            written.map_err(|error| failed(&error))?;
            checkpoint = after(&checkpoint, &intent);
        }
        Err(PipelineExit::Stopped)
    }

    /// The intent of a batch that follows this checkpoint.
    fn intent(&self, checkpoint: &Checkpoint, batch: &mut ExecutedBatch) -> BatchIntent {
        let outcome = &batch.outcome;
        let intent = BatchIntent {
            epoch: checkpoint.epoch,
            batch: outcome.batch,
            deployment: batch.active.deployment,
            time_ms: checkpoint.next_time_ms(clock::now_ms()),
            spans: outcome.topic_spans.clone(),
            quarantined: outcome.quarantined.clone(),
            digests: outcome.digests.clone(),
            counts: outcome.counts.clone(),
            quarantined_groups: outcome.quarantined_groups.clone(),
            times: outcome.times.clone(),
            stages: outcome.stages.clone(),
            finished: outcome.finished,
            marks: std::mem::take(&mut batch.marks),
            retried: batch.retried.take(),
            time_rules: outcome.time_rules,
            refused: BTreeMap::new(),
            retained_records: std::mem::take(&mut batch.retained_records),
        };
        checkpoint
            .check_next(&intent)
            .unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"));
        intent
    }

    /// Every sink has acknowledged `intent`, which changed the state so, but for refused rows.
    pub(super) fn acknowledged(
        &mut self,
        intent: &BatchIntent,
        delta: Arc<Delta>,
        refused: &Refused,
    ) {
        self.status.meter.delivered(intent.batch);
        self.checkpoint = after(&self.checkpoint, intent);
        refused.count_in(&mut self.checkpoint);
        self.unsettled = Some(delta);
    }

    /// Makes the newest checkpoint durable.
    pub(super) fn settle(&mut self) -> Result<(), PipelineExit> {
        if let Some(delta) = &self.unsettled {
            self.write(Some((&self.checkpoint, delta)), None)?;
            self.told();
        }
        Ok(())
    }

    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), PipelineExit> {
        with_room(self.status, || self.store.write(checkpoint, intent))
    }

    /// Monitors are told of a checkpoint only once it is durable.
    fn told(&mut self) {
        if self.unsettled.take().is_some() {
            self.status.settle(&self.checkpoint);
        }
    }
}

/// Writes to the store. While there is no room on its disk the job waits: what is under way is kept,
/// and nothing more is read. A stop leaves it to the next start.
pub(super) fn with_room(
    status: &PipelineStatus,
    mut write: impl FnMut() -> Result<(), StoreError>,
) -> Result<(), PipelineExit> {
    let mut backoff = Backoff::new();
    loop {
        match write() {
            Err(error @ StoreError::Full { .. }) => status.waiting(DATA_FOLDER, &error.to_string()),
            written => {
                status.resumed(DATA_FOLDER);
                return written.map_err(|error| failed(&error));
            }
        }
        if backoff.wait(&status.stop) {
            return Err(PipelineExit::Stopped);
        }
    }
}

/// The checkpoint after one of our own intents.
fn after(checkpoint: &Checkpoint, intent: &BatchIntent) -> Checkpoint {
    checkpoint
        .after(intent)
        .unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"))
}

pub(super) fn failed(error: &StoreError) -> PipelineExit {
    PipelineExit::Failed(error.to_string())
}
