//! Items on their way to a keyed stage.

use super::Column;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 that stand for "none yet".
pub const NO_TIME_MS: i64 = i64::MIN;

/// The watermark once every source has ended: nothing can come any more.
pub const END_OF_TIME_MS: i64 = i64::MAX;

/// Items on their way from one call to a keyed stage: accumulators, one for each key and pane in
/// order of first sight, or the items of one side of a join. `keys`, `values` and `times_ms` are of
/// one length.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// The stage that they go to.
    pub stage: u32,
    /// 0: what is reduced, or the left side; 1: the right side, or the table.
    pub side: u8,
    /// Positions of the call's records that went in, ascending.
    pub positions: Vec<u32>,
    /// The items' keys.
    pub keys: Column,
    /// Accumulators or items.
    pub values: Column,
    /// Where the item's pane begins; a session's first event; in joins and lookups the item's event
    /// time; else 0.
    pub times_ms: Vec<i64>,
    /// Of sessions each one's last event. Of hopping windows the first one that each item counts
    /// for, or nothing where all count for all. Empty elsewhere.
    pub until_ms: Vec<i64>,
    /// A table's alone: positions in `keys` of those to delete, ascending.
    pub deleted: Vec<u32>,
}
