//! What a host keeps on its disk, in one embedded store: checkpoints, state, and the catalog of
//! jobs.

pub mod checkpoint_log;
pub mod catalog;
#[cfg(test)]
mod state_tests;
