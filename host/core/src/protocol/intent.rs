//! What a batch is, written down before its first outside effect.

use super::{Counters, EventTimes, MarkedLetter};
use crate::contract::{QuarantinedGroup, QuarantinedRecord};
use crate::state::Stages;
use crate::types::{
    BatchNumber, Chunk, RefusedRow, TimeRules, TopicMarks, TopicOffsets, TopicSpans,
};
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
    /// What sources know partitions by that it read, beside how far.
    #[serde(default)]
    pub marks: TopicMarks,
    /// The dead letter that it retries, if it is one, and what is to be remembered of it. Its
    /// record is among the retained ones, and no partition moves.
    #[serde(default)]
    pub retried: Option<MarkedLetter>,
    /// What it made of times. None: a host from before there were such rules has planned it.
    #[serde(default)]
    pub time_rules: Option<TimeRules>,
    /// The rows that servers of exactly-once sinks refused, by the sink's name: noted before such a
    /// sink commits the others, or a replay that finds the batch there would not know of them.
    #[serde(default)]
    pub refused: BTreeMap<String, Vec<RefusedRow>>,
    /// The records of sources that cannot be read twice, and that of a retried letter. Stored
    /// beside the intent, not in it.
    #[serde(skip)]
    pub retained_records: Vec<Chunk>,
}

impl BatchIntent {
    /// Where its topics stand after it.
    pub fn ends(&self) -> TopicOffsets {
        let ends = self.spans.iter().map(|(topic, partitions)| {
            let ends = partitions.iter().map(|(&id, span)| (id, span.to));
            (topic.clone(), ends.collect())
        });
        ends.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_before_letters_were_retried_has_written_is_read() {
        let without = |value: serde_json::Value| {
            let mut value = value;
            value.as_object_mut().unwrap().remove("retried").unwrap();
            value.as_object_mut().unwrap().remove("time_rules");
            value
        };
        let intent = crate::testing::intent(5);
        let written = without(serde_json::to_value(&intent).unwrap());
        assert_eq!(
            serde_json::from_value::<BatchIntent>(written).unwrap(),
            intent
        );
        let checkpoint = crate::testing::checkpoint(4);
        let written = without(serde_json::to_value(&checkpoint).unwrap());
        let read: crate::protocol::Checkpoint = serde_json::from_value(written).unwrap();
        assert_eq!(read, checkpoint);
    }
}
