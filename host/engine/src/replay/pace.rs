//! How fast a replay goes: so many records a second at most, and so much of the time at work.

use super::Replay;
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};

/// Where a replay is in its time.
pub(super) struct Pace {
    rate: Option<u64>,
    /// Since when it counts, and how many records there were.
    began: Instant,
    records: u64,
}

impl Pace {
    pub(super) fn new(rate: Option<u64>) -> Pace {
        Pace {
            rate,
            began: clock::monotonic(),
            records: 0,
        }
    }

    /// How many records a batch may have, if it may have `most`: those of a second.
    pub(super) fn batch(&self, most: usize) -> usize {
        let of_second = self.rate.map_or(usize::MAX, |rate| rate.max(1) as usize);
        most.min(of_second)
    }

    /// A batch of so many records was at work for so long: rests as long as it has to. Not longer than
    /// the replay goes on.
    pub(super) fn rest(&mut self, replay: &Replay, records: u64, took: Duration) {
        self.records += records;
        let share = took * (100 - limits::REPLAY_SHARE) / limits::REPLAY_SHARE;
        let until = clock::monotonic() + share.max(self.ahead());
        while !replay.is_stopped() {
            let left = until.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(limits::LOOK_TIME));
        }
    }

    /// By how much the records were faster than the rate.
    fn ahead(&self) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let wanted = Duration::from_secs_f64(self.records as f64 / rate.max(1) as f64);
        wanted.saturating_sub(clock::since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_beyond_the_rate_wait() {
        let mut pace = Pace::new(Some(100));
        assert_eq!((pace.batch(1000), pace.batch(10)), (100, 10));
        assert_eq!(Pace::new(None).batch(1000), 1000);
        pace.records = 1_000_000;
        assert!(pace.ahead() > Duration::from_secs(9000));
        pace.records = 0;
        assert_eq!(pace.ahead(), Duration::ZERO);
    }
}
