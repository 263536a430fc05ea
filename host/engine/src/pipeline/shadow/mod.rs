//! A version that runs beside the active one, on the same batches, and is compared with it. Nothing
//! of what it makes leaves the host: no rows, no dead letters, no state.
//!
//! ```text
//! runner: batch ─► active version ─► sinks
//!           └─ feed ─► inbox ─► shadow's thread: its version ─► compare ─► report
//! ```
//! It begins at a batch boundary as the active version is there, and goes its own way. It has one
//! guest, one thread, and a stated share of the time; what it cannot keep up with it leaves out, and
//! begins anew behind it.

use super::LoadedDeployment;
use inbox::Inbox;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_core::clock;

mod feed;
mod inbox;
mod report;
mod worker;

pub(super) use feed::ShadowFeed;
pub use report::{BatchDifference, ShadowEnd, ShadowReport};

/// How long a shadow runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowTerms {
    /// So long at most.
    pub time: Duration,
    /// So many batches at most.
    pub batches: Option<u64>,
}

/// A version that runs beside the active one.
pub struct Shadow {
    /// The version.
    pub loaded: Arc<LoadedDeployment>,
    /// The deployment that it runs beside.
    pub beside: u64,
    terms: ShadowTerms,
    inbox: Inbox,
    /// Ends its guest's calls.
    stop: Arc<AtomicBool>,
    report: Mutex<ShadowReport>,
}

impl Shadow {
    /// Starts a shadow of a version that reads what the active one does. `ended` is told once when
    /// it has come to its end, on its thread.
    pub fn start(
        loaded: Arc<LoadedDeployment>,
        beside: u64,
        terms: ShadowTerms,
        ended: impl FnOnce(&Shadow, &ShadowEnd) + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let name = format!("{} shadow", loaded.spec.name);
        let shadow = Arc::new(Shadow {
            loaded,
            beside,
            terms,
            inbox: Inbox::default(),
            stop: Arc::default(),
            report: Mutex::new(ShadowReport {
                began_ms: clock::now_ms(),
                ..ShadowReport::default()
            }),
        });
        let own = shadow.clone();
        let run = move || {
            let end = worker::run(&own);
            own.inbox.end(end.clone()); // nothing more is given to it
            own.report().ended = Some((clock::now_ms(), end.clone()));
            ended(&own, &end);
        };
        std::thread::Builder::new().name(name).spawn(run)?;
        Ok(shadow)
    }

    fn report(&self) -> MutexGuard<'_, ShadowReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has come to, so far.
    pub fn look(&self) -> ShadowReport {
        self.report().clone()
    }

    /// Ends it, if it has not ended yet. It does so by itself soon.
    pub fn end(&self, why: &str) {
        self.inbox.end(ShadowEnd::Told(why.to_owned()));
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it runs no more, or is about to end.
    pub fn has_ended(&self) -> bool {
        self.inbox.has_ended()
    }

    /// It is done with what it was given.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.inbox.is_idle()
    }

    /// How long it runs.
    pub fn terms(&self) -> ShadowTerms {
        self.terms
    }
}

/// Which shadow a job's pipelines feed, if there is one.
#[derive(Clone, Default)]
pub struct ShadowSlot(Arc<Mutex<Option<Arc<Shadow>>>>);

impl ShadowSlot {
    /// The one it holds.
    pub fn get(&self) -> Option<Arc<Shadow>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// Holds this one from now on; gives the one of before.
    pub fn set(&self, shadow: Option<Arc<Shadow>>) -> Option<Arc<Shadow>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, shadow)
    }
}
