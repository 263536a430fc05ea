//! Asks the guest to merge groups, a portion at a time.

use super::KeyedError;
use super::stage::{Portion, Stage};
use crate::contract::{Combined, Partials};
use crate::limits;
use crate::types::Column;
use std::ops::Range;

/// What one go may hold: a portion that is not full yet, and one group more.
const MERGE_BYTES_MAX: usize = limits::KEYED_PORTION_BYTES_MAX + limits::GUEST_MEMORY_BYTES_MAX;

/// Groups that are merged in one go. One that has nothing to merge with needs no call: its partial
/// is its accumulator.
pub(super) struct Merge {
    slots: Vec<Slot>,
    alone: Column,
    asked: Partials,
    /// The keys of what is asked, where it matters whose they are.
    keys: Option<Column>,
    group_bytes_max: usize,
}

/// Where a group's result will be.
enum Slot {
    Alone(usize),
    Asked(usize),
    /// It is not asked: of so many bytes, and with so much of its partials as its dead letter
    /// shows.
    TooLarge {
        reason: String,
        shown: Column,
    },
}

impl Merge {
    /// None yet, of groups that are as large as this says at most.
    pub(super) fn new(portion: Portion, minds_keys: bool) -> Self {
        let (slots, alone, asked) = (Vec::new(), Column::default(), Partials::default());
        Merge {
            slots,
            alone,
            asked,
            keys: minds_keys.then(Column::default),
            group_bytes_max: portion.group_bytes,
        }
    }

    /// Adds a group: its accumulator so far and its partials, of which there is at least one. Gives
    /// its place. What is too large to be merged has failed.
    pub(super) fn add<'v>(
        &mut self,
        key: &[u8],
        accumulator: Option<&[u8]>,
        partials: impl IntoIterator<Item = &'v [u8]>,
    ) -> usize {
        let mut partials = partials.into_iter();
        let (first, second) = (partials.next().unwrap_or_default(), partials.next());
        if accumulator.is_none() && second.is_none() {
            self.slots.push(Slot::Alone(self.alone.len()));
            self.alone.push(first);
            return self.slots.len() - 1;
        }
        let group = self.asked.group_ends.len();
        let before = self.asked.partials.len();
        let mut bytes = accumulator.map_or(0, <[u8]>::len);
        for partial in [first].into_iter().chain(second).chain(partials) {
            bytes += partial.len();
            if bytes > self.group_bytes_max || self.bytes() + partial.len() > MERGE_BYTES_MAX {
                let max = bytesize::ByteSize(self.group_bytes_max as u64);
                let reason = format!(
                    "what is to be merged for this key in one batch is over {max} (limits.memory)"
                );
                self.slots.push(Slot::TooLarge {
                    reason,
                    shown: taken_back(&mut self.asked.partials, before, partial),
                });
                return self.slots.len() - 1;
            }
            self.asked.partials.push(partial);
        }
        if let Some(keys) = &mut self.keys {
            keys.push(key);
        }
        if accumulator.is_none() {
            self.asked.absent.push(group as u32);
        }
        self.asked
            .accumulators
            .push(accumulator.unwrap_or_default());
        self.asked.group_ends.push(self.asked.partials.len() as u32);
        self.slots.push(Slot::Asked(group));
        self.slots.len() - 1
    }

    fn bytes(&self) -> usize {
        self.alone.data.len() + self.asked.accumulators.data.len() + self.asked.partials.data.len()
    }

    /// So much is gathered that it should be run.
    pub(super) fn is_full(&self, portion: Portion) -> bool {
        self.slots.len() >= portion.groups || self.bytes() >= portion.bytes
    }

    pub(super) fn run(self, stage: &mut Stage<'_>) -> Result<Merged, KeyedError> {
        let combined = match self.asked.group_ends.is_empty() {
            true => Combined::default(),
            false => stage.combine(self.keys.as_ref(), &self.asked)?,
        };
        assert_eq!(
            combined.accumulators.len(),
            self.asked.group_ends.len(),
            "one accumulator a group"
        );
        Ok(Merged {
            merge: self,
            combined,
        })
    }
}

/// What came of a [`Merge`].
pub(super) struct Merged {
    merge: Merge,
    combined: Combined,
}

/// A group that could not be merged.
pub(super) struct Failed<'a> {
    pub(super) reason: &'a str,
    partials: &'a Column,
    /// Which of them are its own.
    own: Range<usize>,
}

impl<'a> Failed<'a> {
    /// What was to be merged: its partials end to end.
    pub(super) fn value(&self) -> &'a [u8] {
        self.value_behind(0)
    }

    /// The same without the first few.
    pub(super) fn value_behind(&self, left_out: usize) -> &'a [u8] {
        let end_of = |i: usize| {
            if i == 0 {
                0
            } else {
                self.partials.ends[i - 1] as usize
            }
        };
        &self.partials.data
            [end_of((self.own.start + left_out).min(self.own.end))..end_of(self.own.end)]
    }
}

impl Merged {
    /// The accumulator of the group in a place.
    pub(super) fn get(&self, place: usize) -> Result<&[u8], Failed<'_>> {
        let group = match &self.merge.slots[place] {
            Slot::Alone(i) => return Ok(self.merge.alone.get(*i)),
            Slot::TooLarge { reason, shown } => {
                return Err(Failed {
                    reason,
                    partials: shown,
                    own: 0..shown.len(),
                });
            }
            Slot::Asked(group) => *group,
        };
        let Ok(i) = self
            .combined
            .faults
            .binary_search_by_key(&group, |fault| fault.at)
        else {
            return Ok(self.combined.accumulators.get(group));
        };
        let Partials {
            group_ends,
            partials,
            ..
        } = &self.merge.asked;
        let first = if group == 0 {
            0
        } else {
            group_ends[group - 1] as usize
        };
        Err(Failed {
            reason: &self.combined.faults[i].reason,
            partials,
            own: first..group_ends[group] as usize,
        })
    }
}

/// Merges `count` things a portion at a time. `ask` adds the groups of one, and what it returns
/// goes to `take` with the results. What is `kept` for one, if anything, `ask` will read: all lanes
/// read it ahead.
pub(super) fn in_portions<'s, N>(
    stage: &mut Stage<'s>,
    count: usize,
    kept: Option<&dyn Fn(usize) -> Vec<u8>>,
    mut ask: impl FnMut(&mut Stage<'s>, usize, &mut Merge) -> Result<N, KeyedError>,
    mut take: impl FnMut(&mut Stage<'s>, usize, N, &Merged) -> Result<(), KeyedError>,
) -> Result<(), KeyedError> {
    let (mut from, mut ahead) = (0, 0);
    while from < count {
        stage.check_stop()?;
        let mut merge = stage.merge();
        let mut asked = Vec::new();
        while from + asked.len() < count && !merge.is_full(stage.portion) {
            let next = from + asked.len();
            if let Some(kept) = kept
                && next == ahead
            {
                ahead = count.min(next + limits::STATE_READ_AHEAD);
                stage.read_ahead(&mut (next..ahead).map(kept))?;
            }
            asked.push(ask(stage, next, &mut merge)?);
        }
        let merged = merge.run(stage)?;
        let first = from;
        from += asked.len();
        for (i, notes) in asked.into_iter().enumerate() {
            take(stage, first + i, notes, &merged)?;
        }
    }
    Ok(())
}

/// Takes the items from one on out of a column, and gives the first bytes of these and of a last
/// one that was not put there.
fn taken_back(column: &mut Column, from: usize, last: &[u8]) -> Column {
    let mut shown = Column::default();
    let mut left = limits::GROUP_SHOWN_BYTES_MAX;
    for item in (from..column.len()).map(|i| column.get(i)).chain([last]) {
        let item = &item[..item.len().min(left)];
        left -= item.len();
        if left == 0 && item.is_empty() {
            break;
        }
        shown.push(item);
    }
    column.ends.truncate(from);
    column
        .data
        .truncate(column.ends.last().map_or(0, |&end| end as usize));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_too_large_fails_and_the_others_are_merged() {
        let mut merge = Merge {
            group_bytes_max: 10,
            ..Merge::new(Portion::of(0), true)
        };
        let places = [
            merge.add(b"k0", Some(b"acc"), [&b"ab"[..], b"cd"]),
            merge.add(b"k1", None, [&b"0123"[..], b"4567", b"89a", b"never seen"]),
            merge.add(b"k2", Some(b"0123456789"), [&b"x"[..]]),
            merge.add(b"k3", None, [&b"ef"[..], b"gh"]),
            merge.add(b"k4", None, [&b"a lone partial is never too large"[..]]),
        ];
        let Partials {
            accumulators,
            absent,
            group_ends,
            partials,
        } = merge.asked.clone();
        assert_eq!((absent, group_ends), (vec![1], vec![2, 4]));
        let keys: Option<Vec<&[u8]>> = merge.keys.as_ref().map(|keys| keys.iter().collect());
        assert_eq!(
            keys,
            Some(vec![&b"k0"[..], b"k3"]),
            "of those that are asked"
        );
        assert_eq!(
            (accumulators.iter().collect::<Vec<_>>(), &partials.data[..]),
            (vec![&b"acc"[..], b""], &b"abcdefgh"[..])
        );
        let mut accumulators = Column::default();
        accumulators.push(b"one");
        accumulators.push(b"two");
        let merged = Merged {
            merge,
            combined: Combined {
                accumulators,
                faults: Vec::new(),
            },
        };
        let got = places.map(|place| {
            merged
                .get(place)
                .map_err(|failed| (failed.value(), failed.value_behind(2)))
        });
        let too_large = [
            Err((&b"0123456789a"[..], &b"89a"[..])),
            Err((&b"x"[..], &b""[..])),
        ];
        let alone = Ok(&b"a lone partial is never too large"[..]);
        assert_eq!(
            got,
            [
                Ok(&b"one"[..]),
                too_large[0],
                too_large[1],
                Ok(&b"two"[..]),
                alone
            ]
        );
        assert!(
            merged
                .get(places[1])
                .is_err_and(|failed| failed.reason.contains("over 10 B"))
        );
    }
}
