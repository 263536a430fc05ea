//! The words that all rooms share: column, record, partition, offset, span, chunk, row, cell.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place in a partition: the number of the next record to read, as Kafka commits it.
pub type Offset = i64;

/// A batch's number within its job's incarnation. The first is 1; a ledger at 0 has seen none.
pub type BatchNumber = u64;

/// Items end to end; `ends[i]` is where item `i` ends in `data`.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The items' bytes.
    pub data: Vec<u8>,
    /// Ascending; the last one is `data.len()`.
    pub ends: Vec<u32>,
}

impl Column {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// No items.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Item `i`. Panics where there is none.
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[from..self.ends[i] as usize]
    }

    /// Appends an item.
    #[inline]
    pub fn push(&mut self, item: &[u8]) {
        self.data.extend_from_slice(item);
        self.ends.push(u32::try_from(self.data.len()).expect("a chunk is bounded far below 4 GiB"));
    }

    /// Leaves the first `items` items out. Panics where there are fewer.
    pub fn drop_first(&mut self, items: usize) {
        let Some(&from) = items.checked_sub(1).map(|last| &self.ends[last]) else { return };
        self.data.drain(..from as usize);
        self.ends.drain(..items);
        self.ends.iter_mut().for_each(|end| *end -= from);
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }
}

/// The unit of order before the shuffle: one partition of one of the job's sources.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Partition {
    /// Counts the job's sources from 0.
    pub source: u16,
    /// The partition's number in its topic.
    pub id: i32,
}

/// Positions of a job, for each partition the next offset to read.
pub type Positions = BTreeMap<Partition, Offset>;

/// What one batch passed of one partition: offsets `from..to`, of which `records` were there. Kafka leaves offsets out
/// by itself (compaction, marks of transactions), so a span says what was passed, not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The next offset before the batch.
    pub from: Offset,
    /// The next offset after it. Never below `from`.
    pub to: Offset,
    /// How many records were read in between.
    pub records: u64,
}

/// A batch's spans: every partition of the job, unmoved ones too.
pub type Spans = BTreeMap<Partition, Span>;

/// Records of one partition in offset order, few enough for one call of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where they come from.
    pub partition: Partition,
    /// Keys; an absent one is an empty item.
    pub keys: Column,
    /// Values; an absent one is an empty item.
    pub values: Column,
    /// The records' own times, in milliseconds since 1970.
    pub times_ms: Vec<i64>,
    /// The records' offsets, ascending.
    pub offsets: Vec<Offset>,
    /// Positions of records without a key, ascending.
    pub absent_keys: Vec<u32>,
    /// Positions of records without a value, ascending.
    pub absent_values: Vec<u32>,
}

impl Chunk {
    /// An empty chunk of a partition.
    pub fn new(partition: Partition) -> Self {
        Chunk {
            partition,
            keys: Column::default(),
            values: Column::default(),
            times_ms: Vec::new(),
            offsets: Vec::new(),
            absent_keys: Vec::new(),
            absent_values: Vec::new(),
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// No records.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.keys.data.len() + self.values.data.len()
    }

    /// Appends a record.
    #[inline]
    pub fn push(&mut self, record: Record<'_>) {
        let position = self.offsets.len() as u32;
        match record.key {
            Some(key) => self.keys.push(key),
            None => {
                self.absent_keys.push(position);
                self.keys.push(b"");
            }
        }
        match record.value {
            Some(value) => self.values.push(value),
            None => {
                self.absent_values.push(position);
                self.values.push(b"");
            }
        }
        self.times_ms.push(record.time_ms);
        self.offsets.push(record.offset);
    }

    /// Record `i`. Panics where there is none.
    pub fn get(&self, i: usize) -> Record<'_> {
        let there = |absent: &[u32]| absent.binary_search(&(i as u32)).is_err();
        Record {
            offset: self.offsets[i],
            time_ms: self.times_ms[i],
            key: there(&self.absent_keys).then(|| self.keys.get(i)),
            value: there(&self.absent_values).then(|| self.values.get(i)),
        }
    }
}

/// One Kafka record or line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in its partition.
    pub offset: Offset,
    /// Its own time, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

/// What a cell holds, and so how its bytes are read: numbers as 8 bytes little-endian, `Bool` as one byte, the rest raw.
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

/// Rows that one call made for one sink. A row is its key and then one cell for each declared column, in that order:
/// row `r`'s key is item `r * width` of `cells`, its column `c` item `r * width + 1 + c`, with `width = 1 + columns`.
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
        let width = self.cells.len().checked_div(self.positions.len()).unwrap_or(0);
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
    ascending.iter_mut().for_each(|number| *number -= first as u32);
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

/// Milliseconds since 1970 that stand for "none yet".
pub const NO_TIME_MS: i64 = i64::MIN;
/// The watermark once every source has ended: nothing can come any more.
pub const END_OF_TIME_MS: i64 = i64::MAX;

/// Items on their way from one call to a keyed stage: accumulators, one for each key and pane in order of first sight,
/// or the items of one side of a join. `keys`, `values` and `times_ms` are of one length.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// The stage that they go to.
    pub stage: u32,
    /// 0: what is reduced, or the left side; 1: the right side, or the table.
    pub side: u8,
    /// Positions of the call's records that went in, ascending.
    pub positions: Vec<u32>,
    /// The items' keys.
    pub keys: Column,
    /// Accumulators or items.
    pub values: Column,
    /// Where the item's pane begins; a session's first event; in joins and lookups the item's event time; else 0.
    pub times_ms: Vec<i64>,
    /// Sessions alone: each one's last event. Empty elsewhere.
    pub until_ms: Vec<i64>,
    /// A table's alone: positions in `keys` of those to delete, ascending.
    pub deleted: Vec<u32>,
}

/// A record, or a group of a keyed stage, set aside on its way to the job's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the record came from; none for a group, which comes from many.
    pub origin: Option<(Partition, Offset)>,
    /// The stage that refused it: its source's name, or the keyed stage's.
    pub stage: String,
    /// Why, in the author's or the host's words.
    pub reason: String,
    /// The record's time, or the begin of the group's window, in milliseconds since 1970.
    pub time_ms: i64,
    /// The record's key, or the group's in the bytes of the SDK.
    pub key: Option<Vec<u8>>,
    /// The record's value, or the group's accumulator in the bytes of the SDK.
    pub value: Option<Vec<u8>>,
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
