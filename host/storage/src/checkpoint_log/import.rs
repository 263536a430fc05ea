//! A job's state, checkpoint and marks as a savepoint has them. All of it is there at once, with the
//! job's record, or none of it.

use super::{CheckpointLogs, JobCheckpointLog};
use crate::fault::io;
use crate::store::Writes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::protocol::{Checkpoint, CheckpointLog, MarkedLetter};
use streamhost_core::state::{Entry, StageId, StateStore, StoreError};

/// Jobs whose state is being written before their checkpoints.
#[derive(Clone, Default)]
pub(super) struct Imports(Arc<Mutex<BTreeSet<String>>>);

impl Imports {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, job: &str) -> bool {
        self.lock().contains(job)
    }
}

/// What is written of a job that is not there yet. Whatever was written is removed again, unless the
/// job's record is stored with it; what a crash leaves is removed at the next start.
pub struct Import {
    log: JobCheckpointLog,
    checkpoint: Checkpoint,
    marks: Vec<MarkedLetter>,
    is_kept: bool,
}

impl CheckpointLogs {
    /// Begins to write what a job begins with, which is not there. `Err`: there is something of it.
    pub fn import(&self, job: &str, checkpoint: Checkpoint) -> Result<Import, StoreError> {
        self.imports.lock().insert(job.to_owned());
        let import = Import {
            log: self.of(job),
            checkpoint,
            marks: Vec::new(),
            is_kept: false,
        };
        // What a job of this name that is gone has left.
        let left = import.log.stages()?;
        let discard = |stage| import.log.discard(stage);
        left.into_iter().try_for_each(discard)?;
        self.letters.forget(job)?;
        Ok(import)
    }
}

impl Import {
    /// What it begins with.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The newest time of what was forgotten of a job of this name.
    pub fn forgotten_ms(&self) -> Result<Option<i64>, StoreError> {
        self.log.forgotten_ms()
    }

    /// Entries of a stage that the checkpoint names.
    pub fn state(&self, stage: StageId, entries: &[Entry]) -> Result<(), StoreError> {
        self.log.prepare(stage, entries)
    }

    /// Letters that are remembered.
    pub fn marks(&mut self, marks: Vec<MarkedLetter>) {
        self.marks.extend(marks);
    }

    /// Has a write make all of it durable.
    pub(crate) fn put(&self, batch: &mut Writes<'_>) -> Result<(), StoreError> {
        let all = &self.log.all;
        for keyspace in [&all.intents, &all.kept] {
            let of_job = self.log.key(0, &[])..=self.log.key(u64::MAX, &[]);
            for entry in keyspace.range(of_job) {
                batch.remove(keyspace, entry.key().map_err(io)?);
            }
        }
        for letter in &self.marks {
            all.letters.put(batch, &self.log.job, letter)?;
        }
        self.log.put_ledger(batch, &self.checkpoint)
    }

    /// The write was made.
    pub(crate) fn is_kept(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if !self.is_kept {
            let stages = self.log.stages().unwrap_or_default();
            let removed = stages.into_iter().try_for_each(|id| self.log.discard(id));
            if let Err(error) = removed {
                let job = &self.log.job;
                tracing::warn!(
                    "state of `{job}`, which was not restored, stays until the next start: {error}"
                );
            }
        }
        self.log.all.imports.lock().remove(&self.log.job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use fjall::Database;
    use streamhost_core::job::JobRecord;
    use streamhost_core::protocol::{LetterMark, LetterOutcome, LetterPlace};
    use streamhost_core::state::Most;
    use streamhost_core::testing::{checkpoint, deployment};

    fn marked() -> MarkedLetter {
        MarkedLetter {
            place: LetterPlace {
                topic: "d".to_owned(),
                partition: 0,
                offset: 7,
            },
            mark: LetterMark {
                sent_ms: 1,
                at_ms: 2,
                version: 3,
                batch: 4,
                outcome: LetterOutcome::Dropped,
            },
        }
    }

    #[test]
    fn all_of_a_job_is_there_with_its_record_or_none_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("db")).open().unwrap();
        let logs = CheckpointLogs::open(&db).unwrap();
        let catalog = Catalog::open(&db, &folder.path().join("c")).unwrap();
        let record = JobRecord {
            name: "a".to_owned(),
            paused: false,
            deployments: vec![deployment(1, 1, "x")],
            newest_version: 1,
        };
        let entries = |stage| {
            let all = logs.of("a").states(stage, &[], None, Most::entries(9));
            all.unwrap().len()
        };
        let begin = || {
            let mut import = logs.import("a", checkpoint(4)).unwrap();
            import.state(8, &[(vec![1], vec![2])]).unwrap();
            import.marks(vec![marked()]);
            import
        };
        let import = begin();
        logs.sweep_forgotten().unwrap();
        assert_eq!(entries(8), 1, "it has no checkpoint yet, and stays");
        drop(import);
        assert_eq!(entries(8), 0, "it was not stored");
        assert_eq!(logs.of("a").load().unwrap(), (None, Vec::new()));
        catalog.save_with(&record, Some(begin())).unwrap();
        logs.sweep_forgotten().unwrap();
        assert_eq!(entries(8), 1);
        assert_eq!(logs.of("a").load().unwrap().0, Some(checkpoint(4)));
        assert_eq!(catalog.load().unwrap(), [Ok(record)]);
        let marks = logs.letters.of("a", &[marked().place]).unwrap();
        assert_eq!(marks, [Some(marked().mark)]);
    }
}
