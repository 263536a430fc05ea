//! What a function with state may ask, and what it may do.

use crate::cell::Time;
use crate::flow::EVENT_TIME_MAX_MS;
use crate::limits::KEY_TIMERS_MAX;
use std::collections::BTreeSet;

/// Given to the function of [`process`](crate::KeyedBy::process) beside its key, item and state: asks
/// for the time, gives items out and sets timers, for the key that is under way.
///
/// `O` is what it gives out.
#[derive(Debug)]
pub struct Context<'a, O> {
    pub(super) now: Now,
    pub(super) timers: &'a mut KeyTimers,
    pub(super) emitted: &'a mut Vec<O>,
    /// Why the item or timer is refused.
    pub(super) refusal: Option<String>,
}

/// When a function is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) batch_ms: i64,
    /// Of the item or the timer.
    pub(super) time_ms: i64,
    pub(super) watermark_ms: i64,
    /// All sources are at their end.
    pub(super) at_end: bool,
    /// A timer of event time goes off.
    pub(super) is_event_timer: bool,
    /// What the stage was told of timers.
    pub(super) goes_by: GoesBy,
}

/// Which timers a stage may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoesBy {
    /// None: nothing would be told that one goes off.
    NoTimers,
    /// Those of the batches' time.
    BatchTime,
    /// Both kinds.
    EventTime,
}

/// One key's timers.
#[derive(Debug, Default)]
pub(super) struct KeyTimers {
    pub(super) event_ms: BTreeSet<i64>,
    pub(super) batch_ms: BTreeSet<i64>,
}

const NO_TIME_MS: i64 = i64::MIN;

impl<O> Context<'_, O> {
    /// Gives an item to what follows, as many as you like. Several outputs are an enum, and a branch for
    /// each:
    ///
    /// ```
    /// use streamhost::{Context, Job, console, job, kafka};
    ///
    /// #[derive(Clone)]
    /// enum Out<'a> {
    ///     First(&'a str),
    ///     Many(&'a str, u64),
    /// }
    ///
    /// #[job]
    /// fn visitors() -> Job {
    ///     kafka("visits")
    ///         .try_map(|visit| visit.text())
    ///         .key_by(|user| *user)
    ///         .process(|user, _, visits: &mut Option<u64>, ctx: &mut Context<'_, Out<'_>>| {
    ///             let count = visits.unwrap_or(0) + 1;
    ///             *visits = Some(count);
    ///             match count {
    ///                 1 => ctx.emit(Out::First(user)),
    ///                 _ if count % 100 == 0 => ctx.emit(Out::Many(user, count)),
    ///                 _ => {}
    ///             }
    ///         })
    ///         .also(|out| {
    ///             out.flat_map(|out| match out {
    ///                 Out::First(user) => Some(user),
    ///                 Out::Many(..) => None,
    ///             })
    ///             .to(kafka("new-visitors"))
    ///         })
    ///         .flat_map(|out| match out {
    ///             Out::Many(user, count) => Some(format!("{user}: {count}")),
    ///             Out::First(_) => None,
    ///         })
    ///         .to(console())
    /// }
    ///
    /// # let mut job = streamhost::testing::run(visitors);
    /// # job.send("visits", vec!["ada"; 100]);
    /// # assert_eq!(job.rows("new-visitors"), ["value=ada"]);
    /// # assert_eq!(job.rows("console"), ["value=ada: 100"]);
    /// ```
    pub fn emit(&mut self, item: O) {
        self.emitted.push(item);
    }

    /// The item's event time; in `on_timer` the time of a timer of event time, or the batch's time.
    pub fn event_time(&self) -> Time {
        Time(self.now.time_ms)
    }

    /// The time of the batch. It is the same whenever the batch is run again.
    pub fn batch_time(&self) -> Time {
        Time(self.now.batch_ms)
    }

    /// How far event time has come with this batch, the slowest partition's; none: not known yet, or
    /// no stage goes by event time. Where batches end it depends on the batches.
    pub fn watermark(&self) -> Option<Time> {
        match self.now.watermark_ms {
            NO_TIME_MS => None,
            watermark_ms => Some(Time(watermark_ms)),
        }
    }

    /// The job has read its sources to their end, and all timers go off. One that always sets the
    /// next one should not do so now.
    pub fn at_end(&self) -> bool {
        self.now.at_end
    }

    /// Has [`on_timer`](crate::Stream::on_timer) called for this key when event time has passed
    /// `time`: before an item of the key that is later, or when no partition is at that time or
    /// before. A time that has passed already is due at once, behind what is under way. One timer a
    /// time: to set it again changes nothing.
    pub fn timer_at(&mut self, time: Time) {
        let Time(ms) = time;
        match self.now.goes_by {
            GoesBy::EventTime => {}
            GoesBy::BatchTime => {
                return self.refuse(
                    "a timer of event time is set in a stage of `.processing_time()`: leave that out, or write \
                     `ctx.batch_timer_at(…)`",
                );
            }
            GoesBy::NoTimers => return self.no_handler(),
        }
        if self.now.is_event_timer && ms <= self.now.time_ms {
            let own_ms = self.now.time_ms;
            return self.refuse(format_args!(
                "a timer that goes off at {own_ms} sets another one for {ms}, not later, and would never end: set a later one"
            ));
        }
        if self.may_add(
            ms,
            self.timers.event_ms.len(),
            self.timers.event_ms.contains(&ms),
        ) {
            self.timers.event_ms.insert(ms);
        }
    }

    /// Has [`on_timer`](crate::Stream::on_timer) called for this key with the first batch whose time
    /// is `time` or later: never with this one. The job makes an empty batch for it if there are no
    /// records.
    pub fn batch_timer_at(&mut self, time: Time) {
        if self.now.goes_by == GoesBy::NoTimers {
            return self.no_handler();
        }
        let ms = time.0.max(self.now.batch_ms.saturating_add(1));
        if self.may_add(
            ms,
            self.timers.batch_ms.len(),
            self.timers.batch_ms.contains(&ms),
        ) {
            self.timers.batch_ms.insert(ms);
        }
    }

    /// Takes a timer of event time back. One that is not set is none.
    pub fn delete_timer(&mut self, time: Time) {
        self.timers.event_ms.remove(&time.0);
    }

    /// Takes a timer of the batches' time back.
    pub fn delete_batch_timer(&mut self, time: Time) {
        self.timers.batch_ms.remove(&time.0);
    }

    /// Takes back all timers of the key.
    pub fn delete_timers(&mut self) {
        self.timers.event_ms.clear();
        self.timers.batch_ms.clear();
    }

    /// Sets the item aside: it becomes a dead letter with this reason, as if the function had ended
    /// in `Err`. What it did before stays: refuse an item before you change the state or give
    /// something out.
    #[cold]
    pub fn refuse(&mut self, reason: impl std::fmt::Display) {
        self.refusal.get_or_insert_with(|| reason.to_string());
    }

    #[cold]
    fn no_handler(&mut self) {
        self.refuse("a timer is set, and nothing is called when it goes off: write `.on_timer(…)` behind `.process(…)`");
    }

    fn may_add(&mut self, ms: i64, count: usize, is_there: bool) -> bool {
        if !(-EVENT_TIME_MAX_MS..=EVENT_TIME_MAX_MS).contains(&ms) {
            self.refuse(format_args!(
                "{ms} is no time for a timer, in milliseconds since 1970"
            ));
            return false;
        }
        if count >= KEY_TIMERS_MAX && !is_there {
            self.refuse(format_args!(
                "the key has {KEY_TIMERS_MAX} timers, which is the most: keep what is to come in the state, and set a \
                 timer for the first of it"
            ));
            return false;
        }
        true
    }
}
