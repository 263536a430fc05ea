//! The core of the host: what a job is, what its guest answers, what keyed stages keep, what makes
//! a batch durable, and how a batch is run.
//!
//! Nothing here starts a thread, opens a file or a connection; `clock` alone reads the time, and
//! `room` how full a disk is.
//! Modules in the order in which they build on each other.

pub mod limits;
pub mod clock;
pub mod system;
pub mod types;
pub mod job;
pub mod contract;
pub mod state;
pub mod room;
pub mod protocol;
pub mod keyed;
pub mod canary;
pub mod executor;
pub mod compare;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
