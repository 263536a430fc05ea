//! Positions and spans as they are stored: by topic, as a job's sources may change their order.

use crate::types::{Offset, Partition, Positions, Span, Spans};
use std::collections::BTreeMap;

/// Offsets by topic and partition: how positions are stored, as a job's sources may change their
/// order.
pub type TopicOffsets = BTreeMap<String, BTreeMap<i32, Offset>>;

/// Spans by topic and partition.
pub type TopicSpans = BTreeMap<String, BTreeMap<i32, Span>>;

/// What a source knows its partitions by beside their positions, in its own words: files have such
/// marks.
pub type Marks = BTreeMap<Partition, String>;
/// The same by topic, as it is stored.
pub type TopicMarks = BTreeMap<String, BTreeMap<i32, String>>;

/// Positions by topic, given the sources' topics in order.
pub fn by_topic<T: Clone>(
    topics: &[String],
    all: &BTreeMap<Partition, T>,
) -> BTreeMap<String, BTreeMap<i32, T>> {
    let mut out: BTreeMap<String, BTreeMap<i32, T>> = BTreeMap::new();
    for (partition, value) in all {
        if let Some(topic) = topics.get(usize::from(partition.source)) {
            out.entry(topic.clone())
                .or_default()
                .insert(partition.id, value.clone());
        }
    }
    out
}

/// The reverse: what is stored for topics that the job does not read now is left out.
pub fn by_partition<T: Clone>(
    topics: &[String],
    all: &BTreeMap<String, BTreeMap<i32, T>>,
) -> BTreeMap<Partition, T> {
    let mut out = BTreeMap::new();
    for (source, topic) in topics.iter().enumerate() {
        for (&id, value) in all.get(topic).into_iter().flatten() {
            out.insert(
                Partition {
                    source: source as u16,
                    id,
                },
                value.clone(),
            );
        }
    }
    out
}

/// Positions as a running job holds them.
pub fn positions(topics: &[String], reached: &TopicOffsets) -> Positions {
    by_partition(topics, reached)
}

/// Spans as a running job holds them.
pub fn spans(topics: &[String], all: &TopicSpans) -> Spans {
    by_partition(topics, all)
}
