//! What a job may use, as its status says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The limits that a job runs under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitStatus {
    /// A guest instance's memory.
    pub memory_bytes: u64,
    /// One call of the guest.
    pub time_ms: u64,
    /// Records of one batch.
    pub batch_records: u64,
    /// Bytes of one batch.
    pub batch_bytes: u64,
    /// What the job may hold of the host's memory at most, largest part first; none while its
    /// version cannot be loaded.
    #[serde(default)]
    pub host_memory: Vec<MemoryPart>,
}

/// A part of the memory that a job may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryPart {
    /// What takes it.
    pub name: String,
    /// How much at most.
    pub bytes: u64,
}
