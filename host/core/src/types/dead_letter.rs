//! What is sent to a job's dead letters.

use super::{Offset, OwnedHeaders, Partition};

/// A record, or a group of a keyed stage, set aside on its way to the job's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the record came from; none for a group, which comes from many.
    pub origin: Option<(Partition, Offset)>,
    /// The stage that refused it: its source's name, or the keyed stage's.
    pub stage: String,
    /// The sink whose server refused a row of it; none where the job or the host did.
    pub sink: Option<String>,
    /// Why, in the author's, the host's or the server's words.
    pub reason: String,
    /// The record's time, or the begin of the group's window, in milliseconds since 1970.
    pub time_ms: i64,
    /// The record's key, or the group's in the bytes of the SDK.
    pub key: Option<Vec<u8>>,
    /// The record's value, or the group's accumulator in the bytes of the SDK.
    pub value: Option<Vec<u8>>,
    /// The record's headers.
    pub headers: OwnedHeaders,
    /// The version that refused it, where that is not the batch's own.
    pub version: Option<u64>,
}
