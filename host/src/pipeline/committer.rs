//! Plans, delivers and settles batches, one after the other.

use super::Ended;
use super::board::Board;
use super::deliver::Sinks;
use super::outcome::Outcome;
use crate::checkpoint::{Ledger, Plan, Store, StoreError};
use crate::clock;
use crate::state::Delta;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// What the committer works with.
pub(super) struct Committer<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) sinks: Sinks,
    pub(super) board: &'a Board,
    /// The newest checkpoint; durable unless something stands in `unsettled`.
    pub(super) ledger: Ledger,
    /// All sinks hold the ledger's batch, and the next write makes it durable with these changes of the state: together
    /// with the next plan, if that is at hand.
    pub(super) unsettled: Option<Arc<Delta>>,
}

impl Committer<'_> {
    /// Takes batches until the runner has no more. `queued` counts those that wait.
    pub(super) fn run(&mut self, batches: mpsc::Receiver<Outcome>, queued: &AtomicUsize) -> Ended {
        let mut next = batches.recv().ok();
        while let Some(outcome) = next.take() {
            queued.fetch_sub(1, Ordering::SeqCst);
            if let Err(end) = self.commit(outcome) {
                return end;
            }
            // A batch that waits already shares its plan's write with this checkpoint: one fsync a batch.
            next = batches.try_recv().ok();
            if next.is_none() {
                if let Err(error) = self.settle() {
                    return failed(&error);
                }
                next = batches.recv().ok();
            }
        }
        Ended::Stopped
    }

    fn commit(&mut self, mut outcome: Outcome) -> Result<(), Ended> {
        let plan = Plan {
            incarnation: self.ledger.incarnation,
            batch: outcome.batch,
            deployment: outcome.active.deployment,
            time_ms: self.ledger.next_time_ms(clock::now_ms()),
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
        self.ledger.check_next(&plan).unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"));
        let before = self.unsettled.as_ref().map(|delta| (&self.ledger, delta.as_ref()));
        self.store.write(before, Some(&plan)).map_err(|error| failed(&error))?;
        self.told();
        self.sinks.deliver(&plan, &outcome, &BTreeSet::new(), self.board)?;
        self.acknowledged(&plan, outcome.delta);
        Ok(())
    }

    /// Every sink has acknowledged `plan`, which changed the state so.
    pub(super) fn acknowledged(&mut self, plan: &Plan, delta: Arc<Delta>) {
        self.ledger = self.ledger.after(plan).unwrap_or_else(|broken| panic!("our own batches do not join: {broken}"));
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

pub(super) fn failed(error: &StoreError) -> Ended {
    Ended::Failed(error.to_string())
}
