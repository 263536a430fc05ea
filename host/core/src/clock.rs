//! The only reader of time.

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
