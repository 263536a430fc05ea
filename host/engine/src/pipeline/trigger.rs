//! When a batch is due by the clock, and which partitions have been silent for too long to be
//! waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use streamhost_core::types::{Partition, Positions};
use streamhost_core::{clock, limits};

/// The rest of an interval.
pub(super) enum BatchTrigger {
    /// As soon as the pipeline is free and something is there.
    Free,
    /// At the end of each interval.
    At {
        /// When the one under way ends.
        next: Instant,
        /// How long they are.
        every: Duration,
    },
}

impl BatchTrigger {
    pub(super) fn new(every: Duration) -> BatchTrigger {
        if every.is_zero() {
            BatchTrigger::Free
        } else {
            BatchTrigger::At {
                next: clock::monotonic() + every,
                every,
            }
        }
    }

    /// Keeps the beat unless the interval itself was changed.
    pub(super) fn keep(self, every: Duration) -> BatchTrigger {
        match self {
            BatchTrigger::At { every: before, .. } if before == every => self,
            BatchTrigger::Free if every.is_zero() => self,
            _ => BatchTrigger::new(every),
        }
    }

    /// Whether an interval is over; the next one begins where this one ended.
    pub(super) fn is_over(&mut self) -> bool {
        let BatchTrigger::At { next, every } = self else {
            return false;
        };
        let now = clock::monotonic();
        let over = now >= *next;
        while *next <= now {
            *next += *every;
        }
        over
    }

    pub(super) fn wait(&self) -> Duration {
        match self {
            BatchTrigger::Free => limits::FETCH_WAIT,
            BatchTrigger::At { next, .. } => next
                .saturating_duration_since(clock::monotonic())
                .min(limits::FETCH_WAIT),
        }
    }
}

/// Since when each partition has been silent. One that is, and has nothing left to read, is let go:
/// it does not hold the watermark back until it speaks again. Only time in which the source was
/// heard counts as silence: while it is away, or nobody asks it, nothing is known of its
/// partitions.
#[derive(Default)]
pub(super) struct IdlePartitions {
    since: BTreeMap<Partition, Instant>,
    /// When the source answered last.
    heard: Option<Instant>,
}

impl IdlePartitions {
    /// Notes that the source answered. The time before, if it was long, was no silence.
    pub(super) fn heard(&mut self, now: Instant) {
        let unheard = self.heard.map(|heard| now.saturating_duration_since(heard));
        if let Some(unheard) = unheard.filter(|unheard| *unheard > limits::UNHEARD_TIME) {
            self.since.values_mut().for_each(|since| *since += unheard);
        }
        self.heard = Some(now);
    }

    /// Notes which partitions a batch moved.
    pub(super) fn moved(&mut self, now: Instant, from: &Positions, to: &Positions) {
        for (partition, at) in to {
            if from.get(partition) != Some(at) {
                self.since.insert(*partition, now);
            }
        }
    }

    /// Those of `at` that were silent for `time` (zero: none ever) and stand at their ends. None
    /// while the source is not heard.
    pub(super) fn partitions(
        &mut self,
        now: Instant,
        at: &Positions,
        ends: &Positions,
        time: Duration,
    ) -> BTreeSet<Partition> {
        let is_heard = |heard| now.saturating_duration_since(heard) <= limits::UNHEARD_TIME;
        if time.is_zero() || !self.heard.is_some_and(is_heard) {
            return BTreeSet::new();
        }
        self.since.retain(|partition, _| at.contains_key(partition));
        let is_idle = |(partition, at): &(&Partition, &i64)| {
            let since = *self.since.entry(**partition).or_insert(now);
            now.saturating_duration_since(since) >= time
                && ends.get(partition).is_some_and(|end| end <= at)
        };
        at.iter()
            .filter(is_idle)
            .map(|(partition, _)| *partition)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition { source: 0, id: 0 };
    const Q: Partition = Partition { source: 0, id: 1 };

    /// Both partitions stand at 5. The source is heard each second of some spans, a partition moves
    /// at some seconds; who is let go at the end, given the partitions' ends?
    #[test]
    fn a_partition_is_let_go_once_it_was_heard_to_be_silent() {
        struct Case {
            heard: &'static [(u64, u64)],
            moved: &'static [(u64, Partition)],
            asked: u64,
            ends: [i64; 2],
            idle: &'static [Partition],
        }
        let case = |heard, moved, asked, ends, idle| Case {
            heard,
            moved,
            asked,
            ends,
            idle,
        };
        let cases = [
            case(&[(0, 29)], &[], 29, [5, 5], &[]),
            case(&[(0, 30)], &[], 30, [5, 5], &[P, Q]),
            // one has more, or its end is not known to be reached
            case(&[(0, 90)], &[], 90, [5, 6], &[P]),
            // one spoke
            case(&[(0, 90)], &[(70, P)], 90, [5, 5], &[Q]),
            case(&[(0, 90)], &[(60, P)], 90, [5, 5], &[P, Q]),
            // away just now, whatever was before
            case(&[(0, 90)], &[], 92, [5, 5], &[]),
            case(&[], &[], 92, [5, 5], &[]),
            // away in between: that time does not count, what was before does
            case(&[(0, 10), (80, 99)], &[], 99, [5, 5], &[]),
            case(&[(0, 10), (80, 100)], &[], 100, [5, 5], &[P, Q]),
            case(&[(0, 10), (80, 100)], &[(5, P)], 100, [5, 5], &[Q]),
            // let go before it was away: again as soon as it is heard
            case(&[(0, 40), (80, 80)], &[], 80, [5, 5], &[P, Q]),
        ];
        let begin = Instant::now();
        let at: Positions = [(P, 5), (Q, 5)].into();
        for (i, case) in cases.iter().enumerate() {
            let mut idle = IdlePartitions::default();
            idle.moved(begin, &Positions::new(), &at);
            for second in 0..=case.asked {
                let now = begin + Duration::from_secs(second);
                if case
                    .heard
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&second))
                {
                    idle.heard(now);
                }
                for (_, partition) in case.moved.iter().filter(|(at, _)| *at == second) {
                    idle.moved(now, &[(*partition, 4)].into(), &[(*partition, 5)].into());
                }
            }
            let now = begin + Duration::from_secs(case.asked);
            let ends = [(P, case.ends[0]), (Q, case.ends[1])].into();
            let found = idle.partitions(now, &at, &ends, Duration::from_secs(30));
            assert!(found.iter().eq(case.idle), "case {i}: {found:?}");
            assert!(
                idle.partitions(now, &at, &ends, Duration::ZERO).is_empty(),
                "case {i}: zero lets nobody go"
            );
        }
    }

    #[test]
    fn a_partition_whose_end_is_not_known_is_not_let_go_and_one_that_went_is_forgotten() {
        let (begin, mut idle) = (Instant::now(), IdlePartitions::default());
        let time = Duration::from_secs(1);
        idle.moved(begin, &Positions::new(), &[(P, 5), (Q, 5)].into());
        let now = begin + Duration::from_secs(9);
        idle.heard(now);
        assert_eq!(
            idle.partitions(now, &[(P, 5), (Q, 5)].into(), &[(P, 5)].into(), time),
            [P].into()
        );
        idle.partitions(now, &[(P, 5)].into(), &Positions::new(), time);
        assert!(idle.since.keys().eq([&P]));
    }
}
