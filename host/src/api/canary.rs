//! What is told of a version that runs a part of a job's records.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A canary as a deploy or a promotion has left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryDeployed {
    /// Its version.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// What it runs: `5%` of the keys, or `partitions=0,1`.
    pub share: String,
}

/// A canary in a job's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryStatus {
    /// Its version.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// What it runs: `5%` of the keys, or `partitions=0,1`.
    pub share: String,
    /// Since when it runs just this, RFC 3339.
    pub since: String,
    /// Both versions run all records, and of each key what its own version made counts. Else each
    /// record is run by one of them.
    pub by_key: bool,
    /// What the active version did since then, or since the host's start.
    pub active: SideView,
    /// What the canary did.
    pub canary: SideView,
}

/// What one of two versions did, in durable batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SideView {
    /// Records that it ran.
    pub records: u64,
    /// Rows of it.
    pub rows: u64,
    /// Records and groups that failed: refused, or broken on.
    pub failed: u64,
    /// Those among them that it broke on.
    pub broken: u64,
    /// Records that came too late.
    pub late: u64,
    /// Records that it dropped.
    pub dropped: u64,
    /// How long its lanes were at work, all together, in microseconds.
    pub busy_us: u64,
    /// The same for one record, in nanoseconds; null before the first.
    pub ns_per_record: Option<u64>,
}
