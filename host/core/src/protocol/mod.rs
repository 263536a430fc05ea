//! What is safe, what comes next, and where both are kept: ledger, plan, checkpoint.
//!
//! The order of a batch's steps is the protocol: cut, run, plan (durable), sinks, checkpoint (durable), group.

mod marker;
mod checkpoint;
mod intent;
mod chain;
mod log;
pub mod recovery_policy;
pub mod memory;

pub use chain::{BrokenChain, check_chain};
pub use checkpoint::{Ledger, Times, Totals};
pub use intent::Plan;
pub use log::{CheckpointLog, stays};
pub use marker::{Guarantee, Marker};
