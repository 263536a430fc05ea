//! What batches come to, by the budgets of the version that ran them.

use super::{Measured, OpenBatch, PipelineMeter};
use crate::guest::SideFigures;
use crate::pipeline::LoadedDeployment;
use std::time::{Duration, Instant};
use streamhost_core::clock;
use streamhost_core::job::budget::watch::{BudgetChange, BudgetUse, BudgetWatch, Sums, Watched};
use streamhost_core::protocol::Counters;

/// What a meter holds against budgets.
#[derive(Default)]
pub(super) struct Budgeted {
    watch: BudgetWatch,
    /// What the watch's times are counted from.
    began: Option<Instant>,
    /// The job's time of a processor that was told already.
    cpu: Duration,
    /// The deployment of the newest batch, and when that was gathered first.
    took_over: (u64, i64),
}

impl Budgeted {
    fn now_ms(&self) -> i64 {
        let ran = self.began.map(clock::since).unwrap_or_default();
        i64::try_from(ran.as_millis()).unwrap_or(i64::MAX)
    }

    /// A batch of this deployment was closed that was gathered from then on. Since when the
    /// deployment has had records.
    pub(super) fn closed(&mut self, deployment: u64, began_ms: i64) -> i64 {
        if self.took_over.0 != deployment {
            self.took_over = (deployment, began_ms);
        }
        self.took_over.1
    }
}

/// Whose a batch is.
pub(super) fn watched(active: &LoadedDeployment) -> Watched {
    Watched {
        deployment: active.deployment,
        // A canary is what is on trial.
        budgets: match &active.canary {
            Some(canary) => canary.settings.budgets,
            None => active.settings.budgets,
        },
    }
}

impl OpenBatch {
    /// A record that stands for so many has this time, and all sinks have it now. It is as old as it
    /// is to its version: what waited before that took over is not its fault.
    pub(super) fn aged(&mut self, time_ms: i64, now_ms: i64, stands_for: u64) {
        let Some(most) = self.watched.budgets.latency_max() else {
            return;
        };
        let age_ms = now_ms.saturating_sub(time_ms.max(self.since_ms));
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        self.sums.aged += stands_for;
        self.sums.late += if age > most { stands_for } else { 0 };
    }
}

impl Measured {
    /// Counts what both versions did for a durable batch.
    pub(super) fn add_sides(&mut self, open: &OpenBatch) {
        let Some(more) = open.sides else { return };
        let (deployment, sides) = &mut self.sides;
        if *deployment != open.watched.deployment {
            (*deployment, *sides) = (open.watched.deployment, Default::default());
        }
        for (side, more) in sides.iter_mut().zip(more) {
            side.add(more);
        }
    }

    /// A batch is durable. `job`: what the whole job has by now.
    pub(super) fn judge(&mut self, open: &OpenBatch, job: &Counters) -> Vec<BudgetChange> {
        let cpu = self.totals.cpu;
        // Of a canary what it ran and failed on itself counts, whatever part that is of the batch.
        let (records, letters) = match &open.sides {
            Some([_, canary]) => (canary.counts.records, canary.counts.failed),
            None => (open.trace.records, open.trace.dead_letters),
        };
        let sums = Sums {
            records,
            letters,
            cpu: cpu.saturating_sub(self.budgeted.cpu),
            ..open.sums
        };
        let budgeted = &mut self.budgeted;
        budgeted.cpu = cpu;
        budgeted.began.get_or_insert_with(clock::monotonic);
        let (at_ms, all) = (budgeted.now_ms(), (job.records_in, job.dead_letters));
        budgeted.watch.take(open.watched, at_ms, sums, all)
    }
}

impl PipelineMeter {
    /// What the active version and the canary of this deployment did so far, in durable batches;
    /// none: nothing yet.
    pub fn sides(&self, deployment: u64) -> Option<[SideFigures; 2]> {
        let measured = self.lock();
        let (of, sides) = measured.sides;
        (of == deployment).then_some(sides)
    }

    /// What a deployment has of its budgets now.
    pub fn budget_uses(&self, active: &LoadedDeployment) -> Vec<BudgetUse> {
        let measured = self.lock();
        let budgeted = &measured.budgeted;
        budgeted.watch.uses(watched(active), budgeted.now_ms())
    }
}
