//! What is safe, what comes next, and where both are kept: checkpoint, intent, checkpoint.
//!
//! The order of a batch's steps is the protocol: cut, run, intent (durable), sinks, checkpoint
//! (durable), group.

mod marker;
mod checkpoint;
mod intent;
mod chain;
mod log;
pub mod recovery_policy;
pub mod memory;

pub use chain::{BrokenChain, check_chain};
pub use checkpoint::{Checkpoint, Counters, EventTimes};
pub use intent::BatchIntent;
pub use log::{CheckpointLog, stays};
pub use marker::{Guarantee, Marker};
