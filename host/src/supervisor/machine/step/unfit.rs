//! A version that breaks the contract, or goes over one of its budgets: the host goes back to the
//! version before while it is new, and later the job stops, or goes on as its user said.

use super::super::{Action, Awaited, Change, Over, Told, Unfit};
use super::Next;
use crate::alerts::AlertKind;
use crate::api::Refusal;
use streamhost_core::job::budget::Beyond;
use streamhost_engine::pipeline::Stop;
use tracing::Level;

impl Next {
    /// A version proved unfit: the host goes back, if it is new and there was another before it.
    pub(super) fn unfit(
        &mut self,
        deployment: u64,
        reason: String,
        by_policy: bool,
        (batches, now_ms): (u64, i64),
    ) {
        let record = self.record();
        let active = record.active();
        if active.number != deployment {
            // Another one was deployed meanwhile.
            return self.load(Change::Restart { overtaken: false });
        }
        // Where a canary runs it may be the canary that failed.
        if by_policy && active.canary.is_none() {
            return self.stopped(&reason);
        }
        let version = active.on_trial();
        let Some(probation) = record.probation(batches, now_ms) else {
            return self.stopped(&format!("version {version}: {reason}"));
        };
        let unfit = Unfit {
            version,
            reason,
            back_to: probation.back_to,
            beyond: Beyond::Stop, // it runs no more
        };
        self.go(Change::WouldGoBack(unfit), Awaited::Prepared);
    }

    /// The version that runs went over a budget.
    pub(super) fn over_budget(&mut self, Over { over, at }: Over) {
        let Some(record) = self.control.record() else {
            return; // it was undeployed meanwhile
        };
        let active = record.active();
        let is_it = active.number == over.deployment;
        if !is_it || !self.control.runs() || self.control.is_closed {
            return; // it runs no more, or not for long
        }
        let (version, reason) = (active.on_trial(), over.reason);
        match record.probation(at.0, at.1) {
            Some(probation) if !over.as_before => {
                let unfit = Unfit {
                    version,
                    reason,
                    back_to: probation.back_to,
                    beyond: over.beyond,
                };
                self.go(Change::WouldGoBack(unfit), Awaited::Prepared);
            }
            // It is for versions on probation.
            None if over.is_usual => {}
            Some(_) => {
                let before = "and the version before it was so too";
                self.beyond(
                    over.beyond,
                    format!("version {version}: {reason}, {before}"),
                );
            }
            None => self.beyond(over.beyond, format!("version {version}: {reason}")),
        }
    }

    /// A version is over its budget, and is not rolled back.
    fn beyond(&mut self, beyond: Beyond, why: String) {
        match beyond {
            Beyond::GoOn => {
                self.say(Level::WARN, &format!("goes on: {why}"));
                self.alert(AlertKind::OverBudget, why);
            }
            Beyond::Stop => self.stop(Change::StopOver(why), Stop::Soon),
        }
    }

    /// It was stopped, as its version is over its budget.
    pub(super) fn stopped_over(&mut self, why: String) {
        self.stopped(&why);
        self.alert(AlertKind::Stopped, why);
    }

    /// The version before runs again.
    pub(super) fn rolled_back(&mut self, unfit: &Unfit) {
        let why = unfit.why();
        self.say(Level::ERROR, &why);
        self.actions.push(Action::NoteError(why.clone()));
        self.actions.push(Action::Alert(Told {
            what: AlertKind::RolledBack,
            reason: why,
            version: unfit.version,
            back_to: Some(unfit.back_to),
        }));
    }

    /// About the version that is active.
    fn alert(&mut self, what: AlertKind, reason: String) {
        let version = self.record().active().version;
        self.actions.push(Action::Alert(Told {
            what,
            reason,
            version,
            back_to: None,
        }));
    }

    pub(super) fn cannot_go_back(&mut self, unfit: &Unfit, why: &Refusal) {
        let Unfit {
            version,
            reason,
            back_to,
            beyond,
        } = unfit;
        let why =
            format!("version {version}: {reason}; and version {back_to} cannot take over: {why}");
        match self.control.runs() {
            true => self.beyond(*beyond, why),
            false => self.stopped(&why),
        }
    }
}

impl Unfit {
    /// Why the host went back.
    pub(super) fn why(&self) -> String {
        let Unfit {
            version, reason, ..
        } = self;
        format!("version {version} was rolled back: {reason}")
    }
}
