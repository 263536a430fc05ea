//! What belongs to a job's newest checkpoint, read portion by portion while the job goes on: for a
//! savepoint. The store keeps nothing in memory for it but what batches replace meanwhile.

use super::JobCheckpointLog;
use std::collections::BTreeMap;
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use streamhost_core::limits::{
    SAVEPOINT_NOTES_BYTES_MAX, STATE_PORTION_BYTES_MAX, STATE_PORTION_ENTRIES_MAX, WALK_WAIT,
};
use streamhost_core::protocol::{Checkpoint, MarkedLetter};
use streamhost_core::state::{Delta, Entries, Most, StageId, StateWalk, StoreError};
use streamhost_core::types::BatchNumber;

/// Why a walk ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// There is nothing to walk over.
    #[error("it has no checkpoint yet")]
    Nothing,
    /// There is one walk of a job at a time.
    #[error("a savepoint of it is being taken already")]
    Taken,
    /// The job is gone.
    #[error("it was undeployed meanwhile")]
    Gone,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The walks that are under way, by job. A write holds the list while it is made, so that none
/// begins in its midst.
#[derive(Clone, Default)]
pub(super) struct Walks(Arc<RwLock<BTreeMap<String, Arc<Walk>>>>);

#[derive(Default)]
struct Walk {
    at: Mutex<At>,
    moved: Condvar,
}

#[derive(Default)]
struct At {
    state: StateWalk,
    is_gone: bool,
}

impl Walk {
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a write for as long as it takes.
pub(super) struct Passing<'w> {
    _walks: RwLockReadGuard<'w, BTreeMap<String, Arc<Walk>>>,
}

impl Walks {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Walk>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Walk>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a job's write pass that changes the state so: a walk notes what it replaces. One that has
    /// noted too much has the write wait until it has come further, which takes no longer than its
    /// disk.
    pub(super) fn pass(
        &self,
        log: &JobCheckpointLog,
        delta: Option<&Delta>,
    ) -> Result<Passing<'_>, StoreError> {
        loop {
            let walks = self.read();
            let walk = walks.get(&log.job).cloned();
            let (Some(walk), Some(delta)) = (walk, delta) else {
                return Ok(Passing { _walks: walks });
            };
            let mut at = walk.at();
            if at.state.bytes() < SAVEPOINT_NOTES_BYTES_MAX || at.is_gone {
                at.state.note(log, delta)?;
                return Ok(Passing { _walks: walks });
            }
            drop(walks); // or no other job could write either
            let waited = walk.moved.wait_timeout(at, WALK_WAIT);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// What is walked over is about to be removed.
    pub(super) fn end(&self, job: &str) {
        if let Some(walk) = self.read().get(job) {
            let mut at = walk.at();
            (at.state, at.is_gone) = (StateWalk::default(), true);
            walk.moved.notify_all();
        }
    }

    /// Those of these stages that a walk of the job has not passed.
    pub(super) fn needed(&self, job: &str, stages: &[StageId]) -> Vec<StageId> {
        let walk = self.read().get(job).cloned();
        walk.map_or_else(Vec::new, |walk| {
            let at = walk.at();
            let needed = stages.iter().filter(|stage| at.state.needs(**stage));
            needed.copied().collect()
        })
    }
}

/// A walk over what belongs to a job's newest checkpoint, as it was when the walk began.
pub struct JobWalk {
    log: JobCheckpointLog,
    walk: Arc<Walk>,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The first batch that is planned after it, if there is one.
    pub planned: Option<BatchNumber>,
    /// What is remembered of dead letters.
    pub marks: Vec<MarkedLetter>,
}

impl JobCheckpointLog {
    /// Begins a walk over what belongs to the newest checkpoint. There is one of a job at a time.
    pub fn walk(self) -> Result<JobWalk, WalkError> {
        let walk = Arc::new(Walk::default());
        let mut walks = self.all.walks.change();
        if walks.contains_key(&self.job) {
            return Err(WalkError::Taken);
        }
        let at = self.all.store.db().snapshot();
        let Some(checkpoint) = self.checkpoint(&at)? else {
            return Err(WalkError::Nothing);
        };
        let stages = checkpoint.stages.values().map(|facts| facts.id);
        walk.at().state = StateWalk::over(stages);
        walks.insert(self.job.clone(), walk.clone());
        drop(walks);
        // From now on it ends with what is returned, or here.
        let mut begun = JobWalk {
            walk,
            checkpoint,
            planned: None,
            marks: Vec::new(),
            log: self,
        };
        let intents = begun.log.intents(&at)?;
        begun.planned = intents.first().map(|intent| intent.batch);
        begun.marks = begun.log.all.letters.all(&at, &begun.log.job)?;
        Ok(begun)
    }
}

impl JobWalk {
    /// The next entries, of one stage; none: all are passed.
    pub fn portion(&self) -> Result<Option<(StageId, Entries)>, WalkError> {
        let most = Most {
            entries: STATE_PORTION_ENTRIES_MAX,
            bytes: STATE_PORTION_BYTES_MAX,
        };
        let mut at = self.walk.at();
        let found = at.state.portion(&self.log, most)?;
        let is_gone = at.is_gone;
        drop(at);
        self.walk.moved.notify_all();
        match is_gone {
            true => Err(WalkError::Gone),
            false => Ok(found),
        }
    }
}

impl Drop for JobWalk {
    fn drop(&mut self) {
        self.log.all.walks.change().remove(&self.log.job);
        self.walk.moved.notify_all();
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
