//! Records and groups that the host quarantines, and where it splits calls.

use crate::types::{Offset, Partition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which call of a keyed stage a group was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was merged.
    Combine,
    /// It was finished.
    Finish,
}

/// A group or pair of a keyed stage that the host quarantined, as the guest broke on it, or before
/// which it split calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedGroup {
    /// The stage's number in the job, sources included.
    pub stage: u32,
    /// Which call it was in.
    pub phase: Phase,
    /// It was so many-th of the batch's groups in that stage and phase, from 0.
    pub index: u64,
    /// What the guest did. None: it is not quarantined, but calls were split before it, as more at
    /// once was too much.
    pub reason: Option<String>,
    /// It is the canary's guest, whose groups are counted by themselves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub canary: bool,
}

/// A record that the host quarantined, as the guest broke on it, or before which it split calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// What the guest did. None: it is not quarantined, but calls were split before it, as more at
    /// once was too much.
    pub reason: Option<String>,
    /// It is the canary's guest.
    #[serde(default, skip_serializing_if = "is_false")]
    pub canary: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// What a batch's run decided on a record, group or pair, for its intent and its replay: why the
/// guest broke on it, so that it is quarantined and not tried again. None: it is good, but calls
/// were split before it, as more at once was too much.
pub type Quarantine = Option<String>;

/// What an earlier run of the same batch decided, by record.
pub type RecordQuarantines = BTreeMap<(Partition, Offset), Quarantine>;

/// The same for groups: by stage and call, so-many-th of the batch's groups there.
pub type GroupQuarantines = BTreeMap<(u32, Phase, u64), Quarantine>;
