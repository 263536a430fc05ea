//! Watches pipelines that end by themselves, and does what is to be done then.

use super::deploy::check_state;
use super::{Job, Supervisor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use streamhost_core::clock;
use streamhost_core::protocol::CheckpointLog;
use streamhost_engine::pipeline::{DeploymentSlot, PipelineExit};
use tracing::Level;

/// A pipeline has ended.
pub(super) struct End {
    pub(super) job: String,
    pub(super) life: u64,
    pub(super) ended: PipelineExit,
    pub(super) replay_only: bool,
    /// A deployment was given to it that it has not come to run.
    pub(super) overtaken: bool,
}

/// Watches for as long as the supervisor lives. Each end has a thread of its own for what follows
/// it, which may wait for a change of its job that is under way: no other job waits with it.
pub(super) fn spawn(
    supervisor: &Arc<Supervisor>,
    ends: mpsc::Receiver<End>,
) -> std::io::Result<()> {
    let supervisor: Weak<Supervisor> = Arc::downgrade(supervisor);
    let watch = move || {
        std::thread::scope(|scope| {
            while let Ok(end) = ends.recv() {
                let Some(supervisor) = supervisor.upgrade() else {
                    return;
                };
                let (name, end) = (end.job.clone(), Arc::new(Mutex::new(Some(end))));
                let taken = end.clone();
                let follow = move || {
                    let end = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
                    end.into_iter().for_each(|end| supervisor.follow(end));
                };
                if std::thread::Builder::new()
                    .name(name)
                    .spawn_scoped(scope, follow.clone())
                    .is_err()
                {
                    follow(); // no thread to be had: here, and the others wait
                }
            }
        });
    };
    std::thread::Builder::new()
        .name("supervisor".into())
        .spawn(watch)
        .map(|_| ())
}

impl Supervisor {
    /// Does what follows the end of a pipeline; a mistake of ours there stops that job alone.
    fn follow(&self, end: End) {
        let Some(job) = self.job(&end.job) else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| self.after(&job, end))).is_err() {
            let again = format!("`streamhost resume {}` tries again", job.name);
            job.stopped(&format!(
                "the host broke while it started or stopped this job, see its log; {again}"
            ));
        }
    }

    fn after(&self, job: &Arc<Job>, end: End) {
        if job.state().life != end.life {
            return; // somebody stopped it, or started another
        }
        let Ok(_turn) = self.turns.take(&end.job) else {
            return;
        };
        let pipeline = {
            let mut state = job.state();
            if state.life != end.life {
                return; // the same, meanwhile
            }
            state.pipeline.take()
        };
        drop(pipeline.map(|pipeline| pipeline.join()));
        let outcome = match end.ended {
            PipelineExit::Finished | PipelineExit::Failed(_) if end.overtaken => {
                self.run_overtaking(job)
            }
            PipelineExit::Stopped if end.replay_only => self.restart(job, true),
            PipelineExit::Stopped => Ok(()),
            PipelineExit::Finished => {
                job.say(Level::INFO, "finished: every source has ended");
                Ok(())
            }
            PipelineExit::Failed(reason) => Err(reason),
            PipelineExit::VersionFault {
                deployment,
                reason,
                by_policy,
            } => self.unfit(job, deployment, reason, by_policy),
        };
        if let Err(reason) = outcome {
            job.stopped(&reason);
        }
    }

    /// A deployment was made active while the pipeline that should have gone over to it came to its
    /// end: it gets a pipeline of its own.
    fn run_overtaking(&self, job: &Arc<Job>) -> Result<(), String> {
        let record = job.state().record.clone();
        let active = self.activate(job, &record, record.active())?;
        let stored = self.checkpoint_logs.of(&job.name).load();
        let (checkpoint, intents) = stored.map_err(|e| e.to_string())?;
        check_state(&active, checkpoint.as_ref(), &intents).map_err(|e| e.to_string())?;
        job.state().active = Some(DeploymentSlot::new(active.clone()));
        self.start(job, active, &record)
    }

    /// A version proved unfit: the host goes back, if it is new and there was another before it.
    fn unfit(
        &self,
        job: &Arc<Job>,
        deployment: u64,
        reason: String,
        by_policy: bool,
    ) -> Result<(), String> {
        let (record, batches) = {
            let state = job.state();
            (
                state.record.clone(),
                state.pipeline_status.snapshot().batches,
            )
        };
        let active = record.active();
        if active.number != deployment {
            return self.restart(job, true); // another one was deployed meanwhile
        }
        if by_policy {
            return Err(reason);
        }
        let Some(probation) = record.probation(batches, clock::now_ms()) else {
            return Err(format!("version {}: {reason}", active.version));
        };
        let why = format!("version {} was rolled back: {reason}", active.version);
        self.roll_back(&job.name, Some(probation.back_to), Some(why.clone()))
            .map_err(|refusal| {
                format!(
                    "version {}: {reason}; and version {} cannot take over: {refusal}",
                    active.version, probation.back_to
                )
            })?;
        job.say(Level::ERROR, &why);
        job.state().pipeline_status.error(&why);
        Ok(())
    }
}
