//! Windows as authors write them.

use super::calendar::{Calendar, Unit, Weekday};
use crate::describe::{Partners, WindowDef, WindowForm};
use std::time::Duration;

/// How [`window`](crate::KeyedBy::window) cuts time: [`tumbling`], [`hopping`] or [`session`], or
/// [`calendar_days`], [`calendar_weeks`] or [`calendar_months`].
///
/// Event time is the items' own ([`timed_by`](crate::Stream::timed_by), or the record's time). It
/// moves on as records come: a window is over once every partition has passed its end, and is then
/// given out, once and for good. A record that comes later than that is late: it is counted, and
/// goes where [`late_to`](crate::Scoped::late_to) says. [`watermark`](Windows::watermark) lets
/// windows wait for what is out of order, and [`allowed_lateness`](Windows::allowed_lateness) late
/// records change what was given. Of [`hopping`] windows, which overlap, a
/// record counts for those that are still open, and is late once all are over that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    form: Form,
    offset: Duration,
    watermark: Duration,
    lateness: Duration,
    processing_time: bool,
    early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Panes { size: Duration, hop: Duration },
    Session { gap: Duration },
    Calendar(Calendar),
}

impl Windows {
    fn new(form: Form) -> Self {
        Windows {
            form,
            offset: Duration::ZERO,
            watermark: Duration::ZERO,
            lateness: Duration::ZERO,
            processing_time: false,
            early: false,
        }
    }

    /// How much later than multiples of their hop windows begin, which are counted from 1970, in
    /// UTC: `tumbling(days(1)).offset(hours(22))` are the days of a place two hours ahead of UTC.
    /// Without it: nothing.
    pub fn offset(mut self, later: Duration) -> Self {
        self.offset = later;
        self
    }

    /// How far behind the largest event time of their partition records may come: the bound on how
    /// far out of order they are. Windows wait that much longer for them, and are then given out; a
    /// record that is further beyond the end of its window is late for it. For a session, which a
    /// record may prolong, the window is the one that the record would be in alone: from its time to
    /// `gap` after it; sessions are given out once no record that is not late can belong to them, a
    /// gap later still. Without it: nothing.
    pub fn watermark(mut self, bound: Duration) -> Self {
        self.watermark = bound;
        self
    }

    /// For how much longer, after a window was given out, late records still count for it: each
    /// batch that has some gives it out again, as it then stands. For sinks where a later row of the
    /// same key takes the place of an earlier one; not before another keyed stage, and not for
    /// sessions. Without it: nothing, and a window is given out once and for good.
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.lateness = lateness;
        self
    }

    /// Goes by the time of the batches instead of the items' own. Nothing is late, and a replay may
    /// cut windows elsewhere than the clock on the wall did, but no otherwise than the first run.
    pub fn processing_time(mut self) -> Self {
        self.processing_time = true;
        self
    }

    /// Gives out what a window has so far, too: after each batch that changed it, until it is over.
    /// For sinks where a later row of the same key takes the place of an earlier one; not before
    /// another keyed stage.
    ///
    /// A session begins earlier when an earlier item joins it, or when an item joins two sessions
    /// to one. If its beginning is in the row's key, the row that it had before stays, and nothing
    /// takes it back.
    pub fn early_results(mut self) -> Self {
        self.early = true;
        self
    }

    /// What an offset beyond the hop comes to.
    fn offset_ms(self) -> u64 {
        let offset_ms = ms(self.offset);
        match self.form {
            Form::Panes { hop, .. } => offset_ms % ms(hop).max(1),
            Form::Session { .. } | Form::Calendar(_) => offset_ms,
        }
    }

    /// Of a calendar, where they are.
    pub(crate) fn calendar(self) -> Option<Calendar> {
        match self.form {
            Form::Calendar(calendar) => Some(calendar),
            Form::Panes { .. } | Form::Session { .. } => None,
        }
    }

    /// What was said of windows that cannot have it, in words.
    pub(crate) fn mistake(self) -> Option<&'static str> {
        self.calendar()?;
        if !self.offset.is_zero() {
            return Some(
                "windows of a calendar begin when its time zone says: leave `.offset(…)` out",
            );
        }
        (!self.lateness.is_zero()).then_some(
            "windows of a calendar are given out once: write `.watermark(…)` in place of \
             `.allowed_lateness(…)`, and they wait that much longer",
        )
    }

    pub(crate) fn def(self) -> WindowDef {
        let lateness = self.watermark.saturating_add(self.lateness);
        let (form, lateness) = match self.form {
            Form::Panes { size, hop } => (
                WindowForm::Panes {
                    size_ms: ms(size),
                    hop_ms: ms(hop),
                },
                lateness,
            ),
            // The last millisecond of a window stands for it: see `calendar`.
            Form::Calendar(_) => (
                WindowForm::Panes {
                    size_ms: 1,
                    hop_ms: 1,
                },
                lateness,
            ),
            // The contract knows how far a record may be behind its partition.
            Form::Session { gap } => (
                WindowForm::Session { gap_ms: ms(gap) },
                match self.processing_time {
                    true => lateness,
                    false => lateness.saturating_add(gap),
                },
            ),
        };
        WindowDef {
            form,
            offset_ms: self.offset_ms(),
            lateness_ms: ms(lateness),
            updates_ms: ms(self.lateness),
            processing_time: self.processing_time,
            early: self.early,
        }
    }
}

/// Windows of one size, one after the other.
pub fn tumbling(size: Duration) -> Windows {
    hopping(size, size)
}

/// Windows of one size, a new one every `hop`, so that each item is in `size / hop` of them. The
/// size is a multiple of the hop.
///
/// A record that comes when some of its windows are over counts for the others. Which are over is
/// judged by what its partition had before it, never by how records were cut into batches, so that
/// the results follow from the topic alone.
pub fn hopping(size: Duration, hop: Duration) -> Windows {
    Windows::new(Form::Panes { size, hop })
}

/// Windows that last as long as no two of a key's items in a row are further apart than `gap`. A
/// window is from its first item to `gap` after its last.
pub fn session(gap: Duration) -> Windows {
    Windows::new(Form::Session { gap })
}

/// The days of a time zone, from midnight to midnight there: `calendar_days("Europe/Berlin")`. Where
/// clocks change a day has 23 or 25 hours, or what its zone's rules say. The zone is named as in the
/// time zone database; a name that is not in it is refused at deploy. The rules are part of the
/// component: no update of a machine moves a window, and a replay cuts as the first run did. New
/// rules come with a newer `streamhost` crate.
///
/// Where midnight comes twice, a day begins with the first; where it is left out, when the clocks go
/// on. Such windows take [`watermark`](Windows::watermark),
/// [`processing_time`](Windows::processing_time) and [`early_results`](Windows::early_results), and
/// no other options.
///
/// ```
/// use streamhost::{Job, Time, calendar_days, console, fields, job, kafka, ok, testing};
///
/// #[job]
/// fn sales() -> Job {
///     kafka("sales")
///         .try_map(|record| {
///             let [at, shop] = fields(record.text()?, ',')?;
///             ok((Time::from_rfc3339(at)?, shop))
///         })
///         .timed_by(|(at, _)| *at)
///         .key_by(|(_, shop)| *shop)
///         .window(calendar_days("Europe/Berlin"))
///         .count()
///         .map(|day| format!("{} {} {}", day.key, day.value, (day.window.end.0 - day.window.start.0) / 3_600_000))
///         .to(console())
/// }
///
/// let mut job = testing::run(sales);
/// // On this day the clocks go on by an hour.
/// job.send("sales", ["2026-03-28T23:00:00Z,a", "2026-03-29T21:59:59Z,a", "2026-03-29T22:00:00Z,a"]).end();
/// assert_eq!(job.rows("console"), ["value=a 2 23", "value=a 1 24"]);
/// ```
pub fn calendar_days(zone: &'static str) -> Windows {
    Windows::new(Form::Calendar(Calendar::new(Unit::Day, zone)))
}

/// The weeks of a time zone, from midnight of a day there to that of the same day a week later:
/// `calendar_weeks(Weekday::Monday, "Europe/Berlin")`. Else they are like [`calendar_days`].
pub fn calendar_weeks(begins: Weekday, zone: &'static str) -> Windows {
    Windows::new(Form::Calendar(Calendar::new(Unit::Week(begins), zone)))
}

/// The months of a time zone, from midnight of their first day there: `calendar_months("UTC")`. Else
/// they are like [`calendar_days`].
pub fn calendar_months(zone: &'static str) -> Windows {
    Windows::new(Form::Calendar(Calendar::new(Unit::Month, zone)))
}

/// How far apart in event time two items may be for [`join`](crate::KeyedBy::join) to pair them:
/// [`within`] or [`between`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    before: Duration,
    after: Duration,
    watermark: Option<Duration>,
}

/// JoinBy items whose event times are at most so far apart, either way.
pub fn within(distance: Duration) -> Within {
    between(distance, distance)
}

/// JoinBy a left item with right ones that are at most `before` earlier than it, or at most `after`
/// later: `between(seconds(0), minutes(5))` pairs an order with what happened in the five minutes
/// from then on.
pub fn between(before: Duration, after: Duration) -> Within {
    Within {
        before,
        after,
        watermark: None,
    }
}

impl Within {
    /// How far a record may be behind the largest event time of its partition; items wait for
    /// partners that much longer. Without it: as far as two partners may be apart.
    pub fn watermark(mut self, bound: Duration) -> Self {
        self.watermark = Some(bound);
        self
    }

    fn pairing(self) -> Pairing {
        let Within {
            before,
            after,
            watermark,
        } = self;
        Pairing {
            partners: Partners::Between {
                before_ms: ms(before),
                after_ms: ms(after),
            },
            lateness_ms: ms(watermark.unwrap_or(before.max(after))),
            mistake: None,
        }
    }
}

/// Which items of one key a [`join`](crate::KeyedBy::join) pairs: those that are [`within`] a time
/// of each other, or [`between`] two times, or in one [`tumbling`] window.
#[diagnostic::on_unimplemented(
    message = "a join cannot go by `{Self}`",
    label = "not which items are partners",
    note = "write `within(minutes(5))`, `between(seconds(0), minutes(5))` or `tumbling(minutes(5))`"
)]
pub trait JoinBy: sealed::JoinBy {}

impl JoinBy for Within {}
impl JoinBy for Windows {}

impl sealed::JoinBy for Within {
    fn pairing(self) -> Pairing {
        self.pairing()
    }
}

impl sealed::JoinBy for Windows {
    fn pairing(self) -> Pairing {
        let size = match self.form {
            Form::Panes { size, hop } if size == hop => Some(size),
            Form::Panes { .. } | Form::Session { .. } | Form::Calendar(_) => None,
        };
        let is_given_once = !self.early && self.lateness.is_zero();
        let is_plain = self.offset_ms() == 0 && !self.processing_time;
        let fits = size.is_some() && is_plain && is_given_once;
        Pairing {
            partners: Partners::Window {
                size_ms: ms(size.unwrap_or(Duration::from_millis(1))),
            },
            lateness_ms: ms(self.watermark),
            mistake: (!fits).then_some(
                "goes by windows that are not tumbling ones of event time, given once: write \
                 `tumbling(…)`, with `.watermark(…)` at most",
            ),
        }
    }
}

/// What a join goes by.
#[derive(Clone, Copy, Debug)]
pub struct Pairing {
    pub(crate) partners: Partners,
    pub(crate) lateness_ms: u64,
    /// What its author wrote fits no join.
    pub(crate) mistake: Option<&'static str>,
}

pub(crate) mod sealed {
    /// What [`JoinBy`](super::JoinBy) is made of.
    pub trait JoinBy {
        #[doc(hidden)]
        fn pairing(self) -> super::Pairing;
    }
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
