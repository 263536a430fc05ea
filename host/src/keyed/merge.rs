//! Asks the guest to merge groups, a portion at a time.

use super::KeyedError;
use super::stage::{Portion, Stage};
use crate::guest::calls::{Combined, Partials};
use crate::guest::run::VersionFault;
use crate::limits;
use crate::record::Column;

/// Groups that are merged in one go. One that has nothing to merge with needs no call: its partial is its accumulator.
#[derive(Default)]
pub(super) struct Merge {
    slots: Vec<Slot>,
    alone: Column,
    asked: Partials,
}

/// Where a group's result will be.
enum Slot {
    Alone(usize),
    Asked(usize),
}

impl Merge {
    /// Adds a group: its accumulator so far and its partials, of which there is at least one. Gives its place.
    pub(super) fn add<'v>(
        &mut self,
        accumulator: Option<&[u8]>,
        partials: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<usize, KeyedError> {
        let mut partials = partials.into_iter();
        let (first, second) = (partials.next().unwrap_or_default(), partials.next());
        if accumulator.is_none() && second.is_none() {
            self.slots.push(Slot::Alone(self.alone.len()));
            self.alone.push(first);
            return Ok(self.slots.len() - 1);
        }
        let group = self.asked.group_ends.len();
        let mut bytes = accumulator.map_or(0, <[u8]>::len);
        for partial in [first].into_iter().chain(second).chain(partials) {
            bytes += partial.len();
            if bytes > limits::GROUP_BYTES_MAX {
                let max = limits::GROUP_BYTES_MAX;
                let reason = format!("what is to be merged for one key in one batch has more than {max} bytes");
                return Err(VersionFault::TooMuch { what: reason }.into());
            }
            self.asked.partials.push(partial);
        }
        if accumulator.is_none() {
            self.asked.absent.push(group as u32);
        }
        self.asked.accumulators.push(accumulator.unwrap_or_default());
        self.asked.group_ends.push(self.asked.partials.len() as u32);
        self.slots.push(Slot::Asked(group));
        Ok(self.slots.len() - 1)
    }

    /// So much is gathered that it should be run.
    pub(super) fn is_full(&self, portion: Portion) -> bool {
        let bytes = self.alone.data.len() + self.asked.accumulators.data.len() + self.asked.partials.data.len();
        self.slots.len() >= portion.groups || bytes >= portion.bytes
    }

    pub(super) fn run(self, stage: &mut Stage<'_>) -> Result<Merged, KeyedError> {
        let combined = match self.asked.group_ends.is_empty() {
            true => Combined::default(),
            false => stage.combine(&self.asked)?,
        };
        assert_eq!(combined.accumulators.len(), self.asked.group_ends.len(), "one accumulator a group");
        Ok(Merged { merge: self, combined })
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
    asked: &'a Partials,
    group: usize,
}

impl<'a> Failed<'a> {
    /// What was to be merged: its partials end to end.
    pub(super) fn value(&self) -> &'a [u8] {
        self.value_behind(0)
    }

    /// The same without the first few.
    pub(super) fn value_behind(&self, left_out: usize) -> &'a [u8] {
        let Partials { group_ends, partials, .. } = self.asked;
        let end_of = |i: usize| if i == 0 { 0 } else { partials.ends[i - 1] as usize };
        let first = if self.group == 0 { 0 } else { group_ends[self.group - 1] as usize };
        &partials.data[end_of(first + left_out)..end_of(group_ends[self.group] as usize)]
    }
}

impl Merged {
    /// The accumulator of the group in a place.
    pub(super) fn get(&self, place: usize) -> Result<&[u8], Failed<'_>> {
        let group = match self.merge.slots[place] {
            Slot::Alone(i) => return Ok(self.merge.alone.get(i)),
            Slot::Asked(group) => group,
        };
        match self.combined.faults.binary_search_by_key(&group, |fault| fault.at) {
            Err(_) => Ok(self.combined.accumulators.get(group)),
            Ok(i) => Err(Failed { reason: &self.combined.faults[i].reason, asked: &self.merge.asked, group }),
        }
    }
}

/// Merges `count` things a portion at a time. `ask` adds the groups of one, and what it returns goes to `take` with the
/// results.
pub(super) fn in_portions<'s, N>(
    stage: &mut Stage<'s>,
    count: usize,
    mut ask: impl FnMut(&mut Stage<'s>, usize, &mut Merge) -> Result<N, KeyedError>,
    mut take: impl FnMut(&mut Stage<'s>, usize, N, &Merged) -> Result<(), KeyedError>,
) -> Result<(), KeyedError> {
    let mut from = 0;
    while from < count {
        let mut merge = Merge::default();
        let mut asked = Vec::new();
        while from + asked.len() < count && !merge.is_full(stage.portion) {
            asked.push(ask(stage, from + asked.len(), &mut merge)?);
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
