//! What a sink says of itself.

use crate::types::BatchNumber;
use serde::{Deserialize, Serialize};

/// What a second delivery of the same batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Writing twice equals writing once.
    Idempotent,
    /// The sink holds a marker of its last batch, in the same transaction as its rows.
    Marked,
    /// A batch that is delivered again is there twice.
    AtLeastOnce,
}

/// What a transactional sink says it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The epoch of the job's history in which the batch was written.
    #[serde(rename = "incarnation")]
    pub epoch: u64,
    /// The last batch it holds.
    pub batch: BatchNumber,
    /// The digest of that batch's rows for this sink.
    pub digest: String,
}
