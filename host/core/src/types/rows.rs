//! Rows as a guest answers them.

use super::Column;
use serde::{Deserialize, Serialize};

/// What a cell holds, and so how its bytes are read: numbers as 8 bytes little-endian, `Bool` as
/// one byte, the rest raw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// `i64`.
    Int,
    /// `u64`.
    Uint,
    /// `f64`.
    Float,
    /// 0 or 1.
    Bool,
    /// `i64`, milliseconds since 1970.
    Time,
}

/// Rows that one call made for one sink. A row is its key and then one cell for each declared
/// column, in that order: row `r`'s key is item `r * width` of `cells`, its column `c` item `r *
/// width + 1 + c`, with `width = 1 + columns`.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Rows {
    /// For each row the position of the record it comes from.
    pub positions: Vec<u32>,
    /// Keys and cells.
    pub cells: Column,
    /// Items of `cells` that are not there, ascending.
    pub absent: Vec<u32>,
    /// Items of `cells` to delete, ascending.
    pub deleted: Vec<u32>,
    /// Rows to delete whole, ascending.
    pub deleted_rows: Vec<u32>,
    /// Cells in columns that only the data knows.
    pub extra: ExtraCells,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Leaves the first `rows` rows out. Panics where there are fewer.
    pub fn drop_first(&mut self, rows: usize) {
        let width = self
            .cells
            .len()
            .checked_div(self.positions.len())
            .unwrap_or(0);
        drop_below(&mut self.absent, rows * width);
        drop_below(&mut self.deleted, rows * width);
        drop_below(&mut self.deleted_rows, rows);
        let extra = drop_below(&mut self.extra.rows, rows);
        self.extra.names.drop_first(extra);
        self.extra.values.drop_first(extra);
        self.extra.kinds.drain(..extra);
        self.cells.drop_first(rows * width);
        self.positions.drain(..rows);
    }
}

/// Drops the numbers below `first`, and counts the rest from there. Gives how many were dropped.
fn drop_below(ascending: &mut Vec<u32>, first: usize) -> usize {
    let below = ascending.partition_point(|&number| (number as usize) < first);
    ascending.drain(..below);
    ascending
        .iter_mut()
        .for_each(|number| *number -= first as u32);
    below
}

/// Cells whose column only the data knows: cell `i` is in row `rows[i]`, column `names[i]` (UTF-8).
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct ExtraCells {
    /// The cells' rows, ascending.
    pub rows: Vec<u32>,
    /// The cells' columns.
    pub names: Column,
    /// The cells' bytes.
    pub values: Column,
    /// What they hold.
    pub kinds: Vec<Kind>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_left_out_from_the_front_whatever_they_hold() {
        let column = |items: &[&str]| {
            let mut column = Column::default();
            items.iter().for_each(|item| column.push(item.as_bytes()));
            column
        };
        let rows = Rows {
            positions: vec![0, 2, 2],
            cells: column(&["k1", "a", "k2", "", "k3", "c"]),
            absent: vec![3],
            deleted: vec![1, 5],
            deleted_rows: vec![0, 2],
            extra: ExtraCells {
                rows: vec![0, 1, 1],
                names: column(&["x", "y", "z"]),
                values: column(&["1", "", "3"]),
                kinds: vec![Kind::Text, Kind::Int, Kind::Bool],
            },
        };
        let left = |n| {
            let mut rows = rows.clone();
            rows.drop_first(n);
            rows
        };
        assert_eq!(left(0), rows);
        let two = Rows {
            positions: vec![2, 2],
            cells: column(&["k2", "", "k3", "c"]),
            absent: vec![1],
            deleted: vec![3],
            deleted_rows: vec![1],
            extra: ExtraCells {
                rows: vec![0, 0],
                names: column(&["y", "z"]),
                values: column(&["", "3"]),
                kinds: vec![Kind::Int, Kind::Bool],
            },
        };
        assert_eq!(left(1), two);
        assert_eq!(left(3), Rows::default());
        let mut none = Rows::default();
        none.drop_first(0);
        assert!(none.is_empty());
    }
}
