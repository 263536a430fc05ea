//! Deployed versions by digest, their history, and which one is active. A record is durable before
//! anyone sees it, and the component before its record.

use crate::checkpoint_log::Import;
use crate::format::{GONE_JOB, JOB};
use crate::store::{Store, Table, Writes};
use crate::tables;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use streamhost_core::job::JobRecord;
use streamhost_core::limits;
use streamhost_core::state::{StoreError, broken};

/// Why the registry failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The disk, or the store above it.
    #[error("the data folder cannot be written or read: {0}")]
    Io(String),
    /// A write has failed, and the store takes no more of them until it is opened anew.
    #[error("{}", broken(.0))]
    Broken(String),
    /// What stands there is not what was written.
    #[error("the data folder is damaged: {0}")]
    Damaged(String),
    /// What other hosts read takes no writes, or not from this one.
    #[error("{0}")]
    Journal(String),
}

fn io(error: impl std::fmt::Display) -> CatalogError {
    CatalogError::Io(error.to_string())
}

/// Whether a job of a name was undeployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undeployed {
    /// It was not, or is there again.
    #[default]
    Never,
    /// It was, before its first batch.
    WithoutBatch,
    /// It was, and may have written rows.
    AfterBatches,
}

fn unwritten(error: StoreError) -> CatalogError {
    match error {
        StoreError::Broken(reason) => CatalogError::Broken(reason),
        StoreError::Fenced => CatalogError::Journal(error.to_string()),
        other => CatalogError::Io(words(other)),
    }
}

fn unread(error: StoreError) -> CatalogError {
    CatalogError::Io(words(error))
}

/// A job whose record is there and is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableJob {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A job that was undeployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneJob {
    /// When that was, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it was then. Its components are gone.
    pub record: JobRecord,
    /// It may have had batches, and written rows.
    #[serde(default = "yes")]
    pub ran: bool,
}

fn yes() -> bool {
    true
}

/// Why a record is not read, without a word on the folder where that is said already.
fn words(error: StoreError) -> String {
    match error {
        StoreError::Damaged(what) => what,
        other => other.to_string(),
    }
}

fn read_record(name: &str, bytes: &[u8]) -> Result<JobRecord, String> {
    let record: JobRecord = JOB.read(bytes).map_err(words)?;
    match () {
        () if record.name != name => Err(format!("it is the record of `{}`", record.name)),
        () if record.deployments.is_empty() => Err("it names no deployment".to_owned()),
        () => Ok(record),
    }
}

/// All jobs of a host, and their components.
pub struct Catalog {
    store: Store,
    jobs: Table,
    /// Jobs that were undeployed here and are not there again, by name.
    undeployed: Table,
    /// Which components each job's journal holds: job ‖ 0 ‖ digest → length.
    journaled: Table,
    components: PathBuf,
}

impl Catalog {
    /// Opens it in the host's database; components lie in `folder`.
    pub fn open(store: impl Into<Store>, folder: &Path) -> Result<Self, CatalogError> {
        let store = store.into();
        std::fs::create_dir_all(folder).map_err(io)?;
        let db = store.db();
        Ok(Catalog {
            jobs: tables::jobs(db).map_err(unread)?,
            undeployed: tables::undeployed(db).map_err(unread)?,
            journaled: tables::components(db).map_err(unread)?,
            components: folder.to_path_buf(),
            store,
        })
    }

    /// One job, if it is there. `Err`: its record cannot be read.
    pub fn job(
        &self,
        name: &str,
    ) -> Result<Option<Result<JobRecord, UnreadableJob>>, CatalogError> {
        let bytes = self.jobs.get(name.as_bytes()).map_err(io)?;
        let read = |reason| UnreadableJob {
            name: name.to_owned(),
            reason,
        };
        Ok(bytes.map(|bytes| read_record(name, &bytes).map_err(read)))
    }

    /// All jobs. One whose record cannot be read does not keep the others from being read.
    pub fn load(&self) -> Result<Vec<Result<JobRecord, UnreadableJob>>, CatalogError> {
        let read = |entry: fjall::Guard| {
            let (key, bytes) = entry.into_inner().map_err(io)?;
            let name = String::from_utf8_lossy(&key).into_owned();
            Ok(read_record(&name, &bytes).map_err(|reason| UnreadableJob { name, reason }))
        };
        self.jobs.iter().map(read).collect()
    }

    /// Stores a job; durable at return.
    pub fn save(&self, job: &JobRecord) -> Result<(), CatalogError> {
        self.save_with(job, None)
    }

    /// The same, with all that the job begins with, in one write.
    pub fn save_with(&self, job: &JobRecord, import: Option<Import>) -> Result<(), CatalogError> {
        let mut batch = self.store.durable(&job.name);
        self.drop_journaled(&mut batch, job)?;
        batch.insert(&self.jobs, job.name.as_bytes(), JOB.write(job).map_err(io)?);
        batch.remove(&self.undeployed, job.name.as_bytes());
        if let Some(import) = &import {
            let put = import.put(&mut batch);
            put.map_err(|e| CatalogError::Io(words(e)))?;
        }
        batch.commit().map_err(unwritten)?;
        if let Some(mut import) = import {
            import.is_kept();
        }
        Ok(())
    }

    /// Takes a job from the set, and remembers what it was; durable at return. Beyond
    /// [`limits::UNDEPLOYED_MAX`] the first one by name is forgotten.
    pub fn remove(&self, job: &str, gone: Option<&GoneJob>) -> Result<(), CatalogError> {
        let mut batch = self.store.durable(job);
        batch.remove(&self.jobs, job.as_bytes());
        if self.undeployed.iter().count() >= limits::UNDEPLOYED_MAX
            && let Some(first) = self.undeployed.iter().next()
        {
            batch.remove_here(&self.undeployed, &first.key().map_err(io)?);
        }
        let gone = gone
            .map_or(Ok(Vec::new()), |gone| GONE_JOB.write(gone))
            .map_err(io)?;
        batch.insert(&self.undeployed, job.as_bytes(), gone);
        batch.commit().map_err(unwritten)
    }

    /// What a job was that was undeployed here and is not there again; none also where a host of
    /// before remembered the name alone.
    pub fn gone(&self, job: &str) -> Result<Option<GoneJob>, CatalogError> {
        let bytes = self.undeployed.get(job.as_bytes()).map_err(io)?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        let unread = |e| CatalogError::Damaged(format!("what job `{job}` was: {}", words(e)));
        GONE_JOB.read(&bytes).map(Some).map_err(unread)
    }

    /// Whether a job of this name was undeployed here: what Kafka still holds of it is not a lost
    /// checkpoint's.
    pub fn undeployed(&self, job: &str) -> Result<Undeployed, CatalogError> {
        let bytes = self.undeployed.get(job.as_bytes()).map_err(io)?;
        Ok(match bytes.as_deref().map(|bytes| GONE_JOB.read(bytes)) {
            None => Undeployed::Never,
            Some(Ok(GoneJob { ran: false, .. })) => Undeployed::WithoutBatch,
            Some(_) => Undeployed::AfterBatches, // what cannot be read may have run
        })
    }

    /// Keeps a component of a job; durable at return, name and bytes. Gives its digest.
    pub fn keep(&self, job: &str, component: &[u8]) -> Result<String, CatalogError> {
        let digest = self.keep_here(component)?;
        let key = journaled_key(job, &digest);
        if self.store.is_journaled() && !self.journaled.contains_key(&key).map_err(io)? {
            let mut batch = self.store.durable(job);
            batch.insert_elsewhere(&self.journaled, &key, component);
            batch.commit().map_err(unwritten)?;
        }
        Ok(digest)
    }

    /// The same, on this host's disk alone.
    pub(crate) fn keep_here(&self, component: &[u8]) -> Result<String, CatalogError> {
        let digest = sha256(component);
        let path = self.path(&digest);
        // One that was damaged is mended by deploying the same component again.
        if self.component(&digest).is_err() {
            let beside = path.with_extension("new");
            let mut file = std::fs::File::create(&beside).map_err(io)?;
            file.write_all(component)
                .and_then(|()| file.sync_all())
                .map_err(io)?;
            std::fs::rename(&beside, &path).map_err(io)?;
            std::fs::File::open(&self.components)
                .and_then(|folder| folder.sync_all())
                .map_err(io)?;
        }
        Ok(digest)
    }

    /// Has a write drop what a job's journal holds of components that its record does not name.
    fn drop_journaled(&self, batch: &mut Writes<'_>, job: &JobRecord) -> Result<(), CatalogError> {
        if !self.store.is_journaled() {
            return Ok(());
        }
        let named: BTreeSet<&str> = job.deployments.iter().flat_map(|d| d.digests()).collect();
        for entry in self.journaled.prefix(journaled_key(&job.name, "")) {
            let (key, bytes) = entry.into_inner().map_err(io)?;
            let digest = std::str::from_utf8(&key[job.name.len() + 1..]).map_err(io)?;
            if !named.contains(digest) {
                let bytes = bytes.as_ref().try_into().map_or(0, u64::from_be_bytes);
                batch.remove_elsewhere(&self.journaled, &key, bytes as usize);
            }
        }
        Ok(())
    }

    /// Reads a component back, and proves that it is the one.
    pub fn component(&self, digest: &str) -> Result<Vec<u8>, CatalogError> {
        let bytes =
            std::fs::read(self.path(digest)).map_err(|e| io(format!("component {digest}: {e}")))?;
        match sha256(&bytes) == digest {
            true => Ok(bytes),
            false => Err(CatalogError::Damaged(format!(
                "component {digest} has other bytes: restore it, or deploy that component again"
            ))),
        }
    }

    /// A component's length in bytes; none where it is not kept.
    pub fn component_bytes(&self, digest: &str) -> Option<u64> {
        let file = std::fs::metadata(self.path(digest)).ok()?;
        Some(file.len())
    }

    /// Deletes components that no job's history names, and no journal that this host follows.
    pub fn sweep(&self, named: &BTreeSet<String>) {
        let followed = self.journaled.iter().filter_map(|entry| {
            let key = entry.key().ok()?;
            let digest = key.split(|byte| *byte == 0).nth(1)?;
            Some(String::from_utf8_lossy(digest).into_owned())
        });
        let followed: BTreeSet<String> = followed.collect();
        let Ok(folder) = std::fs::read_dir(&self.components) else {
            return;
        };
        for entry in folder.flatten() {
            let path = entry.path();
            let digest = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            let is_needed = named.contains(&digest) || followed.contains(&digest);
            if !is_needed && std::fs::remove_file(&path).is_err() {
                tracing::warn!(
                    "{} is of no more use, but cannot be deleted",
                    path.display()
                );
            }
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.components.join(format!("{digest}.wasm"))
    }
}

fn journaled_key(job: &str, digest: &str) -> Vec<u8> {
    [job.as_bytes(), &[0], digest.as_bytes()].concat()
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::Database;
    use streamhost_core::job::settings::JobLimits;
    use streamhost_core::job::{DeploymentRecord, JobRecord};
    use streamhost_core::testing::deployment;

    fn job(deployments: Vec<DeploymentRecord>) -> JobRecord {
        JobRecord {
            name: "j".into(),
            paused: true,
            deployments,
            newest_version: 0,
        }
    }

    #[test]
    fn jobs_and_components_are_there_after_a_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Catalog::open(
                &Database::builder(folder.path().join("db")).open().unwrap(),
                &folder.path().join("c"),
            )
            .unwrap()
        };
        let job = job(vec![DeploymentRecord {
            limits: Some(JobLimits::default()),
            ..deployment(1, 1, "a")
        }]);
        let digest = {
            let catalog = open();
            catalog.save(&job).unwrap();
            catalog.keep("j", b"component").unwrap()
        };
        let catalog = open();
        assert_eq!(catalog.load().unwrap(), [Ok(job)]);
        assert_eq!(catalog.component(&digest).unwrap(), b"component");
        std::fs::write(
            folder.path().join("c").join(format!("{digest}.wasm")),
            b"other",
        )
        .unwrap();
        assert!(matches!(
            catalog.component(&digest),
            Err(CatalogError::Damaged(_))
        ));
        catalog.keep("j", b"component").unwrap();
        assert_eq!(
            catalog.component(&digest).unwrap(),
            b"component",
            "kept again, it is mended"
        );
        let other = catalog.keep("j", b"other").unwrap();
        catalog.sweep(&[other.clone()].into());
        assert!(matches!(
            catalog.component(&digest),
            Err(CatalogError::Io(_))
        ));
        assert_eq!(catalog.component(&other).unwrap(), b"other");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("db")).open().unwrap();
        let catalog = Catalog::open(&db, &folder.path().join("c")).unwrap();
        let good = job(vec![deployment(1, 1, "a")]);
        catalog.save(&good).unwrap();
        let (other, empty) = (serde_json::to_vec(&good).unwrap(), job(Vec::new()));
        let empty = serde_json::to_vec(&JobRecord {
            name: "empty".into(),
            ..empty
        });
        for (name, bytes) in [
            ("cut", other[..9].to_vec()),
            ("other", other),
            ("empty", empty.unwrap()),
        ] {
            catalog.jobs.insert(name, bytes).unwrap();
        }
        let read = catalog.load().unwrap();
        let bad: Vec<_> = read.iter().filter_map(|job| job.as_ref().err()).collect();
        let names: Vec<_> = bad.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["cut", "empty", "other"]);
        assert!(bad[2].reason.contains("the record of `j`"), "{bad:?}");
        assert!(read.contains(&Ok(good)));
    }

    #[test]
    fn an_undeployed_name_is_remembered_until_it_is_deployed_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("db")).open().unwrap();
        let catalog = Catalog::open(&db, &folder.path().join("c")).unwrap();
        let job = job(vec![deployment(1, 1, "a")]);
        catalog.save(&job).unwrap();
        let undeployed = || catalog.undeployed("j").unwrap();
        assert_eq!(undeployed(), Undeployed::Never);
        let gone = GoneJob {
            at_ms: 7,
            record: job.clone(),
            ran: false,
        };
        catalog.remove("j", Some(&gone)).unwrap();
        assert!(catalog.load().unwrap().is_empty());
        assert_eq!(undeployed(), Undeployed::WithoutBatch);
        assert_eq!(catalog.gone("j").unwrap(), Some(gone));
        catalog.save(&job).unwrap();
        assert!(undeployed() == Undeployed::Never && catalog.gone("j").unwrap().is_none());
        catalog.remove("j", None).unwrap();
        assert_eq!(undeployed(), Undeployed::AfterBatches, "it may have run");
        assert!(catalog.gone("j").unwrap().is_none());
        let before = serde_json::json!({ "at_ms": 7, "record": job });
        let before: GoneJob = serde_json::from_value(before).unwrap();
        assert!(before.ran, "a host of before did not say");
    }
}
