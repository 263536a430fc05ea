//! Where a replay keeps what rows come to.

use streamhost_core::compare::LastWrites;
use streamhost_core::state::StoreError;

/// Where rows' last writes are kept while a replay runs: tables of rows by their keys. Not durable.
pub trait WriteTables: Send {
    /// What is kept of a row.
    fn get(&self, table: TableId, key: &[u8]) -> Result<Option<LastWrites>, StoreError>;

    /// Keeps these rows, in the place of what was kept of them.
    fn put(&self, table: TableId, rows: Vec<(Vec<u8>, LastWrites)>) -> Result<(), StoreError>;

    /// Forgets rows.
    fn remove(&self, table: TableId, keys: &[Vec<u8>]) -> Result<(), StoreError>;

    /// Rows with keys above `after` (none: from the first one on), ascending, `most` at most.
    fn next(
        &self,
        table: TableId,
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, LastWrites)>, StoreError>;

    /// Bytes that all of it takes on the disk.
    fn bytes(&self) -> Result<u64, StoreError>;
}

/// One table: what it is of, and of which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId {
    /// What it is of.
    pub what: What,
    /// The place's number.
    pub place: u16,
}

/// What a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What the version made of the records.
    Made,
    /// What the active version makes of the same records.
    Active,
    /// What later records wrote; the values are of no matter.
    Later,
    /// What must be written for the place to be as it was made.
    Mends,
    /// What is there and was not made.
    Extra,
    /// What such rows held when they were read back.
    Held,
    /// Mends that were written and are not seen.
    Unmended,
    /// All that a place holds that is only read from front to back.
    There,
}
