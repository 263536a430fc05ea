//! What a host keeps on its disk, in one embedded store: checkpoints, state, what is remembered
//! of dead letters, and the catalog of jobs.

mod fault;
pub mod format;
mod position;
mod tables;
pub mod store;
mod retained;
mod forgotten;
pub mod letter_marks;
pub mod checkpoint_log;
pub mod catalog;
pub mod savepoint;
pub mod identity;
pub mod replica;
pub mod scratch;
#[cfg(test)]
mod fork_tests;
#[cfg(test)]
mod state_tests;
