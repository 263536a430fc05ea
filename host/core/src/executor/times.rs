//! How far event time has come after a batch.

use super::{Batch, BatchExecutor};
use crate::contract::ChunkAnswer;
use crate::job::JobSpec;
use crate::protocol::EventTimes;
use crate::types::{
    Chunk, END_OF_TIME_MS, NO_TIME_MS, Partition, TimeRules, by_partition, by_topic,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where the watermark after a batch comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watermark {
    /// The least event time of the partitions that count: all that are timed, but these.
    Least {
        /// Partitions that were silent for too long.
        idle: BTreeSet<Partition>,
    },
    /// The same, but no further than this: of history, of which it is known how far its job has come.
    Bounded {
        /// Partitions that are at their ends.
        idle: BTreeSet<Partition>,
        /// The most that it may be.
        most_ms: i64,
    },
    /// Every source has ended.
    End,
    /// An intent says it, as partitions were let go by the wall clock.
    Planned(i64),
}

impl BatchExecutor {
    pub(super) fn times_after(
        &self,
        spec: &JobSpec,
        batch: &Batch,
        answers: &[ChunkAnswer],
        (clock_ms, watermark): (i64, &Watermark),
    ) -> EventTimes {
        let topics = spec.topics();
        let mut own: BTreeMap<Partition, i64> = by_partition(&topics, &self.times.event_ms);
        for (chunk, answer) in batch.chunks.iter().zip(answers) {
            if is_timed(spec, chunk.partition) && answer.largest_ms > NO_TIME_MS {
                // The very end of time is what the host says when all sources have ended, never a
                // record.
                let largest_ms = answer.largest_ms.min(END_OF_TIME_MS - 1);
                let own = own.entry(chunk.partition).or_insert(largest_ms);
                *own = largest_ms.max(*own);
            }
        }
        own.retain(|partition, _| batch.spans.contains_key(partition)); // others are over for good
        let mut event_ms = self.times.event_ms.clone();
        event_ms.retain(|topic, _| !topics.contains(topic));
        event_ms.extend(by_topic(&topics, &own));
        let watermark_ms = match watermark {
            Watermark::Least { idle } => least(spec, batch.spans.keys().copied(), &own, idle),
            Watermark::Bounded { idle, most_ms } => {
                least(spec, batch.spans.keys().copied(), &own, idle).min(*most_ms)
            }
            Watermark::End => END_OF_TIME_MS,
            Watermark::Planned(watermark_ms) => *watermark_ms,
        };
        EventTimes {
            clock_ms,
            watermark_ms: watermark_ms.max(self.times.watermark_ms),
            event_ms,
            late_thresholds_ms: BTreeMap::new(),
        }
    }
}

/// Gives the batch's time to records that have none of their own, and counts them. 1970 would be
/// further back than any window reaches; but without these rules it was given them, and a plan of
/// then is kept to. Where the batches' times are no clock's, all times are given by hand.
pub(super) fn give_times(chunks: &mut [Chunk], rules: Option<TimeRules>, batch_ms: i64) -> u64 {
    let given_ms = match rules {
        Some(TimeRules { by_clock: true, .. }) => batch_ms,
        Some(_) => return 0,
        None => 0,
    };
    let all = chunks.iter_mut().flat_map(|chunk| &mut chunk.times_ms);
    let mut timeless = 0;
    for time_ms in all.filter(|time_ms| **time_ms < 0) {
        *time_ms = given_ms;
        timeless += 1;
    }
    if rules.is_some() { timeless } else { 0 }
}

pub(super) fn is_timed(spec: &JobSpec, partition: Partition) -> bool {
    spec.sources
        .get(usize::from(partition.source))
        .is_some_and(|source| source.timed)
}

/// The least event time of the timed partitions that are not let go. One that has had no record yet
/// holds it back. Where all are let go the one that came furthest counts, as if it had been the
/// last to fall silent.
pub(super) fn least(
    spec: &JobSpec,
    all: impl Iterator<Item = Partition>,
    own: &BTreeMap<Partition, i64>,
    idle: &BTreeSet<Partition>,
) -> i64 {
    let reached = |partition: &Partition| own.get(partition).copied().unwrap_or(NO_TIME_MS);
    let (silent, speaking): (Vec<_>, Vec<_>) = all
        .filter(|partition| is_timed(spec, *partition))
        .partition(|partition| idle.contains(partition));
    let least = speaking.iter().map(reached).min();
    least
        .or_else(|| silent.iter().map(reached).max())
        .unwrap_or(NO_TIME_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_time_has_that_of_its_batch() {
        let rules = |by_clock| {
            Some(TimeRules {
                ahead_ms: 0,
                by_clock,
            })
        };
        let given = |rules| {
            let mut chunk = Chunk::new(Partition { source: 0, id: 0 });
            chunk.times_ms = vec![-1, 0, 7, i64::MIN];
            let mut chunks = [chunk];
            let timeless = give_times(&mut chunks, rules, 1000);
            let [chunk] = chunks;
            (chunk.times_ms, timeless)
        };
        assert_eq!(given(rules(true)), (vec![1000, 0, 7, 1000], 2));
        assert_eq!(given(rules(false)), (vec![-1, 0, 7, i64::MIN], 0));
        assert_eq!(given(None), (vec![0, 0, 7, 0], 0), "as it was planned");
    }
}
