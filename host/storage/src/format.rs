//! The format number of each kind of record. A record says its own, so that one of a newer release
//! is refused in words before anything else of it is read; one of an older release, or of one that
//! gave no numbers, is read.
//!
//! | record | where its number is |
//! |---|---|
//! | JSON | a field `format` beside its own |
//! | bytes | the first byte or bytes, as each kind says |

use crate::fault::damaged;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use streamhost_core::state::StoreError;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKind {
    /// What such records are called in messages.
    pub name: &'static str,
    /// The format that this program writes, and the newest that it reads.
    pub format: u32,
}

/// How far a job's results are durable.
pub const CHECKPOINT: RecordKind = RecordKind::of("checkpoints", 1);
/// What a batch will deliver.
pub const INTENT: RecordKind = RecordKind::of("planned batches", 1);
/// Records that are kept beside an intent. The first format had no number.
pub const RETAINED: RecordKind = RecordKind::of("retained records", 2);
/// What is remembered of a dead letter.
pub const LETTER_MARK: RecordKind = RecordKind::of("marks of dead letters", 1);
/// A job and its deployments.
pub const JOB: RecordKind = RecordKind::of("records of jobs", 1);
/// A job that was undeployed.
pub const GONE_JOB: RecordKind = RecordKind::of("records of undeployed jobs", 1);
/// How far the times of a job that was undeployed had come. The first format had no number.
pub const FORGOTTEN: RecordKind = RecordKind::of("times of undeployed jobs", 2);

/// How far a host follows the journal of a job.
pub const REPLICA_POSITION: RecordKind = RecordKind::of("positions in journals", 1);

/// The format of records that say none: releases before numbers wrote them.
const UNNUMBERED: u32 = 1;

impl RecordKind {
    const fn of(name: &'static str, format: u32) -> Self {
        RecordKind { name, format }
    }

    /// Refuses a format that this program does not know.
    pub(crate) fn check(self, found: u32) -> Result<(), StoreError> {
        let RecordKind { name, format } = self;
        match found <= format {
            true => Ok(()),
            false => Err(StoreError::Newer {
                what: name,
                found,
                known: format,
            }),
        }
    }

    /// A record as JSON, with its number.
    pub(crate) fn write<T: Serialize>(self, record: &T) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Numbered {
            format: self.format,
            record,
        })
    }

    /// What [`RecordKind::write`] wrote, here or in an older release.
    pub(crate) fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, StoreError> {
        // By itself: a newer record may differ in anything but this.
        let number: Number = serde_json::from_slice(bytes).map_err(damaged)?;
        self.check(number.format)?;
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

#[derive(Serialize)]
struct Numbered<'a, T> {
    format: u32,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Deserialize)]
struct Number {
    #[serde(default = "unnumbered")]
    format: u32,
}

fn unnumbered() -> u32 {
    UNNUMBERED
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
