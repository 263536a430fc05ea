//! What makes a batch durable: its intent, the checkpoint after it, and the log that keeps both.
//!
//! The order of a batch's steps is the protocol: close the batch, run it, write its intent
//! (durable), deliver to the sinks, write the checkpoint (durable), commit to the consumer group.

mod marker;
mod checkpoint;
mod intent;
mod letters;
mod chain;
mod log;
pub mod beginning;
pub mod recovery_policy;
pub mod replan;
pub mod savepoint;
pub mod memory;

pub use chain::{BrokenChain, check_chain};
pub use checkpoint::{Checkpoint, Counters, EventTimes};
pub use intent::BatchIntent;
pub use letters::{LetterMark, LetterOutcome, LetterPlace, MarkedLetter};
pub use log::{CheckpointLog, newest_ms, stays};
pub use marker::Marker;
