//! One batch's rows, merged to what each key comes to. Pure.

use hashbrown::HashTable;
use std::collections::BTreeMap;
use streamhost_core::contract::render::{Cell, RowRef};
use xxhash_rust::xxh3::Xxh3Default;

/// What a batch does to one key; of rows without a key, one of them.
pub(crate) struct Unit<'a> {
    /// Any of its rows, for its key.
    pub(crate) row: RowRef<'a>,
    hash: u64,
    /// What was there is deleted first.
    pub(crate) is_erased: bool,
    cells: Cells<'a>,
}

/// What is written at last.
enum Cells<'a> {
    /// Nothing: the row is deleted.
    Nothing,
    /// What one row says.
    Of(RowRef<'a>),
    /// What several rows say together, by column.
    Merged(Box<[Cell<'a>]>),
}

impl<'a> Unit<'a> {
    /// A row is written.
    pub(crate) fn is_written(&self) -> bool {
        !matches!(self.cells, Cells::Nothing)
    }

    /// The cell of each column.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'a>> {
        let (of, merged) = match &self.cells {
            Cells::Nothing => (None, None),
            Cells::Of(row) => (Some(row.cells()), None),
            Cells::Merged(cells) => (None, Some(cells.iter().copied())),
        };
        of.into_iter().flatten().chain(merged.into_iter().flatten())
    }

    fn add(&mut self, row: RowRef<'a>) {
        if row.is_deleted() {
            (self.is_erased, self.cells) = (true, Cells::Nothing);
            return;
        }
        self.cells = match std::mem::replace(&mut self.cells, Cells::Nothing) {
            Cells::Nothing => Cells::Of(row),
            Cells::Of(before) => Cells::Merged(over(before.cells(), row)),
            Cells::Merged(before) => Cells::Merged(over(before.iter().copied(), row)),
        };
    }
}

/// A row over what was written before it: where it has no cell, that stays.
fn over<'a>(before: impl Iterator<Item = Cell<'a>>, row: RowRef<'a>) -> Box<[Cell<'a>]> {
    let each = before.zip(row.cells()).map(|pair| match pair {
        (before, Cell::Absent) => before,
        (_, now) => now,
    });
    each.collect()
}

/// A batch's rows by their keys, in the order in which each key comes first.
pub(crate) struct Merged<'a> {
    pub(crate) units: Vec<Unit<'a>>,
}

impl<'a> Merged<'a> {
    /// Gathers rows in their order. `keyed`: those of one key are one.
    pub(crate) fn of(rows: impl Iterator<Item = RowRef<'a>>, keyed: bool) -> Self {
        let mut units: Vec<Unit<'a>> = Vec::new();
        let mut by_key: HashTable<usize> = HashTable::new();
        for row in rows {
            if !keyed || !row.has_key() {
                units.push(unit(row, 0));
                continue;
            }
            let hash = hash(&row);
            let is_same = |&i: &usize| units[i].row.keys().eq(row.keys());
            match by_key.find(hash, is_same) {
                Some(&i) => units[i].add(row),
                None => {
                    units.push(unit(row, hash));
                    by_key.insert_unique(hash, units.len() - 1, |&i| units[i].hash);
                }
            }
        }
        Merged { units }
    }

    /// Some of the units, in groups of those that write the same columns.
    pub(crate) fn groups(&self, some: &[usize]) -> BTreeMap<Vec<usize>, Vec<usize>> {
        let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        let mut columns = Vec::new();
        for &at in some {
            let unit = &self.units[at];
            if !unit.is_written() {
                continue;
            }
            columns.clear();
            let there = unit.cells().enumerate();
            let there = there.filter(|(_, cell)| *cell != Cell::Absent);
            columns.extend(there.map(|(column, _)| column));
            match groups.get_mut(&columns) {
                Some(group) => group.push(at),
                None => drop(groups.insert(columns.clone(), vec![at])),
            }
        }
        groups
    }
}

fn unit(row: RowRef<'_>, hash: u64) -> Unit<'_> {
    let mut unit = Unit {
        row,
        hash,
        is_erased: false,
        cells: Cells::Nothing,
    };
    unit.add(row);
    unit
}

fn hash(row: &RowRef<'_>) -> u64 {
    let mut hasher = Xxh3Default::new();
    for key in row.keys() {
        hasher.update(&key.len().to_le_bytes());
        hasher.update(key);
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::contract::render::RowsView;
    use streamhost_core::job::ColumnSpec;
    use streamhost_core::types::{Kind, Rows};

    fn columns() -> Vec<ColumnSpec> {
        let column = |name: &str| ColumnSpec {
            name: name.to_owned(),
            kind: Kind::Text,
            optional: true,
        };
        vec![column("a"), column("b")]
    }

    /// Rows of two keys and two cells: `-` is not there, `x` is to be deleted; without cells the row
    /// is.
    fn rows(all: &[(&str, &str, &str)]) -> Rows {
        let mut rows = Rows::default();
        for (n, (keys, a, b)) in all.iter().enumerate() {
            let (one, other) = keys.split_once('/').unwrap_or((keys, ""));
            rows.positions.push(0);
            rows.cells.push(one.as_bytes());
            rows.cells.push(other.as_bytes());
            for cell in [a, b] {
                let at = rows.cells.len() as u32;
                match *cell {
                    "-" | "" => rows.absent.push(at),
                    "x" => rows.deleted.push(at),
                    _ => {}
                }
                let is_there = !["-", "", "x"].contains(cell);
                rows.cells
                    .push(if is_there { cell.as_bytes() } else { b"" });
            }
            if a.is_empty() {
                rows.deleted_rows.push(n as u32);
            }
        }
        rows
    }

    fn shown(unit: &Unit<'_>) -> String {
        let keys: Vec<_> = unit.row.keys().map(String::from_utf8_lossy).collect();
        let cells: Vec<_> = unit
            .cells()
            .map(|cell| match cell {
                Cell::Value(_, bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Cell::Absent => "-".to_owned(),
                Cell::Deleted => "x".to_owned(),
            })
            .collect();
        let erased = if unit.is_erased { " erased" } else { "" };
        format!("{} {}{erased}", keys.join("/"), cells.join(","))
    }

    #[test]
    fn rows_of_one_key_come_to_one() {
        let rows = rows(&[
            ("k/1", "a1", "-"),
            ("k/2", "c", "d"),
            ("k/1", "-", "b2"),
            ("k1/", "other", "-"),
            ("k/2", "", ""),
            ("k/1", "x", "-"),
            ("k/3", "", ""),
            ("k/2", "e", "-"),
        ]);
        let columns = columns();
        let all = || RowsView::new(&rows, &columns);
        let merged = Merged::of(all(), true);
        let units: Vec<String> = merged.units.iter().map(shown).collect();
        assert_eq!(
            units,
            ["k/1 x,b2", "k/2 e,- erased", "k1/ other,-", "k/3  erased"]
        );
        let groups = merged.groups(&[0, 1, 2, 3]);
        let want = BTreeMap::from([(vec![0], vec![1, 2]), (vec![0, 1], vec![0])]);
        assert_eq!(groups, want, "by the columns that they write");
        assert_eq!(
            Merged::of(all(), false).units.len(),
            8,
            "without a key each is one"
        );
    }
}
