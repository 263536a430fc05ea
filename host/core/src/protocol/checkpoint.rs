//! The newest checkpoint of a job.

use crate::protocol::MarkedLetter;
use crate::protocol::recovery_policy::AlreadyWritten;
use crate::protocol::savepoint::RestoredFrom;
use crate::state::Stages;
use crate::types::{BatchNumber, NO_TIME_MS, TopicMarks, TopicOffsets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of a job's durable batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Records read.
    pub records_in: u64,
    /// Records that their author filtered away.
    pub dropped: u64,
    /// Records sent to the dead letters.
    pub dead_letters: u64,
    /// Records that a policy of `skip` left out.
    pub skipped: u64,
    /// Records that came too late for a window or join.
    #[serde(default)]
    pub late: u64,
    /// Records without a time of their own, which had that of their batch.
    #[serde(default)]
    pub timeless: u64,
    /// Rows, by the sink's name.
    pub rows: BTreeMap<String, u64>,
}

impl Counters {
    /// These and those.
    pub fn plus(&self, batch: &Counters) -> Counters {
        let mut sum = self.clone();
        sum.records_in += batch.records_in;
        sum.dropped += batch.dropped;
        sum.dead_letters += batch.dead_letters;
        sum.skipped += batch.skipped;
        sum.late += batch.late;
        sum.timeless += batch.timeless;
        for (sink, rows) in &batch.rows {
            *sum.rows.entry(sink.clone()).or_default() += rows;
        }
        sum
    }
}

/// What a job knows of time after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimes {
    /// The batch's own time. It never falls.
    pub clock_ms: i64,
    /// The job's watermark. It never falls.
    pub watermark_ms: i64,
    /// The largest event time of each partition that has one.
    pub event_ms: TopicOffsets,
    /// How far each keyed stage that goes by event time let go what it kept, by the stage's name.
    /// It never falls.
    #[serde(default)]
    #[serde(rename = "lines_ms")]
    pub late_thresholds_ms: BTreeMap<String, i64>,
}

impl Default for EventTimes {
    fn default() -> Self {
        let (event_ms, late_thresholds_ms) = (TopicOffsets::new(), BTreeMap::new());
        EventTimes {
            clock_ms: NO_TIME_MS,
            watermark_ms: NO_TIME_MS,
            event_ms,
            late_thresholds_ms,
        }
    }
}

/// The newest checkpoint of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Changes whenever the job's checkpoint begins anew.
    #[serde(rename = "incarnation")]
    pub epoch: u64,
    /// The last batch whose outcome is durable; 0: none.
    pub batch: BatchNumber,
    /// The deployment that ran it.
    pub deployment: u64,
    /// Its HBase time.
    pub time_ms: i64,
    /// The next offset to read of every partition.
    #[serde(rename = "reached")]
    pub committed: TopicOffsets,
    /// Counts up to here.
    #[serde(rename = "totals")]
    pub counters: Counters,
    /// What is known of time.
    #[serde(default)]
    pub times: EventTimes,
    /// Where the stages' state is, and how much.
    #[serde(default)]
    pub stages: Stages,
    /// Every source has ended, and this was the last batch.
    #[serde(default)]
    pub finished: bool,
    /// The ids of the topics, where the brokers know some: a topic that is made anew has another.
    #[serde(default)]
    pub topic_ids: BTreeMap<String, String>,
    /// What sources know partitions by beside how far they were read: another file under a name is
    /// told from the one before by it.
    #[serde(default)]
    pub marks: TopicMarks,
    /// What exactly-once sinks held already when an older checkpoint was lost, and are not given
    /// again.
    #[serde(default)]
    #[serde(rename = "leave_out")]
    pub already_written: AlreadyWritten,
    /// The dead letter that its batch retried, if it was one: a log remembers it with the same
    /// write.
    #[serde(default)]
    pub retried: Option<MarkedLetter>,
    /// The savepoint that the job was begun from, until its first batch.
    #[serde(default)]
    pub restored: Option<RestoredFrom>,
}
