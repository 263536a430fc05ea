//! Operators. Each drives the one before it, as iterators' `for_each` does, so a chain is one loop
//! over a batch.
//!
//! An author names none of these types but [`Flow`], in a function that gives a part of a chain a
//! name:
//!
//! ```
//! use streamhost::{Stream, flow::Flow, kafka};
//!
//! fn lines<'b>() -> Stream<'b, impl Flow<'b, Item = &'b str>> {
//!     kafka("lines").try_map(|record| record.text())
//! }
//! ```

mod each;
mod several;

pub use each::{Filter, FlatMap, Inspect, Map, TimedBy, TryMap};
pub(crate) use several::Shared;
pub use several::{Also, BranchItems, SameItem, Union};

pub use crate::call::{Batch, Groups, Input, KeyItems, Pairs}; // what authors may meet of it

use crate::call::{Expect, Fault, Moment, Output, Positions};
use crate::record::Record;
use std::fmt::Display;

/// Event times beyond this, either way, are a mistake in the data (it is in the year 275760): taken
/// as they are, one of them would end every window for good.
pub(crate) const EVENT_TIME_MAX_MS: i64 = 8_640_000_000_000_000;

/// Where the loop stands, and where its output goes.
#[derive(Debug)]
pub struct Context {
    /// The number of the source or keyed stage that the chain is run for.
    pub(crate) number: usize,
    /// The name of the keyed stage whose results are given; empty for records.
    pub(crate) stage: String,
    pub(crate) position: u32,
    /// The event time of the item.
    pub(crate) time_ms: i64,
    /// The largest event time of the partition before the item's record.
    own_ms: i64,
    /// The largest event time of the partition so far, the item's record included.
    largest_ms: i64,
    pub(crate) moment: Moment,
    /// A record's own time is its event time: no `timed_by` says otherwise.
    pub(crate) own_times: bool,
    /// The records are a table's: one without a value deletes its key, and is no item.
    pub(crate) table: bool,
    /// Positions and keys of a table's records without a value.
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) expect: Expect,
    pub(crate) out: Output,
}

/// A record of a table that deletes its key.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    pub(crate) position: u32,
    pub(crate) time_ms: i64,
    /// None: the record has no key.
    pub(crate) key: Option<Vec<u8>>,
}

impl Context {
    pub(crate) fn new(moment: Moment, expect: Expect) -> Self {
        Context {
            number: 0,
            stage: String::new(),
            position: 0,
            time_ms: moment.batch_ms,
            own_ms: moment.partition_ms,
            largest_ms: moment.partition_ms,
            moment,
            own_times: false,
            table: false,
            deletions: Vec::new(),
            expect,
            out: Output::default(),
        }
    }

    #[cold]
    pub(crate) fn fault(&mut self, reason: impl Display) {
        self.fault_at(self.position, reason);
    }

    #[cold]
    pub(crate) fn fault_at(&mut self, position: u32, reason: impl Display) {
        self.out.faults.push(Fault {
            position,
            reason: reason.to_string(),
        });
    }

    /// A new record: what came before it counts for whether it is late, what it brings itself does
    /// not.
    #[inline]
    fn begin(&mut self, position: u32, time_ms: i64) {
        self.position = position;
        self.own_ms = self.largest_ms;
        self.time_ms = time_ms;
    }

    /// A group that a keyed stage finished. Its event time is its window's last moment; a batch's
    /// is its own.
    #[inline]
    pub(crate) fn of_group(&mut self, position: u32, start_ms: i64, end_ms: i64) {
        self.position = position;
        self.time_ms = if start_ms < end_ms {
            end_ms - 1
        } else {
            end_ms
        };
    }

    /// A pair that a keyed stage found.
    #[inline]
    pub(crate) fn of_pair(&mut self, position: u32, time_ms: i64) {
        self.position = position;
        self.time_ms = time_ms;
    }

    /// An event time of the partition.
    #[inline]
    fn note(&mut self, time_ms: i64) {
        if time_ms > self.largest_ms && time_ms <= EVENT_TIME_MAX_MS {
            self.largest_ms = time_ms;
        }
    }

    /// What items are held against: those behind it by more than they may be are late.
    #[inline]
    pub(crate) fn reached_ms(&self) -> i64 {
        self.own_ms.max(self.moment.watermark_ms)
    }

    /// The item's event time. None: it is no time, and its record is set aside.
    #[inline]
    pub(crate) fn event_time_ms(&mut self) -> Option<i64> {
        if (-EVENT_TIME_MAX_MS..=EVENT_TIME_MAX_MS).contains(&self.time_ms) {
            return Some(self.time_ms);
        }
        let time_ms = self.time_ms;
        self.fault(format_args!(
            "{time_ms} is no event time in milliseconds since 1970"
        ));
        None
    }

    /// The item is too late.
    #[cold]
    pub(crate) fn late(&mut self) {
        self.out.late.push(self.position);
    }

    /// The output, when all has run. Branches tell theirs after the main chain.
    pub(crate) fn finish(self) -> Output {
        let mut out = self.out;
        out.faults.sort_by_key(|fault| fault.position);
        out.late.sort_unstable();
        out.late.dedup();
        out.largest_ms = self.largest_ms;
        out
    }
}

/// A chain of operators that yields items.
pub trait Flow<'b> {
    /// What it yields.
    type Item;
    /// Yields the items of one batch.
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        next: impl FnMut(Self::Item, &mut Context),
    );
}

/// The records of a source.
#[derive(Debug)]
pub struct Records;

impl<'b> Flow<'b> for Records {
    type Item = Record<'b>;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(Record<'b>, &mut Context),
    ) {
        let Input::Records(batch) = input else {
            panic!("a source's chain is given records, not {input:?}")
        };
        let (mut no_keys, mut no_values) =
            (Positions(batch.absent_keys), Positions(batch.absent_values));
        let mut headers_from = 0;
        let items = batch
            .keys
            .iter()
            .zip(batch.values.iter())
            .zip(batch.times_ms);
        for (position, ((key, value), &time_ms)) in (0..).zip(items) {
            context.begin(position, time_ms);
            if context.own_times {
                context.note(time_ms);
            }
            let (no_key, no_value) = (no_keys.has(position), no_values.has(position));
            let headers = batch.headers.next(position, &mut headers_from);
            let offset = match batch.offsets.get(position as usize) {
                Some(offset) => *offset,
                None => batch.first_offset + i64::from(position),
            };
            if no_value && context.table {
                let key = (!no_key).then(|| key.to_vec());
                context.deletions.push(Deletion {
                    position,
                    time_ms,
                    key,
                });
                continue;
            }
            next(
                Record {
                    key,
                    value,
                    time_ms,
                    no_key,
                    no_value,
                    offset,
                    place: batch.place,
                    headers,
                },
                context,
            );
        }
    }
}
