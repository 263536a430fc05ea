//! What a batch is, written down before its first outside effect.

use super::{Counters, EventTimes};
use crate::contract::{QuarantinedGroup, QuarantinedRecord};
use crate::state::Stages;
use crate::types::{BatchNumber, Chunk, TopicSpans};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a batch is; written after its run and before its first outside effect. A replay has this
/// outcome and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchIntent {
    /// The epoch of the job's history.
    #[serde(rename = "incarnation")]
    pub epoch: u64,
    /// The batch.
    pub batch: BatchNumber,
    /// The deployment that ran it: version, digest and settings.
    pub deployment: u64,
    /// HBase deletes at this millisecond, puts at the next one.
    pub time_ms: i64,
    /// What it passed, of every partition.
    pub spans: TopicSpans,
    /// Records that the host quarantined, and where it split calls. A decision by time or memory
    /// may differ the next time.
    #[serde(rename = "set_aside")]
    pub quarantined: Vec<QuarantinedRecord>,
    /// A digest of each sink's rows, by the sink's name.
    pub digests: BTreeMap<String, String>,
    /// The batch's own counts.
    pub counts: Counters,
    /// The same for groups of keyed stages.
    #[serde(default)]
    #[serde(rename = "groups_aside")]
    pub quarantined_groups: Vec<QuarantinedGroup>,
    /// What is known of time after it.
    #[serde(default)]
    pub times: EventTimes,
    /// Where the stages' state is after it, and how much.
    #[serde(default)]
    pub stages: Stages,
    /// Every source has ended with it.
    #[serde(default)]
    pub finished: bool,
    /// The records of sources that cannot be read twice. Stored beside the intent, not in
    /// it.
    #[serde(skip)]
    pub retained_records: Vec<Chunk>,
}
