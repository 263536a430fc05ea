//! What the monitor is told of a job.

use super::{Job, Supervisor};
use crate::api::{DeploymentFacts, JobFacts};
use std::sync::Arc;

impl Supervisor {
    /// A job as it is now.
    pub(super) fn facts_for_monitor(&self, job: &Job) -> JobFacts {
        let status = self.status_of(job);
        let state = job.state();
        let loaded = state.active.as_ref().map(|cell| cell.get());
        let deployments = state.record.deployments.iter().map(|d| DeploymentFacts {
            number: d.number,
            version: d.version,
            at_ms: d.at_ms,
        });
        JobFacts {
            snapshot: self.facts_of(&state, loaded.as_deref()),
            spec: loaded.as_ref().map(|loaded| Arc::new(loaded.spec.clone())),
            settings: loaded.as_ref().map(|loaded| loaded.settings.clone()),
            set: state.record.active().settings.clone(),
            host_limits: self.environment.limits,
            deployments: deployments.collect(),
            rollbacks: state.rollbacks,
            meter: state.pipeline_status.meter.clone(),
            status,
        }
    }
}
