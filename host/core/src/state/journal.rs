//! What takes a job's writes before the store in the data folder does: a log that other hosts read,
//! so that the job goes on there.

use super::StoreError;

/// One entry that is written or removed. The key says which table of the store it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none: it is removed.
    pub value: Option<Vec<u8>>,
    /// Bytes of the value that stood there before, where that may be a long one: a log that keeps
    /// long values in parts removes them all.
    pub before_bytes: usize,
}

/// How far a log goes after a write: the offset of whatever comes next.
pub type JournalOffset = i64;

/// A log of each job's writes.
pub trait Journal: Send + Sync {
    /// Takes these of one job, all or none, durable; and has `apply` write them to the store, before
    /// it takes any more of that job. [`StoreError::Fenced`]: another host has the job, or whether
    /// these were taken is not known; it takes no more of that job.
    fn append(
        &self,
        job: &str,
        entries: &[JournalEntry],
        apply: &mut dyn FnMut(JournalOffset) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}
