//! A shadow that is only said to run.

use super::{FakeJobs, locked};
use crate::api::{
    BatchView, ColumnView, DeployRequest, Deployed, LetterView, LettersView, PairView, PromoteIf,
    Refusal, RowView, ShadowRequest, ShadowView, SinkView,
};
use std::collections::BTreeMap;
use streamhost_core::job::DeploymentKind;

impl FakeJobs {
    pub(super) fn begin_shadow(
        &self,
        component: &[u8],
        request: &ShadowRequest,
    ) -> Result<ShadowView, Refusal> {
        let name = request.deploy.name.clone();
        let job = name.unwrap_or_else(|| "clicks".to_owned());
        self.deployments(&job)?;
        let view = shadow(&job, component, request);
        *locked(&self.shadow) = Some(view.clone());
        Ok(view)
    }

    pub(super) fn look_at_shadow(&self, job: &str) -> Result<ShadowView, Refusal> {
        self.deployments(job)?;
        let none = || Refusal::NotFound(format!("job `{job}` has no shadow"));
        locked(&self.shadow).clone().ok_or_else(none)
    }

    pub(super) fn promote_shadow(&self, job: &str) -> Result<Deployed, Refusal> {
        let shadow = self.look_at_shadow(job)?;
        let (version, digest) = (shadow.version, shadow.digest);
        let request = DeployRequest::default();
        self.activate(job, version, digest, DeploymentKind::Deploy, request);
        self.said(job)
    }

    pub(super) fn forget_shadow(&self, job: &str) -> Result<(), Refusal> {
        self.look_at_shadow(job)?;
        *locked(&self.shadow) = None;
        Ok(())
    }
}

/// A shadow of which one row in a thousand differs.
fn shadow(job: &str, component: &[u8], request: &ShadowRequest) -> ShadowView {
    let row = RowView {
        of: "both".to_owned(),
        key: vec!["page-7".to_owned()],
        columns: vec![ColumnView {
            column: "sum:cents".to_owned(),
            active: Some("41".to_owned()),
            shadow: Some("42".to_owned()),
        }],
    };
    let rows = SinkView {
        alike: 9990,
        differing: 10,
        columns: ["sum:cents", "sum:count"]
            .map(|column| (column.to_owned(), 10))
            .into(),
        samples: vec![row],
        ..SinkView::default()
    };
    let letter = LetterView {
        of: "shadow".to_owned(),
        record: Some("0-17".to_owned()),
        stage: "clicks".to_owned(),
        key: None,
        active: None,
        shadow: Some("no quantity".to_owned()),
    };
    ShadowView {
        job: job.to_owned(),
        version: 3,
        digest: format!("{:064x}", component.len()),
        beside: 2,
        running: true,
        began: "2026-11-21T08:00:00Z".to_owned(),
        until: "2026-11-21T08:10:00Z".to_owned(),
        batches_max: request.batches,
        promote_if: request.promote_if.as_ref().map(PromoteIf::to_string),
        batches: 12,
        skipped: 3,
        forks: 2,
        records: 10_001,
        alike: 9990,
        differing: 11,
        sinks: [("purchases".to_owned(), rows)].into(),
        dead_letters: LettersView {
            only_shadow: 1,
            samples: vec![letter],
            ..LettersView::default()
        },
        counts: counts(),
        settings: [("every".to_owned(), "2s".to_owned())].into(),
        recent: vec![BatchView {
            batch: 40,
            records: 1000,
            alike: 999,
            differing: 1,
            dead_letters: pair(0, 0),
        }],
        ..ShadowView::default()
    }
}

fn pair(active: u64, shadow: u64) -> PairView {
    PairView { active, shadow }
}

fn counts() -> BTreeMap<String, PairView> {
    [
        ("broken", pair(0, 0)),
        ("cpu_us", pair(100, 90)),
        ("dead_letters", pair(0, 1)),
        ("dropped", pair(3, 3)),
        ("late", pair(0, 0)),
        ("memory_bytes", pair(1 << 20, 1 << 20)),
        ("skipped", pair(0, 0)),
    ]
    .map(|(name, pair)| (name.to_owned(), pair))
    .into()
}
