//! What the monitor is told.

use super::kept;
use crate::api::{Deployment, DeploymentFacts, JobFacts, JobStatus};
use std::sync::Arc;
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_engine::pipeline::StatusSnapshot;

/// What the monitor is told of a job with this status.
pub(super) fn facts_of(status: JobStatus, deployments: &[Deployment]) -> JobFacts {
    let mut snapshot = StatusSnapshot {
        batches: status.batches,
        ..StatusSnapshot::default()
    };
    snapshot.counters.records_in = status.records_in;
    for source in &status.sources {
        let ends = source.committed.iter().map(|(id, at)| (*id, at + 2));
        let topic = source.target.clone();
        snapshot.ends.insert(topic.clone(), ends.collect());
        snapshot.committed.insert(topic, source.committed.clone());
    }
    for sink in &status.sinks {
        snapshot.counters.rows.insert(sink.name.clone(), sink.rows);
    }
    let spec = kept::spec(&status.job);
    let deployments = deployments.iter().rev().map(|d| DeploymentFacts {
        number: d.number,
        version: d.version,
        at_ms: streamhost_core::clock::now_ms(),
    });
    JobFacts {
        snapshot,
        spec: Some(Arc::new(spec)),
        settings: Some(Settings::none(JobLimits::default())),
        set: [("every".to_owned(), "1s".to_owned())].into(),
        host_limits: JobLimits::default(),
        deployments: deployments.collect(),
        meter: Arc::default(),
        rollbacks: 1,
        status,
    }
}
