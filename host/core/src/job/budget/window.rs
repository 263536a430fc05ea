//! Sums of what came within the last time. Bounded: the time is cut into parts.

use crate::limits;
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

/// What came with one batch, or with several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Records.
    pub records: u64,
    /// Dead letters.
    pub letters: u64,
    /// Records whose age is known.
    pub aged: u64,
    /// Of them, those that were older than the budget for latency says.
    pub late: u64,
    /// Time of a processor.
    pub cpu: Duration,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, more: Sums) {
        self.records += more.records;
        self.letters += more.letters;
        self.aged += more.aged;
        self.late += more.late;
        self.cpu += more.cpu;
    }
}

impl Sums {
    /// Dead letters in millionths of the records; none where there are too few to say.
    pub(super) fn letter_share(&self) -> Option<u64> {
        (self.records >= limits::BUDGET_RECORDS_MIN).then(|| {
            let share = u128::from(self.letters) * 1_000_000 / u128::from(self.records);
            u64::try_from(share).unwrap_or(u64::MAX)
        })
    }
}

/// The sums of a time up to now.
#[derive(Clone, Debug)]
pub(super) struct Window {
    over_ms: i64,
    /// When each part that has something began, and its sums; oldest first.
    parts: VecDeque<(i64, Sums)>,
}

impl Window {
    pub(super) fn new(over: Duration) -> Self {
        Window {
            over_ms: i64::try_from(over.as_millis()).unwrap_or(i64::MAX),
            parts: VecDeque::new(),
        }
    }

    pub(super) fn over_ms(&self) -> i64 {
        self.over_ms
    }

    /// Takes what came at this time, which never falls.
    pub(super) fn add(&mut self, at_ms: i64, more: Sums) {
        let width_ms = (self.over_ms / limits::BUDGET_PARTS as i64).max(1);
        let from_ms = at_ms - at_ms.rem_euclid(width_ms);
        match self.parts.back_mut() {
            Some((from, sums)) if *from >= from_ms => *sums += more,
            _ => self.parts.push_back((from_ms, more)),
        }
        while self.parts.len() > limits::BUDGET_PARTS + 1 {
            self.parts.pop_front();
        }
    }

    /// What came within the time up to this one.
    pub(super) fn sums(&self, now_ms: i64) -> Sums {
        let mut all = Sums::default();
        let is_of_it = |(from_ms, _): &&(i64, Sums)| *from_ms > now_ms - self.over_ms;
        let parts = self.parts.iter().filter(is_of_it);
        parts.for_each(|(_, sums)| all += *sums);
        all
    }

    /// What it was told last, however long ago that is.
    pub(super) fn last(&self) -> Sums {
        let newest = self.parts.back().map_or(0, |(from_ms, _)| *from_ms);
        self.sums(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_time_is_gone_and_the_parts_are_bounded() {
        let mut window = Window::new(Duration::from_secs(60));
        let one = Sums {
            records: 1,
            ..Sums::default()
        };
        for at_ms in 0..300_000 {
            window.add(at_ms, one);
            assert!(window.parts.len() <= limits::BUDGET_PARTS + 1);
        }
        let sum = window.sums(299_999).records;
        assert!((59_000..=60_000).contains(&sum), "{sum}");
        assert_eq!(window.sums(299_999 + 60_000).records, 0);
        assert_eq!(window.sums(299_999 + 30_000).records, 30_000);
        assert_eq!(window.last().records, 60_000);
    }
}
