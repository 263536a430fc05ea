//! Lanes at work for two versions: the active one, and a canary that runs a part of the records.

use super::lanes::rows_of;
use super::{GuestCalls, GuestVersion, LaneFigures, Lanes};
use calls::CanaryCalls;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::canary::records::{self, SideCounts};
use streamhost_core::canary::{CanaryPlan, Side};
use streamhost_core::clock;
use streamhost_core::contract::{ChunkAnswer, GroupQuarantines, RecordQuarantines, VersionFault};
use streamhost_core::executor::{RunTimes, Workers};
use streamhost_core::types::Chunk;

mod calls;

/// What an earlier run of a batch decided on what its canary ran.
#[derive(Clone, Debug, Default)]
pub struct CanaryQuarantines {
    /// On records.
    pub records: RecordQuarantines,
    /// On groups.
    pub groups: GroupQuarantines,
}

/// A version, and the lanes that run it.
pub struct SideLanes<'l> {
    /// The lanes.
    pub lanes: &'l mut Lanes,
    /// The version.
    pub version: &'l Arc<GuestVersion>,
}

/// Lanes of its own for each of two versions. They work one after the other, so that together they
/// take no more of the processor than one does.
pub struct CanaryLanes<'l> {
    plan: &'l CanaryPlan,
    sides: [SideLanes<'l>; 2],
    quarantines: CanaryQuarantines,
    figures: [SideFigures; 2],
    both: LaneFigures,
}

/// What one version did for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideFigures {
    /// What became of records and groups.
    pub counts: SideCounts,
    /// How long its lanes were at work, all together.
    pub busy: Duration,
}

impl SideFigures {
    /// More of the same side.
    pub fn add(&mut self, more: SideFigures) {
        self.counts.add(more.counts);
        self.busy += more.busy;
    }
}

impl<'l> CanaryLanes<'l> {
    /// These lanes, for these versions: the active one first. `quarantines` are of the canary, from
    /// an earlier run of the same batch.
    pub fn new(
        plan: &'l CanaryPlan,
        sides: [SideLanes<'l>; 2],
        quarantines: CanaryQuarantines,
    ) -> Self {
        CanaryLanes {
            plan,
            sides,
            quarantines,
            figures: Default::default(),
            both: LaneFigures::default(),
        }
    }

    /// What each version did for the batch that was run last, the active one first.
    pub fn figures(&self) -> [SideFigures; 2] {
        self.figures
    }

    /// What the lanes of both did in the transform of that batch.
    pub fn lane_figures(&self) -> LaneFigures {
        self.both.clone()
    }
}

impl Workers for CanaryLanes<'_> {
    type Calls<'a>
        = CanaryCalls<'a>
    where
        Self: 'a;

    fn transform(
        &mut self,
        chunks: Vec<Chunk>,
        quarantines: Option<RecordQuarantines>,
        times: &RunTimes,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>) {
        let of_canary = std::mem::take(&mut self.quarantines.records);
        let of_canary = quarantines.is_some().then_some(of_canary);
        let mut busy = [Duration::ZERO; 2];
        let began = clock::monotonic();
        let sides = &mut self.sides;
        let mut run = |side: Side, chunks, quarantines| {
            let SideLanes { lanes, version } = &mut sides[side as usize];
            let (chunks, answers) = lanes.run(version, chunks, quarantines, times);
            busy[side as usize] += lanes.figures().busy;
            let answers = match side {
                Side::Active => answers,
                Side::Canary => answers.map_err(VersionFault::of_canary),
            };
            (chunks, answers)
        };
        let (chunks, settled) = records::run(self.plan, chunks, [quarantines, of_canary], &mut run);
        self.both = LaneFigures {
            took: clock::since(began),
            busy: busy.iter().sum(),
            rows: Vec::new(),
        };
        let answers = settled.map(|(answers, counts)| {
            self.both.rows = rows_of(&answers);
            for (figures, (counts, busy)) in
                self.figures.iter_mut().zip(counts.into_iter().zip(busy))
            {
                *figures = SideFigures { counts, busy };
            }
            answers
        });
        (chunks, answers)
    }

    fn calls(&mut self, quarantines: GroupQuarantines) -> CanaryCalls<'_> {
        let of_canary = std::mem::take(&mut self.quarantines.groups);
        let [active, canary] = &mut self.sides;
        let calls: [GuestCalls<'_>; 2] = [
            active.lanes.calls(active.version, quarantines),
            canary.lanes.calls(canary.version, of_canary),
        ];
        CanaryCalls::new(self.plan, calls, &mut self.figures)
    }
}
