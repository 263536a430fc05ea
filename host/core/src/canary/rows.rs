//! Rows of two versions as rows of one sink.

use crate::job::SinkSpec;
use crate::types::Rows;

/// Where a version's cells are among those of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// For each item of a row of both, keys first, the version's own item; none: it has no such
    /// column.
    items: Vec<Option<usize>>,
    /// Items of the version's own row.
    width: usize,
}

impl Layout {
    /// How rows of `own` become rows of `both`, whose keys are the same and whose columns are more.
    pub fn of(own: &SinkSpec, both: &SinkSpec) -> Self {
        let keys = own.keys.len();
        let at = |name: &str| own.columns.iter().position(|column| column.name == name);
        let columns = both
            .columns
            .iter()
            .map(|column| Some(keys + at(&column.name)?));
        Layout {
            items: (0..keys).map(Some).chain(columns).collect(),
            width: keys + own.columns.len(),
        }
    }

    /// Every row stays as it is.
    fn is_same(&self) -> bool {
        self.items.len() == self.width
            && self.items.iter().zip(0..).all(|(item, i)| *item == Some(i))
    }

    /// These rows, laid out anew.
    pub fn laid(&self, rows: Rows) -> Rows {
        if self.is_same() {
            return rows;
        }
        let mut laid = Rows::default();
        (0..rows.len()).for_each(|row| self.push(&mut laid, &rows, row, rows.positions[row]));
        laid
    }

    /// Appends a row, as one of this position.
    fn push(&self, into: &mut Rows, rows: &Rows, row: usize, position: u32) {
        let (at, base) = (into.len() as u32, into.cells.len() as u32);
        let has = |list: &[u32], number: usize| list.binary_search(&(number as u32)).is_ok();
        for (item, i) in self.items.iter().zip(0..) {
            match item.map(|item| row * self.width + item) {
                Some(own) => {
                    into.cells.push(rows.cells.get(own));
                    into.absent
                        .extend(has(&rows.absent, own).then_some(base + i));
                    into.deleted
                        .extend(has(&rows.deleted, own).then_some(base + i));
                }
                None => {
                    into.cells.push(b"");
                    into.absent.push(base + i);
                }
            }
        }
        into.deleted_rows
            .extend(has(&rows.deleted_rows, row).then_some(at));
        let of_row = |number: &u32| (*number as usize).cmp(&row);
        let first = rows
            .extra
            .rows
            .partition_point(|number| of_row(number).is_lt());
        for i in first
            ..rows
                .extra
                .rows
                .partition_point(|number| of_row(number).is_le())
        {
            into.extra.rows.push(at);
            into.extra.names.push(rows.extra.names.get(i));
            into.extra.values.push(rows.extra.values.get(i));
            into.extra.kinds.push(rows.extra.kinds[i]);
        }
        rows.headers
            .of(row)
            .for_each(|header| into.headers.push(at, header));
        into.positions.push(position);
    }
}

/// One side's rows for a sink: in order, with the numbers that its records have among those of both.
pub(super) type SideRows<'a> = (&'a Layout, Vec<Rows>, &'a [usize]);

/// The rows of both sides in the order of their records.
pub(super) fn mixed_rows(sides: [SideRows<'_>; 2]) -> Vec<Rows> {
    let [(_, active, _), (_, canary, _)] = &sides;
    if active.is_empty() && canary.is_empty() {
        return Vec::new();
    }
    let mut places = Vec::new();
    for (side, (_, all, numbers)) in sides.iter().enumerate() {
        for (block, rows) in all.iter().enumerate() {
            let of_row =
                |(row, &position): (usize, &u32)| (numbers[position as usize], side, block, row);
            places.extend(rows.positions.iter().enumerate().map(of_row));
        }
    }
    places.sort_by_key(|&(number, side, ..)| (number, side)); // stable: a record's rows stay in order
    let mut mixed = Rows::default();
    for (number, side, block, row) in places {
        let (layout, all, _) = &sides[side];
        layout.push(&mut mixed, &all[block], row, number as u32);
    }
    vec![mixed]
}
