//! A job's record after a change, and what it still needs of before. Nothing is written here.

use crate::api::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::job::settings::JobLimits;
use streamhost_core::job::{CanaryRecord, DeploymentKind, DeploymentRecord, JobRecord};
use streamhost_core::limits;
use streamhost_core::protocol::{BatchIntent, Checkpoint};

/// What a deployment is to be, before it has its number.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) digest: String,
    pub(crate) kind: DeploymentKind,
    pub(crate) reason: Option<String>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) limits: JobLimits,
    pub(crate) reset: bool,
    /// What is planned is given up.
    pub(crate) replan: bool,
    pub(crate) signed_by: Option<String>,
    /// A version that is to run a part of the records.
    pub(crate) canary: Option<CanaryRecord>,
    /// When it is made.
    pub(crate) at_ms: i64,
}

/// A record under the host's present limits, where it was under others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limits {
    /// The active deployment has them from now on.
    Follow(JobRecord),
    /// A deployment of its own has them, and takes over after what is planned.
    TakeOver(JobRecord),
}

/// Why the host makes a deployment when its limits are others.
pub(super) const LIMITS_CHANGED: &str = "the host's `[limits]` were changed";

/// The job's record with one deployment more. `runs`: its pipeline may be at a batch. `Err`: too
/// many are still needed.
pub(crate) fn next_record(
    name: &str,
    before: Option<&JobRecord>,
    runs: bool,
    draft: Draft,
    (checkpoint, intents): (Option<&Checkpoint>, &[BatchIntent]),
) -> Result<JobRecord, Refusal> {
    let mut record = before.cloned().unwrap_or_else(|| JobRecord {
        name: name.to_owned(),
        paused: false,
        deployments: Vec::new(),
        newest_version: 0,
    });
    let number = record.deployments.last().map_or(1, |last| last.number + 1);
    let version = record.version_of(&draft.digest, &draft.settings);
    let deployment = DeploymentRecord {
        number,
        version,
        digest: draft.digest,
        at_ms: draft.at_ms,
        kind: draft.kind,
        reason: draft.reason,
        settings: draft.settings,
        reset: draft.reset,
        replan: draft.replan,
        limits: Some(draft.limits),
        signed_by: draft.signed_by,
        since_batch: 0, // known once it takes over
        restored: false,
        canary: draft.canary,
    };
    let named = checkpoint.map(|checkpoint| checkpoint.deployment);
    let planned = intents.iter().map(|intent| intent.deployment);
    let needed = needed(&record, runs, named.into_iter().chain(planned).collect());
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
        let numbers = record.deployments.iter().map(|d| d.number);
        named.extend(numbers.filter(|number| *number >= least));
    }
    named
}

/// Where the host's limits are others, the job's follow. A batch that was planned under the old
/// ones is run again under them: then the new ones are a deployment of their own, which takes over
/// after it. None: the record stays as it is.
pub(crate) fn under_limits(
    record: &JobRecord,
    now: JobLimits,
    intents: &[BatchIntent],
    now_ms: i64,
) -> Option<Limits> {
    let (mut record, active) = (record.clone(), record.active().clone());
    if active.limits == Some(now) {
        return None;
    }
    let of_active = |intent: &&BatchIntent| intent.deployment == active.number;
    let mut planned = intents.iter().filter(of_active).peekable();
    // What a record of before limits were kept has planned was under the present ones, as far as is
    // known.
    if active.limits.is_none() || planned.peek().is_none() {
        record.active_mut().limits = Some(now);
        return Some(Limits::Follow(record));
    }
    if planned.any(|intent| intent.finished) {
        return None; // its last batch: with another deployment it would read on
    }
    let named: BTreeSet<u64> = record.deployments.iter().map(|d| d.number).collect();
    let deployment = DeploymentRecord {
        number: active.number + 1,
        limits: Some(now),
        at_ms: now_ms,
        reason: Some(LIMITS_CHANGED.to_owned()),
        reset: false,
        replan: false,
        ..active
    };
    record.push(deployment, &named);
    Some(Limits::TakeOver(record))
}

/// The older deployment that has planned what is to be delivered before `active` begins, if there
/// is one: where the two have other places, it has a pipeline of its own for that.
pub(crate) fn planned_before<'r>(
    record: &'r JobRecord,
    active: u64,
    intents: &[BatchIntent],
) -> Option<&'r DeploymentRecord> {
    let number = intents.first()?.deployment;
    let mut deployments = record.deployments.iter();
    deployments.find(|d| d.number == number && number != active)
}

/// The groups that a job needs: that of its active deployment, and those of deployments that have
/// planned batches. `usual`: the group of a job that is given none.
pub(crate) fn groups_needed(
    record: &JobRecord,
    intents: &[BatchIntent],
    usual: &str,
) -> BTreeSet<String> {
    let is_planned = |number| intents.iter().any(|intent| intent.deployment == number);
    let active = record.active().number;
    let deployments = record.deployments.iter();
    let needed = deployments.filter(|d| d.number == active || is_planned(d.number));
    needed.map(|d| group_of(d, usual)).collect()
}

/// The group of a deployment.
pub(crate) fn group_of(deployment: &DeploymentRecord, usual: &str) -> String {
    let given = deployment.settings.get("group");
    given.map_or_else(|| usual.to_owned(), |group| group.trim().to_owned())
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
