//! Deployed versions by digest, their history, and which one is active. A record is durable before anyone sees it, and
//! the component before its record.

use crate::guest::sha256;
use crate::job::settings::JobLimits;
use crate::job::status::DeploymentKind;
use crate::limits;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    /// What the job may use, as resolved from its settings and the host's at that time: a batch that was planned under
    /// it is run again under the same. None in a record of before this was kept: the host's present ones count.
    #[serde(default)]
    pub limits: Option<JobLimits>,
    /// The job's last durable batch when it took over; 0 if it began the job anew.
    #[serde(default)]
    pub since_batch: u64,
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
    /// The highest version number that was ever given, so that none is given to two components, though the history forgets.
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
        self.deployments.iter().rev().find(|d| d.reset && d.number <= number).map(|d| d.number)
    }

    /// The version that this component with these settings has, or would get.
    pub fn version_of(&self, digest: &str, settings: &BTreeMap<String, String>) -> u64 {
        let same = self.deployments.iter().find(|d| d.digest == digest && d.settings == *settings);
        same.map_or(self.newest() + 1, |same| same.version)
    }

    fn newest(&self) -> u64 {
        self.deployments.iter().map(|d| d.version).max().unwrap_or(0).max(self.newest_version)
    }

    /// The newest deployment of a version.
    pub fn of_version(&self, version: u64) -> Option<&DeploymentRecord> {
        self.deployments.iter().rev().find(|d| d.version == version)
    }

    /// What a rollback goes back to: the newest deployment of another version that stood before the active version was
    /// deployed. What was gone back from does not count, so a rollback never goes forward, said twice or not.
    pub fn before_active(&self) -> Option<&DeploymentRecord> {
        let active = self.active();
        let deployed = |d: &DeploymentRecord| d.version == active.version && d.kind == DeploymentKind::Deploy;
        let at = self.deployments.iter().rposition(deployed)?;
        self.deployments[..at].iter().rev().find(|d| d.version != active.version)
    }

    /// Adds a deployment and forgets the oldest beyond the bound, but none that the ledger or a plan needs (`needed`, by
    /// number), nor the newest one that began the job anew: a batch or a reset that is still to come names it.
    pub fn push(&mut self, deployment: DeploymentRecord, needed: &BTreeSet<u64>) {
        self.newest_version = self.newest().max(deployment.version);
        self.deployments.push(deployment);
        let active = self.active().number;
        let reset = self.reset_at(active);
        let mut over = self.deployments.len().saturating_sub(limits::HISTORY_MAX);
        self.deployments.retain(|d| {
            let stays = over == 0 || needed.contains(&d.number) || Some(d.number) == reset || d.number == active;
            over -= usize::from(!stays);
            stays
        });
    }
}

/// Why the registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The disk, or the store above it.
    #[error("the data folder cannot be written or read: {0}")]
    Io(String),
    /// What stands there is not what was written.
    #[error("the data folder is damaged: {0}")]
    Damaged(String),
}

fn io(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Io(error.to_string())
}

/// All jobs of a host, and their components.
pub struct Registry {
    db: Database,
    jobs: Keyspace,
    /// The names of jobs that were undeployed here and are not there again.
    undeployed: Keyspace,
    components: PathBuf,
}

impl Registry {
    /// Opens it in the host's database; components lie in `folder`.
    pub fn open(db: &Database, folder: &Path) -> Result<Self, RegistryError> {
        std::fs::create_dir_all(folder).map_err(io)?;
        let jobs = db.keyspace("jobs", KeyspaceCreateOptions::default).map_err(io)?;
        let undeployed = db.keyspace("undeployed", KeyspaceCreateOptions::default).map_err(io)?;
        Ok(Registry { db: db.clone(), jobs, undeployed, components: folder.to_path_buf() })
    }

    /// All jobs.
    pub fn load(&self) -> Result<Vec<JobRecord>, RegistryError> {
        let read = |entry: fjall::Guard| {
            let bytes = entry.value().map_err(io)?;
            serde_json::from_slice(&bytes).map_err(|e| RegistryError::Damaged(e.to_string()))
        };
        self.jobs.iter().map(read).collect()
    }

    /// Stores a job; durable at return.
    pub fn save(&self, job: &JobRecord) -> Result<(), RegistryError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.jobs, job.name.as_bytes(), serde_json::to_vec(job).map_err(io)?);
        batch.remove(&self.undeployed, job.name.as_bytes());
        batch.commit().map_err(io)
    }

    /// Forgets a job but for its name; durable at return.
    pub fn remove(&self, job: &str) -> Result<(), RegistryError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.remove(&self.jobs, job.as_bytes());
        if self.undeployed.iter().count() >= limits::UNDEPLOYED_MAX
            && let Some(first) = self.undeployed.iter().next()
        {
            batch.remove(&self.undeployed, first.key().map_err(io)?);
        }
        batch.insert(&self.undeployed, job.as_bytes(), b"");
        batch.commit().map_err(io)
    }

    /// Whether a job of this name was undeployed here: what Kafka still holds of it is not a lost ledger's.
    pub fn was_undeployed(&self, job: &str) -> Result<bool, RegistryError> {
        self.undeployed.contains_key(job.as_bytes()).map_err(io)
    }

    /// Keeps a component; durable at return, name and bytes. Gives its digest.
    pub fn keep(&self, component: &[u8]) -> Result<String, RegistryError> {
        let digest = sha256(component);
        let path = self.path(&digest);
        // One that was damaged is mended by deploying the same component again.
        if self.component(&digest).is_err() {
            let beside = path.with_extension("new");
            let mut file = std::fs::File::create(&beside).map_err(io)?;
            file.write_all(component).and_then(|()| file.sync_all()).map_err(io)?;
            std::fs::rename(&beside, &path).map_err(io)?;
            std::fs::File::open(&self.components).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        Ok(digest)
    }

    /// Reads a component back, and proves that it is the one.
    pub fn component(&self, digest: &str) -> Result<Vec<u8>, RegistryError> {
        let bytes = std::fs::read(self.path(digest)).map_err(|e| io(format!("component {digest}: {e}")))?;
        match sha256(&bytes) == digest {
            true => Ok(bytes),
            false => Err(RegistryError::Damaged(format!(
                "component {digest} has other bytes: restore it, or deploy that component again"
            ))),
        }
    }

    /// Deletes components that no job's history names.
    pub fn sweep(&self, named: &BTreeSet<String>) {
        let Ok(folder) = std::fs::read_dir(&self.components) else { return };
        for entry in folder.flatten() {
            let path = entry.path();
            let digest = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if !named.contains(&digest) && std::fs::remove_file(&path).is_err() {
                tracing::warn!("{} is of no more use, but cannot be deleted", path.display());
            }
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.components.join(format!("{digest}.wasm"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn deployment(number: u64, version: u64, digest: &str) -> DeploymentRecord {
        DeploymentRecord {
            number,
            version,
            digest: digest.into(),
            at_ms: 0,
            kind: DeploymentKind::Deploy,
            reason: None,
            settings: BTreeMap::new(),
            reset: false,
            limits: None,
            since_batch: 0,
        }
    }

    fn job(deployments: Vec<DeploymentRecord>) -> JobRecord {
        JobRecord { name: "j".into(), paused: true, deployments, newest_version: 0 }
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
        assert_eq!(job.version_of("c", &every), 3, "the number of a version that is forgotten is not given again");
    }

    #[test]
    fn the_history_keeps_what_is_still_needed() {
        let mut job = job(vec![deployment(1, 1, "a"), DeploymentRecord { reset: true, ..deployment(2, 2, "b") }]);
        let numbers = |job: &JobRecord| job.deployments.iter().map(|d| d.number).collect::<Vec<_>>();
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
        job.push(DeploymentRecord { reset: true, ..deployment(301, 1, "a") }, &BTreeSet::new());
        assert_eq!(numbers(&job)[..2], [2, 150], "the first one is needed no more");
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
            (&[(1, Deploy), (2, Deploy), (3, Deploy), (2, Rollback)], Some(1)),
            (&[(1, Deploy), (2, Deploy), (1, Rollback), (2, Rollback)], Some(1)),
            (&[(1, Deploy), (2, Deploy), (1, Deploy)], Some(2)),
            (&[(2, Deploy), (1, Rollback)], None), // its own deploy is forgotten
        ];
        for (told, want) in cases {
            let record = |(at, &(version, kind)): (usize, &(u64, DeploymentKind))| DeploymentRecord {
                kind,
                ..deployment(at as u64 + 1, version, "a")
            };
            let job = job(told.iter().enumerate().map(record).collect());
            assert_eq!(job.before_active().map(|d| d.version), want, "{told:?}");
        }
    }

    #[test]
    fn jobs_and_components_are_there_after_a_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Registry::open(&Database::builder(folder.path().join("db")).open().unwrap(), &folder.path().join("c"))
                .unwrap()
        };
        let job = job(vec![DeploymentRecord { limits: Some(JobLimits::default()), ..deployment(1, 1, "a") }]);
        let digest = {
            let registry = open();
            registry.save(&job).unwrap();
            registry.keep(b"component").unwrap()
        };
        let registry = open();
        assert_eq!(registry.load().unwrap(), [job]);
        assert_eq!(registry.component(&digest).unwrap(), b"component");
        std::fs::write(folder.path().join("c").join(format!("{digest}.wasm")), b"other").unwrap();
        assert!(matches!(registry.component(&digest), Err(RegistryError::Damaged(_))));
        registry.keep(b"component").unwrap();
        assert_eq!(registry.component(&digest).unwrap(), b"component", "kept again, it is mended");
        let other = registry.keep(b"other").unwrap();
        registry.sweep(&[other.clone()].into());
        assert!(matches!(registry.component(&digest), Err(RegistryError::Io(_))));
        assert_eq!(registry.component(&other).unwrap(), b"other");
    }

    #[test]
    fn an_undeployed_name_is_remembered_until_it_is_deployed_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("db")).open().unwrap();
        let registry = Registry::open(&db, &folder.path().join("c")).unwrap();
        let job = job(vec![deployment(1, 1, "a")]);
        registry.save(&job).unwrap();
        assert!(!registry.was_undeployed("j").unwrap());
        registry.remove("j").unwrap();
        assert!(registry.was_undeployed("j").unwrap() && registry.load().unwrap().is_empty());
        registry.save(&job).unwrap();
        assert!(!registry.was_undeployed("j").unwrap());
    }

    #[test]
    fn a_record_of_before_is_still_read() {
        let stored = r#"{"name":"j","paused":false,"deployments":[{"number":1,"version":1,"digest":"a","at_ms":0,
            "kind":"deploy","reason":null,"settings":{},"reset":false}]}"#;
        let read: JobRecord = serde_json::from_str(stored).unwrap();
        assert_eq!(read, JobRecord { paused: false, ..job(vec![deployment(1, 1, "a")]) });
    }
}
