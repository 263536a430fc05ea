//! How far ahead of its record's own time an event time may be.
//!
//! One wrong event time (microseconds taken for milliseconds) would end every window of its
//! partition, and make all that follows late for good. So a record that would move its partition's
//! event time further ahead than this is set aside before it does.
//!
//! A call says but the largest event time of all its records. It is in order if it is not beyond
//! what the oldest of them may have; else the call is asked in halves, down to the record. So a
//! chunk is cut where its records' own times lie far apart, or old records would be in doubt
//! because of new ones beside them.

use super::GuestFault;
use crate::types::TimeRules;
use std::ops::Range;

/// The rule for the event times of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AheadRule {
    /// How far ahead one may be, in milliseconds.
    pub by_ms: i64,
    /// The batch's time, if it is a clock's. It is that of a record without a time of its own, and
    /// no record's own time is believed to be after it.
    pub clock_ms: Option<i64>,
}

impl AheadRule {
    /// That of a batch of this time; none: they may be however far ahead.
    pub fn of(rules: TimeRules, batch_ms: i64) -> Option<AheadRule> {
        let by_ms = i64::try_from(rules.ahead_ms).unwrap_or(i64::MAX);
        (by_ms > 0).then_some(AheadRule {
            by_ms,
            clock_ms: rules.by_clock.then_some(batch_ms),
        })
    }

    /// What the event time of a record of this own time is held against, if there is anything, and
    /// whether that is its own time.
    fn held_against_ms(self, own_ms: i64) -> Option<(i64, bool)> {
        match (own_ms > 0, self.clock_ms) {
            (true, Some(clock_ms)) => Some((own_ms.min(clock_ms), own_ms <= clock_ms)),
            (true, None) => Some((own_ms, true)),
            (false, clock_ms) => clock_ms.map(|clock_ms| (clock_ms, false)),
        }
    }

    /// The largest event time that a record of this own time may have.
    fn latest_ms(self, own_ms: i64) -> i64 {
        let from = self.held_against_ms(own_ms);
        from.map_or(i64::MAX, |(from_ms, _)| from_ms.saturating_add(self.by_ms))
    }

    /// Whether the largest event time that records brought to their partition may be. Of a single
    /// record this is its own; of several an error says that it may be one's or none's.
    pub fn check(self, own_ms: &[i64], before_ms: i64, largest_ms: i64) -> Result<(), GuestFault> {
        let own = own_ms
            .iter()
            .filter_map(|&own_ms| self.held_against_ms(own_ms));
        match own.min() {
            Some((from_ms, is_own))
                if largest_ms > before_ms && largest_ms > from_ms.saturating_add(self.by_ms) =>
            {
                Err(GuestFault::Ahead {
                    event_ms: largest_ms,
                    from_ms,
                    is_own,
                    by_ms: self.by_ms,
                })
            }
            _ => Ok(()),
        }
    }

    /// Where a chunk is cut, so that the records of a part have much the same bound.
    pub fn cuts(self, own_ms: &[i64]) -> Vec<usize> {
        let apart_ms = self.by_ms / 2;
        let mut cuts = Vec::new();
        let mut part: Option<Range<i64>> = None; // the least and the largest bound in it
        for (at, &own_ms) in own_ms.iter().enumerate() {
            let latest_ms = self.latest_ms(own_ms);
            let next = part.map_or(latest_ms..latest_ms, |part| {
                part.start.min(latest_ms)..part.end.max(latest_ms)
            });
            let is_wide = next.end.saturating_sub(next.start) > apart_ms;
            if is_wide {
                cuts.push(at);
            }
            part = Some(if is_wide { latest_ms..latest_ms } else { next });
        }
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NO_TIME_MS;

    const CLOCK_MS: i64 = 1_000_000;
    const RULE: AheadRule = AheadRule {
        by_ms: 100,
        clock_ms: Some(CLOCK_MS),
    };

    #[test]
    fn an_event_time_is_held_against_the_records_own_or_else_the_batchs() {
        let is_fine = |own_ms: &[i64], before_ms, largest_ms| {
            RULE.check(own_ms, before_ms, largest_ms).is_ok()
        };
        assert!(is_fine(&[], NO_TIME_MS, NO_TIME_MS));
        assert!(is_fine(&[5000], NO_TIME_MS, 5100) && !is_fine(&[5000], NO_TIME_MS, 5101));
        // What its partition had before it is moved by none.
        assert!(is_fine(&[5000], 9000, 9000) && !is_fine(&[5000], 9000, 9001));
        // One of them may be ahead.
        assert!(!is_fine(&[5000, 6000], NO_TIME_MS, 6050));
        for own_ms in [0, -1, i64::MIN, CLOCK_MS + 7, 1_700_000_000_000_000] {
            assert!(is_fine(&[own_ms], NO_TIME_MS, CLOCK_MS + 100), "{own_ms}");
            assert!(!is_fine(&[own_ms], NO_TIME_MS, CLOCK_MS + 101), "{own_ms}");
        }
        let no_clock = AheadRule {
            clock_ms: None,
            ..RULE
        };
        assert!(no_clock.check(&[0, -1], NO_TIME_MS, i64::MAX).is_ok());
        assert!(no_clock.check(&[5000, 0], NO_TIME_MS, 5101).is_err());
    }

    #[test]
    fn records_whose_own_times_lie_apart_are_in_different_parts() {
        assert!(RULE.cuts(&[]).is_empty() && RULE.cuts(&[1000, 1050, 1020]).is_empty());
        assert_eq!(RULE.cuts(&[1000, 1051, 1052, 900, 2000]), [1, 3, 4]);
        // The bound of all of these is the clock's.
        assert!(RULE.cuts(&[0, -1, CLOCK_MS, 2 * CLOCK_MS]).is_empty());
        let no_clock = AheadRule {
            clock_ms: None,
            ..RULE
        };
        assert_eq!(no_clock.cuts(&[0, 5000, 0]), [1, 2]);
    }
}
