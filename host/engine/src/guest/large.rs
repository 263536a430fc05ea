//! Batches whose answers need more memory than each job has for itself take turns, over all jobs of
//! a host: what all of them may hold is then a sum that is known before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use streamhost_core::limits::{BATCH_ANSWERS_BYTES_MAX, BATCH_ANSWERS_OWN_BYTES, LOOK_TIME};

/// The turns of a host. Each is for one batch, until that is delivered.
#[derive(Debug)]
pub struct LargeBatches {
    free: Mutex<usize>,
    freed: Condvar,
    /// Bytes that the answers for one batch may have without a turn.
    own_bytes: usize,
    /// The same with one.
    bytes_max: usize,
}

impl LargeBatches {
    /// So many turns, for batches whose answers have up to so many bytes.
    pub fn new(turns: usize, bytes_max: usize) -> Arc<LargeBatches> {
        Self::beyond(BATCH_ANSWERS_OWN_BYTES, turns, bytes_max)
    }

    /// The same where batches need a turn beyond `own_bytes`.
    pub(super) fn beyond(own_bytes: usize, turns: usize, bytes_max: usize) -> Arc<LargeBatches> {
        Arc::new(LargeBatches {
            free: Mutex::new(turns),
            freed: Condvar::new(),
            own_bytes: own_bytes.min(bytes_max),
            bytes_max,
        })
    }

    /// The turn of a job that has no others beside it.
    pub(super) fn of_one_job() -> Arc<LargeBatches> {
        Self::new(1, BATCH_ANSWERS_BYTES_MAX)
    }

    /// For what is as large as this allows, and let go before there is more.
    pub(super) fn without_turns(&self) -> Arc<LargeBatches> {
        Self::beyond(self.bytes_max, 0, self.bytes_max)
    }

    pub(super) fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Waits for a turn; none once `stop` is set. `waits` is called once if there is none at once.
    pub(super) fn take(
        self: &Arc<Self>,
        stop: &AtomicBool,
        waits: impl FnOnce(),
    ) -> Option<LargeTurn> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            drop(free);
            waits();
            free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        }
        while *free == 0 {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let waited = self.freed.wait_timeout(free, LOOK_TIME);
            (free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Some(LargeTurn(self.clone()))
    }
}

/// A large batch is under way for as long as this is held.
#[derive(Debug)]
pub struct LargeTurn(Arc<LargeBatches>);

impl Drop for LargeTurn {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_turn_is_waited_for_until_another_batch_is_done_or_the_job_stops() {
        let large = LargeBatches::new(1, 1 << 30);
        let never = AtomicBool::new(false);
        let held = large.take(&never, || unreachable!("one is free"));
        let (waits, waiting) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| large.take(&never, || waits.send(()).unwrap()).is_some());
            waiting.recv().unwrap();
            drop(held);
            assert!(second.join().unwrap());
        });
        let held = large.take(&never, || unreachable!("the second one gave its turn back"));
        let stopped = AtomicBool::new(true);
        assert!(held.is_some() && large.take(&stopped, || ()).is_none());
    }
}
