//! A canary: a part of a job's records is run by another version than the rest. What belongs to
//! which is a function of the records alone, and stands in the deployment that a batch names, so a
//! batch that is run again is split as it was.
//!
//! ```text
//!            ┌─ the share's ──► its guests ───┐
//! records ──►┤                                ├─► one outcome
//!            └─ the others ───► active guests ┘
//! ```
//! Where a stage keeps state by key no split of the records is exact: their keys are known only once
//! they were run. There both versions run all of them, and of each key what its own version made
//! counts: [`settle`](records::settle).

mod plan;
mod pick;
mod rows;
pub mod records;
pub mod groups;

pub use pick::picked;
pub use plan::{CanaryPlan, Side};
pub use rows::Layout;

#[cfg(test)]
mod tests;
