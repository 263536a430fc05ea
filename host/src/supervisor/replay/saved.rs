//! The savepoint that a replay begins from.

use super::super::Job;
use super::super::deploy::unavailable;
use super::super::restore::saved::Saved;
use super::versions::{Ready, Versions};
use crate::api::{Refusal, ReplaySavepointView};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::validate::in_words;
use streamhost_core::job::{DeploymentRecord, JobRecord};
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::state::StateStore;
use streamhost_core::state::change::stages_after;
use streamhost_core::types::{Positions, positions};
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_storage::scratch::Scratch;

/// A version's own store, and the checkpoint whose state is in it.
type Begun = (Arc<dyn CheckpointLog>, Option<Checkpoint>);

/// A savepoint must be of this job's history. What should be known of one that may not be.
pub(super) fn is_of(saved: &Saved, job: &Job) -> Result<Option<String>, Refusal> {
    let record = job.state().record.clone();
    let warning = lineage(&saved.record, &record).map_err(Refusal::Invalid)?;
    let reset = record.reset_at(record.active().number);
    match reset {
        // Numbers of another life say nothing.
        Some(reset) if warning.is_none() && saved.checkpoint.deployment < reset => {
            Err(Refusal::Conflict(format!(
                "job `{}` was begun anew by --reset-state after this savepoint was taken, so its state has nothing of it: \
                 replay it without --state, from its beginning",
                job.name
            )))
        }
        _ => Ok(warning),
    }
}

/// A job that was begun from a savepoint has its deployments, under whatever name.
fn lineage(saved: &JobRecord, job: &JobRecord) -> Result<Option<String>, String> {
    let is = |one: &DeploymentRecord, other: &DeploymentRecord| {
        (one.number, one.at_ms, &one.digest) == (other.number, other.at_ms, &other.digest)
    };
    let of_job = |one: &DeploymentRecord| job.deployments.iter().any(|other| is(one, other));
    match () {
        () if saved.deployments.iter().any(of_job) => Ok(None),
        () if saved.name == job.name => Ok(Some(format!(
            "the savepoint is of a job `{}` that was undeployed since: its state is taken for that of this one at the same \
             offsets",
            saved.name
        ))),
        () => Err(format!(
            "the savepoint is of job `{}`, and `{}` did not begin from it: name a savepoint of the job that is replayed",
            saved.name, job.name
        )),
    }
}

/// Both versions must be able to go on from its state, as in a deploy.
pub(super) fn fits(saved: &Saved, versions: &Versions) -> Result<(), Refusal> {
    let checkpoint = &saved.checkpoint;
    for Ready {
        loaded, version, ..
    } in std::iter::once(&versions.own).chain(&versions.active)
    {
        let topics = loaded.topics();
        let mut read = checkpoint.committed.keys();
        if let Some(other) = read.find(|topic| !topics.contains(topic)) {
            return Err(Refusal::Invalid(format!(
                "the savepoint has read `{other}`, and the job does not read it: what is in its state of those records \
                 cannot be told apart"
            )));
        }
        let changes = stages_after(&checkpoint.stages, &loaded.spec, checkpoint.epoch);
        changes.map_err(|refusals| {
            Refusal::Conflict(format!(
                "version {version} cannot begin with the state of the savepoint, no more than in a deploy: {}",
                in_words(&refusals)
            ))
        })?;
    }
    Ok(())
}

/// A topic that was made anew since has other records at the same offsets.
pub(super) fn same_topics(saved: &Saved, now: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut before = saved.checkpoint.topic_ids.iter();
    let anew = before.find(|(topic, id)| now.get(*topic).is_some_and(|now| now != *id));
    match anew {
        None => Ok(()),
        Some((topic, _)) => Err(Refusal::Conflict(format!(
            "topic `{topic}` is another one than that of the savepoint: it was made anew since, and the records that follow \
             the savepoint are gone"
        ))),
    }
}

/// Where it goes on.
pub(super) fn at(saved: &Saved, version: &LoadedDeployment) -> Positions {
    positions(&version.topics(), &saved.checkpoint.committed)
}

pub(super) fn view(saved: &Saved) -> ReplaySavepointView {
    ReplaySavepointView {
        batch: saved.checkpoint.batch,
        taken: clock::rfc3339(saved.taken_ms),
    }
}

/// What a version keeps in a replay's store, from a savepoint's state on, if there is one.
pub(super) fn begun_in(
    scratch: &Scratch,
    version: &str,
    saved: Option<&Saved>,
) -> Result<Begun, Refusal> {
    let log = scratch.log(version);
    let Some(saved) = saved else {
        return Ok((Arc::new(log), None));
    };
    saved.state(|stage, entries| log.prepare(stage, entries))?;
    let bytes = scratch.bytes().map_err(|e| unavailable(&e))?;
    match bytes > limits::REPLAY_DISK_BYTES_MAX {
        true => Err(Refusal::Invalid(format!(
            "the state of the savepoint takes {bytes} bytes on the disk, and a replay may take {}",
            limits::REPLAY_DISK_BYTES_MAX
        ))),
        false => Ok((Arc::new(log), Some(saved.checkpoint.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::testing::deployment;

    #[test]
    fn a_savepoint_is_of_the_job_that_it_was_taken_of_or_that_began_from_it() {
        let record = |name: &str, numbers: &[u64]| JobRecord {
            name: name.to_owned(),
            paused: false,
            deployments: numbers.iter().map(|n| deployment(*n, 1, "x")).collect(),
            newest_version: 1,
        };
        let saved = record("a", &[3, 4]);
        let cases = [
            (record("a", &[3, 4, 5]), Ok(None)),
            (record("b", &[4, 5]), Ok(None)), // begun from it, and its first deployment is forgotten
            (record("a", &[9]), Ok(Some("undeployed since"))),
            (
                record("b", &[9]),
                Err("is of job `a`, and `b` did not begin"),
            ),
        ];
        for (job, want) in cases {
            let found = lineage(&saved, &job);
            match (&found, want) {
                (Ok(None), Ok(None)) => {}
                (Ok(Some(words)), Ok(Some(want))) | (Err(words), Err(want)) => {
                    assert!(words.contains(want), "{words}");
                }
                _ => panic!("{job:?}: {found:?}"),
            }
        }
    }
}
