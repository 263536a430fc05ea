//! Plans, delivers and settles batches, one after the other.

use super::Ended;
use super::board::{Board, Stop};
use super::deliver::Sinks;
use super::outcome::Outcome;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use streamhost_core::protocol::{CheckpointLog, Ledger, Plan};
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
        drop(self.taken.wait_timeout_while(self.lock(), most, full).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Batches between the one that is run and the one in the sinks.
pub(super) const QUEUE_MAX: usize = limits::BATCHES_IN_FLIGHT_MAX - 2;

/// What the committer works with.
pub(super) struct Committer<'a> {
    pub(super) store: &'a dyn CheckpointLog,
    pub(super) sinks: Sinks,
    pub(super) board: &'a Board,
    /// The newest checkpoint; durable unless something stands in `unsettled`.
    pub(super) ledger: Ledger,
    /// All sinks hold the ledger's batch, and the next write makes it durable with these changes of the state: together
    /// with the next plan, if that is at hand.
    pub(super) unsettled: Option<Arc<Delta>>,
    /// Some records cannot be read again: a batch that has them is planned even if a stop comes.
    pub(super) keeps: bool,
}

impl Committer<'_> {
    /// Takes batches until the runner has no more. `Ok`: all of them are delivered and durable.
    pub(super) fn run(&mut self, batches: &mpsc::Receiver<Outcome>, queue: &Queue) -> Result<(), Ended> {
        let mut next = batches.recv().ok();
        while let Some(mut outcome) = next.take() {
            queue.takes();
            if self.board.stopping() >= Some(Stop::Soon) && !self.keeps {
                self.settle().map_err(|error| failed(&error))?;
                return Err(Ended::Stopped); // it is not planned, and read again later
            }
            let plan = self.plan(&self.ledger, &mut outcome);
            let before = self.unsettled.as_ref().map(|delta| (&self.ledger, delta.as_ref()));
            self.store.write(before, Some(&plan)).map_err(|error| failed(&error))?;
            self.told();
            match self.sinks.deliver(&plan, &outcome, &BTreeSet::new(), self.board) {
                Ok(()) => self.acknowledged(&plan, outcome.delta),
                Err(Ended::Stopped) if self.keeps => return self.plan_rest(&plan, batches, queue),
                Err(end) => return Err(end),
            }
            // A batch that comes soon shares its plan's write with this checkpoint: one sync a batch.
            next = batches.recv_timeout(limits::CHECKPOINT_WAIT).ok();
            if next.is_none() {
                self.settle().map_err(|error| failed(&error))?;
                next = batches.recv().ok();
            }
        }
        Ok(())
    }

    /// A stop came while sinks are away. What is behind the planned batch cannot be read again, so it is planned as well,
    /// and the next start delivers it. The runner has stopped, or does so now.
    fn plan_rest(&self, planned: &Plan, batches: &mpsc::Receiver<Outcome>, queue: &Queue) -> Result<(), Ended> {
        let mut ledger = after(&self.ledger, planned);
        while let Ok(mut outcome) = batches.recv() {
            queue.takes();
            let plan = self.plan(&ledger, &mut outcome);
            self.store.write(None, Some(&plan)).map_err(|error| failed(&error))?;
            ledger = after(&ledger, &plan);
        }
        Err(Ended::Stopped)
    }

    /// The plan of a batch that follows this ledger.
    fn plan(&self, ledger: &Ledger, outcome: &mut Outcome) -> Plan {
        let plan = Plan {
            incarnation: ledger.incarnation,
            batch: outcome.batch,
            deployment: outcome.active.deployment,
            time_ms: ledger.next_time_ms(clock::now_ms()),
            spans: outcome.topic_spans.clone(),
            set_aside: outcome.set_aside.clone(),
            digests: outcome.digests.clone(),
            counts: outcome.counts.clone(),
            groups_aside: outcome.groups_aside.clone(),
            times: outcome.times.clone(),
            stages: outcome.stages.clone(),
            finished: outcome.finished,
            kept: std::mem::take(&mut outcome.kept),
        };
        ledger.check_next(&plan).unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"));
        plan
    }

    /// Every sink has acknowledged `plan`, which changed the state so.
    pub(super) fn acknowledged(&mut self, plan: &Plan, delta: Arc<Delta>) {
        self.ledger = after(&self.ledger, plan);
        self.unsettled = Some(delta);
    }

    /// Makes the newest checkpoint durable.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        if let Some(delta) = &self.unsettled {
            self.store.write(Some((&self.ledger, delta)), None)?;
            self.told();
        }
        Ok(())
    }

    /// Monitors are told of a checkpoint only once it is durable.
    fn told(&mut self) {
        if self.unsettled.take().is_some() {
            self.board.settle(&self.ledger);
        }
    }
}

/// The ledger after one of our own plans.
fn after(ledger: &Ledger, plan: &Plan) -> Ledger {
    ledger.after(plan).unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"))
}

pub(super) fn failed(error: &StoreError) -> Ended {
    Ended::Failed(error.to_string())
}
