//! Every request that changes something is noted: before it begins, and how it went before it is
//! answered. `GET /v1/audit` reads what is noted.

use super::connections::Peer;
use super::handlers::{Answer, call};
use super::letters::since_ms;
use super::openapi::{AllFaults, BusyFaults};
use super::reply::{Fault, Why};
use super::requests::{JobName, pairs, unknown};
use super::{App, roles};
use crate::access::Token;
use crate::api::{
    AuditAsk, AuditEntry, AuditOutcome, AuditPage, Deployed, JobStatus, Jobs, LetterEnd, Refusal,
};
use axum::extract::{FromRequestParts, MatchedPath, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Json, RequestExt};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use streamhost_core::job::names;
use streamhost_core::{clock, limits};
use tower_http::request_id::RequestId;

/// Entries on a page that does not say how many it wants.
const PAGE_DEFAULT: usize = 50;

/// A request that changes something, as far as it is known.
#[derive(Clone)]
pub(super) struct Audited(Arc<Mutex<AuditEntry>>);

impl<S: Sync> FromRequestParts<S> for Audited {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let audited = parts.extensions.get().cloned();
        // A route that changes something is in the list of `roles`.
        audited.ok_or_else(|| {
            let words = "this call is not known as one that changes something";
            Fault::new(StatusCode::INTERNAL_SERVER_ERROR, words)
        })
    }
}

impl Audited {
    /// That of a request, which carries it from then on; none: it changes nothing.
    pub(super) async fn begin(request: &mut Request, token: Option<&Token>) -> Option<Audited> {
        let extensions = request.extensions();
        let route = extensions.get::<MatchedPath>()?.as_str();
        let verb = roles::verb(request.method(), route)?.to_owned();
        let id = extensions.get::<RequestId>();
        let id = id.map(|id| String::from_utf8_lossy(id.header_value().as_bytes()).into_owned());
        let entry = AuditEntry {
            who: token.map(|token| token.name.clone()),
            role: token.map(|token| token.role.word().to_owned()),
            peer: extensions.get().map(|Peer(address)| address.to_string()),
            request: id.map(|id| names::shown(&id, limits::NAME_SHOWN_CHARS_MAX)),
            verb,
            job: request.extract_parts::<JobName>().await.ok().map(shown),
            ..AuditEntry::default()
        };
        let audited = Audited(Arc::new(Mutex::new(entry)));
        request.extensions_mut().insert(audited.clone());
        Some(audited)
    }

    fn entry(&self) -> MutexGuard<'_, AuditEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked, once it is read.
    pub(super) fn asks(&self, job: Option<&str>, options: Vec<String>) {
        let mut entry = self.entry();
        if let Some(job) = job {
            entry.job = Some(shown(JobName(job.to_owned())));
        }
        entry.options = options;
    }

    /// Makes the change. It is not begun where that cannot be noted. Whoever asked may be gone by
    /// then: what becomes of it is noted all the same.
    pub(super) fn through<T: Noted>(
        &self,
        jobs: &dyn Jobs,
        work: impl FnOnce(&dyn Jobs) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        jobs.audit().note(&mut self.entry())?;
        let began = clock::monotonic();
        let made = catch_unwind(AssertUnwindSafe(|| work(jobs)));
        let told = catch_unwind(AssertUnwindSafe(|| {
            let mut entry = self.entry().clone();
            match &made {
                Ok(Ok(done)) => {
                    entry.outcome = AuditOutcome::Done;
                    done.tell(jobs, &mut entry);
                }
                Ok(Err(refusal)) => refused(&mut entry, &Fault::from(refusal.clone()).why()),
                Err(_) => entry.outcome = AuditOutcome::Failed,
            }
            entry
        }));
        self.end(jobs, told.ok(), began);
        made.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn end(&self, jobs: &dyn Jobs, told: Option<AuditEntry>, began: Instant) {
        let mut entry = self.entry();
        match told {
            Some(told) => *entry = told,
            None => entry.outcome = AuditOutcome::Failed,
        }
        entry.took_ms = Some(clock::since(began).as_millis() as u64);
        // It is made, and its first line is there: who asked is told the truth.
        if let Err(error) = jobs.audit().note(&mut entry) {
            let AuditEntry { verb, number, .. } = &*entry;
            tracing::error!("how the {verb} of audit entry {number} went is not noted: {error}");
        }
    }

    /// Notes a request that was answered before a change began.
    pub(super) async fn answered(&self, app: &App, why: Why) {
        let mut entry = self.entry().clone();
        if entry.number != 0 {
            return;
        }
        refused(&mut entry, &why);
        let jobs = Arc::clone(&app.jobs);
        let noted = tokio::task::spawn_blocking(move || jobs.audit().note(&mut entry)).await;
        if let Ok(Err(error)) = noted {
            tracing::error!("a request that was refused is not noted: {error}");
        }
    }
}

fn shown(JobName(job): JobName) -> String {
    names::shown(&job, limits::NAME_SHOWN_CHARS_MAX)
}

fn refused(entry: &mut AuditEntry, Why(status, reason): &Why) {
    entry.outcome = AuditOutcome::Refused;
    entry.status = Some(status.as_u16());
    entry.reason = Some(AuditEntry::shortened(reason));
}

/// What a change that was made says of itself.
pub(super) trait Noted {
    fn tell(&self, jobs: &dyn Jobs, entry: &mut AuditEntry);
}

impl Noted for Deployed {
    fn tell(&self, jobs: &dyn Jobs, entry: &mut AuditEntry) {
        entry.job = Some(self.job.clone());
        entry.deployment = Some(self.deployment);
        entry.version = Some(self.version);
        entry.digest = Some(self.digest.clone());
        // The history has both, whatever came after them.
        let history = jobs.history(&self.job).unwrap_or_default();
        let of = |number| history.iter().find(|made| made.number == number);
        let Some(made) = of(self.deployment) else {
            return;
        };
        entry.signed_by = made.signed_by.clone();
        if self.changed {
            let before = of(self.deployment - 1).map(|before| &before.settings);
            entry.settings = AuditEntry::settings_between(before, &made.settings);
        } else {
            entry.reason = Some("it was active already".to_owned());
        }
    }
}

impl Noted for JobStatus {
    fn tell(&self, _: &dyn Jobs, entry: &mut AuditEntry) {
        entry.deployment = Some(self.deployment);
        entry.version = Some(self.version);
        entry.digest = Some(self.digest.clone());
        entry.signed_by = self.signed_by.clone();
    }
}

/// Of a job that is gone its history is still there.
impl Noted for () {
    fn tell(&self, jobs: &dyn Jobs, entry: &mut AuditEntry) {
        let history = jobs.history(entry.job.as_deref().unwrap_or_default());
        if let Some(last) = history.unwrap_or_default().into_iter().next() {
            entry.deployment = Some(last.number);
            entry.version = Some(last.version);
            entry.digest = Some(last.digest);
            entry.signed_by = last.signed_by;
        }
    }
}

impl Noted for Vec<LetterEnd> {
    fn tell(&self, _: &dyn Jobs, entry: &mut AuditEntry) {
        let skipped = self.iter().filter(|end| end.outcome.is_err()).count();
        if skipped > 0 {
            entry.reason = Some(format!("{skipped} of {} skipped", self.len()));
        }
    }
}

/// What was changed, and by whom, newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    params(
        ("job" = Option<String>, Query, description = "Of this job alone."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "How many at most; 50."),
        ("before" = Option<u64>, Query, description = "Where a page begins: `next` of the one before."),
        ("since" = Option<String>, Query, description = "A time in RFC 3339, or a duration."),
    ),
    responses((status = 200, description = "A page of entries.", body = AuditPage), AllFaults, BusyFaults),
)]
// Who may look at everything may look at this too: it is for those who watch, and they need no
// right to change anything.
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Answer<AuditPage> {
    let ask = asked(query.as_deref())?;
    Ok(Json(
        call(&app, move |jobs| jobs.audit().page(&ask)).await??,
    ))
}

fn asked(query: Option<&str>) -> Result<AuditAsk, Fault> {
    let mut ask = AuditAsk {
        limit: PAGE_DEFAULT,
        ..AuditAsk::default()
    };
    for (key, value) in pairs(query)? {
        match &*key {
            "job" => ask.job = Some(value),
            "limit" => {
                let limit = value.parse::<usize>().ok().filter(|limit| *limit > 0);
                let limit = limit.ok_or_else(|| Fault::bad("`limit` must be a number above 0"))?;
                ask.limit = limit.min(limits::AUDIT_PAGE_MAX);
            }
            "before" => {
                let before = value.parse::<u64>();
                let words = "`before` must be the number of an entry: take it from `next`";
                ask.before = Some(before.map_err(|_| Fault::bad(words))?);
            }
            "since" => ask.since_ms = Some(since_ms(&value)?),
            _ => return Err(unknown(&key, &["job", "limit", "before", "since"])),
        }
    }
    Ok(ask)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
