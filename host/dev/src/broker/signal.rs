//! How a connection's thread waits: for records, for a group's members, until a deadline, or for
//! the end of serving.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Instant;
use streamhost_core::clock::monotonic;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// Something may have changed: look again.
    Raised,
    /// The deadline is over.
    Late,
    /// The broker stops serving: answer what there is.
    Closed,
}

/// One for each connection; whoever changes what it waits for raises it.
#[derive(Debug, Default)]
pub(super) struct Signal {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    raised: bool,
    closed: bool,
}

impl Signal {
    pub(super) fn raise(&self) {
        self.flags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .raised = true;
        self.changed.notify_all();
    }

    /// Ends this and every later wait.
    pub(super) fn close(&self) {
        self.flags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.changed.notify_all();
    }

    /// Forgets what was raised. To be called before looking, so that a change after the look is
    /// noticed.
    pub(super) fn lower(&self) {
        self.flags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .raised = false;
    }

    pub(super) fn wait_until(&self, deadline: Instant) -> Wake {
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if flags.closed {
                return Wake::Closed;
            }
            // The deadline first: who is raised at each look would otherwise never hear of it.
            let left = deadline.saturating_duration_since(monotonic());
            if left.is_zero() {
                return Wake::Late;
            }
            if flags.raised {
                return Wake::Raised;
            }
            flags = self
                .changed
                .wait_timeout(flags, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// The connections that wait for one thing. No more than there are connections: the dead ones leave
/// with each newcomer.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Weak<Signal>>);

impl Waiters {
    pub(super) fn add(&mut self, signal: &Arc<Signal>) {
        self.0.retain(|known| {
            known.strong_count() > 0 && !std::ptr::eq(known.as_ptr(), Arc::as_ptr(signal))
        });
        self.0.push(Arc::downgrade(signal));
    }

    pub(super) fn raise_all(&mut self) {
        for signal in self.0.drain(..).filter_map(|known| known.upgrade()) {
            signal.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_between_look_and_wait_is_noticed() {
        let signal = Arc::new(Signal::default());
        let mut waiters = Waiters::default();
        signal.lower();
        waiters.add(&signal);
        waiters.add(&signal);
        assert_eq!(waiters.0.len(), 1, "a connection waits once");
        waiters.raise_all();
        assert_eq!(
            signal.wait_until(Instant::now() + Duration::from_secs(60)),
            Wake::Raised
        );
        assert_eq!(
            signal.wait_until(Instant::now()),
            Wake::Late,
            "a deadline counts, whatever happens"
        );
        signal.close();
        assert_eq!(
            signal.wait_until(Instant::now() + Duration::from_secs(60)),
            Wake::Closed
        );
    }

    #[test]
    fn gone_connections_are_forgotten() {
        let mut waiters = Waiters::default();
        waiters.add(&Arc::new(Signal::default()));
        let live = Arc::new(Signal::default());
        waiters.add(&live);
        assert_eq!(waiters.0.len(), 1);
    }
}
