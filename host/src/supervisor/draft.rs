//! What a deployment is to be: its settings, and the job's record with it. Nothing is written here.

use super::Job;
use crate::api::{DeployRequest, Deployed, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::job::settings::JobLimits;
use streamhost_core::job::{DeploymentKind, DeploymentRecord, JobRecord};
use streamhost_core::protocol::{BatchIntent, Checkpoint};
use streamhost_core::{clock, limits};

/// Settings as `--set` gives them.
pub(super) type Set = BTreeMap<String, String>;

/// What a deployment is to be, before it has its number.
pub(super) struct Draft {
    pub(super) digest: String,
    pub(super) kind: DeploymentKind,
    pub(super) reason: Option<String>,
    pub(super) settings: Set,
    pub(super) limits: JobLimits,
    pub(super) reset: bool,
    /// What is planned is given up.
    pub(super) replan: bool,
}

impl Draft {
    /// What a deploy asks for. `anew`: the job was undeployed, and the state that it kept with it.
    pub(super) fn of(
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
        }
    }
}

/// `Some`: just this is active already, and nothing is wrong with it.
pub(super) fn unchanged(job: &Job, draft: &Draft) -> Option<Deployed> {
    let state = job.state();
    let active = state.record.active();
    let same = active.digest == draft.digest && active.settings == draft.settings;
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
pub(super) fn next_record(
    name: &str,
    job: Option<&Job>,
    draft: Draft,
    checkpoint: Option<&Checkpoint>,
    intents: &[BatchIntent],
) -> Result<JobRecord, Refusal> {
    let (mut record, runs) = match job.map(Job::state) {
        Some(state) => (state.record.clone(), state.runs()),
        None => {
            let name = name.to_owned();
            (
                JobRecord {
                    name,
                    paused: false,
                    deployments: Vec::new(),
                    newest_version: 0,
                },
                false,
            )
        }
    };
    let number = record.deployments.last().map_or(1, |last| last.number + 1);
    let version = record.version_of(&draft.digest, &draft.settings);
    let deployment = DeploymentRecord {
        number,
        version,
        digest: draft.digest,
        at_ms: clock::now_ms(),
        kind: draft.kind,
        reason: draft.reason,
        settings: draft.settings,
        reset: draft.reset,
        replan: draft.replan,
        limits: Some(draft.limits),
        since_batch: 0, // known once it takes over
    };
    let named = checkpoint
        .map(|checkpoint| checkpoint.deployment)
        .into_iter()
        .chain(intents.iter().map(|intent| intent.deployment));
    let needed = needed(&record, runs, named.collect());
    record.push(deployment, &needed);
    if record.deployments.len() > limits::HISTORY_NEEDED_MAX {
        return Err(Refusal::Unavailable(format!(
            "batches of `{name}` are under way since {} deployments: `streamhost status {name}` says what it waits for",
            limits::HISTORY_NEEDED_MAX
        )));
    }
    Ok(record)
}

/// The deployments that the checkpoint or an intent names, and while the job runs all that a batch
/// may name that is cut and not planned yet: deployment numbers never fall.
fn needed(record: &JobRecord, runs: bool, mut named: BTreeSet<u64>) -> BTreeSet<u64> {
    if runs && let Some(&least) = named.first() {
        named.extend(
            record
                .deployments
                .iter()
                .map(|d| d.number)
                .filter(|number| *number >= least),
        );
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::testing::deployment;

    #[test]
    fn what_batches_may_still_name_is_needed() {
        let deployments = (1..=5).map(|number| deployment(number, 1, "a")).collect();
        let record = JobRecord {
            name: "j".into(),
            paused: false,
            deployments,
            newest_version: 0,
        };
        let cases: [(bool, &[u64], &[u64]); 4] = [
            (false, &[], &[]),
            (true, &[], &[]),
            (false, &[2, 4], &[2, 4]),
            (true, &[2, 4], &[2, 3, 4, 5]),
        ];
        for (runs, named, want) in cases {
            let needed: Vec<u64> = needed(&record, runs, named.iter().copied().collect())
                .into_iter()
                .collect();
            assert_eq!(needed, want, "{runs} {named:?}");
        }
    }
}
