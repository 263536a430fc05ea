//! Headers of records and rows.

use super::Column;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A name and a value beside a record's or row's key and value, as Kafka has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name; several may have one.
    pub name: &'a str,
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

impl Header<'_> {
    /// Bytes of its name and value.
    pub fn bytes(&self) -> usize {
        self.name.len() + self.value.map_or(0, <[u8]>::len)
    }
}

/// The headers of many records or rows. Most have none, and then this is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// For each header the position of its record or row, never descending.
    pub positions: Vec<u32>,
    /// The names, UTF-8.
    pub names: Column,
    /// The values; an absent one is an empty item.
    pub values: Column,
    /// Headers without a value, ascending.
    pub absent: Vec<u32>,
}

impl Headers {
    /// No headers.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Bytes of names and values.
    pub fn bytes(&self) -> usize {
        self.names.data.len() + self.values.data.len()
    }

    /// Appends a header of the record or row at this position, which is none before the last one's.
    pub fn push(&mut self, position: u32, header: Header<'_>) {
        if header.value.is_none() {
            self.absent.push(self.positions.len() as u32);
        }
        self.positions.push(position);
        self.names.push(header.name.as_bytes());
        self.values.push(header.value.unwrap_or_default());
    }

    /// Which headers are of the records or rows at these positions.
    pub fn range(&self, positions: &Range<usize>) -> Range<usize> {
        let at = |end: usize| self.positions.partition_point(|&of| (of as usize) < end);
        at(positions.start)..at(positions.end)
    }

    /// Header `i`. Panics where there is none.
    pub fn get(&self, i: usize) -> Header<'_> {
        let is_there = self.absent.binary_search(&(i as u32)).is_err();
        Header {
            name: std::str::from_utf8(self.names.get(i)).unwrap_or_default(),
            value: is_there.then(|| self.values.get(i)),
        }
    }

    /// The headers of the record or row at this position, in their order.
    pub fn of(&self, position: usize) -> impl Iterator<Item = Header<'_>> {
        let range = match self.is_empty() {
            true => 0..0,
            false => self.range(&(position..position + 1)),
        };
        range.map(|i| self.get(i))
    }

    /// The same, each by itself.
    pub fn owned(&self, position: usize) -> OwnedHeaders {
        let own = |header: Header<'_>| (header.name.to_owned(), header.value.map(<[u8]>::to_vec));
        self.of(position).map(own).collect()
    }

    /// Those of a range of records or rows, counted from its beginning.
    pub fn part(&self, positions: &Range<usize>) -> Headers {
        let mut part = Headers::default();
        if self.is_empty() {
            return part;
        }
        for i in self.range(positions) {
            part.push(self.positions[i] - positions.start as u32, self.get(i));
        }
        part
    }
}

/// A header that is owned: its name, and its value if it has one.
pub type OwnedHeader = (String, Option<Vec<u8>>);
/// The headers of one record.
pub type OwnedHeaders = Vec<OwnedHeader>;

/// Headers that are owned, as they are appended.
pub fn borrowed(headers: &[OwnedHeader]) -> Vec<Header<'_>> {
    headers
        .iter()
        .map(|(name, value)| Header {
            name,
            value: value.as_deref(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stay_with_their_records() {
        let mut headers = Headers::default();
        let header = |name, value| Header { name, value };
        headers.push(1, header("a", Some(&b"x"[..])));
        headers.push(1, header("b", None));
        headers.push(3, header("a", Some(b"")));
        let of = |headers: &Headers, position| {
            headers
                .of(position)
                .map(|h| (h.name.to_owned(), h.value.map(<[u8]>::len)))
                .collect::<Vec<_>>()
        };
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(of(&headers, 0), []);
        assert_eq!(of(&headers, 1), [(a.clone(), Some(1)), (b.clone(), None)]);
        assert_eq!(of(&headers, 3), [(a.clone(), Some(0))]);
        let part = headers.part(&(1..3));
        assert_eq!(
            (part.positions.clone(), part.absent.clone()),
            (vec![0, 0], vec![1])
        );
        assert_eq!(of(&headers.part(&(2..4)), 1), [(a, Some(0))]);
        assert!(Headers::default().part(&(0..9)).is_empty());
        assert_eq!(headers.bytes(), 4);
    }
}
