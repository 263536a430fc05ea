//! The sources' side: partitions, and what each has sent.

use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::executor::{Batch, Watermark};
use streamhost_core::job::SourceSpec;
use streamhost_core::types::{self, Chunk, Header, Offset, Partition, Span};

/// The sources of a job under test.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// What the next batch has.
    waiting: BTreeMap<Partition, Chunk>,
    ended: bool,
}

#[derive(Clone, Debug, Default)]
struct Source {
    /// Records sent so far: a record's offset is its place among all of its source.
    sent: Offset,
    /// It has fallen silent, and does not hold back the watermark until it sends again.
    idle: bool,
    /// Where each partition that sent something stands after the batch before.
    partitions: BTreeMap<i32, Offset>,
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
        let id = i32::try_from(partition).expect("a partition's number is below 2^31");
        let partition = Partition {
            source: source as u16,
            id,
        };
        let source = &mut self.sources[source];
        let chunk = self
            .waiting
            .entry(partition)
            .or_insert_with(|| Chunk::new(partition));
        for record in records {
            let headers: Vec<Header<'_>> = record
                .headers()
                .iter()
                .map(|(name, value)| Header { name, value })
                .collect();
            chunk.push(types::Record {
                offset: source.sent,
                time_ms: record.time_ms,
                key: record.has_key().then_some(record.key),
                value: record.has_value().then_some(record.value),
                headers: &headers,
            });
            source.sent += 1;
        }
        source.idle = false;
    }

    /// The next batch. A source that has sent nothing yet has one partition, which holds the
    /// watermark back.
    pub(super) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        let waiting = std::mem::take(&mut self.waiting);
        for partition in waiting.keys() {
            let source = &mut self.sources[usize::from(partition.source)];
            source.partitions.entry(partition.id).or_default();
        }
        for (number, source) in (0..).zip(&mut self.sources) {
            let partition = |id| Partition { source: number, id };
            for (&id, next) in &mut source.partitions {
                let chunk = waiting.get(&partition(id));
                let last = chunk.and_then(|chunk| chunk.offsets.last());
                let span = Span {
                    from: *next,
                    to: last.map_or(*next, |last| last + 1),
                    records: chunk.map_or(0, |chunk| chunk.len() as u64),
                };
                *next = span.to;
                batch.spans.insert(partition(id), span);
            }
            if source.partitions.is_empty() {
                let nothing = Span {
                    from: 0,
                    to: 0,
                    records: 0,
                };
                batch.spans.insert(partition(0), nothing);
            }
        }
        batch.chunks = waiting.into_values().collect();
        batch.chunks.retain(|chunk| !chunk.is_empty());
        batch
    }

    /// Where the watermark after a batch comes from.
    pub(super) fn watermark(&self, batch: &Batch) -> Watermark {
        if self.ended {
            return Watermark::End;
        }
        let is_idle = |partition: &&Partition| self.sources[usize::from(partition.source)].idle;
        let idle: BTreeSet<Partition> = batch.spans.keys().filter(is_idle).copied().collect();
        Watermark::Least { idle }
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

    /// The partitions as they stand, for the version after this one: by name, as its sources may be
    /// others.
    pub(super) fn carry_to(&self, specs: &[SourceSpec], next: &[SourceSpec]) -> Sources {
        let old = |name: &str| {
            specs
                .iter()
                .position(|spec| spec.name == name)
                .map(|at| self.sources[at].clone())
        };
        let sources = next
            .iter()
            .map(|spec| old(&spec.name).unwrap_or_default())
            .collect();
        Sources {
            sources,
            waiting: BTreeMap::new(),
            ended: self.ended,
        }
    }
}
