//! The logs of the jobs that this host runs: what the store writes goes there first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_connectors::kafka::log::LogWriter;
use streamhost_core::state::{Journal, JournalEntry, JournalOffset, StoreError};

/// One log for each job that this host has.
#[derive(Default)]
pub(crate) struct Journals {
    jobs: Mutex<BTreeMap<String, Arc<Mutex<Owned>>>>,
}

struct Owned {
    /// None: a write failed, most likely as another host has the job.
    writer: Option<LogWriter>,
}

impl Journals {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mutex<Owned>>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&self, job: &str) -> Option<Arc<Mutex<Owned>>> {
        self.jobs().get(job).cloned()
    }

    /// This host has the job from now on.
    pub(super) fn put(&self, job: &str, writer: LogWriter) {
        let writer = Some(writer);
        let owned = Arc::new(Mutex::new(Owned { writer }));
        self.jobs().insert(job.to_owned(), owned);
    }

    /// This host has it no more.
    pub(super) fn remove(&self, job: &str) {
        self.jobs().remove(job);
    }

    /// Whether another host was found to have a job that this one had.
    pub(super) fn is_lost(&self, job: &str) -> bool {
        self.owned(job).is_some_and(|owned| {
            // One that is writing has it.
            owned.try_lock().is_ok_and(|owned| owned.writer.is_none())
        })
    }
}

impl Journal for Journals {
    fn append(
        &self,
        job: &str,
        entries: &[JournalEntry],
        apply: &mut dyn FnMut(JournalOffset) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let owned = self.owned(job).ok_or(StoreError::Fenced)?;
        let mut owned = owned.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = owned.writer.as_mut().ok_or(StoreError::Fenced)?;
        match writer.write(entries) {
            Ok(()) => {
                let end = writer.end();
                apply(end)
            }
            // Whether it was taken may not be known: so the job is given up, and taken over anew if it is
            // still this host's.
            Err(error) => {
                tracing::warn!("the log of `{job}` is written by this host no more: {error}");
                owned.writer = None;
                Err(StoreError::Fenced)
            }
        }
    }
}
