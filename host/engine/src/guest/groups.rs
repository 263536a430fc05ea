//! Merges groups, and carries state over to another version: what the shuffle asks of a guest beside its stages.

use super::lane::{Budget, Known, Lane, Portions};
use super::{Guest, Runnable};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{
    Combined, GroupFault, GuestFault, Partials, Sliced, Verdict, VersionFault, column_bytes, column_size,
};
use streamhost_core::types::Column;

impl Lane {
    /// Merges groups of a keyed stage, beside those that are known to break it. Each group is merged by itself, so it does not
    /// matter how calls are cut.
    pub(super) fn combine(
        &mut self,
        version: &Arc<Runnable>,
        stage: u32,
        partials: &Partials,
        mut known: Known,
        budget: &Budget,
    ) -> Result<Combined, VersionFault> {
        let mut run = CombineRun { version, stage, partials, budget, merged: Vec::new() };
        self.ask(version, partials.items(), &mut known, false, budget, &mut run)?;
        Ok(run.end(known))
    }

    /// Makes this version's accumulators of an older version's.
    pub(super) fn migrate(
        &mut self,
        version: &Arc<Runnable>,
        stage: u32,
        accumulators: &Column,
        budget: &Budget,
    ) -> Result<Column, VersionFault> {
        let promises = version.promises();
        let sized = self.call_whole(version, |guest| {
            let answer = guest.migrate(stage, accumulators, version.time())?;
            Ok((column_size(&answer)?, answer))
        })?;
        let broke = |fault| VersionFault::Migrate { stage: promises.name(stage).to_string(), fault };
        let (bytes, answer) = sized.map_err(broke)?;
        promises.check_column("migrate", &answer, accumulators.len()).map_err(VersionFault::Promise)?;
        budget.hold(bytes, promises.name(stage))?;
        Ok(answer)
    }
}

struct CombineRun<'a> {
    version: &'a Runnable,
    stage: u32,
    partials: &'a Partials,
    budget: &'a Budget,
    /// What came of each range, in order.
    merged: Vec<(Range<usize>, Column)>,
}

impl CombineRun<'_> {
    /// The accumulators in their places, with empty ones for those that are broken.
    fn end(self, known: Known) -> Combined {
        let groups = self.partials.items();
        let mut combined = Combined::default();
        match &self.merged[..] {
            [(range, _)] if range.len() == groups => {
                combined.accumulators = self.merged.into_iter().map(|(_, column)| column).next().unwrap_or_default();
            }
            merged => {
                for (range, column) in merged {
                    while combined.accumulators.len() < range.start {
                        combined.accumulators.push(b"");
                    }
                    column.iter().for_each(|accumulator| combined.accumulators.push(accumulator));
                }
                while combined.accumulators.len() < groups {
                    combined.accumulators.push(b"");
                }
            }
        }
        let fault = |(at, reason): (usize, Verdict)| reason.map(|reason| GroupFault { at, reason, by_host: true });
        combined.faults = known.into_iter().filter_map(fault).collect();
        combined
    }
}

impl Portions for CombineRun<'_> {
    fn begin(&mut self) {
        let merged = self.merged.drain(..).map(|(_, column)| column_bytes(&column));
        self.budget.let_go(merged.sum());
    }

    fn ask(
        &mut self,
        guest: &mut dyn Guest,
        range: &Range<usize>,
        time: Duration,
    ) -> Result<Result<(), VersionFault>, GuestFault> {
        let answer = if range.len() == self.partials.items() {
            guest.combine(self.stage, self.partials, time)?
        } else {
            guest.combine(self.stage, &self.partials.part(range), time)?
        };
        let bytes = column_size(&answer)?;
        let promises = self.version.promises();
        if let Err(broken) = promises.check_column("combine", &answer, range.len()) {
            return Ok(Err(VersionFault::Promise(broken)));
        }
        self.merged.push((range.clone(), answer));
        Ok(self.budget.hold(bytes, promises.name(self.stage)))
    }
}
