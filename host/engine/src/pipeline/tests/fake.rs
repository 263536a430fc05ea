//! A version, its guest, and a store that dies: what the pipeline's tests run.

use crate::guest::{Guest, Maker};
use crate::pipeline::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use streamhost_core::canary::CanaryPlan;
use streamhost_core::contract::{Answer, Finished, GuestFault, Moment, Partials, RowShape};
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_core::job::{ColumnSpec, Share, SourceSpec, StageKind, StageSpec};
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::{BatchIntent, Checkpoint};
use streamhost_core::state::{Delta, Most, StageId, StateStore, StoreError};
use streamhost_core::types::{
    Chunk, Column, ColumnNames, Guarantee, Keyed, Kind, Measure, RowLimits, Rows,
};

/// The first three get a row a record; `counts` how many records each letter has had, `sums` how
/// many in each batch.
pub(super) const SINKS: [(&str, Guarantee); 5] = [
    ("table", Guarantee::Idempotent),
    ("marked", Guarantee::Marked),
    ("plain", Guarantee::AtLeastOnce),
    ("counts", Guarantee::Idempotent),
    ("sums", Guarantee::Marked),
];
const RUNNING: u32 = 1;
const EACH_BATCH: u32 = 2;
/// A row a record: key = the value's first letter, one cell `version:value`. Some values say what
/// else happens. Letters are counted too, for ever and in each batch.
pub(super) struct Fake(u64, Kept);

/// Whether letters are counted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kept {
    Counts,
    Nothing,
    /// They are, but it breaks on each `a`.
    Breaks,
    /// They are, and `F` is refused no more.
    Mends,
    /// They are; it refuses what ends in 7 as well, and breaks on what ends in 3.
    Choosy,
    /// Likewise, and nothing is counted.
    ChoosyNothing,
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a count has 8 bytes"))
}

impl Guest for Fake {
    fn transform(
        &mut self,
        _: u32,
        moment: Moment,
        chunk: &Chunk,
        _: Duration,
    ) -> Result<Answer, GuestFault> {
        let mut rows = Rows::default();
        let mut counts = Keyed::default();
        let mut faults = Vec::new();
        for (i, value) in chunk.values.iter().enumerate() {
            let is_choosy = matches!(self.1, Kept::Choosy | Kept::ChoosyNothing);
            match value[0] {
                _ if is_choosy && value.ends_with(b"7") => {
                    faults.push((i as u32, "a seven".to_string()))
                }
                _ if is_choosy && value.ends_with(b"3") => {
                    return Err(GuestFault::Trap("a three".into()));
                }
                b'a' if self.1 == Kept::Breaks => {
                    return Err(GuestFault::Trap("out of time".into()));
                }
                b'T' => return Err(GuestFault::Trap("it broke".into())),
                b'F' if self.1 != Kept::Mends => faults.push((i as u32, "refused".to_string())),
                b'D' => {}
                _ => {
                    rows.positions.push(i as u32);
                    rows.cells.push(&value[..1]);
                    rows.cells
                        .push(format!("{}:{}", self.0, String::from_utf8_lossy(value)).as_bytes());
                    counts.positions.push(i as u32);
                    counts.keys.push(&value[..1]); // one partial a record: as good as one a letter
                    counts.values.push(&1u64.to_le_bytes());
                    counts.times_ms.push(0);
                }
            }
        }
        let mut all = vec![rows; SINKS.len()];
        (all[3], all[4]) = (Rows::default(), Rows::default());
        let keyed = match self.1 {
            Kept::Counts | Kept::Breaks | Kept::Mends | Kept::Choosy => [RUNNING, EACH_BATCH]
                .map(|stage| Keyed {
                    stage,
                    ..counts.clone()
                })
                .to_vec(),
            Kept::Nothing | Kept::ChoosyNothing => Vec::new(),
        };
        Ok(Answer {
            faults,
            rows: all,
            keyed,
            late: Vec::new(),
            largest_ms: moment.partition_ms,
            outcomes: Vec::new(),
        })
    }

    fn combine(&mut self, _: u32, partials: &Partials, _: Duration) -> Result<Column, GuestFault> {
        let mut merged = Column::default();
        let mut from = 0;
        for (group, &to) in partials.group_ends.iter().enumerate() {
            let before = partials.accumulators.get(group);
            let before = if before.is_empty() { 0 } else { number(before) };
            let sum = before
                + (from..to as usize)
                    .map(|i| number(partials.partials.get(i)))
                    .sum::<u64>();
            merged.push(&sum.to_le_bytes());
            from = to as usize;
        }
        Ok(merged)
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
        _: Duration,
    ) -> Result<Answer, GuestFault> {
        let Finished::Groups(groups) = finished else {
            unreachable!("nothing is joined")
        };
        let mut rows = Rows::default();
        for i in 0..groups.keys.len() {
            rows.positions.push(i as u32);
            rows.cells.push(groups.keys.get(i));
            rows.cells
                .push(format!("{}:{}", self.0, number(groups.accumulators.get(i))).as_bytes());
        }
        let mut all = vec![Rows::default(); SINKS.len()];
        all[if stage == RUNNING { 3 } else { 4 }] = rows;
        Ok(Answer {
            rows: all,
            largest_ms: moment.partition_ms,
            outcomes: Vec::new(),
            ..Answer::default()
        })
    }

    fn migrate(
        &mut self,
        _: u32,
        accumulators: &Column,
        _: Duration,
    ) -> Result<Column, GuestFault> {
        Ok(accumulators.clone())
    }
}

pub(super) fn active(deployment: u64) -> Arc<LoadedDeployment> {
    active_with(deployment, Kept::Counts)
}

pub(super) fn active_with(deployment: u64, kept: Kept) -> Arc<LoadedDeployment> {
    let columns = vec![ColumnSpec {
        name: "f:v".into(),
        kind: Kind::Bytes,
        optional: false,
    }];
    let sink = |name: &str| SinkSpec {
        connector: "kafka".into(),
        name: name.into(),
        target: name.into(),
        keys: vec![ColumnSpec::key()],
        dynamic: false,
        columns: columns.clone(),
        ..SinkSpec::default()
    };
    let sinks: Vec<_> = SINKS.iter().map(|(name, _)| sink(name)).collect();
    let limits = RowLimits {
        key_bytes: 0..=100,
        cell_bytes_max: 1000,
        row_bytes_max: 1000,
        measure: Measure::Json,
        columns: ColumnNames::Fields,
    };
    let shapes = sinks
        .iter()
        .map(|sink| RowShape::new(sink, limits.clone()))
        .collect();
    let make: Maker = Box::new(move || Ok(Box::new(Fake(deployment, kept))));
    let stage = |name: &str, kind| StageSpec {
        name: name.into(),
        kind,
        inputs: vec![0],
        key_shape: "text".into(),
        value_shape: "u64".into(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    };
    let mut spec = JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "j".into(),
        every: Duration::ZERO,
        sources: vec![SourceSpec {
            name: "t".into(),
            target: "t".into(),
            ..SourceSpec::default()
        }],
        stages: vec![
            stage("running", StageKind::Running { expire_ms: None }),
            stage("each batch", StageKind::EachBatch),
        ],
        sinks,
    };
    if matches!(kept, Kept::Nothing | Kept::ChoosyNothing) {
        spec.stages.clear();
    }
    let mut settings = Settings::none(JobLimits::default());
    settings.limits.batch_records = 3;
    Arc::new(LoadedDeployment {
        deployment,
        version: deployment,
        settings,
        group: "g".into(),
        dead_letter_topic: "d".into(),
        start: None,
        reset_at: None,
        replan_at: None,
        guest_version: Arc::new(GuestVersion::new(
            make,
            Duration::from_secs(1),
            shapes,
            &spec,
        )),
        spec,
        canary: None,
    })
}

/// A deployment whose canary runs a part: of version number + 1000.
pub(super) fn active_beside(
    deployment: u64,
    (kept, of_canary): (Kept, Kept),
    share: Share,
) -> Arc<LoadedDeployment> {
    let alone = |number, kept| Arc::into_inner(active_with(number, kept)).expect("just made");
    let (active, canary) = (alone(deployment, kept), alone(deployment + 1000, of_canary));
    let plan = CanaryPlan::new(&active.spec, &canary.spec, share).expect("a part of it can be run");
    Arc::new(LoadedDeployment {
        spec: plan.spec.clone(),
        canary: Some(LoadedCanary {
            version: canary.version,
            settings: canary.settings,
            guest_version: canary.guest_version,
            plan,
        }),
        ..active
    })
}

/// A store that dies at a write: before it, or just after it became durable.
pub(super) struct Dying {
    pub(super) inner: Arc<MemoryStore>,
    pub(super) writes_left: AtomicUsize,
    pub(super) after: bool,
}

impl StateStore for Dying {
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.state(stage, key)
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.inner.states(stage, from, to, most)
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        self.inner.prepare(stage, entries)
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        self.inner.discard(stage)
    }

    fn discard_above(&self, last: StageId) -> Result<(), StoreError> {
        self.inner.discard_above(last)
    }
}

impl CheckpointLog for Dying {
    fn load(&self) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), StoreError> {
        self.inner.load()
    }

    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), StoreError> {
        let dies = self.writes_left.fetch_sub(1, Ordering::SeqCst) == 1;
        if !dies || self.after {
            self.inner.write(checkpoint, intent)?;
        }
        if dies {
            Err(StoreError::Io("the host was killed".into()))
        } else {
            Ok(())
        }
    }

    fn begin(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.begin(checkpoint)
    }

    fn forget(&self) -> Result<(), StoreError> {
        self.inner.forget()
    }

    fn forgotten_ms(&self) -> Result<Option<i64>, StoreError> {
        self.inner.forgotten_ms()
    }

    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError> {
        self.inner.sweep(kept)
    }
}
