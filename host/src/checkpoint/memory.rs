//! A store in memory, for the host's own tests: it survives the pipeline, as a disk does.

use super::{Ledger, Plan, Store, StoreError};
use std::sync::{Mutex, PoisonError};

/// One job's ledger and plans.
#[derive(Default)]
pub struct MemoryStore {
    held: Mutex<(Option<Ledger>, Vec<Plan>)>,
}

impl Store for MemoryStore {
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError> {
        Ok(self.held.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn write(&self, ledger: Option<&Ledger>, plan: Option<&Plan>) -> Result<(), StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = ledger {
            held.0 = Some(ledger.clone());
            held.1.retain(|plan| plan.batch > ledger.batch);
        }
        held.1.extend(plan.cloned());
        Ok(())
    }

    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (Some(ledger.clone()), Vec::new());
        Ok(())
    }

    fn forget(&self) -> Result<(), StoreError> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (None, Vec::new());
        Ok(())
    }
}
