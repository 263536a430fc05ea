//! Rows as a guest answers them.

use super::{Column, Headers};
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
    /// The text of one JSON value, UTF-8.
    Json,
}

/// What numbers of kinds mean that are set aside for later, from 8 on.
const LATER: [&str; 5] = ["decimal", "date", "uuid", "list", "map"];

impl Kind {
    /// All kinds, by their numbers in the contract.
    pub const ALL: [Kind; 8] = [
        Kind::Text,
        Kind::Bytes,
        Kind::Int,
        Kind::Uint,
        Kind::Float,
        Kind::Bool,
        Kind::Time,
        Kind::Json,
    ];

    /// The kind of this number in the contract; else what the number is, in words.
    pub fn of_number(number: u8) -> Result<Kind, String> {
        let at = usize::from(number);
        let later = || at.checked_sub(Kind::ALL.len()).and_then(|at| LATER.get(at));
        Kind::ALL.get(at).copied().ok_or_else(|| match later() {
            Some(word) => format!("of kind `{word}`, which this host does not take yet"),
            None => format!("of kind {number}, which this host does not know"),
        })
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::Time => "time",
            Kind::Json => "json",
        }
    }
}

/// Rows that one call made for one sink. A row is its keys (one empty item where it has none) and
/// then one cell for each declared column, in that order: row `r`'s key `k` is item `r * width + k`
/// of `cells`, its column `c` item `r * width + keys + c`, with `width = keys + columns`.
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
    /// The rows' headers.
    pub headers: Headers,
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
        if !self.headers.is_empty() {
            self.headers = self.headers.part(&(rows..self.positions.len()));
        }
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
        let headers = |all: &[(u32, &str)]| {
            let mut headers = Headers::default();
            let header = |name| crate::types::Header { name, value: None };
            all.iter()
                .for_each(|(row, name)| headers.push(*row, header(name)));
            headers
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
            headers: headers(&[(0, "h"), (2, "i")]),
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
            headers: headers(&[(1, "i")]),
        };
        assert_eq!(left(1), two);
        assert_eq!(left(3), Rows::default());
        let mut none = Rows::default();
        none.drop_first(0);
        assert!(none.is_empty());
    }

    #[test]
    fn kinds_have_numbers_and_later_ones_have_names() {
        for (number, kind) in (0..).zip(Kind::ALL) {
            assert_eq!(Kind::of_number(number), Ok(kind));
        }
        assert!(Kind::of_number(8).is_err_and(|why| why.contains("`decimal`")));
        assert!(Kind::of_number(12).is_err_and(|why| why.contains("`map`")));
        assert!(Kind::of_number(13).is_err_and(|why| why.contains("kind 13")));
    }
}
