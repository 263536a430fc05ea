//! What one call of the host brings, and what it gives back.

use crate::columns::{Column, ColumnBuf};
use crate::headers::CallHeaders;
use crate::record::Place;
use crate::row::RowWriter;

/// A time that is not known yet, which nothing is behind.
#[cfg(test)]
pub(crate) const NO_TIME_MS: i64 = i64::MIN;

/// The times that a call may know, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The batch's own time. It never falls from batch to batch.
    pub(crate) batch_ms: i64,
    /// The job's watermark before the batch; [`NO_TIME_MS`]: none yet.
    pub(crate) watermark_ms: i64,
    /// The largest event time that the records' partition had before this call's; [`NO_TIME_MS`]:
    /// none yet.
    pub(crate) partition_ms: i64,
}

/// What a call brings.
#[derive(Clone, Copy, Debug)]
pub enum Input<'b> {
    /// Records of a source.
    Records(Batch<'b>),
    /// Reductions that are over, or stand after a batch.
    Groups(Groups<'b>),
    /// Pairs of a join or lookup.
    Pairs(Pairs<'b>),
    /// Keys that a function with state is given.
    Keys(KeyItems<'b>),
    /// Nothing: a branch's items are handed over beside it.
    Branch,
}

/// The records of a call.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'b> {
    pub(crate) keys: Column<'b>,
    pub(crate) values: Column<'b>,
    pub(crate) times_ms: &'b [i64],
    pub(crate) absent_keys: &'b [u32],
    pub(crate) absent_values: &'b [u32],
    pub(crate) place: Place<'b>,
    pub(crate) first_offset: i64,
    /// Empty where each record's offset is the one before plus one.
    pub(crate) offsets: &'b [i64],
    pub(crate) headers: &'b CallHeaders<'b>,
}

/// What a reduction finished.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'b> {
    pub(crate) keys: Column<'b>,
    pub(crate) accumulators: Column<'b>,
    pub(crate) starts_ms: &'b [i64],
    pub(crate) ends_ms: &'b [i64],
}

/// What a join or lookup found.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'b> {
    pub(crate) lefts: Column<'b>,
    pub(crate) rights: Column<'b>,
    pub(crate) absent_lefts: &'b [u32],
    pub(crate) absent_rights: &'b [u32],
    pub(crate) times_ms: &'b [i64],
}

/// Keys, what is kept of each, and its items: see `key-items` in the contract.
#[derive(Clone, Copy, Debug)]
pub struct KeyItems<'b> {
    pub(crate) keys: Column<'b>,
    pub(crate) states: Column<'b>,
    pub(crate) absent: &'b [u32],
    pub(crate) event_timers: KeyTimes<'b>,
    pub(crate) batch_timers: KeyTimes<'b>,
    pub(crate) item_ends: &'b [u32],
    pub(crate) items: Column<'b>,
    pub(crate) times_ms: &'b [i64],
    pub(crate) watermark_ms: i64,
    pub(crate) last: bool,
    pub(crate) batch_due_ms: i64,
}

/// Times by key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyTimes<'b> {
    pub(crate) ends: &'b [u32],
    pub(crate) times_ms: &'b [i64],
}

impl<'b> KeyTimes<'b> {
    /// A key's times.
    pub(crate) fn get(self, key: usize) -> &'b [i64] {
        let from = key.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.times_ms[from as usize..self.ends[key] as usize]
    }
}

/// What became of keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Processed {
    pub(crate) states: ColumnBuf,
    pub(crate) absent: Vec<u32>,
    pub(crate) event_timers: KeyTimesOut,
    pub(crate) batch_timers: KeyTimesOut,
    pub(crate) refusals: Vec<Refused>,
}

/// Times by key, on their way out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyTimesOut {
    pub(crate) ends: Vec<u32>,
    pub(crate) times_ms: Vec<i64>,
}

impl KeyTimesOut {
    /// Adds a key.
    pub(crate) fn push(&mut self, times_ms: impl IntoIterator<Item = i64>) {
        self.times_ms.extend(times_ms);
        self.ends.push(self.times_ms.len() as u32);
    }
}

/// An item or timer that the author's function refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which key.
    pub(crate) position: u32,
    /// Which of its items; none: a timer.
    pub(crate) item: Option<u32>,
    pub(crate) time_ms: i64,
    pub(crate) reason: String,
}

/// What is to be merged: group `i` is the accumulator so far (if `i` is not in `absent`) and then
/// `partials[group_ends[i - 1]..group_ends[i]]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partials<'b> {
    pub(crate) accumulators: Column<'b>,
    pub(crate) absent: &'b [u32],
    pub(crate) group_ends: &'b [u32],
    pub(crate) partials: Column<'b>,
}

/// What a call gives back.
#[derive(Default, Debug)]
pub(crate) struct Output {
    pub(crate) faults: Vec<Fault>,
    /// One for each sink.
    pub(crate) rows: Vec<RowWriter>,
    /// At most one for each keyed stage and side.
    pub(crate) keyed: Vec<Keyed>,
    /// Positions of records that came too late for a window or join, ascending.
    pub(crate) late: Vec<u32>,
    /// The partition's largest event time after this call; never below the moment's.
    pub(crate) largest_ms: i64,
    /// Of keys alone: what became of them.
    pub(crate) processed: Processed,
}

/// One record that the author's function refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: u32,
    pub(crate) reason: String,
}

/// Items on their way to a keyed stage: see `keyed` in the contract.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) stage: u32,
    /// 0: what is reduced, or the left side. 1: the right side, or the table.
    pub(crate) side: u8,
    /// Positions of the call's records that went in, ascending.
    pub(crate) positions: Vec<u32>,
    pub(crate) keys: ColumnBuf,
    pub(crate) values: ColumnBuf,
    /// Where the item's pane begins; a session's first event; in joins and lookups the item's event
    /// time; else 0.
    pub(crate) times_ms: Vec<i64>,
    /// Sessions alone: each one's last event.
    pub(crate) until_ms: Vec<i64>,
    /// A table's alone: items that are keys to delete, ascending.
    pub(crate) deleted: Vec<u32>,
}

impl Keyed {
    /// Notes that the record at this position went in.
    #[inline]
    pub(crate) fn at(&mut self, position: u32) {
        if self.positions.last() != Some(&position) {
            self.positions.push(position);
        }
    }
}

/// How much comes in. Output that starts at this size need not grow.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Expect {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl Expect {
    /// As much as this many of the items have, if they are like the others.
    pub(crate) fn of(self, items: usize) -> Expect {
        Expect {
            items,
            bytes: self.bytes / self.items.max(1) * items,
        }
    }
}

impl Input<'_> {
    pub(crate) fn expect(&self) -> Expect {
        let of = |items: &[u32], columns: &[Column<'_>]| Expect {
            items: items.len(),
            bytes: columns.iter().map(|column| column.data.len()).sum(),
        };
        match self {
            Input::Records(batch) => of(batch.values.ends, &[batch.values]),
            Input::Groups(groups) => of(groups.keys.ends, &[groups.keys, groups.accumulators]),
            Input::Pairs(pairs) => of(pairs.lefts.ends, &[pairs.lefts, pairs.rights]),
            Input::Keys(keys) => of(keys.items.ends, &[keys.items]),
            Input::Branch => Expect::default(),
        }
    }
}

/// Ascending positions, asked for in ascending order.
pub(crate) struct Positions<'b>(pub(crate) &'b [u32]);

impl Positions<'_> {
    #[inline]
    pub(crate) fn has(&mut self, position: u32) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == position => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}
