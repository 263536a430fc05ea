//! Where the entries of stages are kept.

use super::{Entries, Most, StageId};

/// What is said of a store one of whose writes has failed, for this reason.
pub fn broken(reason: &str) -> String {
    format!(
        "the store in the data folder takes no more writes, as one has failed ({reason}): make room on its disk or mend it, then restart streamhost; nothing that was acknowledged is lost"
    )
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the store above it.
    #[error("the data folder cannot be written or read: {0}")]
    Io(String),
    /// A write has failed, and the store takes no more of them until it is opened anew.
    #[error("{}", broken(.0))]
    Broken(String),
    /// There is too little room on its disk. Nothing was written, and the store goes on once there is
    /// more.
    #[error(
        "the disk of the data folder is full: {free} bytes are free, and {needed} must be: make room"
    )]
    Full {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// What stands there is not what was written.
    #[error("the data folder is damaged: {0}")]
    Damaged(String),
    /// It was written by a newer release.
    #[error(
        "the data folder holds {what} in format {found}, and this streamhost reads format {known} of them at most: run the newer release that wrote it, or restore the folder from a backup of before"
    )]
    Newer {
        /// The kind of record, as a plural.
        what: &'static str,
        /// Its format.
        found: u32,
        /// The newest format of it that is read.
        known: u32,
    },
    /// The log that other hosts read takes no more writes of this one. Nothing of the job is written
    /// here until it was read anew.
    #[error(
        "the log of this job in Kafka takes no more writes of this host, as another one has the job or the brokers were away: it goes on where it is placed; try again"
    )]
    Fenced,
    /// A key of a stage's state is longer than
    /// [`limits::STATE_KEY_BYTES_MAX`](crate::limits::STATE_KEY_BYTES_MAX).
    #[error("a key of {bytes} bytes cannot be kept: {max} at most")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
}

/// The entries of one job's stages.
pub trait StateStore: Send + Sync {
    /// An entry of a stage's state.
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Entries of a stage's state with keys from `from` on and below `to` (none: to the end),
    /// ascending, `most` at most.
    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Entries, StoreError>;

    /// Writes entries of a stage that no checkpoint names yet. Need not be durable at return; a
    /// later write of the checkpoint makes it so.
    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError>;

    /// Removes what stands under a stage that no checkpoint and no intent names: what a migration
    /// that failed has left.
    fn discard(&self, stage: StageId) -> Result<(), StoreError>;

    /// Removes what stands under stages above `last`, which no checkpoint and no intent names: what
    /// migrations of versions that were rolled back have left. Never beside a
    /// [`StateStore::prepare`].
    fn discard_above(&self, last: StageId) -> Result<(), StoreError>;
}
