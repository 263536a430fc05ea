//! A job and its deployments as they are stored.

use crate::job::Share;
use crate::job::settings::{JobLimits, Settings};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a deployment came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentKind {
    /// The user deployed a component.
    Deploy,
    /// The user went back to an older version.
    Rollback,
    /// The host went back, as the version failed over its error budget.
    AutomaticRollback,
    /// Another version runs a part of the records from then on, or another part than before.
    Canary,
}

/// A version that runs a part of a job's records, beside the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRecord {
    /// Its version.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// Its `--set` pairs.
    pub settings: BTreeMap<String, String>,
    /// What it may use, as a deployment's.
    pub limits: JobLimits,
    /// The trusted key that has signed its component.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// Which part.
    pub share: Share,
}

/// One deployment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    /// Rises with every deploy and rollback.
    pub number: u64,
    /// The version that it made active.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How it came about.
    pub kind: DeploymentKind,
    /// Why the host made it by itself, if it did.
    pub reason: Option<String>,
    /// Its `--set` pairs.
    pub settings: BTreeMap<String, String>,
    /// It began the job anew at `start`.
    pub reset: bool,
    /// What older deployments have planned is given up, and its records are planned anew.
    #[serde(default)]
    pub replan: bool,
    /// What the job may use, as resolved from its settings and the host's at that time: a batch
    /// that was planned under it is run again under the same. None in a record of before this was
    /// kept: the host's present ones count.
    #[serde(default)]
    pub limits: Option<JobLimits>,
    /// The trusted key that has signed its component; none where the host asked for no signature.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The job's last durable batch when it took over; 0 if it began the job anew.
    #[serde(default)]
    pub since_batch: u64,
    /// The job was begun from a savepoint with it. What was before it ran elsewhere.
    #[serde(default)]
    pub restored: bool,
    /// Another version runs a part of the records. A batch that names this deployment is split so,
    /// also when it is run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryRecord>,
}

impl DeploymentRecord {
    /// The version that is new with it: a canary, or its own.
    pub fn on_trial(&self) -> u64 {
        self.canary
            .as_ref()
            .map_or(self.version, |canary| canary.version)
    }

    /// The components that it runs.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        let canary = self.canary.as_ref().map(|canary| canary.digest.as_str());
        std::iter::once(self.digest.as_str()).chain(canary)
    }
}

/// While a deployment is new: so many batches, and until a time, whichever is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probation {
    /// The version that the host goes back to if this one proves unfit.
    pub back_to: u64,
    /// Batches that are left.
    pub batches: u64,
    /// Until when it lasts at least, in milliseconds since 1970.
    pub until_ms: i64,
}

/// One job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its name.
    pub name: String,
    /// The user said `pause`.
    pub paused: bool,
    /// Oldest first; the last one is active. Never empty.
    pub deployments: Vec<DeploymentRecord>,
    /// The highest version number that was ever given, so that none is given to two components,
    /// though the history forgets.
    #[serde(default)]
    pub newest_version: u64,
}

impl JobRecord {
    /// The active deployment.
    pub fn active(&self) -> &DeploymentRecord {
        self.deployments.last().expect("a job has a deployment")
    }

    /// The same, to be changed before it is stored.
    pub fn active_mut(&mut self) -> &mut DeploymentRecord {
        self.deployments.last_mut().expect("a job has a deployment")
    }

    /// The newest deployment up to this one that began the job anew.
    pub fn reset_at(&self, number: u64) -> Option<u64> {
        self.deployments
            .iter()
            .rev()
            .find(|d| d.reset && d.number <= number)
            .map(|d| d.number)
    }

    /// The newest deployment up to this one that gave up what was planned.
    pub fn replan_at(&self, number: u64) -> Option<u64> {
        let mut from_newest = self.deployments.iter().rev();
        from_newest
            .find(|d| d.replan && d.number <= number)
            .map(|d| d.number)
    }

    /// The version that this component with these settings has, or would get.
    pub fn version_of(&self, digest: &str, settings: &BTreeMap<String, String>) -> u64 {
        let own = |d: &DeploymentRecord| {
            (d.digest == digest && d.settings == *settings).then_some(d.version)
        };
        let of_canary = |d: &DeploymentRecord| {
            let canary = d.canary.as_ref()?;
            (canary.digest == digest && canary.settings == *settings).then_some(canary.version)
        };
        let mut known = self.deployments.iter();
        let known = known.find_map(|d| own(d).or_else(|| of_canary(d)));
        known.unwrap_or(self.newest() + 1)
    }

    fn newest(&self) -> u64 {
        self.deployments
            .iter()
            .map(|d| {
                d.version
                    .max(d.canary.as_ref().map_or(0, |canary| canary.version))
            })
            .max()
            .unwrap_or(0)
            .max(self.newest_version)
    }

    /// The newest deployment of a version.
    pub fn of_version(&self, version: u64) -> Option<&DeploymentRecord> {
        self.deployments.iter().rev().find(|d| d.version == version)
    }

    /// What a rollback goes back to: while a canary runs, the active version alone; else the newest deployment of another version that stood before the
    /// active version was deployed. What was gone back from does not count, so a rollback never
    /// goes forward, said twice or not.
    pub fn before_active(&self) -> Option<&DeploymentRecord> {
        let active = self.active();
        if active.canary.is_some() {
            return Some(active); // its canary alone goes
        }
        let deployed =
            |d: &DeploymentRecord| d.version == active.version && d.kind == DeploymentKind::Deploy;
        let at = self.deployments.iter().rposition(deployed)?;
        self.deployments[..at]
            .iter()
            .rev()
            .find(|d| d.version != active.version)
    }

    /// Whether the active version would be rolled back by the host now, if it proved unfit: the job
    /// has so many durable batches. None once it is proven, or where there is nothing to go back to.
    pub fn probation(&self, batches: u64, now_ms: i64) -> Option<Probation> {
        let active = self.active();
        // What a savepoint brought was proven where it ran; what was before it was never looked at
        // here.
        if active.kind == DeploymentKind::AutomaticRollback || active.restored {
            return None;
        }
        let back_to = self.before_active()?.version;
        let ran = batches.saturating_sub(active.since_batch);
        // Where its user says how long, its batches do not count.
        let (time, most) = match Settings::probation(&active.settings) {
            Some(time) => (time, 0),
            None => (limits::ROLLBACK_TIME, limits::ROLLBACK_BATCHES_MAX + 1),
        };
        let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let until_ms = active.at_ms.saturating_add(time_ms);
        let batches = most.saturating_sub(ran);
        // A canary is on trial for as long as there is one.
        let lasts = active.canary.is_some() || batches > 0 || now_ms < until_ms && !time.is_zero();
        lasts.then_some(Probation {
            back_to,
            batches,
            until_ms,
        })
    }

    /// Adds a deployment and forgets the oldest beyond the bound, but none that the checkpoint or a
    /// spec needs (`needed`, by number), nor the newest one that began the job anew: a batch or a
    /// reset that is still to come names it.
    pub fn push(&mut self, deployment: DeploymentRecord, needed: &BTreeSet<u64>) {
        self.deployments.push(deployment);
        self.newest_version = self.newest();
        let active = self.active().number;
        let reset = self.reset_at(active);
        let mut over = self.deployments.len().saturating_sub(limits::HISTORY_MAX);
        self.deployments.retain(|d| {
            let stays = over == 0
                || needed.contains(&d.number)
                || Some(d.number) == reset
                || d.number == active;
            over -= usize::from(!stays);
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::deployment;

    fn job(deployments: Vec<DeploymentRecord>) -> JobRecord {
        JobRecord {
            name: "j".into(),
            paused: true,
            deployments,
            newest_version: 0,
        }
    }

    #[test]
    fn versions_are_components_with_their_settings() {
        let mut job = job(vec![deployment(1, 1, "a")]);
        let every: BTreeMap<String, String> = [("every".to_string(), "1s".to_string())].into();
        assert_eq!(job.version_of("a", &BTreeMap::new()), 1);
        assert_eq!(job.version_of("a", &every), 2);
        job.push(deployment(2, 2, "b"), &BTreeSet::new());
        job.push(deployment(3, 1, "a"), &BTreeSet::new());
        assert_eq!(job.of_version(1).map(|d| d.number), Some(3));
        for number in 4..200 {
            job.push(deployment(number, 1, "a"), &BTreeSet::new());
        }
        assert_eq!(job.deployments.len(), limits::HISTORY_MAX);
        assert_eq!(job.active().number, 199);
        assert_eq!(
            job.version_of("c", &every),
            3,
            "the number of a version that is forgotten is not given again"
        );
    }

    #[test]
    fn the_history_keeps_what_is_still_needed() {
        let mut job = job(vec![
            deployment(1, 1, "a"),
            DeploymentRecord {
                reset: true,
                ..deployment(2, 2, "b")
            },
        ]);
        let numbers =
            |job: &JobRecord| job.deployments.iter().map(|d| d.number).collect::<Vec<_>>();
        for number in 3..=300 {
            job.push(deployment(number, number, "c"), &[1, 150].into());
        }
        let kept = numbers(&job);
        assert_eq!(
            (kept.len(), &kept[..4]),
            (limits::HISTORY_MAX, &[1, 2, 150, 204][..]),
            "of a plan, of a reset, of a plan"
        );
        assert_eq!(job.reset_at(300), Some(2));
        job.push(
            DeploymentRecord {
                reset: true,
                ..deployment(301, 1, "a")
            },
            &BTreeSet::new(),
        );
        assert_eq!(
            numbers(&job)[..2],
            [2, 150],
            "the first one is needed no more"
        );
    }

    #[test]
    fn a_version_is_new_for_so_many_batches_and_for_a_time() {
        const MINUTE: i64 = 60_000;
        let new = |kind| {
            let active = DeploymentRecord {
                kind,
                at_ms: MINUTE,
                since_batch: 1000,
                ..deployment(2, 2, "b")
            };
            job(vec![deployment(1, 1, "a"), active])
        };
        let deployed = new(DeploymentKind::Deploy);
        let cases = [
            // batches in all, minutes since the deploy, batches that are left
            (1000, 0, Some(101)),
            (1100, 0, Some(1)),
            // a busy job: the time counts
            (9_000, 1, Some(0)),
            (9_000, 14, Some(0)),
            (9_000, 15, None),
            // a quiet one: its batches do
            (1001, 60 * 24, Some(100)),
            (1101, 60 * 24, None),
            // a clock that was set back proves nothing
            (9_000, -60, Some(0)),
        ];
        for (batches, minutes, left) in cases {
            let probation = deployed.probation(batches, (1 + minutes) * MINUTE);
            assert_eq!(
                probation.map(|p| p.batches),
                left,
                "{batches} batches, {minutes} minutes"
            );
            assert!(probation.is_none_or(|p| (p.back_to, p.until_ms) == (1, 16 * MINUTE)));
        }
        assert_eq!(
            new(DeploymentKind::AutomaticRollback).probation(1000, MINUTE),
            None
        );
        for (said, minutes, left) in [
            ("10m", 9, Some(0)),
            ("10m", 10, None),
            ("0", 0, None),
            ("0", -60, None),
        ] {
            let mut said_so = new(DeploymentKind::Deploy);
            let settings = &mut said_so.active_mut().settings;
            settings.insert("probation".to_owned(), said.to_owned());
            let probation = said_so.probation(1000, (1 + minutes) * MINUTE);
            assert_eq!(probation.map(|p| p.batches), left, "{said}, {minutes}");
        }
        assert_eq!(
            job(vec![deployment(1, 1, "a")]).probation(0, 0),
            None,
            "nothing is before the first"
        );
        let mut restored = new(DeploymentKind::Deploy);
        restored.active_mut().restored = true;
        assert_eq!(restored.probation(1000, MINUTE), None, "it ran elsewhere");
    }

    #[test]
    fn a_rollback_never_goes_forward() {
        use DeploymentKind::{AutomaticRollback, Deploy, Rollback};
        type Case = (&'static [(u64, DeploymentKind)], Option<u64>);
        let cases: [Case; 8] = [
            (&[(1, Deploy)], None),
            (&[(1, Deploy), (2, Deploy)], Some(1)),
            (&[(1, Deploy), (2, Deploy), (1, Rollback)], None),
            (&[(1, Deploy), (2, Deploy), (1, AutomaticRollback)], None),
            (
                &[(1, Deploy), (2, Deploy), (3, Deploy), (2, Rollback)],
                Some(1),
            ),
            (
                &[(1, Deploy), (2, Deploy), (1, Rollback), (2, Rollback)],
                Some(1),
            ),
            (&[(1, Deploy), (2, Deploy), (1, Deploy)], Some(2)),
            (&[(2, Deploy), (1, Rollback)], None), // its own deploy is forgotten
        ];
        for (told, want) in cases {
            let record =
                |(at, &(version, kind)): (usize, &(u64, DeploymentKind))| DeploymentRecord {
                    kind,
                    ..deployment(at as u64 + 1, version, "a")
                };
            let job = job(told.iter().enumerate().map(record).collect());
            assert_eq!(job.before_active().map(|d| d.version), want, "{told:?}");
        }
    }

    #[test]
    fn a_record_of_before_is_still_read() {
        let stored = r#"{"name":"j","paused":false,"deployments":[{"number":1,"version":1,"digest":"a","at_ms":0,
            "kind":"deploy","reason":null,"settings":{},"reset":false}]}"#;
        let read: JobRecord = serde_json::from_str(stored).unwrap();
        assert_eq!(
            read,
            JobRecord {
                paused: false,
                ..job(vec![deployment(1, 1, "a")])
            }
        );
    }
}
