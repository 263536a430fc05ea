//! A savepoint as a file: a job's record, its newest checkpoint, all components that its record
//! names, what is remembered of its dead letters, and its state.
//!
//! ```text
//! magic, 16 bytes │ format, 4 │ section │ section │ …
//! section: kind, 1 │ length, 8 │ SHA-256 of kind, length and payload, 32 │ payload
//! ```
//! Numbers are little-endian. The first section is the facts, the last one the end, which has the
//! digest of all digests: so a file that is cut, altered or put together of two is noticed. It is
//! written and read section by section, and none of it is in memory as a whole.

mod read;
mod write;

pub use read::{SavepointReader, StageSummary, Summary, summary};
pub use write::SavepointWriter;

use crate::format::{CHECKPOINT, JOB, RecordKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use streamhost_core::job::{JobRecord, StageSpec};
use streamhost_core::limits::SAVEPOINT_SECTION_BYTES_MAX;
use streamhost_core::protocol::{Checkpoint, MarkedLetter};
use streamhost_core::state::{Entries, StoreError};

/// What the file begins with.
const MAGIC: &[u8; 16] = b"streamhost save\n";
/// The format that this program writes, and the newest that it reads.
pub const SAVEPOINT_FORMAT: u32 = 1;
/// No count or number of a job is larger, nor is a time.
const NUMBER_MAX: u64 = 1 << 53;
const TIME_MS_MAX: i64 = 1 << 46;
/// A section's digest.
const DIGEST_BYTES: usize = 32;

/// Why a savepoint is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SavepointError {
    /// It is something else.
    #[error("this is no savepoint: `streamhost savepoint JOB` takes one")]
    Other,
    /// A newer release wrote it.
    #[error(
        "this savepoint has {what} in format {found}, and this streamhost reads format {known} at most: use the newer release that wrote it"
    )]
    Newer {
        /// What is newer.
        what: &'static str,
        /// Its format.
        found: u32,
        /// The newest that is read.
        known: u32,
    },
    /// It ends too early.
    #[error("this savepoint is cut off: it ends in section {section}; copy it again")]
    Cut {
        /// The section, from 1.
        section: u64,
    },
    /// It is not as it was written.
    #[error("this savepoint was altered or damaged: {what} (section {section}); copy it again")]
    Altered {
        /// The section, from 1.
        section: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A job has something that is too large for a section.
    #[error(
        "a part of {bytes} bytes is too large for a savepoint: {SAVEPOINT_SECTION_BYTES_MAX} at most"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The file, or the way to it.
    #[error("the savepoint cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// A record cannot be written.
    #[error("the savepoint cannot be written: {0}")]
    Json(serde_json::Error),
}

/// What a savepoint says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SavepointFacts {
    /// When it was taken, in milliseconds since 1970.
    pub taken_ms: i64,
    /// The release that took it.
    pub program: String,
    /// It stopped its job, and nothing was planned: it is exact.
    pub stopped: bool,
    /// The job, with all of its deployments.
    pub record: JobRecord,
    /// Its newest checkpoint.
    pub checkpoint: Checkpoint,
    /// What its keyed stages are, as far as that is known.
    pub stages: Vec<StageSpec>,
}

/// The same as it is stored: records say their own formats.
#[derive(Serialize, Deserialize)]
struct StoredFacts {
    taken_ms: i64,
    program: String,
    stopped: bool,
    record: Value,
    checkpoint: Value,
    #[serde(default)]
    stages: Vec<Value>,
}

/// A part of a savepoint.
#[derive(Debug, PartialEq)]
pub enum Section {
    /// A component; its digest is that of its bytes.
    Component(Vec<u8>),
    /// What is remembered of dead letters.
    Marks(Vec<MarkedLetter>),
    /// Entries of a stage, by its place among the stages' names; ascending.
    State(u32, Entries),
}

/// What kinds of sections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Facts = 1,
    Component = 2,
    Marks = 3,
    State = 4,
    End = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        let all = [
            Kind::Facts,
            Kind::Component,
            Kind::Marks,
            Kind::State,
            Kind::End,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What stands in the last section.
#[derive(Serialize, Deserialize)]
struct End {
    sections: u64,
    /// Of all sections' digests.
    digest: String,
}

fn digest(kind: u8, payload: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut digest = Sha256::new();
    digest.update([kind]);
    digest.update((payload.len() as u64).to_le_bytes());
    digest.update(payload);
    digest.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SavepointFacts {
    fn stored(&self) -> Result<Vec<u8>, SavepointError> {
        let value = |bytes: serde_json::Result<Vec<u8>>| {
            serde_json::from_slice(&bytes?).map_err(SavepointError::Json)
        };
        let stages = self.stages.iter().map(serde_json::to_value);
        let stored = StoredFacts {
            taken_ms: self.taken_ms,
            program: self.program.clone(),
            stopped: self.stopped,
            record: value(JOB.write(&self.record))?,
            checkpoint: value(CHECKPOINT.write(&self.checkpoint))?,
            stages: stages.collect::<Result<_, _>>()?,
        };
        serde_json::to_vec(&stored).map_err(SavepointError::Json)
    }

    fn read(bytes: &[u8]) -> Result<Self, SavepointError> {
        const ALTERED: SavepointError = SavepointError::Altered {
            section: 1,
            what: "what it says of its job cannot be read",
        };
        let stored: StoredFacts = serde_json::from_slice(bytes).map_err(|_| ALTERED)?;
        let facts = SavepointFacts {
            taken_ms: stored.taken_ms,
            program: stored.program,
            stopped: stored.stopped,
            record: record(JOB, &stored.record, ALTERED)?,
            checkpoint: record(CHECKPOINT, &stored.checkpoint, ALTERED)?,
            // What is not known of them here is not shown.
            stages: (stored.stages.into_iter())
                .filter_map(|stage| serde_json::from_value(stage).ok())
                .collect(),
        };
        match facts.fit_together() {
            true => Ok(facts),
            false => Err(ALTERED),
        }
    }

    /// Whether its numbers can be those of a job that ran: what follows counts on from them.
    fn fit_together(&self) -> bool {
        let (record, checkpoint) = (&self.record, &self.checkpoint);
        let Some(active) = record.deployments.last() else {
            return false;
        };
        let is_number = |number: u64| number <= NUMBER_MAX;
        let is_time = |ms: i64| (0..=TIME_MS_MAX).contains(&ms);
        let rows = checkpoint.counters.rows.values().copied();
        let counts = [checkpoint.batch, checkpoint.counters.records_in];
        record.deployments.is_sorted_by(|a, b| a.number < b.number)
            && checkpoint.deployment <= active.number
            && is_number(active.number)
            && is_number(record.newest_version)
            && record.deployments.iter().all(|d| is_number(d.version))
            && counts.into_iter().chain(rows).all(is_number)
            && is_time(checkpoint.time_ms)
            && i64::try_from(checkpoint.epoch).is_ok_and(is_time)
    }
}

fn record<T: serde::de::DeserializeOwned>(
    kind: RecordKind,
    stored: &Value,
    altered: SavepointError,
) -> Result<T, SavepointError> {
    let bytes = serde_json::to_vec(stored).map_err(SavepointError::Json)?;
    kind.read(&bytes).map_err(|error| match error {
        StoreError::Newer { what, found, known } => SavepointError::Newer { what, found, known },
        _ => altered,
    })
}

impl From<serde_json::Error> for SavepointError {
    fn from(error: serde_json::Error) -> Self {
        SavepointError::Json(error)
    }
}

#[cfg(test)]
mod tests;
