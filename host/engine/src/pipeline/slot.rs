//! Which deployment the next batch names.

use super::LoadedDeployment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which deployment the next batch names when it is cut: the seam between the control plane, which
/// sets it, and a pipeline, which takes it. A pipeline that ends closes it, so that no deployment
/// is given to one that will not run it.
#[derive(Clone)]
pub struct DeploymentSlot(Arc<Mutex<Slot>>);

struct Slot {
    active: Arc<LoadedDeployment>,
    /// The deployment that the pipeline's newest batch named, or that it began with.
    named: u64,
    is_closed: bool,
}

impl DeploymentSlot {
    /// A slot that holds this one.
    pub fn new(active: Arc<LoadedDeployment>) -> Self {
        let named = active.deployment;
        DeploymentSlot(Arc::new(Mutex::new(Slot {
            active,
            named,
            is_closed: false,
        })))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one it holds.
    pub fn get(&self) -> Arc<LoadedDeployment> {
        self.slot().active.clone()
    }

    /// The next batch names this one. False: the pipeline has come to its end, and it is for another
    /// one to begin with it.
    pub fn set(&self, active: Arc<LoadedDeployment>) -> bool {
        let mut slot = self.slot();
        slot.active = active;
        !slot.is_closed
    }

    /// The one that a batch names.
    pub(super) fn name(&self) -> Arc<LoadedDeployment> {
        let mut slot = self.slot();
        slot.named = slot.active.deployment;
        slot.active.clone()
    }

    /// A pipeline begins.
    pub(super) fn open(&self) {
        let mut slot = self.slot();
        (slot.named, slot.is_closed) = (slot.active.deployment, false);
    }

    /// The pipeline has come to its end. Whether it holds a deployment that no batch has named.
    pub(super) fn close(&self) -> bool {
        let mut slot = self.slot();
        slot.is_closed = true;
        slot.active.deployment != slot.named
    }
}
