//! What a sink can hold.

use std::ops::RangeInclusive;

/// What a sink can hold. Rows beyond it become dead letters before the batch is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLimits {
    /// Length of a key in bytes; from 1 where a row must have one.
    pub key_bytes: RangeInclusive<usize>,
    /// Length of a cell in bytes.
    pub cell_bytes_max: usize,
    /// Length of a row in bytes, as it is measured.
    pub row_bytes_max: usize,
    /// What a row's length is.
    pub measure: Measure,
    /// What columns that only the data names are called.
    pub columns: ColumnNames,
}

/// What counts as a row's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Its cells and the names of its columns together.
    Cells,
    /// The JSON that the sink makes of it; of a raw value its bytes.
    Json,
}

/// What a sink's columns are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnNames {
    /// As one likes.
    Fields,
    /// `family:qualifier`.
    FamilyAndQualifier,
}
