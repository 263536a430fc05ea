//! What the shuffle asks of a guest: to merge groups, and to run what follows a keyed stage.

use super::VersionFault;
use crate::types::{Column, Keyed, Rows};
use std::ops::Range;

/// The times that a call may know; [`NO_TIME_MS`](crate::types::NO_TIME_MS) says "none yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The batch's own time. It never falls from batch to batch.
    pub batch_ms: i64,
    /// The job's watermark before the batch.
    pub watermark_ms: i64,
    /// The largest event time that the records' partition had before this call's records.
    pub partition_ms: i64,
}

/// What is to be merged: group `i` is the accumulator so far, if it has one, and then
/// `partials[group_ends[i - 1]..group_ends[i]]`, in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partials {
    /// The accumulators so far; an absent one is an empty item.
    pub accumulators: Column,
    /// Groups without one, ascending.
    pub absent: Vec<u32>,
    /// Where each group's partials end.
    pub group_ends: Vec<u32>,
    /// All groups' partials.
    pub partials: Column,
}

/// Reductions that are over, or stand after a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Their keys.
    pub keys: Column,
    /// What they were reduced to.
    pub accumulators: Column,
    /// Where each one's window begins; without one the batch's time.
    pub starts_ms: Vec<i64>,
    /// Where it ends.
    pub ends_ms: Vec<i64>,
}

/// Pairs of a join or lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The left items; an absent one is an empty item.
    pub lefts: Column,
    /// The right items; an absent one is an empty item.
    pub rights: Column,
    /// Pairs without a left item, ascending.
    pub absent_lefts: Vec<u32>,
    /// Pairs without a right item, ascending.
    pub absent_rights: Vec<u32>,
    /// The later one of the two event times; in a lookup the left one's.
    pub times_ms: Vec<i64>,
}

/// Times by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTimes {
    /// Where each key's times end.
    pub ends: Vec<u32>,
    /// All keys' times; of one key ascending, none twice.
    pub times_ms: Vec<i64>,
}

impl KeyTimes {
    /// Adds a key.
    pub fn push(&mut self, times_ms: &[i64]) {
        self.times_ms.extend_from_slice(times_ms);
        self.ends.push(self.times_ms.len() as u32);
    }

    /// A key's times.
    pub fn get(&self, key: usize) -> &[i64] {
        &self.times_ms[places_of(&self.ends, key)]
    }
}

/// What there is to process: for each key what is kept of it, and its items of the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyItems {
    /// The keys.
    pub keys: Column,
    /// Their states; an absent one is an empty item.
    pub states: Column,
    /// Keys without one, ascending.
    pub absent: Vec<u32>,
    /// Their timers of event time.
    pub event_timers: KeyTimes,
    /// Their timers of the batches' time.
    pub batch_timers: KeyTimes,
    /// Where each key's items end.
    pub item_ends: Vec<u32>,
    /// All keys' items.
    pub items: Column,
    /// Each item's event time.
    pub times_ms: Vec<i64>,
    /// Timers of event time below this are due behind the last item. Before an item all are that it
    /// is later than.
    pub watermark_ms: i64,
    /// The last item is there.
    pub last: bool,
    /// Timers of the batches' time at or before this are due.
    pub batch_due_ms: i64,
}

impl KeyItems {
    /// Where a key's items are.
    pub fn items_of(&self, key: usize) -> Range<usize> {
        places_of(&self.item_ends, key)
    }
}

fn places_of(ends: &[u32], i: usize) -> Range<usize> {
    let from = i.checked_sub(1).map_or(0, |before| ends[before] as usize);
    from..ends[i] as usize
}

/// What became of a key that was processed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOutcome {
    /// Its place in what was asked.
    pub at: usize,
    /// Its state from now on.
    pub state: Option<Vec<u8>>,
    /// All its timers of event time, ascending.
    pub event_timers_ms: Vec<i64>,
    /// All its timers of the batches' time, ascending.
    pub batch_timers_ms: Vec<i64>,
    /// What the author's function refused.
    pub refusals: Vec<Refusal>,
}

/// An item or timer that the author's function refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the key's items; none: a timer.
    pub item: Option<u32>,
    /// Its event time, or the timer's time.
    pub time_ms: i64,
    /// The author's words.
    pub reason: String,
}

/// What a keyed stage finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Of a reduction.
    Groups(Groups),
    /// Of a join or lookup.
    Pairs(Pairs),
    /// Keys that a function with state is to be given.
    Keys(KeyItems),
}

impl Finished {
    /// How many groups, pairs or keys there are.
    pub fn len(&self) -> usize {
        match self {
            Finished::Groups(groups) => groups.keys.len(),
            Finished::Pairs(pairs) => pairs.lefts.len(),
            Finished::Keys(keys) => keys.keys.len(),
        }
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A group or pair on which the guest failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFault {
    /// Its place in what was asked.
    pub at: usize,
    /// Why: the author's words, or what the guest did.
    pub reason: String,
    /// The guest broke on it; a replay quarantines it again without trying.
    pub by_host: bool,
}

/// Merged groups, each in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// The new accumulators; an empty item where the group failed.
    pub accumulators: Column,
    /// The groups that failed, ascending.
    pub faults: Vec<GroupFault>,
}

/// What came of finished groups or pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// For each sink its rows, in order.
    pub rows: Vec<Vec<Rows>>,
    /// What goes on to further keyed stages, in order.
    pub keyed: Vec<Keyed>,
    /// Those that failed, ascending, one each.
    pub faults: Vec<GroupFault>,
    /// Of keys: what became of each that the guest did not break on, ascending.
    pub outcomes: Vec<KeyOutcome>,
}

/// Calls of a version, however many guests and lanes it takes. A guest that breaks is replaced, and
/// what broke it is found by halving and comes back as a fault; only what makes the version unfit
/// is an error. Answers depend on what is asked alone, not on how it was cut into calls.
pub trait Calls {
    /// Whether it matters whose keys are merged: then [`combine_of`](Calls::combine_of) is asked.
    fn minds_keys(&self) -> bool {
        false
    }

    /// The same as [`combine`](Calls::combine), of groups with these keys.
    fn combine_of(
        &mut self,
        stage: u32,
        _keys: &Column,
        partials: &Partials,
    ) -> Result<Combined, VersionFault> {
        self.combine(stage, partials)
    }

    /// The same as [`finish`](Calls::finish), of pairs with these keys.
    fn finish_of(
        &mut self,
        stage: u32,
        moment: Moment,
        _pair_keys: &Column,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        self.finish(stage, moment, finished)
    }

    /// Merges groups of keyed stage `stage` (its number in the job, sources included).
    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault>;

    /// Runs what follows keyed stage `stage`.
    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<Made, VersionFault>;

    /// Makes this version's accumulators of an older version's. A guest that breaks on one is a
    /// fault of the version.
    fn migrate(&mut self, stage: u32, accumulators: &Column) -> Result<Column, VersionFault>;
}
