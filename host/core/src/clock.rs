//! The only reader of time.

use crate::limits::CLOCK_STEP;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the wall clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A clock that never goes back, for intervals.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// How long ago this was.
pub fn since(then: Instant) -> Duration {
    then.elapsed()
}

/// By how many milliseconds the wall clock was set ahead since this was first asked; below 0: back.
/// To be asked often, or what keeps it right adds up to a step.
pub fn set_ahead_ms() -> i64 {
    static WATCH: Mutex<Option<Watch>> = Mutex::new(None);
    let (wall_ms, boot_ms) = (now_ms(), since_boot_ms());
    let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    let watch = watch.get_or_insert(Watch {
        wall_ms,
        boot_ms,
        ahead_ms: 0,
    });
    watch.look(wall_ms, boot_ms)
}

/// Milliseconds since the machine was started, also while it slept.
fn since_boot_ms() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let seconds_ms = time.tv_sec.saturating_mul(1000);
    seconds_ms.saturating_add(time.tv_nsec / 1_000_000)
}

/// Tells a clock that was set from one that goes on.
struct Watch {
    /// At the last look.
    wall_ms: i64,
    boot_ms: i64,
    ahead_ms: i64,
}

impl Watch {
    fn look(&mut self, wall_ms: i64, boot_ms: i64) -> i64 {
        let wall = wall_ms.saturating_sub(self.wall_ms);
        let step_ms = wall.saturating_sub(boot_ms.saturating_sub(self.boot_ms));
        if u128::from(step_ms.unsigned_abs()) > CLOCK_STEP.as_millis() {
            self.ahead_ms = self.ahead_ms.saturating_add(step_ms);
        }
        (self.wall_ms, self.boot_ms) = (wall_ms, boot_ms);
        self.ahead_ms
    }
}

/// A moment in the Gregorian calendar, in UTC, whatever its year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year; 0 is the one before 1.
    pub year: i64,
    /// From 1 on.
    pub month: i64,
    /// From 1 on.
    pub day: i64,
    /// Of the day.
    pub hour: i64,
    /// Of the hour.
    pub minute: i64,
    /// Of the minute.
    pub second: i64,
    /// Of the second.
    pub ms: i64,
}

const MS_OF_DAY: i64 = 86_400_000;

/// The moment so many milliseconds after 1970 began; by eras of 400 years that begin in March.
pub fn civil(ms: i64) -> Civil {
    let (days, rest) = (ms.div_euclid(MS_OF_DAY), ms.rem_euclid(MS_OF_DAY));
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day,
        hour: rest / 3_600_000,
        minute: rest / 60_000 % 60,
        second: rest / 1000 % 60,
        ms: rest % 1000,
    }
}

/// The last millisecond that RFC 3339 can say, in the year 9999.
const RFC3339_MS_MAX: u64 = 253_402_300_799_999;

/// A time as users read it: RFC 3339, to the millisecond, in UTC. One before 1970 or after the year
/// 9999 is shown as the nearest that can be: times of records are what a job makes of its input,
/// and may be anything.
pub fn rfc3339(ms: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0).min(RFC3339_MS_MAX));
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_is_kept_right() {
        let mut watch = Watch {
            wall_ms: 1_000_000,
            boot_ms: 50,
            ahead_ms: 0,
        };
        // Time that passes, and how far the clock goes.
        let looks = [
            (1000, 1000, 0),
            (1000, 1999, 0),
            (1000, 0, 0),
            (1000, 3_601_000, 3_600_000),
            (1000, 1001, 3_600_000),
            (500, -3_599_500, 0),
            (10, -59_990, -60_000),
        ];
        let (mut wall_ms, mut boot_ms) = (1_000_000, 50);
        for (passed_ms, gone_ms, want) in looks {
            (wall_ms, boot_ms) = (wall_ms + gone_ms, boot_ms + passed_ms);
            assert_eq!(watch.look(wall_ms, boot_ms), want, "{gone_ms}");
        }
        assert!(since_boot_ms() > 0 && set_ahead_ms() == set_ahead_ms());
    }

    #[test]
    fn any_time_can_be_shown() {
        for (ms, want) in [
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), want, "{ms}");
        }
    }
}
