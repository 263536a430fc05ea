//! What a component would do if it were deployed.

use super::DeploymentFacts;
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::JobSpec;
use utoipa::ToSchema;

/// What a component is, and what its deployment would do. Nothing was changed for it.
#[derive(Clone)]
pub struct Checked {
    /// The job's name.
    pub job: String,
    /// The component's SHA-256 in hex.
    pub digest: String,
    /// Its length.
    pub component_bytes: usize,
    /// The contract that it speaks, as major and minor version.
    pub contract: String,
    /// What it imports; all of it is allowed, or it could not be read.
    pub imports: Vec<String>,
    /// The job that it describes; none if that is not valid.
    pub spec: Option<Arc<JobSpec>>,
    /// The topic of its dead letters.
    pub dead_letter_topic: String,
    /// Whether the table or topic of each sink is there; none where the server did not answer.
    pub exists: Vec<Option<bool>>,
    /// What a deploy would be refused with, all at once.
    pub errors: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What it would take over from.
    pub active: Option<ActiveFacts>,
    /// The `--set` pairs that it would be deployed with.
    pub set: BTreeMap<String, String>,
    /// What becomes of kept state.
    pub state: StateFate,
    /// Where it would begin to read, in words.
    pub starts: String,
    /// Tables and topics that would be created, in words.
    pub creates: Vec<String>,
}

/// The version that is active now.
#[derive(Clone)]
pub struct ActiveFacts {
    /// Its deployment.
    pub deployment: DeploymentFacts,
    /// Its component's SHA-256 in hex.
    pub digest: String,
    /// The job that it describes, if it is loaded.
    pub spec: Option<Arc<JobSpec>>,
    /// The `--set` pairs that it was deployed with.
    pub set: BTreeMap<String, String>,
}

/// What becomes of kept state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateFate {
    /// There is none.
    None,
    /// It is carried on.
    Kept,
    /// It is carried on, each accumulator made anew.
    Migrated,
    /// It does not fit: without `reset-state` the deploy is refused.
    NeedsReset,
}
