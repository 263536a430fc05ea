//! One batch's rows, merged to the last write of each cell, and cut into calls. Pure.

use hashbrown::{HashSet, HashTable};
use hbase_thrift::hbase::{BatchMutation, Mutation};
use std::collections::VecDeque;
use streamhost_core::contract::render::{self, Cell, RowRef};
use streamhost_core::job::names;
use streamhost_core::limits;
use xxhash_rust::xxh3::xxh3_64;

/// No row of that key came before.
const NONE: u32 = u32::MAX;
/// What a mutation takes on the wire beside its column and value, and a row beside its key and
/// mutations; rounded up.
const WIRE_BYTES: usize = 40;

/// The kinds of writes, which carry different times and so go in different calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Deletes,
    Puts,
}

/// The rows of one connection. A row's share depends on its key alone, so that its writes never
/// overtake each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Share {
    fn has(self, slot: &Slot<'_>) -> bool {
        slot.hash as usize % self.of == self.index
    }
}

/// All that a batch does to one row key.
struct Slot<'a> {
    key: &'a [u8],
    hash: u64,
    /// The row is deleted before what `last` and those before it write.
    erased: bool,
    /// The last one of its rows, or none after a delete.
    last: u32,
}

/// A batch's rows by their keys.
pub(super) struct Merged<'a> {
    slots: Vec<Slot<'a>>,
    /// Each row, and the one of the same key before it.
    rows: Vec<(RowRef<'a>, u32)>,
    erases: bool,
    deletes: bool,
}

impl<'a> Merged<'a> {
    /// Gathers the rows in their order. An error says which row no table can hold.
    pub(super) fn of(rows: impl Iterator<Item = RowRef<'a>>) -> Result<Self, String> {
        let mut merged = Merged {
            slots: Vec::new(),
            rows: Vec::new(),
            erases: false,
            deletes: false,
        };
        let mut by_key: HashTable<u32> = HashTable::new();
        for row in rows {
            check_row(&row)?;
            let (key, hash) = (row.key(), xxh3_64(row.key()));
            let slots = &mut merged.slots;
            let slot = by_key.entry(
                hash,
                |&i| slots[i as usize].key == key,
                |&i| slots[i as usize].hash,
            );
            let slot = *slot
                .or_insert_with(|| {
                    slots.push(Slot {
                        key,
                        hash,
                        erased: false,
                        last: NONE,
                    });
                    u32::try_from(slots.len() - 1)
                        .expect("a batch's bytes are bounded far below 2^32 rows")
                })
                .get();
            merged.add(slot as usize, row);
        }
        Ok(merged)
    }

    fn add(&mut self, slot: usize, row: RowRef<'a>) {
        let slot = &mut self.slots[slot];
        if row.is_deleted() {
            (slot.erased, slot.last) = (true, NONE);
            (self.erases, self.deletes) = (true, true);
            return;
        }
        self.deletes |= row.has_deleted_cells();
        self.rows.push((row, slot.last));
        slot.last = u32::try_from(self.rows.len() - 1)
            .expect("a batch's bytes are bounded far below 2^32 rows");
    }

    /// Some row is deleted whole.
    pub(super) fn erases(&self) -> bool {
        self.erases
    }

    /// The share is not empty.
    pub(super) fn any(&self, share: Share) -> bool {
        self.slots.iter().any(|slot| share.has(slot))
    }
}

/// The gateway takes a column without a family for something else, and breaks on such keys.
fn check_row(row: &RowRef<'_>) -> Result<(), String> {
    let (len, max) = (row.key().len(), limits::HBASE_KEY_BYTES_MAX);
    if !(1..=max).contains(&len) {
        return Err(format!(
            "a row's key has {len} bytes; it must have 1 to {max}"
        ));
    }
    match row
        .extra()
        .find(|extra| names::family_and_qualifier(extra.name).is_none())
    {
        None => Ok(()),
        Some(extra) => {
            let (column, key) = (
                String::from_utf8_lossy(extra.name),
                String::from_utf8_lossy(row.key()),
            );
            Err(format!(
                "row `{key}` has a column `{column}`; it must be FAMILY:QUALIFIER"
            ))
        }
    }
}

/// The calls of one connection and kind: each a list of rows that may go at once.
pub(super) struct Calls<'m, 'a> {
    merged: &'m Merged<'a>,
    share: Share,
    write: Write,
    families: &'m [Vec<u8>],
    row_bytes_max: usize,
    next_slot: usize,
    /// Rows that wait for a call, each with its bytes on the wire.
    waiting: VecDeque<(BatchMutation, usize)>,
    /// Columns of the present row that a later row of the same key wrote.
    seen: HashSet<&'a [u8]>,
}

impl<'m, 'a> Calls<'m, 'a> {
    /// `families`: all of the table's, for rows that are deleted whole. A row longer than
    /// `row_bytes_max` goes in parts.
    pub(super) fn new(
        merged: &'m Merged<'a>,
        share: Share,
        write: Write,
        families: &'m [Vec<u8>],
        row_bytes_max: usize,
    ) -> Self {
        let nothing = write == Write::Deletes && !merged.deletes;
        let next_slot = if nothing { merged.slots.len() } else { 0 };
        Calls {
            merged,
            share,
            write,
            families,
            row_bytes_max,
            next_slot,
            waiting: VecDeque::new(),
            seen: HashSet::new(),
        }
    }

    /// Queues what the next key that has something to write needs. False: there is none.
    fn queue_next_key(&mut self) -> bool {
        while let Some(slot) = self.merged.slots.get(self.next_slot) {
            self.next_slot += 1;
            if self.share.has(slot) {
                self.queue(slot);
                if !self.waiting.is_empty() {
                    return true;
                }
            }
        }
        false
    }

    fn queue(&mut self, slot: &Slot<'a>) {
        let last = self
            .merged
            .rows
            .get(slot.last as usize)
            .filter(|_| self.write == Write::Puts);
        let mut mutations = Vec::with_capacity(last.map_or(0, |(row, _)| row.width()));
        if self.write == Write::Deletes && slot.erased {
            // A column without a colon is the whole family.
            mutations.extend(
                self.families
                    .iter()
                    .map(|family| mutation(family.clone(), None)),
            );
        }
        self.seen.clear();
        let mut at = slot.last;
        while at != NONE {
            let (row, before) = &self.merged.rows[at as usize];
            let alone = at == slot.last && *before == NONE;
            self.cells(row, alone, slot.erased, &mut mutations);
            at = *before;
        }
        let around_bytes = slot.key.len() + WIRE_BYTES;
        let bytes = around_bytes + mutations.iter().map(wire_bytes).sum::<usize>();
        let parts = match bytes <= self.row_bytes_max {
            true if mutations.is_empty() => return,
            true => {
                return self
                    .waiting
                    .push_back((BatchMutation::new(slot.key.to_vec(), mutations), bytes));
            }
            false => parts(mutations, self.row_bytes_max.saturating_sub(around_bytes)),
        };
        for (part, bytes) in parts {
            self.waiting.push_back((
                BatchMutation::new(slot.key.to_vec(), part),
                around_bytes + bytes,
            ));
        }
    }

    /// The cells of one row that no later one wrote, of the kind that is asked for.
    fn cells(
        &mut self,
        row: &RowRef<'a>,
        alone: bool,
        erased: bool,
        mutations: &mut Vec<Mutation>,
    ) {
        let write = self.write;
        let mut keep = |name: &[u8], cell: Cell<'_>| match (cell, write) {
            (Cell::Value(kind, bytes), Write::Puts) => {
                let mut value = Vec::with_capacity(bytes.len());
                render::text(kind, bytes, &mut value);
                mutations.push(mutation(name.to_vec(), Some(value)));
            }
            // What deletes the row deletes the cell.
            (Cell::Deleted, Write::Deletes) if !erased => {
                mutations.push(mutation(name.to_vec(), None))
            }
            _ => {}
        };
        if alone && row.extra().len() == 0 {
            for (name, cell) in row.named_cells() {
                keep(name, cell);
            }
            return;
        }
        for extra in row.extra().rev() {
            if self.seen.insert(extra.name) {
                keep(extra.name, Cell::Value(extra.kind, extra.value));
            }
        }
        for (name, cell) in row.named_cells() {
            if cell != Cell::Absent && self.seen.insert(name) {
                keep(name, cell);
            }
        }
    }
}

/// What a mutation takes on the wire, rounded up.
fn wire_bytes(mutation: &Mutation) -> usize {
    let len = |item: &Option<Vec<u8>>| item.as_ref().map_or(0, Vec::len);
    len(&mutation.column) + len(&mutation.value) + WIRE_BYTES
}

/// A row's mutations, in parts of so many bytes at most, each with its bytes; one that is longer is
/// a part of its own.
fn parts(mutations: Vec<Mutation>, bytes_max: usize) -> Vec<(Vec<Mutation>, usize)> {
    let mut parts: Vec<(Vec<Mutation>, usize)> = Vec::new();
    for mutation in mutations {
        let more = wire_bytes(&mutation);
        match parts
            .last_mut()
            .filter(|(_, bytes)| bytes + more <= bytes_max)
        {
            Some((part, bytes)) => {
                part.push(mutation);
                *bytes += more;
            }
            None => parts.push((vec![mutation], more)),
        }
    }
    parts
}

/// A put of a value, or the delete of all that a column or family holds up to the call's time. It
/// goes through the log of the region server: without that a crash of it loses the cell.
pub(super) fn mutation(column: Vec<u8>, value: Option<Vec<u8>>) -> Mutation {
    Mutation::new(value.is_none(), column, value.unwrap_or_default(), true)
}

impl Iterator for Calls<'_, '_> {
    type Item = Vec<BatchMutation>;

    fn next(&mut self) -> Option<Vec<BatchMutation>> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < limits::HBASE_CALL_ROWS_MAX
            && (!self.waiting.is_empty() || self.queue_next_key())
        {
            let Some((row, more)) = self.waiting.pop_front() else {
                break;
            };
            if !rows.is_empty() && bytes + more > limits::HBASE_CALL_BYTES_MAX {
                self.waiting.push_front((row, more));
                break;
            }
            bytes += more;
            rows.push(row);
        }
        (!rows.is_empty()).then_some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use streamhost_core::contract::render::RowsView;
    use streamhost_core::job::ColumnSpec;
    use streamhost_core::types::{Kind, Rows};

    /// A row: its key, its declared cells `f:a` and `f:b`, its extra cells. `-` is absent, `x`
    /// deleted, a key `!k` a deleted row `k`.
    type Text<'a> = (&'a str, [&'a str; 2], &'a [(&'a str, &'a str)]);

    /// A case's name, its rows, and the deletes and puts that are sent for them.
    type Case<'a> = (&'a str, &'a [Text<'a>], &'a [&'a str], &'a [&'a str]);

    fn columns() -> Vec<ColumnSpec> {
        let column = |name: &str| ColumnSpec {
            name: name.to_owned(),
            kind: Kind::Text,
            optional: true,
        };
        vec![column("f:a"), column("f:b")]
    }

    fn rows(texts: &[Text<'_>]) -> Rows {
        let mut rows = Rows::default();
        for (row, (key, cells, extra)) in (0_u32..).zip(texts) {
            rows.positions.push(row);
            if let Some(key) = key.strip_prefix('!') {
                rows.deleted_rows.push(row);
                rows.cells.push(key.as_bytes());
            } else {
                rows.cells.push(key.as_bytes());
            }
            for cell in cells {
                match *cell {
                    "-" => rows.absent.push(rows.cells.len() as u32),
                    "x" => rows.deleted.push(rows.cells.len() as u32),
                    _ => {}
                }
                rows.cells.push(cell.trim_matches(['-', 'x']).as_bytes());
            }
            for (name, value) in *extra {
                rows.extra.rows.push(row);
                rows.extra.names.push(name.as_bytes());
                rows.extra.values.push(value.as_bytes());
                rows.extra.kinds.push(Kind::Text);
            }
        }
        rows
    }

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    /// What is sent, as `row column=value` and `row column` for deletes, sorted within a kind.
    fn sent(texts: &[Text<'_>], of: usize) -> [Vec<String>; 2] {
        let (rows, columns) = (rows(texts), columns());
        let merged = Merged::of(RowsView::new(&rows, &columns)).unwrap();
        let families = [b"f".to_vec(), b"g".to_vec()];
        [Write::Deletes, Write::Puts].map(|write| {
            let shares = (0..of).map(|index| Share { index, of });
            let calls =
                shares.flat_map(|share| Calls::new(&merged, share, write, &families, usize::MAX));
            let mut lines = Vec::new();
            for batch in calls.flatten() {
                let row = text(batch.row);
                for mutation in batch.mutations.unwrap() {
                    assert_eq!(mutation.write_to_w_a_l, Some(true));
                    assert_eq!(mutation.is_delete, Some(write == Write::Deletes));
                    let (column, value) = (text(mutation.column), text(mutation.value));
                    let value = if write == Write::Puts {
                        format!("={value}")
                    } else {
                        value
                    };
                    lines.push(format!("{row} {column}{value}"));
                }
            }
            lines.sort();
            lines
        })
    }

    #[test]
    fn the_last_write_of_a_cell_wins() {
        let cases: &[Case<'_>] = &[
            (
                "one row",
                &[("k", ["1", "2"], &[])],
                &[],
                &["k f:a=1", "k f:b=2"],
            ),
            (
                "absent cells stay",
                &[("k", ["1", "2"], &[]), ("k", ["-", "3"], &[])],
                &[],
                &["k f:a=1", "k f:b=3"],
            ),
            (
                "delete after put",
                &[("k", ["1", "2"], &[]), ("k", ["x", "-"], &[])],
                &["k f:a"],
                &["k f:b=2"],
            ),
            (
                "put after delete",
                &[("k", ["x", "-"], &[]), ("k", ["1", "-"], &[])],
                &[],
                &["k f:a=1"],
            ),
            (
                "a row's delete",
                &[("k", ["1", "2"], &[]), ("!k", ["-", "-"], &[])],
                &["k f", "k g"],
                &[],
            ),
            (
                "put after a row's delete",
                &[
                    ("k", ["1", "2"], &[]),
                    ("!k", ["-", "-"], &[]),
                    ("k", ["3", "x"], &[]),
                ],
                &["k f", "k g"],
                &["k f:a=3"],
            ),
            ("nothing at all", &[("k", ["-", "-"], &[])], &[], &[]),
            (
                "an extra cell",
                &[("k", ["1", "-"], &[("g:c", "4")])],
                &[],
                &["k f:a=1", "k g:c=4"],
            ),
            (
                "extra over declared",
                &[("k", ["1", "-"], &[("f:a", "5"), ("f:a", "6")])],
                &[],
                &["k f:a=6"],
            ),
            (
                "declared over older extra",
                &[("k", ["-", "-"], &[("f:a", "5")]), ("k", ["x", "-"], &[])],
                &["k f:a"],
                &[],
            ),
        ];
        for (name, texts, deletes, puts) in cases {
            for of in [1, 3] {
                assert_eq!(sent(texts, of), [deletes.to_vec(), puts.to_vec()], "{name}");
            }
        }
    }

    #[test]
    fn rows_split_into_bounded_calls_and_each_key_keeps_its_connection() {
        let keys: Vec<String> = (0..5000).map(|i| format!("key{i}")).collect();
        let long = "v".repeat(limits::HBASE_CALL_BYTES_MAX / 2);
        let mut texts: Vec<Text<'_>> = keys
            .iter()
            .map(|key| (key.as_str(), ["1", "2"], &[][..]))
            .collect();
        texts.extend(
            keys[..4]
                .iter()
                .map(|key| (key.as_str(), [long.as_str(), "3"], &[][..])),
        );
        let (rows, columns) = (rows(&texts), columns());
        let merged = Merged::of(RowsView::new(&rows, &columns)).unwrap();
        let mut connection_of = BTreeMap::new();
        for index in 0..2 {
            for call in Calls::new(
                &merged,
                Share { index, of: 2 },
                Write::Puts,
                &[],
                usize::MAX,
            ) {
                assert!(call.len() <= limits::HBASE_CALL_ROWS_MAX);
                let value = |m: &Mutation| m.value.as_ref().map_or(0, Vec::len);
                let bytes =
                    |row: &BatchMutation| row.mutations.iter().flatten().map(value).sum::<usize>();
                assert!(call.iter().map(bytes).sum::<usize>() <= limits::HBASE_CALL_BYTES_MAX);
                for row in call {
                    assert_eq!(
                        connection_of.insert(row.row, index),
                        None,
                        "a row goes once"
                    );
                }
            }
        }
        assert_eq!(connection_of.len(), 5000);
        assert!(
            (2000..3000).contains(&connection_of.values().filter(|&&index| index == 0).count())
        );
        assert_eq!(
            Calls::new(
                &merged,
                Share { index: 0, of: 1 },
                Write::Deletes,
                &[],
                usize::MAX
            )
            .count(),
            0
        );
    }

    #[test]
    fn a_row_too_long_for_a_frame_goes_in_parts() {
        let rows = rows(&[("k", ["12345", "12345"], &[("f:c", "1")])]);
        let columns = columns();
        let merged = Merged::of(RowsView::new(&rows, &columns)).unwrap();
        let parts = |row_bytes_max| {
            let calls = Calls::new(
                &merged,
                Share { index: 0, of: 1 },
                Write::Puts,
                &[],
                row_bytes_max,
            );
            let counts = calls
                .flatten()
                .map(|row| row.mutations.map_or(0, |mutations| mutations.len()));
            counts.collect::<Vec<_>>()
        };
        assert_eq!(parts(usize::MAX), [3]);
        assert_eq!(parts(1 + WIRE_BYTES + 2 * (3 + 5 + WIRE_BYTES)), [2, 1]);
        assert_eq!(parts(1), [1, 1, 1]);
    }

    #[test]
    fn rows_that_no_table_holds_are_told() {
        for name in ["c", "f:", ":c"] {
            let (rows, columns) = (rows(&[("k", ["-", "-"], &[(name, "1")])]), columns());
            let reason = Merged::of(RowsView::new(&rows, &columns)).err().unwrap();
            assert_eq!(
                reason,
                format!("row `k` has a column `{name}`; it must be FAMILY:QUALIFIER")
            );
        }
        let long = "k".repeat(limits::HBASE_KEY_BYTES_MAX + 1);
        for (key, refused) in [("", true), (&long[1..], false), (&long[..], true)] {
            let (rows, columns) = (rows(&[(key, ["1", "2"], &[])]), columns());
            assert_eq!(
                Merged::of(RowsView::new(&rows, &columns)).is_err(),
                refused,
                "{}",
                key.len()
            );
        }
    }
}
