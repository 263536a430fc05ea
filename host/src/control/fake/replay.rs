//! A replay that is only said to run.

use super::{FakeJobs, locked};
use crate::api::{
    DeployRequest, Refusal, ReplayColumnView, ReplayRequest, ReplayRowView, ReplaySavepointView,
    ReplaySinkView, ReplayView, ShadowRequest,
};

impl FakeJobs {
    /// Begins a shadow and a replay of `clicks`.
    pub(super) fn begin_beside(&self) {
        let shadow = ShadowRequest {
            deploy: DeployRequest::default(),
            time: streamhost_core::limits::SHADOW_TIME_DEFAULT,
            batches: None,
            promote_if: None,
        };
        self.begin_shadow(b"three", &shadow).expect("it is there");
        let mut request = ReplayRequest {
            diff: true,
            write: true,
            ..ReplayRequest::default()
        };
        request.deploy.name = Some("clicks".to_owned());
        self.begin_replay(None, false, &request)
            .expect("it is there");
    }

    pub(super) fn begin_replay(
        &self,
        component: Option<&[u8]>,
        is_saved: bool,
        request: &ReplayRequest,
    ) -> Result<ReplayView, Refusal> {
        let job = request.deploy.name.clone().unwrap_or_default();
        self.deployments(&job)?;
        if !request.diff && !request.write && request.sinks.is_empty() {
            return Err(Refusal::Invalid("say what becomes of the rows".to_owned()));
        }
        let mut view = replay(&job, component, request);
        view.savepoint = is_saved.then(|| ReplaySavepointView {
            batch: 12,
            taken: "2026-11-21T07:00:00Z".to_owned(),
        });
        *locked(&self.replay) = Some(view.clone());
        Ok(view)
    }

    pub(super) fn look_at_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.deployments(job)?;
        let none = || Refusal::NotFound(format!("job `{job}` has no replay"));
        locked(&self.replay).clone().ok_or_else(none)
    }

    pub(super) fn end_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        let mut view = self.look_at_replay(job)?;
        view.running = false;
        view.outcome = Some("stopped".to_owned());
        view.why = Some("it was stopped".to_owned());
        *locked(&self.replay) = Some(view.clone());
        Ok(view)
    }
}

/// A replay that is done, and found one row that differs.
fn replay(job: &str, component: Option<&[u8]>, request: &ReplayRequest) -> ReplayView {
    let row = ReplayRowView {
        is: "differing".to_owned(),
        key: "page-7".to_owned(),
        columns: vec![ReplayColumnView {
            column: "sum:cents".to_owned(),
            held: Some("41".to_owned()),
            made: Some("42".to_owned()),
        }],
    };
    let rows = ReplaySinkView {
        place: "purchases".to_owned(),
        alike: 9998,
        differing: 1,
        missing: 1,
        overtaken: 3,
        mended: if request.write { 2 } else { 0 },
        columns: [("sum:cents".to_owned(), 1)].into(),
        samples: vec![row],
        ..ReplaySinkView::default()
    };
    let at = |offset| [("clicks".to_owned(), [(0, offset)].into())].into();
    ReplayView {
        job: job.to_owned(),
        version: request.version.unwrap_or(2),
        digest: format!("{:064x}", component.map_or(7, <[u8]>::len)),
        settings: [("every".to_owned(), "2s".to_owned())].into(),
        running: false,
        outcome: Some("done".to_owned()),
        phase: "ended".to_owned(),
        began: "2026-11-21T08:00:00Z".to_owned(),
        ended: Some("2026-11-21T08:01:00Z".to_owned()),
        from: at(0),
        to: at(10_002),
        at: at(10_002),
        passed: 10_002,
        offsets: 10_002,
        rate: request.rate,
        writes: request.write,
        records: 10_002,
        batches: 12,
        counts: ["dead_letters", "dropped", "late", "skipped", "timeless"]
            .map(|name| (name.to_owned(), 0))
            .into(),
        followed: 40,
        differing: 2,
        sinks: [("purchases".to_owned(), rows)].into(),
        extra_rows: "place".to_owned(),
        mended_at: request.write.then(|| "2026-11-21T08:00:55Z".to_owned()),
        ..ReplayView::default()
    }
}
