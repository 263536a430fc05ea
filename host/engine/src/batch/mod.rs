//! Gathers records until a batch closes: by time, count or bytes, or at the spans of a batch that
//! is run again. Pure.

use std::collections::BTreeMap;
pub use streamhost_core::executor::Batch;
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::limits;
use streamhost_core::types::{Chunk, Marks, Offset, Partition, Positions, Record, Span, Spans};

/// A partition's part of a batch.
#[derive(Debug)]
struct Part {
    span: Span,
    /// Where an exact batch ends, or an open one at the latest.
    until: Option<Offset>,
    chunks: Vec<Chunk>,
}

impl Part {
    fn new(from: Offset, until: Option<Offset>) -> Part {
        Part {
            span: Span {
                from,
                to: from,
                records: 0,
            },
            until,
            chunks: Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.until.is_some_and(|until| self.span.to >= until)
    }
}

/// The batch that is being gathered.
#[derive(Debug)]
pub struct BatchBuilder {
    limits: BatchLimits,
    exact: bool,
    parts: BTreeMap<Partition, Part>,
    records: usize,
    bytes: usize,
    marks: Marks,
    progress: Progress,
}

/// How far a batch has come, counted as it does, as it is asked for each record.
#[derive(Debug, Default)]
struct Progress {
    steps: u64,
    /// Partitions of an exact batch that are not at their ends yet. One without records is at its
    /// end from the beginning.
    incomplete: usize,
}

impl Progress {
    /// Notes that a partition has come to this position, if that is farther than before.
    #[inline]
    fn came(&mut self, part: &mut Part, to: Offset) {
        if to <= part.span.to {
            return;
        }
        self.steps += 1;
        part.span.to = to;
        if part.is_complete() {
            // Once: nothing passes its end. An open batch counts none.
            self.incomplete = self.incomplete.saturating_sub(1);
        }
    }
}

impl BatchBuilder {
    /// A batch that begins at these positions and ends where it is cut.
    pub fn open(at: &Positions, limits: BatchLimits) -> Self {
        let parts = at
            .iter()
            .map(|(&partition, &from)| (partition, Part::new(from, None)))
            .collect();
        BatchBuilder {
            limits,
            exact: false,
            parts,
            records: 0,
            bytes: 0,
            marks: Marks::new(),
            progress: Progress::default(),
        }
    }

    /// A batch of exactly these spans: what lies beyond them is left out.
    pub fn exactly(spans: &Spans) -> Self {
        let parts: BTreeMap<_, _> = spans
            .iter()
            .map(|(&partition, span)| (partition, Part::new(span.from, Some(span.to))))
            .collect();
        let limits = BatchLimits {
            records_max: usize::MAX,
            bytes_max: usize::MAX,
        };
        let incomplete = parts.values().filter(|part| !part.is_complete()).count();
        BatchBuilder {
            limits,
            exact: true,
            parts,
            records: 0,
            bytes: 0,
            marks: Marks::new(),
            progress: Progress {
                steps: 0,
                incomplete,
            },
        }
    }

    /// Appends a record. One that was passed already, lies beyond the batch's fixed end, or is of a
    /// partition that is not asked for, is left out.
    #[inline]
    pub fn push(&mut self, partition: Partition, record: Record<'_>) {
        let Some(part) = self.parts.get_mut(&partition) else {
            return;
        };
        if record.offset < part.span.to {
            return;
        }
        if let Some(until) = part.until
            && record.offset >= until
        {
            // Whatever lay in between is not there any more, or never was.
            self.progress.came(part, until);
            return;
        }
        let bytes = record.bytes();
        let full = |c: &Chunk| {
            c.len() >= limits::CHUNK_RECORDS_MAX
                || (!c.is_empty() && c.bytes() + bytes > limits::CHUNK_BYTES_MAX)
        };
        if part.chunks.last().is_none_or(full) {
            part.chunks.push(Chunk::new(partition));
        }
        if let Some(chunk) = part.chunks.last_mut() {
            chunk.push(record);
        }
        self.progress.came(part, record.offset + 1);
        part.span.records += 1;
        self.records += 1;
        self.bytes += bytes;
    }

    /// Notes that nothing stands before `next` any more: the client came to the partition's end,
    /// past offsets that hold no records.
    pub fn passed(&mut self, partition: Partition, next: Offset) {
        if let Some(part) = self.parts.get_mut(&partition) {
            let next = part.until.map_or(next, |until| next.min(until));
            self.progress.came(part, next);
        }
    }

    /// Notes what the source knows a partition by where the batch has come to in it: kept with the
    /// position, and given back to [`Source::recognize`](crate::source::Source::recognize).
    pub fn mark(&mut self, partition: Partition, mark: String) {
        self.marks.insert(partition, mark);
    }

    /// Has an open batch end at these positions at the latest, partition by partition. An exact
    /// batch keeps its own ends.
    pub fn bound(&mut self, ends: &Positions) {
        for (partition, &end) in ends.iter().filter(|_| !self.exact) {
            if let Some(part) = self.parts.get_mut(partition) {
                part.until = Some(end.max(part.span.to));
            }
        }
    }

    /// Nothing was passed yet.
    pub fn is_empty(&self) -> bool {
        self.progress.steps == 0
    }

    /// The batch closes now, whatever its interval.
    pub fn is_full(&self) -> bool {
        self.records >= self.limits.records_max
            || self.bytes >= self.limits.bytes_max
            || self.is_complete()
    }

    /// An exact batch has all its spans.
    pub fn is_complete(&self) -> bool {
        self.exact && self.progress.incomplete == 0
    }

    /// The oldest time of its partitions' first records, in milliseconds since 1970.
    pub fn oldest_ms(&self) -> Option<i64> {
        let firsts = self.parts.values().filter_map(|part| part.chunks.first());
        firsts
            .filter_map(|chunk| chunk.times_ms.first().copied())
            .filter(|&time_ms| time_ms >= 0) // it has one
            .min()
    }

    /// How many records were gathered.
    pub fn records(&self) -> usize {
        self.records
    }

    /// How many more records fit until the batch is full by their number.
    pub fn room(&self) -> usize {
        self.limits.records_max.saturating_sub(self.records)
    }

    /// How often a partition came further. Records that the batch does not want change nothing.
    pub fn steps(&self) -> u64 {
        self.progress.steps
    }

    /// The partitions and how far each has come.
    pub fn end_positions(&self) -> Positions {
        self.parts
            .iter()
            .map(|(&partition, part)| (partition, part.span.to))
            .collect()
    }

    /// What the batch still reads: each partition, how far it has come, and where it ends if that
    /// is fixed.
    pub fn wanted(&self) -> impl Iterator<Item = (Partition, Offset, Option<Offset>)> {
        wanted(self.parts.iter())
    }

    /// What the batch still reads of one source.
    pub fn wanted_of(
        &self,
        source: u16,
    ) -> impl Iterator<Item = (Partition, Offset, Option<Offset>)> {
        let [first, last] = [i32::MIN, i32::MAX].map(|id| Partition { source, id });
        wanted(self.parts.range(first..=last))
    }

    /// Closes the batch.
    pub fn close(self) -> Batch {
        let mut batch = Batch {
            marks: self.marks,
            ..Batch::default()
        };
        for (partition, part) in self.parts {
            batch.spans.insert(partition, part.span);
            batch.chunks.extend(part.chunks);
        }
        batch
    }
}

fn wanted<'a>(
    parts: impl Iterator<Item = (&'a Partition, &'a Part)>,
) -> impl Iterator<Item = (Partition, Offset, Option<Offset>)> {
    let open = parts.filter(|(_, part)| !part.is_complete());
    open.map(|(&partition, part)| (partition, part.span.to, part.until))
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition { source: 0, id: 0 };
    const Q: Partition = Partition { source: 0, id: 1 };

    fn record(offset: Offset) -> Record<'static> {
        Record {
            offset,
            time_ms: 0,
            key: None,
            value: Some(b"value"),
            headers: &[],
        }
    }

    #[test]
    fn an_open_batch_closes_at_its_limits_and_takes_all_it_has() {
        let mut builder = BatchBuilder::open(
            &[(P, 5), (Q, 0)].into(),
            BatchLimits {
                records_max: 3,
                bytes_max: 1000,
            },
        );
        assert!(builder.is_empty() && !builder.is_full());
        for (partition, offset) in [(P, 4), (P, 5), (Q, 0), (P, 7)] {
            builder.push(partition, record(offset));
        }
        assert!(builder.is_full());
        assert_eq!(
            (builder.room(), builder.steps()),
            (0, 3),
            "what was passed before is no step"
        );
        let batch = builder.close();
        assert_eq!(
            batch.spans[&P],
            Span {
                from: 5,
                to: 8,
                records: 2
            }
        );
        assert_eq!(
            batch.spans[&Q],
            Span {
                from: 0,
                to: 1,
                records: 1
            }
        );
        assert_eq!(batch.chunks[0].offsets, [5, 7]);
    }

    #[test]
    fn an_exact_batch_ends_where_it_ended_before() {
        let spans: Spans = [
            (
                P,
                Span {
                    from: 2,
                    to: 5,
                    records: 2,
                },
            ),
            (
                Q,
                Span {
                    from: 0,
                    to: 0,
                    records: 0,
                },
            ),
        ]
        .into();
        let mut builder = BatchBuilder::exactly(&spans);
        builder.push(P, record(2));
        builder.push(Q, record(0));
        builder.push(P, record(3));
        builder.passed(Q, 7);
        assert_eq!(
            (builder.steps(), builder.is_complete()),
            (2, false),
            "what is beyond a partition's end is no step"
        );
        assert_eq!(builder.wanted().collect::<Vec<_>>(), [(P, 4, Some(5))]);
        builder.push(P, record(9));
        assert!(builder.is_complete() && builder.wanted().next().is_none());
        assert_eq!(builder.close().spans, spans);
    }

    #[test]
    fn an_open_batch_does_not_go_beyond_its_bounds() {
        let mut builder = BatchBuilder::open(&[(P, 5), (Q, 9)].into(), BatchLimits::default());
        builder.bound(&[(P, 7), (Q, 3), (Partition { source: 1, id: 0 }, 4)].into());
        assert_eq!(
            builder.wanted().collect::<Vec<_>>(),
            [(P, 5, Some(7))],
            "Q is beyond its end already"
        );
        assert_eq!(
            (builder.wanted_of(0).count(), builder.wanted_of(1).count()),
            (1, 0)
        );
        builder.push(P, record(5));
        builder.passed(P, 9);
        builder.push(Q, record(9));
        assert!(builder.wanted().next().is_none() && !builder.is_full() && !builder.is_complete());
        assert!(builder.wanted_of(0).next().is_none());
        assert_eq!(builder.end_positions(), [(P, 7), (Q, 9)].into());

        let spans: Spans = [(
            P,
            Span {
                from: 2,
                to: 5,
                records: 2,
            },
        )]
        .into();
        let mut builder = BatchBuilder::exactly(&spans);
        builder.bound(&[(P, 3)].into());
        assert_eq!(
            builder.wanted().collect::<Vec<_>>(),
            [(P, 2, Some(5))],
            "an exact batch keeps its own end"
        );
    }

    #[test]
    fn chunks_are_bounded_and_a_long_record_stands_alone() {
        let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
        let long = vec![b'x'; limits::CHUNK_BYTES_MAX + 1];
        for offset in 0..5000 {
            builder.push(P, record(offset));
        }
        builder.push(
            P,
            Record {
                value: Some(&long),
                ..record(5000)
            },
        );
        builder.push(P, record(5001));
        let lengths: Vec<usize> = builder.close().chunks.iter().map(Chunk::len).collect();
        assert_eq!(lengths, [4096, 904, 1, 1]);
    }

    #[test]
    fn the_end_of_a_partition_passes_offsets_without_records() {
        let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
        builder.push(P, record(0));
        builder.passed(P, 2);
        assert_eq!(
            builder.close().spans[&P],
            Span {
                from: 0,
                to: 2,
                records: 1
            }
        );
    }
}
