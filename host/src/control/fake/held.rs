//! Calls that wait until a test lets them go.

use super::{FakeJobs, locked};
use std::sync::PoisonError;

impl FakeJobs {
    /// Makes `history` and `pause` wait until they are let go.
    pub(crate) fn hold(&self, held: bool) {
        *locked(&self.held) = held;
        self.freed.notify_all();
    }

    pub(super) fn wait_while_held(&self) {
        let held = self.freed.wait_while(locked(&self.held), |held| *held);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }
}
