//! Which deployment the next batch names.

use super::LoadedDeployment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A deployment, whose number tells it from others of its job.
pub trait Numbered {
    /// The number.
    fn number(&self) -> u64;
}

impl Numbered for LoadedDeployment {
    fn number(&self) -> u64 {
        self.deployment
    }
}

/// Which deployment the next batch names when it is cut: the seam between the control plane, which
/// sets it, and a pipeline, which takes it. A pipeline that ends closes it, so that no deployment
/// is given to one that will not run it. Of whatever a deployment is, so that a simulation of the
/// control plane has this slot and no other.
pub struct Slot<D>(Arc<Mutex<Inside<D>>>);

/// The slot of a real pipeline.
pub type DeploymentSlot = Slot<LoadedDeployment>;

struct Inside<D> {
    active: Arc<D>,
    /// The deployment that the pipeline's newest batch named, or that it began with.
    named: u64,
    is_closed: bool,
}

impl<D> Clone for Slot<D> {
    fn clone(&self) -> Self {
        Slot(self.0.clone())
    }
}

impl<D: Numbered> Slot<D> {
    /// A slot that holds this one.
    pub fn new(active: Arc<D>) -> Self {
        let named = active.number();
        Slot(Arc::new(Mutex::new(Inside {
            active,
            named,
            is_closed: false,
        })))
    }

    fn inside(&self) -> MutexGuard<'_, Inside<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one it holds.
    pub fn get(&self) -> Arc<D> {
        self.inside().active.clone()
    }

    /// The next batch names this one. False: the pipeline has come to its end, and it is for another
    /// one to begin with it.
    pub fn set(&self, active: Arc<D>) -> bool {
        let mut inside = self.inside();
        inside.active = active;
        !inside.is_closed
    }

    /// The one that a batch names: for the pipeline.
    pub fn name(&self) -> Arc<D> {
        let mut inside = self.inside();
        inside.named = inside.active.number();
        inside.active.clone()
    }

    /// A pipeline begins: for the pipeline.
    pub fn open(&self) {
        let mut inside = self.inside();
        (inside.named, inside.is_closed) = (inside.active.number(), false);
    }

    /// The pipeline has come to its end: for the pipeline. Whether it holds a deployment that no
    /// batch has named.
    pub fn close(&self) -> bool {
        let mut inside = self.inside();
        inside.is_closed = true;
        inside.active.number() != inside.named
    }
}
