//! What records make of a place, row by row, held against what the place holds.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What writes come to for one row of a place, in their order: the last write of each cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWrites {
    /// The row was deleted before what `cells` says.
    pub is_erased: bool,
    /// By column; none: the cell was deleted.
    pub cells: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl LastWrites {
    /// Takes what was written after these.
    pub fn then(&mut self, later: LastWrites) {
        match later.is_erased {
            true => *self = later,
            false => self.cells.extend(later.cells),
        }
    }

    /// Whether a cell of this column was written, or deleted with its row.
    pub fn covers(&self, column: &[u8]) -> bool {
        self.is_erased || self.cells.contains_key(column)
    }
}

/// A row as a place holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Its cells by column.
    pub cells: BTreeMap<Vec<u8>, HeldCell>,
}

impl HeldRow {
    /// A row as its last writes leave it.
    pub fn of(key: Vec<u8>, writes: LastWrites) -> HeldRow {
        let cells = writes.cells.into_iter();
        let cells = cells.filter_map(|(column, value)| {
            let (value, time_ms) = (value?, None);
            Some((column, HeldCell { value, time_ms }))
        });
        HeldRow {
            key,
            cells: cells.collect(),
        }
    }
}

/// A cell as a place holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldCell {
    /// The value, in the place's own form.
    pub value: Vec<u8>,
    /// When it was written, in milliseconds since 1970, if the place says so.
    pub time_ms: Option<i64>,
}

/// How one row of a place differs from what was made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFound {
    /// What must be written for the row to be as it was made.
    pub mends: LastWrites,
    /// Columns that the row has and that were not made.
    pub extra: LastWrites,
    /// Some column was written again by later records.
    pub is_overtaken: bool,
}

impl RowFound {
    /// Holds a row against what was made of it. `later`: what later records wrote there, which is not
    /// looked at. `is_all`: all that the place has is of these records, so a column that was not made
    /// should not be there; `is_own` says whether a column is one of theirs at all.
    pub fn of(
        made: &LastWrites,
        held: Option<&HeldRow>,
        later: &LastWrites,
        is_all: bool,
        is_own: impl Fn(&[u8]) -> bool,
    ) -> RowFound {
        let mut found = RowFound::default();
        let cell = |column: &[u8]| held.and_then(|row| row.cells.get(column));
        for (column, wanted) in &made.cells {
            if later.covers(column) {
                found.is_overtaken = true;
            } else if cell(column).map(|cell| &cell.value) != wanted.as_ref() {
                found.mends.cells.insert(column.clone(), wanted.clone());
            }
        }
        if is_all || made.is_erased {
            let others = held.into_iter().flat_map(|row| row.cells.keys());
            for column in others.filter(|column| !made.cells.contains_key(*column)) {
                if is_own(column) && !later.covers(column) {
                    let of = match made.is_erased {
                        true => &mut found.mends, // it was deleted with its row
                        false => &mut found.extra,
                    };
                    of.cells.insert(column.clone(), None);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a=1 b-`: a cell, and one that was deleted; `!` the row was deleted first.
    fn writes(text: &str) -> LastWrites {
        let mut writes = LastWrites::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((column, value)) => writes.cells.insert(column.into(), Some(value.into())),
                None if word == "!" => {
                    writes.is_erased = true;
                    None
                }
                None => writes.cells.insert(word.trim_end_matches('-').into(), None),
            };
        }
        writes
    }

    fn held(text: &str) -> Option<HeldRow> {
        let cells = writes(text).cells.into_iter();
        let cell = |(column, value): (Vec<u8>, Option<Vec<u8>>)| {
            let value = value.unwrap_or_default();
            let time_ms = None;
            (column, HeldCell { value, time_ms })
        };
        let cells: BTreeMap<_, _> = cells.map(cell).collect();
        (!cells.is_empty()).then(|| HeldRow {
            key: b"k".to_vec(),
            cells,
        })
    }

    #[test]
    fn the_last_write_of_a_cell_counts_and_a_deleted_row_begins_anew() {
        let cases = [
            ("a=1 b=2", "a=3", "a=3 b=2"),
            ("a=1", "a-", "a-"),
            ("a=1 b=2", "! c=3", "! c=3"),
            ("! a=1", "b=2", "! a=1 b=2"),
        ];
        for (before, later, want) in cases {
            let mut all = writes(before);
            all.then(writes(later));
            assert_eq!(all, writes(want), "{before}, {later}");
        }
    }

    #[test]
    fn a_row_is_held_against_what_was_made_of_it() {
        // What was made, what is there, what later records wrote, whether the place has nothing else:
        // what must be written, what is there beside it, whether something was left out.
        let cases = [
            ("a=1 b=2", "a=1 b=2", "", false, "", "", false),
            ("a=1 b=2", "a=9 b=2", "", false, "a=1", "", false),
            ("a=1 b=2", "", "", false, "a=1 b=2", "", false),
            ("a=1 b-", "a=1 b=2", "", false, "b-", "", false),
            ("a=1 b-", "a=1", "", false, "", "", false),
            ("a=1 b=2", "a=9 b=9", "a", false, "b=2", "", true),
            ("a=1", "", "!", false, "", "", true),
            ("a=1", "a=1 c=3", "", false, "", "", false),
            ("a=1", "a=1 c=3", "", true, "", "c-", false),
            ("a=1", "a=1 c=3", "c-", true, "", "", false),
            ("a=1", "a=1 x=3", "", true, "", "", false),
            ("! a=1", "a=1 c=3", "", false, "c-", "", false),
            ("!", "", "", false, "", "", false),
        ];
        for (made, there, later, is_all, mends, extra, is_overtaken) in cases {
            let found = RowFound::of(
                &writes(made),
                held(there).as_ref(),
                &writes(later),
                is_all,
                |column| column != b"x",
            );
            let want = RowFound {
                mends: writes(mends),
                extra: writes(extra),
                is_overtaken,
            };
            assert_eq!(found, want, "{made} / {there} / {later}");
        }
    }
}
