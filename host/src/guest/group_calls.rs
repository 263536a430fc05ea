//! What the keyed stages of a batch ask of a version, over all lanes.

use super::calls::{Calls, Combined, Finished, GroupFault, Made, Moment, Partials};
use super::lane::{Broken, Lane};
use super::lanes::Lanes;
use super::promises::{keyed_bytes, rows_bytes};
use super::run::{ChunkAnswer, GroupVerdicts, Runnable, VersionFault};
use super::slices::{Sliced, slices};
use crate::checkpoint::{GroupAside, Phase};
use crate::limits::KEYED_ANSWERS_BYTES_MAX;
use crate::record::Column;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The calls of one batch's keyed stages.
pub struct GuestCalls<'a> {
    lanes: &'a mut Lanes,
    version: Arc<Runnable>,
    verdicts: GroupVerdicts,
    /// How many groups were asked so far: what a verdict's number counts.
    asked: BTreeMap<(u32, Phase), u64>,
    aside: Vec<GroupAside>,
    /// How much the batch's answers are by now.
    bytes: usize,
}

/// A part of what is asked, and what in it is known to break the guest.
struct Slice<T> {
    asked: T,
    broken: Broken,
}

impl<'a> GuestCalls<'a> {
    pub(super) fn new(lanes: &'a mut Lanes, version: Arc<Runnable>, verdicts: GroupVerdicts) -> Self {
        GuestCalls { lanes, version, verdicts, asked: BTreeMap::new(), aside: Vec::new(), bytes: 0 }
    }

    /// The groups on which the guest broke, those of the verdicts among them. For the batch's plan: its replay has the
    /// same verdicts, and so the same calls.
    pub fn set_aside(self) -> Vec<GroupAside> {
        self.aside
    }

    /// Counts groups, and gives the number of the first and the verdicts on them, by their place in what is asked.
    fn count(&mut self, stage: u32, phase: Phase, groups: usize) -> (u64, Broken) {
        let asked = self.asked.entry((stage, phase)).or_default();
        let first = *asked;
        *asked += groups as u64;
        let verdicts = self.verdicts.range((stage, phase, first)..(stage, phase, *asked));
        let broken = verdicts.map(|((_, _, index), reason)| ((index - first) as usize, reason.clone())).collect();
        (first, broken)
    }

    fn note(&mut self, (stage, phase, first): (u32, Phase, u64), faults: &[GroupFault]) {
        for fault in faults.iter().filter(|fault| fault.by_host) {
            let (index, reason) = (first + fault.at as u64, fault.reason.clone());
            self.aside.push(GroupAside { stage, phase, index, reason });
        }
    }

    /// Runs what is asked in slices on all lanes, and gives the answers with the place of each one's first item.
    fn sliced<T, A, F>(&mut self, asked: &T, broken: Broken, run: F) -> Result<Vec<(usize, A)>, VersionFault>
    where
        T: Sliced + Send + Sync + 'static,
        A: Send + 'static,
        F: Fn(&mut Lane, &T, &Broken) -> Result<A, VersionFault> + Send + Sync + 'static,
    {
        let ranges = slices(asked);
        if ranges.len() <= 1 {
            let answer = |range: Range<usize>| Ok((range.start, self.lanes.alone(|lane| run(lane, asked, &broken))?));
            return ranges.into_iter().map(answer).collect();
        }
        let slice = |range: &Range<usize>| {
            let broken = broken.range(range.clone()).map(|(&at, reason)| (at - range.start, reason.clone())).collect();
            Slice { asked: asked.part(range), broken }
        };
        let tasks = ranges.iter().map(slice).collect();
        let (_, answers) =
            self.lanes.spread(tasks, move |lane, slice: &Slice<T>| run(lane, &slice.asked, &slice.broken));
        Ok(ranges.into_iter().map(|range| range.start).zip(answers?).collect())
    }

    /// All answers of a batch are in memory at once.
    fn bound(&mut self, stage: u32, bytes: usize) -> Result<(), VersionFault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= KEYED_ANSWERS_BYTES_MAX {
            return Ok(());
        }
        let (name, max) = (self.version.promises().name(stage), bytesize::ByteSize(KEYED_ANSWERS_BYTES_MAX as u64));
        Err(VersionFault::TooMuch { what: format!("what its keyed stages answered is over {max}, at stage `{name}`") })
    }

    fn joined(&mut self, stage: u32, answers: impl Iterator<Item = Column>) -> Result<Column, VersionFault> {
        let mut joined = Column::default();
        for column in answers {
            self.bound(stage, column.data.len() + 4 * column.ends.len())?;
            if joined.is_empty() {
                joined = column;
                continue;
            }
            let base = joined.data.len() as u32; // the bound is below what a column can count
            joined.data.extend_from_slice(&column.data);
            joined.ends.extend(column.ends.iter().map(|end| base + end));
        }
        Ok(joined)
    }

    fn add(&mut self, stage: u32, made: &mut Made, base: usize, answer: ChunkAnswer) -> Result<(), VersionFault> {
        let rows = answer.rows.iter().flatten().map(rows_bytes).sum::<usize>();
        self.bound(stage, rows + answer.keyed.iter().map(keyed_bytes).sum::<usize>())?;
        for (all, rows) in made.rows.iter_mut().zip(answer.rows) {
            all.extend(rows);
        }
        made.keyed.extend(answer.keyed);
        made.faults.extend(answer.faults.into_iter().map(|fault| GroupFault {
            at: base + fault.position as usize,
            reason: fault.reason,
            by_host: fault.by_host,
        }));
        Ok(())
    }
}

impl Calls for GuestCalls<'_> {
    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault> {
        let (first, broken) = self.count(stage, Phase::Combine, partials.items());
        let (version, budget) = (self.version.clone(), self.lanes.budget());
        let answers = self.sliced(partials, broken, move |lane, partials, broken| {
            lane.combine(&version, stage, partials, broken.clone(), &budget)
        })?;
        let mut faults = Vec::new();
        let accumulators = answers.into_iter().map(|(base, answer)| {
            faults.extend(answer.faults.into_iter().map(|fault| GroupFault { at: base + fault.at, ..fault }));
            answer.accumulators
        });
        let accumulators = self.joined(stage, accumulators)?;
        self.note((stage, Phase::Combine, first), &faults);
        Ok(Combined { accumulators, faults })
    }

    fn finish(&mut self, stage: u32, moment: Moment, finished: &Finished) -> Result<Made, VersionFault> {
        let (first, broken) = self.count(stage, Phase::Finish, finished.items());
        let (version, budget) = (self.version.clone(), self.lanes.budget());
        let answers = self.sliced(finished, broken, move |lane, finished, broken| {
            lane.finish(&version, (stage, moment), finished, broken.clone(), &budget)
        })?;
        let mut made = Made { rows: vec![Vec::new(); self.version.promises().shapes.len()], ..Made::default() };
        for (base, answer) in answers {
            self.add(stage, &mut made, base, answer)?;
        }
        self.note((stage, Phase::Finish, first), &made.faults);
        Ok(made)
    }

    fn migrate(&mut self, stage: u32, accumulators: &Column) -> Result<Column, VersionFault> {
        let version = self.version.clone();
        let run = move |lane: &mut Lane, column: &Column, _: &Broken| lane.migrate(&version, stage, column);
        let answers = self.sliced(accumulators, Broken::new(), run)?;
        self.joined(stage, answers.into_iter().map(|(_, column)| column))
    }
}
