//! What a sink can hold.

use std::ops::RangeInclusive;

/// What a sink can hold. Rows beyond it become dead letters before the batch is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLimits {
    /// Length of a key in bytes; from 1 where a row must have one.
    pub key_bytes: RangeInclusive<usize>,
    /// Length of a cell in bytes.
    pub cell_bytes_max: usize,
    /// Length of a row in bytes: cells and names of columns together, or what they become as JSON
    /// if that is what the sink makes of them.
    pub row_bytes_max: usize,
}
