//! The sources' side: partitions, what each has sent, and how far the event times of all of them
//! have come.

use super::model::{Bytes, END_OF_TIME_MS, NO_TIME_MS};
use crate::describe::SourceDef;
use crate::record::Record;
use std::collections::BTreeMap;

/// The sources of a job under test.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// What the next batch has, by source and partition.
    waiting: BTreeMap<(usize, u32), Chunk>,
    ended: bool,
}

#[derive(Clone, Debug, Default)]
struct Source {
    /// Records sent so far.
    sent: usize,
    /// It has fallen silent, and does not hold back the watermark until it sends again.
    idle: bool,
    /// For each partition that sent something its largest event time.
    largest_ms: BTreeMap<u32, i64>,
}

/// Records of one partition in one batch.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) source: usize,
    pub(super) partition: u32,
    /// How many records the source had sent before.
    pub(super) first: usize,
    pub(super) records: Vec<Sent>,
}

/// A record that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    key: Option<Bytes>,
    value: Option<Bytes>,
    time_ms: i64,
}

impl Sent {
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            key: self.key.as_deref().unwrap_or_default(),
            value: self.value.as_deref().unwrap_or_default(),
            time_ms: self.time_ms,
            no_key: self.key.is_none(),
            no_value: self.value.is_none(),
        }
    }
}

impl Sources {
    pub(super) fn new(sources: usize) -> Self {
        Sources {
            sources: vec![Source::default(); sources],
            waiting: BTreeMap::new(),
            ended: false,
        }
    }

    /// Records for the next batch.
    pub(super) fn add<'r>(
        &mut self,
        source: usize,
        partition: u32,
        records: impl Iterator<Item = Record<'r>>,
    ) {
        let first = self.sources[source].sent;
        let chunk = Chunk {
            source,
            partition,
            first,
            records: Vec::new(),
        };
        let sent = &mut self
            .waiting
            .entry((source, partition))
            .or_insert(chunk)
            .records;
        let before = sent.len();
        sent.extend(records.map(|record| Sent {
            key: record.has_key().then(|| record.key.to_vec()),
            value: record.has_value().then(|| record.value.to_vec()),
            time_ms: record.time_ms,
        }));
        self.sources[source].sent += sent.len() - before;
        self.sources[source].idle = false;
    }

    /// The next batch, by source and partition.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Chunk> + use<> {
        std::mem::take(&mut self.waiting).into_values()
    }

    pub(super) fn idle(&mut self, source: usize) {
        self.sources[source].idle = true;
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The largest event time of a partition so far.
    pub(super) fn largest_ms(&self, source: usize, partition: u32) -> i64 {
        self.sources[source]
            .largest_ms
            .get(&partition)
            .copied()
            .unwrap_or(NO_TIME_MS)
    }

    /// A partition's largest event time is now this.
    pub(super) fn reach(&mut self, source: usize, partition: u32, largest_ms: i64) {
        self.sources[source]
            .largest_ms
            .insert(partition, largest_ms);
    }

    /// The least that all partitions of timed sources have reached. A source that has sent nothing
    /// yet holds the others back, an idle one does not; where all are idle, the partition that came
    /// furthest counts.
    pub(super) fn watermark_ms(&self, defs: &[SourceDef]) -> i64 {
        if self.ended {
            return END_OF_TIME_MS;
        }
        let timed = self
            .sources
            .iter()
            .zip(defs)
            .filter(|(_, def)| def.timed)
            .map(|(source, _)| source);
        let (idle, counting): (Vec<_>, Vec<_>) = timed.partition(|source| source.idle);
        let least = |source: &Source| {
            source
                .largest_ms
                .values()
                .copied()
                .min()
                .unwrap_or(NO_TIME_MS)
        };
        let furthest = || {
            idle.iter()
                .flat_map(|source| source.largest_ms.values().copied())
                .max()
        };
        counting
            .into_iter()
            .map(least)
            .min()
            .or_else(furthest)
            .unwrap_or(NO_TIME_MS)
    }

    /// The partitions as they stand, for the version after this one: by name, as its sources may be
    /// others.
    pub(super) fn carry_to(&self, defs: &[SourceDef], next: &[SourceDef]) -> Sources {
        let old = |name: &str| {
            defs.iter()
                .position(|def| def.name == name)
                .map(|at| self.sources[at].clone())
        };
        let sources = next
            .iter()
            .map(|def| old(&def.name).unwrap_or_default())
            .collect();
        Sources {
            sources,
            waiting: BTreeMap::new(),
            ended: self.ended,
        }
    }
}
