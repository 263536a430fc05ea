//! How a pipeline is asked to stop, and how long it tries what fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Close the batch that was gathered, and finish it.
    Drain,
    /// Finish the batch that is planned if its sinks take it; what was only gathered or run is read
    /// again later. Where it could not be, it is planned too.
    Soon,
    /// It had its time: what is only being run is abandoned, whether it can be read again or not.
    Now,
}

/// Asks a pipeline to stop, with more or less haste. Shared between its threads and whoever stops
/// it.
#[derive(Default)]
pub struct StopSignal {
    stop: Mutex<Option<Stop>>,
    /// A stop abandons the batch that is being run; for those who look often.
    soon: Arc<AtomicBool>,
    runs_on: AtomicBool,
    stopped: Condvar,
}

impl StopSignal {
    /// Asks to stop; a later call can only ask for more haste.
    pub fn request(&self, how: Stop) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        *stop = (*stop).max(Some(how));
        let runs_on = self.runs_on.load(Ordering::Relaxed);
        let leaves = *stop >= Some(if runs_on { Stop::Now } else { Stop::Soon });
        self.soon.store(leaves, Ordering::Relaxed);
        self.stopped.notify_all();
    }

    /// Whether to stop, and how.
    pub fn requested(&self) -> Option<Stop> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once a stop has come that waits for no batch that is only being run.
    pub fn interrupts(&self) -> Arc<AtomicBool> {
        self.soon.clone()
    }

    /// `keeps`: from now on a batch is run to its end, as its records cannot be read again;
    /// [`Stop::Now`] alone ends it.
    pub fn finish_batches(&self, keeps: bool) {
        self.runs_on.store(keeps, Ordering::Relaxed);
    }

    /// Whether the batch whose run began then is to be left for a stop, to be read again later.
    pub fn abandons_batch(&self, began: Instant) -> bool {
        match self.runs_on.load(Ordering::Relaxed) {
            true => self.requested() == Some(Stop::Now),
            false => self.gives_up(began),
        }
    }

    /// Whether what began then is to be left for a stop: at once, or if it is a drain, once it had
    /// its time.
    pub fn gives_up(&self, began: Instant) -> bool {
        match self.requested() {
            Some(Stop::Soon | Stop::Now) => true,
            Some(Stop::Drain) => clock::since(began) > limits::DRAIN_TIME,
            None => false,
        }
    }

    /// Waits, but no longer than until a stop. True: stop.
    pub fn pause(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let (stop, _) = self
            .stopped
            .wait_timeout_while(stop, time, |stop| stop.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        stop.is_some()
    }
}

/// The shortest wait. The host's own tests fail thousands of times, with nothing to wait for.
const SHORTEST: Duration = if cfg!(test) {
    Duration::from_millis(1)
} else {
    limits::BACKOFF.0
};

/// Waits that double, between two bounds, for as long as a fault lasts.
pub struct Backoff {
    next: Duration,
    began: Instant,
}

impl Backoff {
    /// Begins with the shortest.
    pub fn new() -> Self {
        Backoff {
            next: SHORTEST,
            began: clock::monotonic(),
        }
    }

    /// Waits. True: a stop came, and enough was tried. A drain is given some more time, as
    /// something may come back.
    pub fn wait(&mut self, stop: &StopSignal) -> bool {
        if stop.gives_up(self.began) {
            return true;
        }
        match stop.requested() {
            Some(_) => std::thread::sleep(SHORTEST),
            None => drop(stop.pause(self.next)),
        }
        self.next = (self.next * 2).min(limits::BACKOFF.1);
        stop.requested() >= Some(Stop::Soon)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new()
    }
}
