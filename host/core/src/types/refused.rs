//! Rows that a server refuses for what is in them.

use serde::{Deserialize, Serialize};

/// A row that a sink's server refuses for what is in it, and would refuse again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its place among the sink's rows of its batch.
    pub row: usize,
    /// Why.
    pub reason: String,
}
