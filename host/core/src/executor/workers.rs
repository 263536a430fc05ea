//! Who calls the guest.

use crate::contract::{
    AheadRule, ChunkAnswer, GroupQuarantines, QuarantinedGroup, RecordQuarantines, VersionFault,
};
use crate::keyed::StageWorkers;
use crate::types::{Chunk, Partition};
use std::collections::BTreeMap;

/// The times by which a batch's records are judged: those before the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTimes {
    /// The batch's own time.
    pub batch_ms: i64,
    /// The job's watermark.
    pub watermark_ms: i64,
    /// The largest event time of each partition that has one.
    pub partitions: BTreeMap<Partition, i64>,
    /// How far ahead of their records' own times event times may be; none: however far.
    pub ahead: Option<AheadRule>,
}

/// What calls one version's guests, however many there are. What comes of it depends on what is
/// asked alone.
pub trait Workers {
    /// The calls of a batch's keyed stages.
    type Calls<'a>: StageCalls
    where
        Self: 'a;

    /// Begins a batch: runs its chunks, which are in the order of their partitions and offsets, and
    /// gives them back with their answers, in order. A batch without chunks is begun so too.
    ///
    /// Where something goes by event time, a chunk of a partition is judged by the event times of
    /// those before it. `quarantines` are of an earlier run of the same batch, if this is a replay.
    fn transform(
        &mut self,
        chunks: Vec<Chunk>,
        quarantines: Option<RecordQuarantines>,
        times: &RunTimes,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>);

    /// What the keyed stages of the batch that was begun last ask of the version. `quarantines` are
    /// of an earlier run.
    fn calls(&mut self, quarantines: GroupQuarantines) -> Self::Calls<'_>;
}

/// The calls of one batch's keyed stages.
pub trait StageCalls: StageWorkers {
    /// The decisions on groups, those that were given among them. For the batch's intent: its
    /// replay has the same, and so the same calls.
    fn quarantined(self) -> Vec<QuarantinedGroup>;
}
