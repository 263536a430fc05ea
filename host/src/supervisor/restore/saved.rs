//! A savepoint that was read to its end, and is as it was written.

use super::super::Supervisor;
use super::super::deploy::unavailable;
use crate::api::Refusal;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::ops::ControlFlow;
use streamhost_core::job::JobRecord;
use streamhost_core::protocol::Checkpoint;
use streamhost_core::state::{Entry, StageId, StoreError};
use streamhost_guest::signature;
use streamhost_storage::catalog::sha256;
use streamhost_storage::checkpoint_log::Import;
use streamhost_storage::savepoint::{SavepointError, SavepointReader, Section, summary};

/// A savepoint, and what is taken of it.
pub(in super::super) struct Saved {
    file: File,
    /// Where in the file it begins.
    begins: u64,
    /// The job's record, with the deployments whose components are taken.
    pub(in super::super) record: JobRecord,
    pub(in super::super) checkpoint: Checkpoint,
    pub(in super::super) taken_ms: i64,
    /// The components that are taken, by digest.
    components: BTreeSet<String>,
    /// What is not taken, in words.
    pub(in super::super) left_out: Option<String>,
}

impl Saved {
    /// Reads all of a savepoint, from where the file stands. `Err`: it is none, or not as it was
    /// written.
    pub(in super::super) fn read(file: File) -> Result<Saved, Refusal> {
        let begins = (&file).stream_position().map_err(|e| unavailable(&e))?;
        let found = summary(BufReader::new(&file)).map_err(refused)?;
        Ok(Saved {
            file,
            begins,
            record: found.facts.record,
            checkpoint: found.facts.checkpoint,
            taken_ms: found.facts.taken_ms,
            components: found.components.into_keys().collect(),
            left_out: None,
        })
    }

    /// Takes each section once more, until it has enough. All were proven, and nobody else has the
    /// file.
    fn each(
        &self,
        mut take: impl FnMut(Section) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<(), Refusal> {
        let begins = SeekFrom::Start(self.begins);
        (&self.file).seek(begins).map_err(|e| unavailable(&e))?;
        let (_, mut reader) =
            SavepointReader::begin(BufReader::new(&self.file)).map_err(refused)?;
        while let Some(section) = reader.read().map_err(refused)? {
            if take(section)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A component that is in it.
    pub(super) fn component(&self, digest: &str) -> Result<Vec<u8>, Refusal> {
        let mut found = None;
        self.components(|component| {
            if sha256(component) == digest {
                found = Some(component.to_vec());
            }
            Ok(())
        })?;
        found.ok_or_else(|| Refusal::Invalid(format!("component {digest} is not in the savepoint")))
    }

    /// All components that are taken, one after the other.
    pub(in super::super) fn components(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.each(|section| {
            let Section::Component(component) = section else {
                return Ok(ControlFlow::Break(())); // they come first
            };
            if self.components.contains(&sha256(&component)) {
                take(&component)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Gives out its state: the stage as its checkpoint has it, and entries.
    pub(in super::super) fn state(
        &self,
        mut take: impl FnMut(StageId, &[Entry]) -> Result<(), StoreError>,
    ) -> Result<(), Refusal> {
        let ids: Vec<StageId> = (self.checkpoint.stages.values())
            .map(|facts| facts.id)
            .collect();
        self.each(|section| {
            if let Section::State(stage, entries) = section
                && let Some(&id) = ids.get(stage as usize)
            {
                take(id, &entries).map_err(|e| unavailable(&e))?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Writes its state, and has its marks written with its checkpoint.
    pub(super) fn import_into(&self, import: &mut Import, ids: &[StageId]) -> Result<(), Refusal> {
        self.each(|section| {
            match section {
                Section::Component(_) => {}
                Section::Marks(marks) => import.marks(marks),
                Section::State(stage, entries) => {
                    if let Some(&id) = ids.get(stage as usize) {
                        import.state(id, &entries).map_err(|e| unavailable(&e))?;
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

impl Supervisor {
    /// Where the host takes only what trusted keys have signed, that is so of all versions of a
    /// savepoint: the active one is refused, and others are left out, as the host never looked at
    /// them.
    pub(super) fn check_signers(&self, saved: &mut Saved) -> Result<(), Refusal> {
        let Some(trusted) = &self.environment.trusted else {
            return Ok(());
        };
        let active = saved.record.active().digest.clone();
        let mut refused = BTreeSet::new();
        saved.components(|component| {
            let digest = sha256(component);
            match signature::verify(component, trusted) {
                Ok(_) => Ok(()),
                Err(error) if digest == active => Err(Refusal::Invalid(error.to_string())),
                Err(_) => {
                    refused.insert(digest);
                    Ok(())
                }
            }
        })?;
        if refused.is_empty() {
            return Ok(());
        }
        let is_taken = |digest: &String| !refused.contains(digest);
        saved.components.retain(is_taken);
        let record = &mut saved.record;
        let newest = record.deployments.iter().map(|d| d.version).max();
        record.newest_version = record.newest_version.max(newest.unwrap_or(0));
        let mut versions: Vec<_> = (record.deployments.iter())
            .filter(|d| refused.contains(&d.digest))
            .map(|d| d.version.to_string())
            .collect();
        versions.dedup();
        record.deployments.retain(|d| is_taken(&d.digest));
        saved.left_out = Some(format!(
            "no trusted key has signed versions {} of the savepoint: they are left out of the history",
            versions.join(", ")
        ));
        Ok(())
    }
}

fn refused(error: SavepointError) -> Refusal {
    match error {
        SavepointError::Io(error) => unavailable(&error),
        other => Refusal::Invalid(other.to_string()),
    }
}
