//! Takes items out of what is asked of a guest.

use crate::contract::{self, Finished, Groups, Pairs, Partials, Sliced};
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
            (Finished::Groups(_), Finished::Pairs(_))
            | (Finished::Pairs(_), Finished::Groups(_)) => {
                unreachable!("what was emptied is of one kind")
            }
        }
    }

    fn emptied(&self) -> Self {
        match self {
            Finished::Groups(_) => Finished::Groups(Groups::default()),
            Finished::Pairs(_) => Finished::Pairs(Pairs::default()),
        }
    }
}
