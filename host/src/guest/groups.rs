//! Merges groups, and carries state over to another version: what the shuffle asks of a guest beside its stages.

use super::GuestFault;
use super::calls::{Combined, GroupFault, Partials};
use super::lane::{Broken, Budget, Lane, Portions};
use super::run::{Guest, Runnable, VersionFault};
use super::slices::Sliced;
use crate::record::Column;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

impl Lane {
    /// Merges groups of a keyed stage. Those in `broken` are not tried. Each group is merged by itself, so it does not
    /// matter how calls are cut.
    pub(super) fn combine(
        &mut self,
        version: &Arc<Runnable>,
        stage: u32,
        partials: &Partials,
        mut broken: Broken,
        budget: &Budget,
    ) -> Result<Combined, VersionFault> {
        let mut run = CombineRun { version, stage, partials, merged: Vec::new() };
        self.ask(version, partials.items(), &mut broken, false, budget, &mut run)?;
        Ok(run.end(broken))
    }

    /// Makes this version's accumulators of an older version's.
    pub(super) fn migrate(
        &mut self,
        version: &Arc<Runnable>,
        stage: u32,
        accumulators: &Column,
    ) -> Result<Column, VersionFault> {
        let answer = self.guest(version)?.migrate(stage, accumulators, version.time());
        let answer = answer.map_err(|fault| {
            self.drop_guest();
            VersionFault::Migrate { stage: version.promises().name(stage).to_string(), fault }
        })?;
        let checked = version.promises().check_column("migrate", &answer, accumulators.len());
        checked.map_err(VersionFault::Promise)?;
        Ok(answer)
    }
}

struct CombineRun<'a> {
    version: &'a Runnable,
    stage: u32,
    partials: &'a Partials,
    /// What came of each range, in order.
    merged: Vec<(Range<usize>, Column)>,
}

impl CombineRun<'_> {
    /// The accumulators in their places, with empty ones for those that are broken.
    fn end(self, broken: Broken) -> Combined {
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
        let fault = |(at, reason)| GroupFault { at, reason, by_host: true };
        combined.faults = broken.into_iter().map(fault).collect();
        combined
    }
}

impl Portions for CombineRun<'_> {
    fn begin(&mut self) {
        self.merged.clear();
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
        let checked = self.version.promises().check_column("combine", &answer, range.len());
        Ok(checked.map(|()| self.merged.push((range.clone(), answer))).map_err(VersionFault::Promise))
    }
}
