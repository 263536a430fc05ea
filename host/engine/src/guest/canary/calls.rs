//! What the keyed stages of a batch ask of two versions: of each what its keys need.

use super::SideFigures;
use crate::guest::GuestCalls;
use streamhost_core::canary::records::SideCounts;
use streamhost_core::canary::{CanaryPlan, groups};
use streamhost_core::clock;
use streamhost_core::contract::{
    Calls, Combined, Finished, GroupFault, Made, Moment, Partials, QuarantinedGroup, Sliced,
    VersionFault,
};
use streamhost_core::executor::StageCalls;
use streamhost_core::keyed::StageWorkers;
use streamhost_core::state::{StateFound, StateRead, StoreError};
use streamhost_core::types::Column;

/// The calls of one batch's keyed stages, of the active version and of a canary.
pub struct CanaryCalls<'a> {
    plan: &'a CanaryPlan,
    sides: [GuestCalls<'a>; 2],
    figures: &'a mut [SideFigures; 2],
}

impl<'a> CanaryCalls<'a> {
    pub(super) fn new(
        plan: &'a CanaryPlan,
        sides: [GuestCalls<'a>; 2],
        figures: &'a mut [SideFigures; 2],
    ) -> Self {
        CanaryCalls {
            plan,
            sides,
            figures,
        }
    }

    /// Asks each side for its part, if it has one. `rows` and `faults` of an answer are counted.
    fn ask<T: Sliced, A: Default>(
        &mut self,
        parts: &[groups::Part<T>; 2],
        mut ask: impl FnMut(&mut GuestCalls<'_>, &T) -> Result<A, VersionFault>,
        count: impl Fn(&A) -> (u64, &[GroupFault]),
    ) -> Result<[A; 2], VersionFault> {
        let mut answers = [A::default(), A::default()];
        for (side, (part, _)) in parts.iter().enumerate() {
            if part.items() == 0 {
                continue;
            }
            let began = clock::monotonic();
            let answer = ask(&mut self.sides[side], part);
            answers[side] = match side {
                0 => answer?,
                _ => answer.map_err(VersionFault::of_canary)?,
            };
            let (rows, faults) = count(&answers[side]);
            let counts = SideCounts {
                rows,
                failed: faults.len() as u64,
                broken: faults.iter().filter(|fault| fault.by_host).count() as u64,
                ..SideCounts::default()
            };
            let busy = clock::since(began);
            self.figures[side].add(SideFigures { counts, busy });
        }
        Ok(answers)
    }
}

impl Calls for CanaryCalls<'_> {
    fn minds_keys(&self) -> bool {
        true
    }

    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault> {
        // What has no keys is nobody's but the active version's.
        self.sides[0].combine(stage, partials)
    }

    fn combine_of(
        &mut self,
        stage: u32,
        keys: &Column,
        partials: &Partials,
    ) -> Result<Combined, VersionFault> {
        let parts = groups::split(self.plan, keys, partials);
        let ask = |side: &mut GuestCalls<'_>, part: &Partials| side.combine(stage, part);
        let [active, canary] =
            self.ask(&parts, ask, |combined: &Combined| (0, &combined.faults))?;
        let [(_, of_active), (_, of_canary)] = &parts;
        let sides = [(active, &of_active[..]), (canary, &of_canary[..])];
        Ok(groups::join_combined(partials.items(), sides))
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        self.finish_of(stage, moment, &Column::default(), finished)
    }

    fn finish_of(
        &mut self,
        stage: u32,
        moment: Moment,
        pair_keys: &Column,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        let keys = match finished {
            Finished::Groups(groups) => &groups.keys,
            Finished::Pairs(_) => pair_keys,
            Finished::Keys(keys) => &keys.keys,
        };
        let parts = groups::split(self.plan, keys, finished);
        let ask = |side: &mut GuestCalls<'_>, part: &Finished| side.finish(stage, moment, part);
        let rows = |made: &Made| {
            made.rows
                .iter()
                .flatten()
                .map(|rows| rows.len() as u64)
                .sum()
        };
        let [active, canary] = self.ask(&parts, ask, |made: &Made| (rows(made), &made.faults))?;
        let [(_, of_active), (_, of_canary)] = &parts;
        let sides = [(active, &of_active[..]), (canary, &of_canary[..])];
        Ok(groups::join_made(self.plan, sides))
    }

    fn migrate(&mut self, stage: u32, accumulators: &Column) -> Result<Column, VersionFault> {
        self.sides[0].migrate(stage, accumulators)
    }
}

impl StageWorkers for CanaryCalls<'_> {
    fn read(
        &mut self,
        reads: Vec<StateRead>,
    ) -> Result<Vec<Result<StateFound, StoreError>>, VersionFault> {
        self.sides[0].read(reads)
    }
}

impl StageCalls for CanaryCalls<'_> {
    fn quarantined(self) -> Vec<QuarantinedGroup> {
        let [active, canary] = self.sides;
        let of_canary = canary.quarantined().into_iter();
        let of_canary = of_canary.map(|group| QuarantinedGroup {
            canary: true,
            ..group
        });
        active.quarantined().into_iter().chain(of_canary).collect()
    }
}
