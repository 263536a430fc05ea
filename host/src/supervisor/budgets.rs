//! What `status` shows of a version's budgets, and what a webhook is told.

use super::machine::Told;
use super::{State, Supervisor};
use crate::alerts::Alert;
use crate::api::BudgetStatus;
use streamhost_core::clock;
use streamhost_engine::pipeline::LoadedDeployment;

/// The budgets that hold now, and in words which of them the version is over. The usual one is for
/// versions on probation.
pub(super) fn budgets_of(
    state: &State,
    loaded: Option<&LoadedDeployment>,
    on_probation: bool,
) -> (Vec<BudgetStatus>, Option<String>) {
    let uses = loaded.map(|loaded| state.pipeline_status.meter.budget_uses(loaded));
    let uses = uses.into_iter().flatten();
    let budgets: Vec<_> = uses
        .filter(|used| on_probation || !used.is_usual)
        .map(|used| BudgetStatus {
            budget: used.budget.to_owned(),
            most: used.most,
            usual: used.is_usual,
            used: used.used,
            over: used.is_over,
        })
        .collect();
    let over = budgets.iter().find(|budget| budget.over);
    let over = over.map(|over| format!("{} `{}`: {}", over.budget, over.most, over.used));
    (budgets, over)
}

impl Supervisor {
    /// Tells the webhook, if the configuration names one.
    pub(super) fn alert(&self, job: &str, told: Told) {
        let Some(alerts) = &self.environment.alerts else {
            return;
        };
        let Told {
            what,
            reason,
            version,
            back_to,
        } = told;
        alerts.send(Alert {
            job: job.to_owned(),
            what,
            reason,
            version,
            back_to,
            at: clock::rfc3339(clock::now_ms()),
        });
    }
}
