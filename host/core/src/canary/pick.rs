//! Takes items out of what is asked of a guest.

use crate::contract::{self, Finished, Groups, KeyItems, Pairs, Partials, Sliced};
use crate::types::{Chunk, Column};
use std::ops::Range;

/// What can be taken apart and put together.
pub trait Picked: Sliced {
    /// Appends items of a range.
    fn append(&mut self, from: &Self, range: &Range<usize>);

    /// The same with nothing in it.
    fn emptied(&self) -> Self;
}

/// The items for which `takes` holds, and their numbers.
pub fn picked<T: Picked>(of: &T, takes: impl Fn(usize) -> bool) -> (T, Vec<usize>) {
    let (mut items, mut numbers) = (of.emptied(), Vec::new());
    let mut from = 0;
    while from < of.items() {
        let run = (from..of.items()).take_while(|&i| takes(i)).count();
        if run > 0 {
            items.append(of, &(from..from + run));
            numbers.extend(from..from + run);
        }
        from += run.max(1);
    }
    (items, numbers)
}

/// The numbers of an ascending list that are in the range, counted on from `base`.
fn places(into: &mut Vec<u32>, base: usize, from: &[u32], range: &Range<usize>) {
    let moved = contract::places(from, range).into_iter();
    into.extend(moved.map(|place| place + base as u32));
}

fn column(into: &mut Column, from: &Column, range: &Range<usize>) {
    range.clone().for_each(|i| into.push(from.get(i)));
}

impl Picked for Chunk {
    fn append(&mut self, from: &Self, range: &Range<usize>) {
        let base = self.len();
        column(&mut self.keys, &from.keys, range);
        column(&mut self.values, &from.values, range);
        self.times_ms
            .extend_from_slice(&from.times_ms[range.clone()]);
        self.offsets.extend_from_slice(&from.offsets[range.clone()]);
        places(&mut self.absent_keys, base, &from.absent_keys, range);
        places(&mut self.absent_values, base, &from.absent_values, range);
        if !from.headers.is_empty() {
            for i in from.headers.range(range) {
                let position = from.headers.positions[i] as usize - range.start + base;
                self.headers.push(position as u32, from.headers.get(i));
            }
        }
    }

    fn emptied(&self) -> Self {
        Chunk::new(self.partition)
    }
}

impl Picked for Partials {
    fn append(&mut self, from: &Self, range: &Range<usize>) {
        let base = self.group_ends.len();
        column(&mut self.accumulators, &from.accumulators, range);
        places(&mut self.absent, base, &from.absent, range);
        for group in range.clone() {
            let first = group
                .checked_sub(1)
                .map_or(0, |before| from.group_ends[before]);
            let own = first as usize..from.group_ends[group] as usize;
            column(&mut self.partials, &from.partials, &own);
            self.group_ends.push(self.partials.len() as u32);
        }
    }

    fn emptied(&self) -> Self {
        Partials::default()
    }
}

impl Picked for Finished {
    fn append(&mut self, from: &Self, range: &Range<usize>) {
        match (self, from) {
            (Finished::Groups(into), Finished::Groups(from)) => {
                column(&mut into.keys, &from.keys, range);
                column(&mut into.accumulators, &from.accumulators, range);
                into.starts_ms
                    .extend_from_slice(&from.starts_ms[range.clone()]);
                into.ends_ms.extend_from_slice(&from.ends_ms[range.clone()]);
            }
            (Finished::Pairs(into), Finished::Pairs(from)) => {
                let base = into.lefts.len();
                column(&mut into.lefts, &from.lefts, range);
                column(&mut into.rights, &from.rights, range);
                places(&mut into.absent_lefts, base, &from.absent_lefts, range);
                places(&mut into.absent_rights, base, &from.absent_rights, range);
                into.times_ms
                    .extend_from_slice(&from.times_ms[range.clone()]);
            }
            (Finished::Keys(into), Finished::Keys(from)) => append_keys(into, from, range),
            (Finished::Groups(_) | Finished::Pairs(_) | Finished::Keys(_), _) => {
                unreachable!("what was emptied is of one kind")
            }
        }
    }

    fn emptied(&self) -> Self {
        match self {
            Finished::Groups(_) => Finished::Groups(Groups::default()),
            Finished::Pairs(_) => Finished::Pairs(Pairs::default()),
            Finished::Keys(keys) => Finished::Keys(KeyItems {
                watermark_ms: keys.watermark_ms,
                last: keys.last,
                batch_due_ms: keys.batch_due_ms,
                ..KeyItems::default()
            }),
        }
    }
}

fn append_keys(into: &mut KeyItems, from: &KeyItems, range: &Range<usize>) {
    let base = into.keys.len();
    column(&mut into.keys, &from.keys, range);
    column(&mut into.states, &from.states, range);
    places(&mut into.absent, base, &from.absent, range);
    for key in range.clone() {
        into.event_timers.push(from.event_timers.get(key));
        into.batch_timers.push(from.batch_timers.get(key));
        let items = from.items_of(key);
        column(&mut into.items, &from.items, &items);
        into.times_ms.extend_from_slice(&from.times_ms[items]);
        into.item_ends.push(into.items.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::KeyTimes;

    fn items(all: &[&str]) -> Column {
        let mut column = Column::default();
        all.iter().for_each(|item| column.push(item.as_bytes()));
        column
    }

    #[test]
    fn keys_are_picked_with_all_that_is_theirs() {
        let times = |all: &[&[i64]]| {
            let mut times = KeyTimes::default();
            all.iter().for_each(|own| times.push(own));
            times
        };
        let keys = KeyItems {
            keys: items(&["a", "b", "c"]),
            states: items(&["", "B", ""]),
            absent: vec![0, 2],
            event_timers: times(&[&[1], &[2, 3], &[4]]),
            batch_timers: times(&[&[], &[5], &[6]]),
            item_ends: vec![2, 3, 4],
            items: items(&["a1", "a2", "b1", "c1"]),
            times_ms: vec![7, 8, 9, 10],
            watermark_ms: 11,
            last: true,
            batch_due_ms: 12,
        };
        let (picked, numbers) = picked(&Finished::Keys(keys.clone()), |i| i != 1);
        let wanted = KeyItems {
            keys: items(&["a", "c"]),
            states: items(&["", ""]),
            absent: vec![0, 1],
            event_timers: times(&[&[1], &[4]]),
            batch_timers: times(&[&[], &[6]]),
            item_ends: vec![2, 3],
            items: items(&["a1", "a2", "c1"]),
            times_ms: vec![7, 8, 10],
            ..keys
        };
        assert_eq!((picked, numbers), (Finished::Keys(wanted), vec![0, 2]));
    }
}
