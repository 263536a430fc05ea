//! What a shadow is to run: a few batches, given by the pipeline, taken by the shadow's thread.

use super::{LoadedDeployment, ShadowEnd};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::executor::{BatchInputs, BatchOutcome, ExecutorFork};
use streamhost_core::{clock, limits};

/// A batch that the active version has run.
pub(super) struct Work {
    /// Where the shadow begins before it; none: where it stands.
    pub(super) fork: Option<(ExecutorFork, u64)>,
    pub(super) given: BatchInputs,
    pub(super) active: Arc<LoadedDeployment>,
    pub(super) outcome: BatchOutcome,
    /// CPU time that it took the active version.
    pub(super) cpu: Duration,
    /// The largest of the active version's guests.
    pub(super) memory_bytes: u64,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing: the shadow has enough to do.
    None,
    /// The batch that follows.
    Batch,
    /// Any batch, with where the shadow begins before it.
    Fork,
}

/// What a shadow's thread does next.
pub(super) enum Next {
    Run(Box<Work>),
    End(ShadowEnd),
}

#[derive(Default)]
pub(super) struct Inbox {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    waiting: VecDeque<Work>,
    /// The thread runs a batch, or rests after it.
    at_work: bool,
    /// What the thread has got so far is of no more use: it must begin anew.
    must_fork: bool,
    end: Option<ShadowEnd>,
}

impl Inbox {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is room for. `follows`: the next batch is the one behind the last that was given.
    pub(super) fn room(&self, follows: bool) -> Room {
        let inside = self.inside();
        let is_idle = inside.waiting.is_empty() && !inside.at_work;
        match follows && !inside.must_fork {
            _ if inside.end.is_some() => Room::None,
            true if inside.waiting.len() < limits::SHADOW_BATCHES_WAITING_MAX => Room::Batch,
            // The thread must be done with what it has: it reads the state of before.
            false if is_idle => Room::Fork,
            _ => Room::None,
        }
    }

    /// False: the thread has begun to start over since there was room, and cannot go on with this.
    pub(super) fn put(&self, work: Work) -> bool {
        let mut inside = self.inside();
        if inside.must_fork && work.fork.is_none() {
            return false;
        }
        inside.must_fork = false;
        inside.waiting.push_back(work);
        drop(inside);
        self.changed.notify_one();
        true
    }

    /// The next batch, until this moment.
    pub(super) fn next(&self, until: Instant) -> Next {
        let mut inside = self.inside();
        loop {
            if let Some(end) = &inside.end {
                return Next::End(end.clone());
            }
            let left = until.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                return Next::End(ShadowEnd::Done);
            }
            if let Some(work) = inside.waiting.pop_front() {
                inside.at_work = true;
                return Next::Run(Box::new(work));
            }
            inside.at_work = false;
            let waited = self.changed.wait_timeout(inside, left);
            (inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests for so long, or until the end.
    pub(super) fn rest(&self, time: Duration) {
        let until = clock::monotonic() + time;
        let mut inside = self.inside();
        while inside.end.is_none() {
            let left = until.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(inside, left);
            (inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The thread must begin anew; what waits is of no more use. How many batches those were.
    pub(super) fn start_over(&self) -> u64 {
        let mut inside = self.inside();
        inside.must_fork = true;
        std::mem::take(&mut inside.waiting).len() as u64
    }

    /// Nothing more is run. The first reason stays.
    pub(super) fn end(&self, end: ShadowEnd) {
        let mut inside = self.inside();
        inside.end.get_or_insert(end);
        inside.waiting.clear();
        drop(inside);
        self.changed.notify_all();
    }

    /// Nothing waits, and nothing is run.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let inside = self.inside();
        inside.waiting.is_empty() && !inside.at_work
    }

    pub(super) fn has_ended(&self) -> bool {
        self.inside().end.is_some()
    }
}
