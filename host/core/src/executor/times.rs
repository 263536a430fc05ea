//! How far event time has come after a batch.

use super::{Batch, BatchExecutor};
use crate::contract::ChunkAnswer;
use crate::job::JobSpec;
use crate::protocol::EventTimes;
use crate::types::{END_OF_TIME_MS, NO_TIME_MS, Partition, by_partition, by_topic};
use std::collections::{BTreeMap, BTreeSet};

/// Where the watermark after a batch comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watermark {
    /// The least event time of the partitions that count: all that are timed, but these.
    Least {
        /// Partitions that were silent for too long.
        idle: BTreeSet<Partition>,
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
