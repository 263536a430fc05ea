//! Deployed versions by digest, their history, and which one is active. A record is durable before anyone sees it, and
//! the component before its record.

use crate::guest::sha256;
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
    /// Why the host went back, if it did.
    pub reason: Option<String>,
    /// Its `--set` pairs.
    pub settings: BTreeMap<String, String>,
    /// It began the job anew at `start`.
    pub reset: bool,
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
}

impl JobRecord {
    /// The active deployment.
    pub fn active(&self) -> &DeploymentRecord {
        self.deployments.last().expect("a job has a deployment")
    }

    /// The newest deployment up to this one that began the job anew.
    pub fn reset_at(&self, number: u64) -> Option<u64> {
        self.deployments.iter().rev().find(|d| d.reset && d.number <= number).map(|d| d.number)
    }

    /// The version that this component with these settings has, or would get.
    pub fn version_of(&self, digest: &str, settings: &BTreeMap<String, String>) -> u64 {
        let same = self.deployments.iter().find(|d| d.digest == digest && d.settings == *settings);
        let newest = self.deployments.iter().map(|d| d.version).max().unwrap_or(0);
        same.map_or(newest + 1, |same| same.version)
    }

    /// The newest deployment of a version.
    pub fn of_version(&self, version: u64) -> Option<&DeploymentRecord> {
        self.deployments.iter().rev().find(|d| d.version == version)
    }

    /// The newest deployment of another version than the active one.
    pub fn before_active(&self) -> Option<&DeploymentRecord> {
        let active = self.active().version;
        self.deployments.iter().rev().find(|d| d.version != active)
    }

    /// Adds a deployment and forgets the oldest beyond the bound.
    pub fn push(&mut self, deployment: DeploymentRecord) {
        self.deployments.push(deployment);
        let over = self.deployments.len().saturating_sub(limits::HISTORY_MAX);
        self.deployments.drain(..over);
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
        if !path.exists() {
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
            false => Err(RegistryError::Damaged(format!("component {digest} has other bytes: restore it"))),
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
mod tests {
    use super::*;

    fn deployment(number: u64, version: u64, digest: &str) -> DeploymentRecord {
        let (kind, settings) = (DeploymentKind::Deploy, BTreeMap::new());
        DeploymentRecord {
            number,
            version,
            digest: digest.into(),
            at_ms: 0,
            kind,
            reason: None,
            settings,
            reset: false,
        }
    }

    #[test]
    fn versions_are_components_with_their_settings() {
        let mut job = JobRecord { name: "j".into(), paused: false, deployments: vec![deployment(1, 1, "a")] };
        let every: BTreeMap<String, String> = [("every".to_string(), "1s".to_string())].into();
        assert_eq!(job.version_of("a", &BTreeMap::new()), 1);
        assert_eq!(job.version_of("a", &every), 2);
        job.push(deployment(2, 2, "b"));
        job.push(deployment(3, 1, "a"));
        assert_eq!(job.before_active().map(|d| d.version), Some(2));
        assert_eq!(job.of_version(1).map(|d| d.number), Some(3));
        for number in 4..200 {
            job.push(deployment(number, 1, "a"));
        }
        assert_eq!(job.deployments.len(), limits::HISTORY_MAX);
        assert_eq!(job.active().number, 199);
    }

    #[test]
    fn jobs_and_components_are_there_after_a_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Registry::open(&Database::builder(folder.path().join("db")).open().unwrap(), &folder.path().join("c"))
                .unwrap()
        };
        let job = JobRecord { name: "j".into(), paused: true, deployments: vec![deployment(1, 1, "a")] };
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
        registry.sweep(&BTreeSet::new());
        assert!(matches!(registry.component(&digest), Err(RegistryError::Io(_))));
    }
}
