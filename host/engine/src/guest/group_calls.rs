//! What the keyed stages of a batch ask of a version, over all lanes.

use super::lane::{Budget, KnownFaults, Lane};
use super::{GuestVersion, Lanes};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use streamhost_core::contract::{
    Calls, ChunkAnswer, Combined, Finished, GroupFault, GroupQuarantines, KeyOutcome, Made, Moment,
    Partials, Phase, QuarantinedGroup, Sliced, VersionFault, slices,
};
use streamhost_core::executor::StageCalls;
use streamhost_core::keyed::StageWorkers;
use streamhost_core::state::{StateFound, StateRead, StoreError};
use streamhost_core::types::Column;

/// The calls of one batch's keyed stages.
pub struct GuestCalls<'a> {
    lanes: &'a mut Lanes,
    version: Arc<GuestVersion>,
    quarantines: GroupQuarantines,
    /// How many groups were asked so far: what a decision's number counts.
    asked: BTreeMap<(u32, Phase), u64>,
    aside: Vec<QuarantinedGroup>,
}

/// A part of what is asked, and what is known of it.
struct Slice<T> {
    asked: T,
    known: KnownFaults,
}

impl<'a> GuestCalls<'a> {
    pub(super) fn new(
        lanes: &'a mut Lanes,
        version: Arc<GuestVersion>,
        quarantines: GroupQuarantines,
    ) -> Self {
        GuestCalls {
            lanes,
            version,
            quarantines,
            asked: BTreeMap::new(),
            aside: Vec::new(),
        }
    }

    /// Counts groups, and gives the number of the first and the decisions on them, by their place
    /// in what is asked.
    fn count(&mut self, stage: u32, phase: Phase, groups: usize) -> (u64, KnownFaults) {
        let asked = self.asked.entry((stage, phase)).or_default();
        let first = *asked;
        *asked += groups as u64;
        let quarantines = self
            .quarantines
            .range((stage, phase, first)..(stage, phase, *asked));
        let known = quarantines
            .map(|((_, _, index), quarantine)| ((index - first) as usize, quarantine.clone()))
            .collect();
        (first, known)
    }

    fn note(
        &mut self,
        (stage, phase, first): (u32, Phase, u64),
        faults: &[GroupFault],
        splits: &[usize],
    ) {
        let broken = faults
            .iter()
            .filter(|fault| fault.by_host)
            .map(|fault| (fault.at, Some(fault.reason.clone())));
        for (at, reason) in broken.chain(splits.iter().map(|&at| (at, None))) {
            self.aside.push(QuarantinedGroup {
                stage,
                phase,
                index: first + at as u64,
                reason,
                canary: false,
            });
        }
    }

    /// Runs what is asked in slices on all lanes, and gives the answers with the place of each
    /// one's first item.
    fn sliced<T, A, F>(
        &mut self,
        asked: &T,
        known: KnownFaults,
        run: F,
    ) -> Result<Vec<(usize, A)>, VersionFault>
    where
        T: Sliced + Send + Sync + 'static,
        A: Send + 'static,
        F: Fn(&mut Lane, &T, &KnownFaults) -> Result<A, VersionFault> + Send + Sync + 'static,
    {
        let ranges = slices(asked);
        if ranges.len() <= 1 {
            let answer = |range: Range<usize>| {
                Ok((
                    range.start,
                    self.lanes.alone(|lane| run(lane, asked, &known))?,
                ))
            };
            return ranges.into_iter().map(answer).collect();
        }
        let slice = |range: &Range<usize>| {
            let known = known
                .range(range.clone())
                .map(|(&at, quarantine)| (at - range.start, quarantine.clone()))
                .collect();
            Slice {
                asked: asked.part(range),
                known,
            }
        };
        let tasks = ranges.iter().map(slice).collect();
        let (_, answers) = self.lanes.spread(tasks, move |lane, slice: &Slice<T>| {
            run(lane, &slice.asked, &slice.known)
        });
        Ok(ranges
            .into_iter()
            .map(|range| range.start)
            .zip(answers?)
            .collect())
    }
}

/// The answers' accumulators as one column: together they are within a batch's budget, and so
/// countable.
fn joined(answers: impl Iterator<Item = Column>) -> Column {
    let mut joined = Column::default();
    for column in answers {
        if joined.is_empty() {
            joined = column;
            continue;
        }
        let base = joined.data.len() as u32;
        joined.data.extend_from_slice(&column.data);
        joined.ends.extend(column.ends.iter().map(|end| base + end));
    }
    joined
}

fn add(made: &mut Made, base: usize, answer: ChunkAnswer) {
    for (all, rows) in made.rows.iter_mut().zip(answer.rows) {
        all.extend(rows);
    }
    made.keyed.extend(answer.keyed);
    made.outcomes
        .extend(answer.outcomes.into_iter().map(|outcome| KeyOutcome {
            at: base + outcome.at,
            ..outcome
        }));
    made.faults
        .extend(answer.faults.into_iter().map(|fault| GroupFault {
            at: base + fault.position as usize,
            reason: fault.reason,
            by_host: fault.by_host,
        }));
}

impl Calls for GuestCalls<'_> {
    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault> {
        let (first, known) = self.count(stage, Phase::Combine, partials.items());
        let (version, budget) = (self.version.clone(), self.lanes.budget());
        let answers = self.sliced(partials, known, move |lane, partials, known| {
            lane.combine(&version, stage, partials, known.clone(), &budget)
        })?;
        let mut faults = Vec::new();
        let accumulators = answers.into_iter().map(|(base, answer)| {
            faults.extend(answer.faults.into_iter().map(|fault| GroupFault {
                at: base + fault.at,
                ..fault
            }));
            answer.accumulators
        });
        let accumulators = joined(accumulators);
        self.note((stage, Phase::Combine, first), &faults, &[]);
        Ok(Combined {
            accumulators,
            faults,
        })
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        let (first, known) = self.count(stage, Phase::Finish, finished.items());
        let (version, budget) = (self.version.clone(), self.lanes.budget());
        let answers = self.sliced(finished, known, move |lane, finished, known| {
            lane.finish(&version, (stage, moment), finished, known.clone(), &budget)
        })?;
        let mut made = Made {
            rows: vec![Vec::new(); self.version.rules().shapes.len()],
            ..Made::default()
        };
        let mut splits = Vec::new();
        for (base, answer) in answers {
            splits.extend(answer.splits.iter().map(|&at| base + at as usize));
            add(&mut made, base, answer);
        }
        self.note((stage, Phase::Finish, first), &made.faults, &splits);
        Ok(made)
    }

    fn migrate(&mut self, stage: u32, accumulators: &Column) -> Result<Column, VersionFault> {
        // The answer is let go before the next, so each has a batch's budget of its own.
        let (version, budget): (_, Arc<Budget>) =
            (self.version.clone(), self.lanes.budget_of_no_batch());
        let run = move |lane: &mut Lane, column: &Column, _: &KnownFaults| {
            lane.migrate(&version, stage, column, &budget)
        };
        let answers = self.sliced(accumulators, KnownFaults::new(), run)?;
        Ok(joined(answers.into_iter().map(|(_, column)| column)))
    }
}

impl StageWorkers for GuestCalls<'_> {
    fn read(
        &mut self,
        reads: Vec<StateRead>,
    ) -> Result<Vec<Result<StateFound, StoreError>>, VersionFault> {
        let (_, found) = self
            .lanes
            .spread(reads, |_, read: &StateRead| Ok(read.run()));
        found
    }
}

impl StageCalls for GuestCalls<'_> {
    fn quarantined(self) -> Vec<QuarantinedGroup> {
        self.aside
    }
}
