//! What a sink says of itself.

use crate::types::BatchNumber;
use serde::{Deserialize, Serialize};

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
