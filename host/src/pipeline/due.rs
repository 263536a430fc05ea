//! When a batch is due by the clock, and which partitions have been silent for too long to be waited for.

use crate::clock;
use crate::limits;
use crate::record::{Partition, Positions};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The rest of an interval.
pub(super) enum Due {
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

impl Due {
    pub(super) fn new(every: Duration) -> Due {
        if every.is_zero() { Due::Free } else { Due::At { next: clock::monotonic() + every, every } }
    }

    /// Keeps the beat unless the interval itself was changed.
    pub(super) fn keep(self, every: Duration) -> Due {
        match self {
            Due::At { every: before, .. } if before == every => self,
            Due::Free if every.is_zero() => self,
            _ => Due::new(every),
        }
    }

    /// Whether an interval is over; the next one begins where this one ended.
    pub(super) fn is_over(&mut self) -> bool {
        let Due::At { next, every } = self else { return false };
        let now = clock::monotonic();
        let over = now >= *next;
        while *next <= now {
            *next += *every;
        }
        over
    }

    pub(super) fn wait(&self) -> Duration {
        match self {
            Due::Free => limits::FETCH_WAIT,
            Due::At { next, .. } => next.saturating_duration_since(clock::monotonic()).min(limits::FETCH_WAIT),
        }
    }
}

/// Since when each partition has been silent. One that is, and has nothing left to read, is let go: it does not hold the
/// watermark back until it speaks again.
#[derive(Default)]
pub(super) struct Idle {
    since: BTreeMap<Partition, Instant>,
}

impl Idle {
    /// Notes which partitions a batch moved.
    pub(super) fn moved(&mut self, from: &Positions, to: &Positions) {
        let now = clock::monotonic();
        for (partition, at) in to {
            if from.get(partition) != Some(at) {
                self.since.insert(*partition, now);
            }
        }
    }

    /// Those of `at` that were silent for `time` (zero: none ever) and stand at their ends.
    pub(super) fn partitions(&mut self, at: &Positions, ends: &Positions, time: Duration) -> BTreeSet<Partition> {
        if time.is_zero() {
            return BTreeSet::new();
        }
        let now = clock::monotonic();
        let is_idle = |(partition, at): &(&Partition, &i64)| {
            let since = *self.since.entry(**partition).or_insert(now);
            now.duration_since(since) >= time && ends.get(partition).is_some_and(|end| end <= at)
        };
        at.iter().filter(is_idle).map(|(partition, _)| *partition).collect()
    }
}
