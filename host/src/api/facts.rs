//! What the monitor looks at: one job as it is now.

use super::JobStatus;
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::JobSpec;
use streamhost_core::job::settings::Settings;
use streamhost_engine::pipeline::{PipelineMeter, StatusSnapshot};

/// One job as it is now.
#[derive(Clone)]
pub struct JobFacts {
    /// Its status.
    pub status: JobStatus,
    /// What its pipeline tells, or its checkpoint.
    pub snapshot: StatusSnapshot,
    /// The job that its active version describes; none if that cannot be loaded.
    pub spec: Option<Arc<JobSpec>>,
    /// How the active deployment is run; none if its version cannot be loaded.
    pub settings: Option<Settings>,
    /// What was said with `--set` at the active deployment.
    pub set: BTreeMap<String, String>,
    /// The host's limits, which are a job's unless it has its own.
    pub host_limits: streamhost_core::job::settings::JobLimits,
    /// Its deployments, oldest first.
    pub deployments: Vec<DeploymentFacts>,
    /// How often the host has rolled it back by itself, since it started.
    pub rollbacks: u64,
    /// What its batches measure.
    pub meter: Arc<PipelineMeter>,
}

/// A deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// Its number.
    pub number: u64,
    /// Its version.
    pub version: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}
