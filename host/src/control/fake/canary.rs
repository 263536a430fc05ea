//! A canary that is only said to run.

use super::{FakeJobs, locked};
use crate::api::{CanaryDeployed, CanaryStatus, DeployRequest, Deployed, Refusal, SideView};
use streamhost_core::job::{DeploymentKind, Share};

impl FakeJobs {
    pub(super) fn begin_canary(
        &self,
        job: &str,
        digest: &str,
        share: &Share,
    ) -> Result<Deployed, Refusal> {
        let now = self.said(job)?;
        *locked(&self.canary) = Some(canary(now.version + 1, digest, share));
        self.with_canary(now)
    }

    pub(super) fn promote_version(
        &self,
        job: &str,
        to: Option<&Share>,
    ) -> Result<Deployed, Refusal> {
        let canary = locked(&self.canary).take();
        match (canary, to) {
            (Some(canary), Some(share)) => self.begin_canary(job, &canary.digest, share),
            (Some(canary), None) => {
                let request = DeployRequest::default();
                let (version, digest) = (canary.version, canary.digest);
                self.activate(job, version, digest, DeploymentKind::Deploy, request);
                self.said(job)
            }
            (None, Some(_)) => Err(Refusal::Conflict(format!("job `{job}` has no canary"))),
            (None, None) => self.promote_shadow(job),
        }
    }

    fn with_canary(&self, now: Deployed) -> Result<Deployed, Refusal> {
        let canary = locked(&self.canary).clone();
        let told = canary.map(|canary| CanaryDeployed {
            version: canary.version,
            digest: canary.digest,
            share: canary.share,
        });
        Ok(Deployed {
            canary: told,
            ..now
        })
    }
}

/// A canary that fails on more than the active version does.
fn canary(version: u64, digest: &str, share: &Share) -> CanaryStatus {
    CanaryStatus {
        version,
        digest: digest.to_owned(),
        share: share.to_string(),
        since: "2026-11-21T08:05:00Z".to_owned(),
        by_key: false,
        active: SideView {
            records: 9500,
            rows: 9405,
            failed: 95,
            broken: 1,
            late: 0,
            dropped: 3,
            busy_us: 19_000,
            ns_per_record: Some(2000),
        },
        canary: SideView {
            records: 500,
            rows: 470,
            failed: 30,
            broken: 0,
            late: 2,
            dropped: 0,
            busy_us: 1500,
            ns_per_record: Some(3000),
        },
    }
}
