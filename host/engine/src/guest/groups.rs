//! Merges groups, and carries state over to another version: what the shuffle asks of a guest
//! beside its stages.

use super::lane::{Budget, KnownFaults, Lane, Splittable};
use super::{Guest, GuestVersion};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{
    Combined, GroupFault, GuestFault, Partials, Quarantine, Sliced, VersionFault, column_bytes,
    column_size,
};
use streamhost_core::types::Column;

impl Lane {
    /// Merges groups of a keyed stage, beside those that are known to break it. Each group is
    /// merged by itself, so it does not matter how calls are cut.
    pub(super) fn combine(
        &mut self,
        version: &Arc<GuestVersion>,
        stage: u32,
        partials: &Partials,
        mut known: KnownFaults,
        budget: &Budget,
    ) -> Result<Combined, VersionFault> {
        let mut run = CombineRun {
            version,
            stage,
            partials,
            budget,
            merged: Vec::new(),
        };
        self.ask(
            version,
            partials.items(),
            &mut known,
            false,
            budget,
            &mut run,
        )?;
        Ok(run.end(known))
    }

    /// Makes this version's accumulators of an older version's.
    pub(super) fn migrate(
        &mut self,
        version: &Arc<GuestVersion>,
        stage: u32,
        accumulators: &Column,
        budget: &Budget,
    ) -> Result<Column, VersionFault> {
        let rules = version.rules();
        let sized = self.call_whole(version, |guest| {
            let answer = guest.migrate(stage, accumulators, version.time())?;
            Ok((column_size(&answer)?, answer))
        })?;
        let broke = |fault| VersionFault::Migrate {
            stage: rules.name(stage).to_string(),
            fault,
        };
        let (bytes, answer) = sized.map_err(broke)?;
        rules
            .check_column("migrate", &answer, accumulators.len())
            .map_err(VersionFault::Contract)?;
        budget.hold(bytes, rules.name(stage))?;
        Ok(answer)
    }
}

struct CombineRun<'a> {
    version: &'a GuestVersion,
    stage: u32,
    partials: &'a Partials,
    budget: &'a Budget,
    /// What came of each range, in order.
    merged: Vec<(Range<usize>, Column)>,
}

impl CombineRun<'_> {
    /// The accumulators in their places, with empty ones for those that are broken.
    fn end(self, known: KnownFaults) -> Combined {
        let groups = self.partials.items();
        let mut combined = Combined::default();
        match &self.merged[..] {
            [(range, _)] if range.len() == groups => {
                combined.accumulators = self
                    .merged
                    .into_iter()
                    .map(|(_, column)| column)
                    .next()
                    .unwrap_or_default();
            }
            merged => {
                for (range, column) in merged {
                    while combined.accumulators.len() < range.start {
                        combined.accumulators.push(b"");
                    }
                    column
                        .iter()
                        .for_each(|accumulator| combined.accumulators.push(accumulator));
                }
                while combined.accumulators.len() < groups {
                    combined.accumulators.push(b"");
                }
            }
        }
        let fault = |(at, reason): (usize, Quarantine)| {
            reason.map(|reason| GroupFault {
                at,
                reason,
                by_host: true,
            })
        };
        combined.faults = known.into_iter().filter_map(fault).collect();
        combined
    }
}

impl Splittable for CombineRun<'_> {
    fn begin(&mut self) {
        let merged = self
            .merged
            .drain(..)
            .map(|(_, column)| column_bytes(&column));
        self.budget.release(merged.sum());
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
        let rules = self.version.rules();
        if let Err(broken) = rules.check_column("combine", &answer, range.len()) {
            return Ok(Err(VersionFault::Contract(broken)));
        }
        self.merged.push((range.clone(), answer));
        Ok(self.budget.hold(bytes, rules.name(self.stage)))
    }
}
