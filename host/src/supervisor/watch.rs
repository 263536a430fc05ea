//! Watches pipelines that end by themselves, and does what is to be done then.

use super::Supervisor;
use crate::job::status::DeploymentKind;
use crate::limits;
use crate::pipeline::Ended;
use std::sync::{Arc, Weak, mpsc};
use tracing::Level;

/// A pipeline has ended.
pub(super) struct End {
    pub(super) job: String,
    pub(super) life: u64,
    pub(super) ended: Ended,
    pub(super) replay_only: bool,
}

/// Watches for as long as the supervisor lives.
pub(super) fn spawn(supervisor: &Arc<Supervisor>, ends: mpsc::Receiver<End>) -> std::io::Result<()> {
    let supervisor: Weak<Supervisor> = Arc::downgrade(supervisor);
    let watch = move || {
        while let Ok(end) = ends.recv() {
            let Some(supervisor) = supervisor.upgrade() else { return };
            supervisor.after(end);
        }
    };
    std::thread::Builder::new().name("supervisor".into()).spawn(watch).map(|_| ())
}

impl Supervisor {
    fn after(&self, end: End) {
        let _changes = self.change();
        let Some(job) = self.job(&end.job) else { return };
        let pipeline = {
            let mut state = job.state();
            if state.life != end.life {
                return; // somebody stopped it, or started another
            }
            state.pipeline.take()
        };
        drop(pipeline.map(|pipeline| pipeline.join()));
        let outcome = match end.ended {
            Ended::Stopped if end.replay_only => self.restart(&job, true),
            Ended::Stopped => Ok(()),
            Ended::Finished => {
                job.say(Level::INFO, "finished: every source has ended");
                Ok(())
            }
            Ended::Failed(reason) => Err(reason),
            Ended::VersionFault { deployment, reason, by_policy } => {
                self.unfit(&end.job, deployment, reason, by_policy)
            }
        };
        if let Err(reason) = outcome {
            job.say(Level::ERROR, &format!("stopped: {reason}"));
            let mut state = job.state();
            state.board.error(&reason);
            state.failed = Some(reason);
            state.skip_lost = false;
        }
    }

    /// A version proved unfit: the host goes back, if it is new and there was another before it.
    fn unfit(&self, name: &str, deployment: u64, reason: String, by_policy: bool) -> Result<(), String> {
        let Some(job) = self.job(name) else { return Ok(()) };
        let (record, ran) = {
            let state = job.state();
            (state.record.clone(), state.board.facts().batches.saturating_sub(state.since_batch))
        };
        let active = record.active();
        if active.number != deployment {
            return self.restart(&job, true); // another one was deployed meanwhile
        }
        if by_policy {
            return Err(reason);
        }
        let is_new = ran <= limits::ROLLBACK_BATCHES_MAX && active.kind != DeploymentKind::AutomaticRollback;
        let Some(before) = record.before_active().filter(|_| is_new) else {
            return Err(format!("version {}: {reason}", active.version));
        };
        let why = format!("version {} was rolled back: {reason}", active.version);
        self.roll_back(name, Some(before.version), Some(why.clone())).map_err(|refusal| {
            format!("version {}: {reason}; and version {} cannot take over: {refusal}", active.version, before.version)
        })?;
        job.say(Level::ERROR, &why);
        job.state().board.error(&why);
        Ok(())
    }
}
