//! Jobs that were undeployed: what they were and said is still to be seen.

use super::joblog::JobLog;
use super::{Job, Supervisor};
use crate::api::{CanaryDeployed, Deployment, LogLine, Refusal};
use streamhost_core::clock;
use streamhost_core::job::JobRecord;
use streamhost_storage::catalog::{GoneJob, Undeployed};
use tracing::Level;

impl Supervisor {
    /// Takes a job from the set, and remembers what it was. Whoever calls may change the set.
    pub(super) fn remember(&self, job: &Job, ran: bool) -> Result<(), String> {
        let gone = {
            let state = job.state();
            // What stands in for a record that cannot be read is none.
            (!state.unreadable).then(|| GoneJob {
                at_ms: clock::now_ms(),
                record: state.record.clone(),
                ran,
            })
        };
        let removed = self.catalog.remove(&job.name, gone.as_ref());
        removed.map_err(|e| e.to_string())?;
        job.shadows.end("its job was undeployed");
        job.replays.end("its job was undeployed");
        job.say(Level::INFO, "undeployed");
        self.jobs().remove(&job.name);
        Ok(())
    }

    /// A job that was undeployed, as far as it is remembered.
    pub(super) fn gone(&self, name: &str) -> Option<GoneJob> {
        let gone = self.catalog.gone(name);
        gone.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        })
    }

    pub(super) fn history_of_gone(&self, name: &str) -> Result<Vec<Deployment>, Refusal> {
        match self.gone(name) {
            Some(gone) => Ok(self.history_of(&gone.record, Some(gone.at_ms))),
            None => Err(self.unknown(name)),
        }
    }

    pub(super) fn logs_of_gone(&self, name: &str, after: u64) -> Result<Vec<LogLine>, Refusal> {
        // Only a name that was a job's is one of a file.
        let known = self.catalog.undeployed(name);
        if !known.is_ok_and(|known| known != Undeployed::Never) {
            return Err(self.unknown(name));
        }
        Ok(JobLog::open(&self.logs, name, 0).after(after))
    }

    /// A job's deployments, newest first.
    pub(super) fn history_of(&self, record: &JobRecord, gone_ms: Option<i64>) -> Vec<Deployment> {
        let active = gone_ms.is_none().then(|| record.active().number);
        let shown = record.deployments.iter().rev().map(|d| Deployment {
            number: d.number,
            version: d.version,
            digest: d.digest.clone(),
            at: clock::rfc3339(d.at_ms),
            kind: d.kind,
            reason: d.reason.clone(),
            settings: d.settings.clone(),
            active: active == Some(d.number),
            reset: d.reset,
            replan: d.replan,
            undeployed_at: gone_ms.map(clock::rfc3339),
            component_bytes: self.catalog.component_bytes(&d.digest),
            sdk: None,
            signed_by: d.signed_by.clone(),
            canary: d.canary.as_ref().map(CanaryDeployed::of),
        });
        shown.collect()
    }
}
