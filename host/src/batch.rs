//! Gathers records until a batch closes: by time, count or bytes, or at the spans of a batch that is run again. Pure.

use crate::limits;
use crate::record::{Chunk, Offset, Partition, Positions, Record, Span, Spans};
use std::collections::BTreeMap;

/// How much one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Records of all partitions.
    pub records_max: usize,
    /// Bytes of keys and values of all partitions.
    pub bytes_max: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits { records_max: limits::BATCH_RECORDS_MAX, bytes_max: limits::BATCH_BYTES_DEFAULT }
    }
}

/// A closed batch's records: chunks by partition and offset, so that nothing depends on the order of arrival.
#[derive(Debug, Default)]
pub struct Cut {
    /// What was passed, of every partition.
    pub spans: Spans,
    /// The records.
    pub chunks: Vec<Chunk>,
}

impl Cut {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.spans.values().map(|span| span.records).sum()
    }

    /// The positions after the batch.
    pub fn reached(&self) -> Positions {
        self.spans.iter().map(|(&partition, span)| (partition, span.to)).collect()
    }
}

#[derive(Debug)]
struct Lane {
    span: Span,
    /// Where an exact batch ends, or an open one at the latest.
    until: Option<Offset>,
    chunks: Vec<Chunk>,
}

/// The batch that is being gathered.
#[derive(Debug)]
pub struct Gather {
    limits: BatchLimits,
    exact: bool,
    lanes: BTreeMap<Partition, Lane>,
    records: usize,
    bytes: usize,
}

impl Gather {
    /// A batch that begins at these positions and ends where it is cut.
    pub fn open(at: &Positions, limits: BatchLimits) -> Self {
        let lane = |&from: &Offset| Lane { span: Span { from, to: from, records: 0 }, until: None, chunks: Vec::new() };
        Gather {
            limits,
            exact: false,
            lanes: at.iter().map(|(&p, from)| (p, lane(from))).collect(),
            records: 0,
            bytes: 0,
        }
    }

    /// A batch of exactly these spans: what lies beyond them is left out.
    pub fn exactly(spans: &Spans) -> Self {
        let lane = |s: &Span| Lane {
            span: Span { from: s.from, to: s.from, records: 0 },
            until: Some(s.to),
            chunks: Vec::new(),
        };
        let lanes = spans.iter().map(|(&p, span)| (p, lane(span))).collect();
        let limits = BatchLimits { records_max: usize::MAX, bytes_max: usize::MAX };
        Gather { limits, exact: true, lanes, records: 0, bytes: 0 }
    }

    /// Appends a record. One that was passed already, lies beyond the batch's fixed end, or is of a partition that is
    /// not asked for, is left out.
    #[inline]
    pub fn push(&mut self, partition: Partition, record: Record<'_>) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        if record.offset < lane.span.to {
            return;
        }
        if let Some(until) = lane.until
            && record.offset >= until
        {
            lane.span.to = until; // whatever lay in between is not there any more, or never was
            return;
        }
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let full = |c: &Chunk| {
            c.len() >= limits::CHUNK_RECORDS_MAX || (!c.is_empty() && c.bytes() + bytes > limits::CHUNK_BYTES_MAX)
        };
        if lane.chunks.last().is_none_or(full) {
            lane.chunks.push(Chunk::new(partition));
        }
        if let Some(chunk) = lane.chunks.last_mut() {
            chunk.push(record);
        }
        lane.span.to = record.offset + 1;
        lane.span.records += 1;
        self.records += 1;
        self.bytes += bytes;
    }

    /// Notes that nothing stands before `next` any more: the client came to the partition's end, past offsets that
    /// hold no records.
    pub fn passed(&mut self, partition: Partition, next: Offset) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            let next = lane.until.map_or(next, |until| next.min(until));
            lane.span.to = lane.span.to.max(next);
        }
    }

    /// Has an open batch end at these positions at the latest, partition by partition. An exact batch keeps its own ends.
    pub fn bound(&mut self, ends: &Positions) {
        for (partition, &end) in ends.iter().filter(|_| !self.exact) {
            if let Some(lane) = self.lanes.get_mut(partition) {
                lane.until = Some(end.max(lane.span.to));
            }
        }
    }

    /// Nothing was passed yet.
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.span.to == lane.span.from)
    }

    /// The batch closes now, whatever its interval.
    pub fn is_full(&self) -> bool {
        self.records >= self.limits.records_max || self.bytes >= self.limits.bytes_max || self.is_complete()
    }

    /// An exact batch has all its spans.
    pub fn is_complete(&self) -> bool {
        self.exact && self.lanes.values().all(|lane| lane.until.is_some_and(|until| lane.span.to >= until))
    }

    /// How many records were gathered.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The partitions and how far each has come.
    pub fn reached(&self) -> Positions {
        self.lanes.iter().map(|(&partition, lane)| (partition, lane.span.to)).collect()
    }

    /// What the batch still reads: each partition, how far it has come, and where it ends if that is fixed.
    pub fn wanted(&self) -> impl Iterator<Item = (Partition, Offset, Option<Offset>)> {
        let lanes = self.lanes.iter().map(|(&partition, lane)| (partition, lane.span.to, lane.until));
        lanes.filter(|(_, to, until)| until.is_none_or(|until| *to < until))
    }

    /// Closes the batch.
    pub fn cut(self) -> Cut {
        let mut cut = Cut::default();
        for (partition, lane) in self.lanes {
            cut.spans.insert(partition, lane.span);
            cut.chunks.extend(lane.chunks);
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition { source: 0, id: 0 };
    const Q: Partition = Partition { source: 0, id: 1 };

    fn record(offset: Offset) -> Record<'static> {
        Record { offset, time_ms: 0, key: None, value: Some(b"value") }
    }

    #[test]
    fn an_open_batch_closes_at_its_limits_and_takes_all_it_has() {
        let mut gather = Gather::open(&[(P, 5), (Q, 0)].into(), BatchLimits { records_max: 3, bytes_max: 1000 });
        assert!(gather.is_empty() && !gather.is_full());
        for (partition, offset) in [(P, 4), (P, 5), (Q, 0), (P, 7)] {
            gather.push(partition, record(offset));
        }
        assert!(gather.is_full());
        let cut = gather.cut();
        assert_eq!(cut.spans[&P], Span { from: 5, to: 8, records: 2 });
        assert_eq!(cut.spans[&Q], Span { from: 0, to: 1, records: 1 });
        assert_eq!(cut.chunks[0].offsets, [5, 7]);
    }

    #[test]
    fn an_exact_batch_ends_where_it_ended_before() {
        let spans: Spans = [(P, Span { from: 2, to: 5, records: 2 }), (Q, Span { from: 0, to: 0, records: 0 })].into();
        let mut gather = Gather::exactly(&spans);
        gather.push(P, record(2));
        gather.push(Q, record(0));
        gather.push(P, record(3));
        assert!(!gather.is_complete());
        assert_eq!(gather.wanted().collect::<Vec<_>>(), [(P, 4, Some(5))]);
        gather.push(P, record(9));
        assert!(gather.is_complete() && gather.wanted().next().is_none());
        assert_eq!(gather.cut().spans, spans);
    }

    #[test]
    fn an_open_batch_does_not_go_beyond_its_bounds() {
        let mut gather = Gather::open(&[(P, 5), (Q, 9)].into(), BatchLimits::default());
        gather.bound(&[(P, 7), (Q, 3), (Partition { source: 1, id: 0 }, 4)].into());
        assert_eq!(gather.wanted().collect::<Vec<_>>(), [(P, 5, Some(7))], "Q is beyond its end already");
        gather.push(P, record(5));
        gather.passed(P, 9);
        gather.push(Q, record(9));
        assert!(gather.wanted().next().is_none() && !gather.is_full() && !gather.is_complete());
        assert_eq!(gather.reached(), [(P, 7), (Q, 9)].into());

        let spans: Spans = [(P, Span { from: 2, to: 5, records: 2 })].into();
        let mut gather = Gather::exactly(&spans);
        gather.bound(&[(P, 3)].into());
        assert_eq!(gather.wanted().collect::<Vec<_>>(), [(P, 2, Some(5))], "an exact batch keeps its own end");
    }

    #[test]
    fn chunks_are_bounded_and_a_long_record_stands_alone() {
        let mut gather = Gather::open(&[(P, 0)].into(), BatchLimits::default());
        let long = vec![b'x'; limits::CHUNK_BYTES_MAX + 1];
        for offset in 0..5000 {
            gather.push(P, record(offset));
        }
        gather.push(P, Record { value: Some(&long), ..record(5000) });
        gather.push(P, record(5001));
        let lengths: Vec<usize> = gather.cut().chunks.iter().map(Chunk::len).collect();
        assert_eq!(lengths, [4096, 904, 1, 1]);
    }

    #[test]
    fn the_end_of_a_partition_passes_offsets_without_records() {
        let mut gather = Gather::open(&[(P, 0)].into(), BatchLimits::default());
        gather.push(P, record(0));
        gather.passed(P, 2);
        assert_eq!(gather.cut().spans[&P], Span { from: 0, to: 2, records: 1 });
    }
}
