//! How far the database of a host follows the journal of a job.

use crate::fault::{damaged, io};
use crate::format::REPLICA_POSITION;
use fjall::Keyspace;
use serde::{Deserialize, Serialize};
use streamhost_core::state::{JournalOffset, StoreError};

/// Up to where a job's journal is in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaPosition {
    /// Which journal it is: one that was made anew has another mark.
    pub mark: String,
    /// The offset of what comes next.
    pub offset: JournalOffset,
    /// When that was, in milliseconds since 1970.
    pub at_ms: i64,
}

impl ReplicaPosition {
    pub(crate) fn read(positions: &Keyspace, job: &str) -> Result<Option<Self>, StoreError> {
        let bytes = positions.get(job.as_bytes()).map_err(io)?;
        bytes.map(|bytes| REPLICA_POSITION.read(&bytes)).transpose()
    }

    pub(crate) fn write(&self) -> Result<Vec<u8>, StoreError> {
        REPLICA_POSITION.write(self).map_err(damaged)
    }

    /// The bytes of the position after one more write. The mark stays: a job is written only after
    /// it was read up to the end.
    pub(crate) fn moved(
        positions: &Keyspace,
        job: &str,
        offset: JournalOffset,
        at_ms: i64,
    ) -> Result<Vec<u8>, StoreError> {
        let before = ReplicaPosition::read(positions, job)?;
        let before = before.ok_or_else(|| damaged("a job is written that was not read"))?;
        ReplicaPosition {
            offset,
            at_ms,
            ..before
        }
        .write()
    }
}
