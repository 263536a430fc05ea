//! Cuts what is asked of a guest into calls. Where cuts fall depends on what is asked alone, never
//! on the lanes.

use super::{Finished, Groups, KeyItems, KeyTimes, Pairs, Partials};
use crate::limits::{KEYED_CALL_BYTES_MAX, KEYED_CALL_GROUPS_MAX};
use crate::types::{Chunk, Column};
use std::ops::Range;

/// What can be asked in parts.
pub trait Sliced: Sized {
    /// How many records, groups or pairs there are.
    fn items(&self) -> usize;

    /// What item `i` takes in a call, about.
    fn item_bytes(&self, i: usize) -> usize;

    /// The items of a range.
    fn part(&self, range: &Range<usize>) -> Self;
}

/// Calls of bounded size; one larger item is a call of its own.
pub fn slices(asked: &impl Sliced) -> Vec<Range<usize>> {
    let mut slices = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for i in 0..asked.items() {
        let item = asked.item_bytes(i);
        if i > from && (i - from >= KEYED_CALL_GROUPS_MAX || bytes + item > KEYED_CALL_BYTES_MAX) {
            slices.push(from..i);
            (from, bytes) = (i, 0);
        }
        bytes += item;
    }
    if from < asked.items() {
        slices.push(from..asked.items());
    }
    slices
}

/// What an item's end, time and place in lists take.
const ITEM_OVERHEAD_BYTES: usize = 16;

impl Sliced for Chunk {
    fn items(&self) -> usize {
        self.len()
    }

    fn item_bytes(&self, i: usize) -> usize {
        self.keys.get(i).len() + self.values.get(i).len() + ITEM_OVERHEAD_BYTES
    }

    fn part(&self, range: &Range<usize>) -> Self {
        Chunk {
            partition: self.partition,
            keys: column(&self.keys, range),
            values: column(&self.values, range),
            times_ms: self.times_ms[range.clone()].to_vec(),
            offsets: self.offsets[range.clone()].to_vec(),
            absent_keys: places(&self.absent_keys, range),
            absent_values: places(&self.absent_values, range),
            headers: self.headers.part(range),
        }
    }
}

impl Sliced for Partials {
    fn items(&self) -> usize {
        self.group_ends.len()
    }

    fn item_bytes(&self, i: usize) -> usize {
        let partials = self.partials_of(&(i..i + 1));
        let bytes = ends(&self.partials, &partials);
        self.accumulators.get(i).len() + bytes.len() + (1 + partials.len()) * ITEM_OVERHEAD_BYTES
    }

    fn part(&self, range: &Range<usize>) -> Self {
        let partials = self.partials_of(range);
        Partials {
            accumulators: column(&self.accumulators, range),
            absent: places(&self.absent, range),
            group_ends: self.group_ends[range.clone()]
                .iter()
                .map(|&end| end - partials.start as u32)
                .collect(),
            partials: column(&self.partials, &partials),
        }
    }
}

impl Partials {
    /// Where the partials of a range of groups are.
    fn partials_of(&self, groups: &Range<usize>) -> Range<usize> {
        let end = |group: usize| {
            if group == 0 {
                0
            } else {
                self.group_ends[group - 1] as usize
            }
        };
        end(groups.start)..end(groups.end)
    }
}

impl Sliced for Finished {
    fn items(&self) -> usize {
        self.len()
    }

    fn item_bytes(&self, i: usize) -> usize {
        let (a, b) = match self {
            Finished::Groups(groups) => (&groups.keys, &groups.accumulators),
            Finished::Pairs(pairs) => (&pairs.lefts, &pairs.rights),
            Finished::Keys(keys) => return keys.item_bytes(i),
        };
        a.get(i).len() + b.get(i).len() + ITEM_OVERHEAD_BYTES
    }

    fn part(&self, range: &Range<usize>) -> Self {
        match self {
            Finished::Groups(groups) => Finished::Groups(Groups {
                keys: column(&groups.keys, range),
                accumulators: column(&groups.accumulators, range),
                starts_ms: groups.starts_ms[range.clone()].to_vec(),
                ends_ms: groups.ends_ms[range.clone()].to_vec(),
            }),
            Finished::Pairs(pairs) => Finished::Pairs(Pairs {
                lefts: column(&pairs.lefts, range),
                rights: column(&pairs.rights, range),
                absent_lefts: places(&pairs.absent_lefts, range),
                absent_rights: places(&pairs.absent_rights, range),
                times_ms: pairs.times_ms[range.clone()].to_vec(),
            }),
            Finished::Keys(keys) => Finished::Keys(keys.part(range)),
        }
    }
}

impl Sliced for KeyItems {
    fn items(&self) -> usize {
        self.keys.len()
    }

    fn item_bytes(&self, i: usize) -> usize {
        let items = self.items_of(i);
        let timers = self.event_timers.get(i).len() + self.batch_timers.get(i).len();
        let bytes = self.keys.get(i).len() + self.states.get(i).len() + size_of::<i64>() * timers;
        bytes + ends(&self.items, &items).len() + (1 + items.len()) * ITEM_OVERHEAD_BYTES
    }

    fn part(&self, range: &Range<usize>) -> Self {
        let items = within(&self.item_ends, range);
        KeyItems {
            keys: column(&self.keys, range),
            states: column(&self.states, range),
            absent: places(&self.absent, range),
            event_timers: times(&self.event_timers, range),
            batch_timers: times(&self.batch_timers, range),
            item_ends: ends_from(&self.item_ends[range.clone()], items.start),
            items: column(&self.items, &items),
            times_ms: self.times_ms[items].to_vec(),
            watermark_ms: self.watermark_ms,
            last: self.last,
            batch_due_ms: self.batch_due_ms,
        }
    }
}

fn times(of: &KeyTimes, range: &Range<usize>) -> KeyTimes {
    let places = within(&of.ends, range);
    KeyTimes {
        ends: ends_from(&of.ends[range.clone()], places.start),
        times_ms: of.times_ms[places].to_vec(),
    }
}

fn ends_from(ends: &[u32], first: usize) -> Vec<u32> {
    ends.iter().map(|end| end - first as u32).collect()
}

impl Sliced for Column {
    fn items(&self) -> usize {
        self.len()
    }

    fn item_bytes(&self, i: usize) -> usize {
        self.get(i).len() + ITEM_OVERHEAD_BYTES
    }

    fn part(&self, range: &Range<usize>) -> Self {
        column(self, range)
    }
}

/// Where the bytes of a range of items are.
fn ends(column: &Column, range: &Range<usize>) -> Range<usize> {
    within(&column.ends, range)
}

/// Where that which these end is, of a range of them.
fn within(ends: &[u32], range: &Range<usize>) -> Range<usize> {
    let end = |item: usize| {
        if item == 0 {
            0
        } else {
            ends[item - 1] as usize
        }
    };
    end(range.start)..end(range.end)
}

fn column(of: &Column, range: &Range<usize>) -> Column {
    let bytes = ends(of, range);
    let ends = of.ends[range.clone()]
        .iter()
        .map(|&end| end - bytes.start as u32)
        .collect();
    Column {
        data: of.data[bytes].to_vec(),
        ends,
    }
}

/// The numbers of an ascending list that are in the range, counted from its begin.
pub(crate) fn places(list: &[u32], range: &Range<usize>) -> Vec<u32> {
    let from = list.partition_point(|&place| (place as usize) < range.start);
    let to = list.partition_point(|&place| (place as usize) < range.end);
    list[from..to]
        .iter()
        .map(|&place| place - range.start as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Partition, Record};

    fn items(items: &[&[u8]]) -> Column {
        let mut column = Column::default();
        items.iter().for_each(|item| column.push(item));
        column
    }

    #[test]
    fn a_part_has_what_its_range_has() {
        let partials = Partials {
            accumulators: items(&[b"A", b"", b"CC", b"D"]),
            absent: vec![1],
            group_ends: vec![2, 3, 3, 5],
            partials: items(&[b"a1", b"a2", b"b", b"d", b"d2"]),
        };
        let part = Partials {
            accumulators: items(&[b"", b"CC", b"D"]),
            absent: vec![0],
            group_ends: vec![1, 1, 3],
            partials: items(&[b"b", b"d", b"d2"]),
        };
        assert_eq!(partials.part(&(1..4)), part);
        assert_eq!(partials.part(&(0..4)), partials);
        assert_eq!(partials.part(&(2..2)), Partials::default());

        let pairs = Pairs {
            lefts: items(&[b"l", b"", b"n"]),
            rights: items(&[b"", b"r", b""]),
            absent_lefts: vec![1],
            absent_rights: vec![0, 2],
            times_ms: vec![1, 2, 3],
        };
        let part = Pairs {
            lefts: items(&[b"", b"n"]),
            rights: items(&[b"r", b""]),
            absent_lefts: vec![0],
            absent_rights: vec![1],
            times_ms: vec![2, 3],
        };
        assert_eq!(Finished::Pairs(pairs).part(&(1..3)), Finished::Pairs(part));

        let times = |all: &[&[i64]]| {
            let mut times = KeyTimes::default();
            all.iter().for_each(|own| times.push(own));
            times
        };
        let keys = KeyItems {
            keys: items(&[b"a", b"b", b"c"]),
            states: items(&[b"", b"B", b""]),
            absent: vec![0, 2],
            event_timers: times(&[&[1], &[2, 3], &[]]),
            batch_timers: times(&[&[], &[4], &[5]]),
            item_ends: vec![2, 2, 3],
            items: items(&[b"a1", b"a2", b"c1"]),
            times_ms: vec![7, 8, 9],
            watermark_ms: 6,
            last: true,
            batch_due_ms: 5,
        };
        let part = KeyItems {
            keys: items(&[b"b", b"c"]),
            states: items(&[b"B", b""]),
            absent: vec![1],
            event_timers: times(&[&[2, 3], &[]]),
            batch_timers: times(&[&[4], &[5]]),
            item_ends: vec![0, 1],
            items: items(&[b"c1"]),
            times_ms: vec![9],
            ..keys.clone()
        };
        assert_eq!(keys.part(&(1..3)), part);
        assert_eq!(keys.part(&(0..3)), keys);

        let mut chunk = Chunk::new(Partition { source: 1, id: 2 });
        for offset in 0..5u8 {
            let (text, even) = ([offset], offset % 2 == 0);
            let (key, value) = (even.then_some(&text[..]), (!even).then_some(&text[..]));
            chunk.push(Record {
                offset: i64::from(offset),
                time_ms: 7 * i64::from(offset),
                key,
                value,
                headers: &[],
            });
        }
        let part = chunk.part(&(1..4));
        assert_eq!(
            (0..3).map(|i| part.get(i)).collect::<Vec<_>>(),
            (1..4).map(|i| chunk.get(i)).collect::<Vec<_>>()
        );
        assert_eq!(part.partition, chunk.partition);
    }

    #[test]
    fn slices_are_bounded_and_lack_nothing() {
        let many = items(&vec![&b"x"[..]; 2 * KEYED_CALL_GROUPS_MAX + 1]);
        let (max, n) = (KEYED_CALL_GROUPS_MAX, many.len());
        assert_eq!(slices(&many), [0..max, max..2 * max, 2 * max..n]);
        assert!(slices(&Column::default()).is_empty());
        let big = vec![b'x'; KEYED_CALL_BYTES_MAX];
        let half = vec![b'x'; KEYED_CALL_BYTES_MAX / 2];
        assert_eq!(
            slices(&items(&[b"a", &big, b"b", b"c", &half, &half])),
            [0..1, 1..2, 2..5, 5..6]
        );
    }
}
