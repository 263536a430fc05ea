//! A closed batch.

use crate::types::{Chunk, Marks, Positions, Spans};

/// A closed batch's records: chunks by partition and offset, so that nothing depends on the order
/// of arrival.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What was passed, of every partition.
    pub spans: Spans,
    /// The records.
    pub chunks: Vec<Chunk>,
    /// What the sources know partitions by now.
    pub marks: Marks,
}

impl Batch {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.spans.values().map(|span| span.records).sum()
    }

    /// The positions after the batch.
    pub fn end_positions(&self) -> Positions {
        self.spans
            .iter()
            .map(|(&partition, span)| (partition, span.to))
            .collect()
    }
}
