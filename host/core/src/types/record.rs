//! One record, and many of one partition.

use super::{Column, Header, Headers, Offset, Partition};
use serde::{Deserialize, Serialize};

/// Records of one partition in offset order, few enough for one call of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where they come from.
    pub partition: Partition,
    /// Keys; an absent one is an empty item.
    pub keys: Column,
    /// Values; an absent one is an empty item.
    pub values: Column,
    /// The records' own times, in milliseconds since 1970; below 0: it has none.
    pub times_ms: Vec<i64>,
    /// The records' offsets, ascending.
    pub offsets: Vec<Offset>,
    /// Positions of records without a key, ascending.
    pub absent_keys: Vec<u32>,
    /// Positions of records without a value, ascending.
    pub absent_values: Vec<u32>,
    /// The records' headers. Stored behind all chunks, as older releases know nothing of them.
    #[serde(skip)]
    pub headers: Headers,
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
            headers: Headers::default(),
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

    /// Bytes of keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.keys.data.len() + self.values.data.len() + self.headers.bytes()
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
        for header in record.headers {
            self.headers.push(position, *header);
        }
        self.times_ms.push(record.time_ms);
        self.offsets.push(record.offset);
    }

    /// Record `i`, but for its headers: [`Headers::of`] gives those. Panics where there is none.
    pub fn get(&self, i: usize) -> Record<'_> {
        let there = |absent: &[u32]| absent.binary_search(&(i as u32)).is_err();
        Record {
            offset: self.offsets[i],
            time_ms: self.times_ms[i],
            key: there(&self.absent_keys).then(|| self.keys.get(i)),
            value: there(&self.absent_values).then(|| self.values.get(i)),
            headers: &[],
        }
    }
}

/// One Kafka record or line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in its partition.
    pub offset: Offset,
    /// Its own time, in milliseconds since 1970; below 0: it has none.
    pub time_ms: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
    /// Its headers, in their order.
    pub headers: &'a [Header<'a>],
}

impl Record<'_> {
    /// Bytes of its key, value and headers.
    #[inline]
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(Header::bytes).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}
