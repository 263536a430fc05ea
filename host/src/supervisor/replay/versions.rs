//! The version that history is run through, and the active one beside it.

use super::super::build::described;
use super::super::deploy::unavailable;
use super::super::{Job, Supervisor};
use crate::api::{Refusal, ReplayRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::{DeploymentRecord, JobRecord, SourceSpec};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::sha256;

/// A version that is ready to run.
pub(super) struct Ready {
    pub(super) loaded: Arc<LoadedDeployment>,
    pub(super) version: u64,
    pub(super) digest: String,
    pub(super) settings: BTreeMap<String, String>,
}

/// The versions of a replay.
pub(super) struct Versions {
    /// What history is run through.
    pub(super) own: Ready,
    /// The active one, if that is another one.
    pub(super) active: Option<Ready>,
}

impl Supervisor {
    pub(super) fn versions_of(
        &self,
        job: &Job,
        component: Option<Vec<u8>>,
        request: &ReplayRequest,
        wanted: Wanted<'_>,
    ) -> Result<Versions, Refusal> {
        let record = job.state().record.clone();
        let active = record.active().clone();
        let mut deploy = request.deploy.clone();
        for (sink, place) in &request.sinks {
            let key = format!("sink.{sink}");
            deploy.settings.insert(key, place.clone());
        }
        let base = match request.version {
            None => active.clone(),
            Some(version) => record.of_version(version).cloned().ok_or_else(|| {
                Refusal::NotFound(format!(
                    "`{0}` has no version {version}: `streamhost history {0}` lists them",
                    job.name
                ))
            })?,
        };
        let is_active = component.is_none()
            && base.version == active.version
            && deploy.settings.is_empty()
            && !deploy.reset_settings;
        let of_active =
            self.silently_ready(&record, &active, self.stored(&active.digest)?, wanted)?;
        if is_active {
            return Ok(Versions {
                own: of_active,
                active: None,
            });
        }
        let (component, digest, version) = match component {
            Some(component) => {
                self.signer_of(&component)?; // before any of its code is compiled
                let digest = sha256(&component);
                (component, digest, record.newest_version + 1)
            }
            None => {
                self.signer_of_kept(&base.digest)?;
                (
                    self.stored(&base.digest)?,
                    base.digest.clone(),
                    base.version,
                )
            }
        };
        let settings = deploy.settings_after(Some(&base.settings))?;
        let deployment = DeploymentRecord {
            version,
            digest,
            settings,
            ..base
        };
        let own = self.silently_ready(&record, &deployment, component, wanted)?;
        same_sources(&own, &of_active)?;
        Ok(Versions {
            own,
            active: Some(of_active),
        })
    }

    fn stored(&self, digest: &str) -> Result<Vec<u8>, Refusal> {
        self.catalog.component(digest).map_err(|e| unavailable(&e))
    }

    /// Makes a version ready that logs nothing: its lines would be taken for the job's.
    fn silently_ready(
        &self,
        record: &JobRecord,
        deployment: &DeploymentRecord,
        component: Vec<u8>,
        wanted: Wanted<'_>,
    ) -> Result<Ready, Refusal> {
        let silent: LogSink = Arc::new(|_, _: &str| {});
        let settings = self.settings_of(&deployment.settings)?;
        let (loaded, _) = self
            .load(&silent, &deployment.digest, &component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        let raw = described(&loaded, &silent, &settings).map_err(Refusal::Invalid)?;
        let loaded = self.prove(&silent, loaded, raw, settings, deployment, record);
        let loaded = loaded.map_err(Refusal::Invalid)?;
        let warm = loaded.guest_version.warm(1);
        warm.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        Ok(Ready {
            loaded: Arc::new(loaded),
            version: deployment.version,
            digest: deployment.digest.clone(),
            settings: deployment.settings.clone(),
        })
    }
}

/// A version must read what the job has read, in the same order.
fn same_sources(own: &Ready, active: &Ready) -> Result<(), Refusal> {
    let reads = |ready: &Ready| {
        let sources = ready.loaded.spec.sources.iter();
        let place = |s: &SourceSpec| (s.connector.clone(), s.instance.clone(), s.target.clone());
        sources.map(place).collect::<Vec<_>>()
    };
    match reads(own) == reads(active) {
        true => Ok(()),
        false => Err(Refusal::Invalid(
            "a replay runs what the job has read, and this version reads other sources, or in another order: name the job's \
             own by --set source.NAME=PLACE"
                .to_owned(),
        )),
    }
}
