//! What a deployment is to be: its settings, and the job's record with it. Nothing is written here.

use super::Job;
use super::machine::{Draft, next_record};
use crate::api::{CanaryDeployed, DeployRequest, Deployed, Refusal};
use std::collections::BTreeMap;
use streamhost_core::clock;
use streamhost_core::job::settings::JobLimits;
use streamhost_core::job::{DeploymentKind, JobRecord};
use streamhost_core::protocol::{BatchIntent, Checkpoint};

/// Settings as `--set` gives them.
pub(super) type Set = BTreeMap<String, String>;

/// What a deploy asks for. `anew`: the job was undeployed, and the state that it kept with it.
pub(super) fn draft_of(
    digest: String,
    request: &DeployRequest,
    (settings, limits): (&Set, JobLimits),
    anew: bool,
) -> Draft {
    Draft {
        digest,
        kind: DeploymentKind::Deploy,
        reason: None,
        settings: settings.clone(),
        limits,
        reset: request.reset_state || anew,
        replan: request.replan,
        signed_by: None,
        canary: None,
        at_ms: clock::now_ms(),
    }
}

/// `Some`: just this is active already, and nothing is wrong with it.
pub(super) fn unchanged(job: &Job, draft: &Draft) -> Option<Deployed> {
    let state = job.state();
    let active = state.record.active();
    let same = active.digest == draft.digest
        && active.settings == draft.settings
        && active.canary == draft.canary;
    (same && !draft.reset && !draft.replan && state.failed.is_none())
        .then(|| deployed(&state.record, false))
}

pub(super) fn deployed(record: &JobRecord, changed: bool) -> Deployed {
    let active = record.active();
    Deployed {
        job: record.name.clone(),
        version: active.version,
        digest: active.digest.clone(),
        deployment: active.number,
        changed,
        paused: record.paused,
        canary: active.canary.as_ref().map(CanaryDeployed::of),
        ..Deployed::default()
    }
}

/// Settings of before that stay, though they are not given again.
pub(super) fn kept(request: &DeployRequest, set: &Set) -> Set {
    let kept = set
        .iter()
        .filter(|(key, _)| !request.settings.contains_key(*key));
    kept.map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// A reason for which a job is refused. What stayed may be at fault, and its user did not say it.
pub(super) fn with_kept(reason: String, kept: &Set) -> String {
    if kept.is_empty() {
        return reason;
    }
    let kept: Vec<_> = kept
        .iter()
        .map(|(key, value)| format!("`{key}={value}`"))
        .collect();
    format!(
        "{reason}; of before stay {}: `--set KEY=` takes one back, `--reset-settings` all",
        kept.join(", ")
    )
}

/// Whether its user says where the job is to begin. What stayed of before says it no more once the
/// job has begun.
pub(super) fn starts(request: &DeployRequest, set: &Set, checkpoint: Option<&Checkpoint>) -> bool {
    match checkpoint {
        Some(_) => request.settings.contains_key("start"),
        None => set.contains_key("start"),
    }
}

/// The job's record with one deployment more. `Err`: too many are still needed.
pub(super) fn next_record_of(
    name: &str,
    job: Option<&Job>,
    draft: Draft,
    stored: (Option<&Checkpoint>, &[BatchIntent]),
) -> Result<JobRecord, Refusal> {
    let state = job.map(Job::state);
    let before = state.as_ref().map(|state| &state.record);
    let runs = state.as_ref().is_some_and(|state| state.runs());
    next_record(name, before, runs, draft, stored)
}
