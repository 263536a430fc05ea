//! Where a job is, for a replay beside it.

use super::super::deploy::unavailable;
use super::super::{Job, Supervisor};
use crate::api::Refusal;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::types::{Positions, positions};
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::replay::{JobLedger, LedgerReader};

impl Supervisor {
    /// Where a job is now, of what it reads. `Err`: it has read nothing yet.
    pub(super) fn ledger_of(&self, job: &Job) -> Result<JobLedger, Refusal> {
        let active = job.state().active.as_ref().map(|slot| slot.get());
        let active = active.ok_or_else(|| {
            Refusal::Conflict(format!(
                "the component of job `{0}` is not loaded, so it is not known what it reads: `streamhost status {0}` says \
                 why",
                job.name
            ))
        })?;
        let stored = self.checkpoint_logs.of(&job.name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let checkpoint = checkpoint.filter(|found| !active.resets(Some(found)));
        let nothing = || {
            Refusal::Conflict(format!(
                "job `{}` has read nothing yet: there is no history to replay",
                job.name
            ))
        };
        let checkpoint = checkpoint.ok_or_else(nothing)?;
        Ok(ledger(&active, &checkpoint, &intents))
    }

    /// Tells it again and again.
    pub(super) fn ledgers_of(&self, name: &str) -> LedgerReader {
        let (host, name) = (self.me.clone(), name.to_owned());
        Box::new(move || {
            let gone = || "the job is not there any more".to_owned();
            let host = host.upgrade().ok_or_else(gone)?;
            let job = host.job(&name).ok_or_else(gone)?;
            host.ledger_of(&job).map_err(|refusal| refusal.to_string())
        })
    }
}

fn ledger(
    active: &LoadedDeployment,
    checkpoint: &Checkpoint,
    intents: &[BatchIntent],
) -> JobLedger {
    let topics = active.topics();
    let committed = positions(&topics, &checkpoint.committed);
    let mut planned: Positions = committed.clone();
    for intent in intents {
        planned.extend(positions(&topics, &intent.ends()));
    }
    let last = intents.last();
    JobLedger {
        epoch: checkpoint.epoch,
        deployment: last.map_or(checkpoint.deployment, |intent| intent.deployment),
        committed,
        planned,
        time_ms: checkpoint.time_ms,
        planned_ms: intents.first().map(|intent| intent.time_ms),
        watermark_ms: last.map_or(checkpoint.times.watermark_ms, |intent| {
            intent.times.watermark_ms
        }),
    }
}
