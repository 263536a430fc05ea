//! Reads back what a sink's place holds.

use super::SinkError;
use streamhost_core::compare::{HeldRow, LastWrites};
use streamhost_core::contract::render::RowRef;
use streamhost_core::types::TopicOffsets;

/// A row's key, as its place has it, and what is written of it.
pub type Written = (Vec<u8>, LastWrites);

/// A table or topic that a sink writes, read back row by row.
pub trait HeldPlace: Send {
    /// Looks at the place before anything else is asked.
    ///
    /// # Errors
    /// The server is away, or the place does not fit.
    fn prepare(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What a row that has a key writes there, in the place's own form.
    fn writes(&self, row: &RowRef<'_>) -> Written;

    /// Of a place that is only read from front to back: the next rows, in the order in which they were
    /// written; none at its end. Those of one key may come several times, and after an error all of
    /// them again. None: its rows are read by their keys.
    fn next_written(&mut self) -> Option<Result<Vec<Written>, SinkError>> {
        None
    }

    /// The rows of these keys that are there, in any order.
    ///
    /// # Errors
    /// The server is away, or it refuses.
    fn rows(&mut self, keys: &[Vec<u8>]) -> Result<Vec<HeldRow>, SinkError>;

    /// The rows with keys above `after` (none: from the first one on), ascending, as many as one call
    /// gives; none at the end.
    ///
    /// # Errors
    /// The server is away, or it refuses.
    fn scan(&mut self, after: Option<&[u8]>) -> Result<Vec<HeldRow>, SinkError>;

    /// Whether a column is one that the sink's rows may have; others of the same table are somebody
    /// else's.
    fn is_own(&self, column: &[u8]) -> bool;

    /// How its rows are mended.
    fn mending(&self) -> Mending {
        Mending::AtTime
    }

    /// Of a place that is mended locked: keeps the job's batches out until what is mended is kept, and
    /// says what those in it have passed. From now on rows are read by their keys, as they are.
    ///
    /// # Errors
    /// The server is away, or it refuses. Nothing is locked then.
    fn lock(&mut self) -> Result<Vec<Passed>, SinkError> {
        Ok(Vec::new())
    }

    /// Makes what was mended durable, or forgets it, and lets the job's batches in.
    ///
    /// # Errors
    /// The server is away, or it refuses; what was mended may be there. Nothing is locked any more.
    fn unlock(&mut self, keep: bool) -> Result<(), SinkError> {
        let _ = keep;
        Ok(())
    }

    /// Writes and deletes cells at this time. `Ok`: they are durable. Twice is as once. Where the place
    /// is locked the time is of no matter, they are durable once it is unlocked, and what the server
    /// refuses for what is in it stays as it was.
    ///
    /// # Errors
    /// The server is away, or it refuses; some of them may have been written.
    fn mend(&mut self, at_ms: i64, rows: &[Written]) -> Result<(), SinkError>;
}

/// How rows of a place are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mending {
    /// Cells have times: above what was read, and below what the job writes later.
    AtTime,
    /// While none of the job's batches can come in between.
    Locked,
    /// Not at all, for this reason.
    Not(&'static str),
}

/// What the batches in a place have passed, as one of the job's sinks says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The epoch of the last one; none: there is none of the job's.
    pub epoch: Option<u64>,
    /// The offset behind the last record of each partition.
    pub offsets: TopicOffsets,
}
