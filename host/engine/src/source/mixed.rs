//! Several kinds of sources behind the one trait. Each kind names partitions by the job's own
//! numbers of its sources, so that a batch can be handed from one to the next.

use super::{Source, SourceError};
use crate::batch::BatchBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Marks, Partition, Positions};
use streamhost_core::{clock, limits};

/// One of the sources that are read together.
pub struct Part {
    source: Box<dyn Source>,
    /// The job's numbers of the sources that it reads.
    of: BTreeSet<u16>,
    assigned: BTreeSet<Partition>,
}

impl Part {
    /// A source, and the job's numbers of the sources that it reads.
    pub fn new(of: BTreeSet<u16>, source: Box<dyn Source>) -> Part {
        Part {
            source,
            of,
            assigned: BTreeSet::new(),
        }
    }

    /// Those of these positions that are of its sources.
    fn own(&self, at: &Positions) -> Positions {
        let own = at
            .iter()
            .filter(|(partition, _)| self.of.contains(&partition.source));
        own.map(|(&partition, &offset)| (partition, offset))
            .collect()
    }

    fn is_wanted(&self, builder: &BatchBuilder) -> bool {
        builder
            .wanted()
            .any(|(partition, ..)| self.assigned.contains(&partition))
    }
}

/// All of these as one source. A job of one kind pays nothing for the others.
pub fn join(mut parts: Vec<Part>) -> Box<dyn Source> {
    match parts.pop() {
        Some(only) if parts.is_empty() => only.source,
        last => Box::new(MixedSource::new(parts.into_iter().chain(last).collect())),
    }
}

/// Reads several kinds of sources.
struct MixedSource {
    parts: Vec<Part>,
    /// The part that is asked first, another one each time, so that one that always has much leaves
    /// the others room.
    turn: usize,
}

impl MixedSource {
    fn new(parts: Vec<Part>) -> Self {
        MixedSource { parts, turn: 0 }
    }

    /// The answers of all parts in one.
    fn all<T, C: Default + Extend<T>, A: IntoIterator<Item = T>>(
        &mut self,
        mut ask: impl FnMut(&mut dyn Source) -> Result<A, SourceError>,
    ) -> Result<C, SourceError> {
        let mut all = C::default();
        for part in &mut self.parts {
            all.extend(ask(part.source.as_mut())?);
        }
        Ok(all)
    }

    /// Asks every part that has something to bring, each for this long at most. What is away is
    /// told in the end, as the others go on.
    fn round(
        &mut self,
        builder: &mut BatchBuilder,
        deadline: Instant,
        wait: Duration,
    ) -> Result<Round, SourceError> {
        let mut round = Round::default();
        let before = builder.records();
        for i in 0..self.parts.len() {
            let n = self.parts.len();
            let part = &mut self.parts[(self.turn + i) % n];
            if builder.is_full() {
                break;
            }
            if !part.is_wanted(builder) {
                continue;
            }
            round.is_wanted = true;
            let left = deadline.saturating_duration_since(clock::monotonic());
            match part.source.fetch(builder, left.min(wait)) {
                Ok(()) => {}
                Err(error) if error.may_pass() => round.away = Some(error),
                Err(error) => return Err(error),
            }
        }
        round.has_moved = builder.records() > before;
        Ok(round)
    }
}

#[derive(Default)]
struct Round {
    is_wanted: bool,
    has_moved: bool,
    away: Option<SourceError>,
}

impl Source for MixedSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        self.all(|source| source.partitions())
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        self.all(|source| source.start(start))
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        self.all(|source| source.high_watermarks())
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        self.all(|source| source.group())
    }

    fn topic_ids(&mut self) -> Result<BTreeMap<String, String>, SourceError> {
        self.all(|source| source.topic_ids())
    }

    fn has_new_partitions(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.source.has_new_partitions())
    }

    fn finished_partitions(&self, at: &Positions) -> Vec<Partition> {
        self.parts
            .iter()
            .flat_map(|part| part.source.finished_partitions(&part.own(at)))
            .collect()
    }

    fn recognize(&mut self, marks: &Marks) {
        let parts = self.parts.iter_mut();
        parts.for_each(|part| part.source.recognize(marks));
    }

    fn lost(&mut self, at: &Positions) -> Result<Positions, SourceError> {
        let mut lost = Positions::new();
        for part in &mut self.parts {
            lost.extend(part.source.lost(&part.own(at))?);
        }
        Ok(lost)
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        for part in &mut self.parts {
            let mine = part.own(at);
            part.source.assign(&mine)?;
            part.assigned = mine.into_keys().collect();
        }
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        let deadline = clock::monotonic() + wait;
        self.turn = (self.turn + 1) % self.parts.len().max(1);
        let mut slice = Duration::ZERO; // first what is at hand, from everybody
        while !builder.is_full() {
            let round = self.round(builder, deadline, slice)?;
            if let Some(away) = round.away {
                return Err(away);
            }
            let left = deadline.saturating_duration_since(clock::monotonic());
            if round.has_moved || left.is_zero() {
                break;
            }
            if !round.is_wanted {
                std::thread::sleep(left);
            }
            slice = limits::MIXED_WAIT;
        }
        Ok(())
    }

    fn ends(&mut self) -> Positions {
        self.parts
            .iter_mut()
            .flat_map(|part| part.source.ends())
            .collect()
    }

    fn is_replayable(&self, source: u16) -> bool {
        self.parts
            .iter()
            .filter(|part| part.of.contains(&source))
            .all(|part| part.source.is_replayable(source))
    }

    fn rereads(&self, source: u16) -> bool {
        self.parts
            .iter()
            .any(|part| part.of.contains(&source) && part.source.rereads(source))
    }

    fn knows_ends(&self, source: u16) -> bool {
        self.parts
            .iter()
            .any(|part| part.of.contains(&source) && part.source.knows_ends(source))
    }

    fn is_exhausted(&self, at: &Positions) -> bool {
        self.parts.iter().all(|part| part.source.is_exhausted(at))
    }

    fn commit_progress(&mut self, reached: &Positions) {
        for part in &mut self.parts {
            part.source.commit_progress(reached);
        }
    }
}

#[cfg(test)]
#[path = "mixed_tests.rs"]
mod tests;
