//! Where a replay begins and ends, in offsets.

use super::super::deploy::not_in_the_future;
use crate::api::{Refusal, ReplayBound, ReplayOffset, ReplayRequest};
use streamhost_core::job::JobSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Offset, Partition, Positions};
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::replay::JobLedger;
use streamhost_engine::source::{Source, SourceError};

/// Where a replay begins and ends.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) from: Positions,
    pub(super) to: Positions,
    /// All that there ever was is in between, up to where the job is.
    pub(super) is_all: bool,
}

/// What is known of a replay's bounds.
struct Asked<'a> {
    spec: &'a JobSpec,
    request: &'a ReplayRequest,
    /// The first offset that is there.
    first: Positions,
    /// Where the times that are named are.
    from: Option<Positions>,
    to: Option<Positions>,
    /// Where a savepoint goes on, if it begins there.
    saved: Option<Positions>,
}

/// Finds them, and that all between them is still there.
pub(super) fn resolve(
    source: &mut dyn Source,
    version: &LoadedDeployment,
    ledger: &JobLedger,
    request: &ReplayRequest,
    saved: Option<Positions>,
) -> Result<Bounds, Refusal> {
    let spec = &version.spec;
    for (number, of) in (0..).zip(&spec.sources) {
        if !source.is_replayable(number) {
            return Err(Refusal::Invalid(format!(
                "source `{}` cannot be read again, so there is no history to replay",
                of.name
            )));
        }
    }
    named(spec, ledger, request)?;
    let of_bounds = Asked {
        spec,
        request,
        first: asked(source.start(StartPosition::Earliest))?,
        from: time(source, request.begins())?,
        to: time(source, &request.to)?,
        saved,
    };
    let (mut from, mut to) = (Positions::new(), Positions::new());
    for (&partition, &job) in &ledger.committed {
        let (begin, end) = of_bounds.partition(partition, job)?;
        from.insert(partition, begin.min(end));
        to.insert(partition, end);
    }
    if from == to {
        return Err(Refusal::Invalid(match of_bounds.saved {
            None => "there are no records between --from and --to".to_owned(),
            Some(_) => "there are no records between the savepoint and --to".to_owned(),
        }));
    }
    let is_saved = of_bounds.saved.is_some();
    let is_all = !is_saved && to == ledger.committed && from.values().all(|at| *at == 0);
    let keeps = spec.stages.iter().any(|stage| stage.keeps_state());
    if keeps && !is_saved && from.values().any(|at| *at > 0) && !request.empty_state {
        return Err(Refusal::Invalid(
            "this job keeps state, and records before --from are left out of it: say --from earliest, or --empty-state where \
             what it makes of these records does not depend on those before"
                .to_owned(),
        ));
    }
    Ok(Bounds { from, to, is_all })
}

/// The offsets of a time, if that is the bound.
fn time(source: &mut dyn Source, bound: &ReplayBound) -> Result<Option<Positions>, Refusal> {
    let ReplayBound::Time(time) = bound else {
        return Ok(None);
    };
    not_in_the_future(StartPosition::At(*time))?;
    asked(source.start(StartPosition::At(*time))).map(Some)
}

impl Asked<'_> {
    /// Where a partition begins and ends, in which the job has come to this offset.
    fn partition(&self, partition: Partition, job: Offset) -> Result<(Offset, Offset), Refusal> {
        let place = place(self.spec, partition);
        let first = *self.first.get(&partition).ok_or_else(|| {
            Refusal::Conflict(format!("{place} is not there any more: it cannot be read"))
        })?;
        // A table that lacks its beginning would answer wrongly.
        let is_table = self.spec.sources[usize::from(partition.source)].table;
        let wanted = |bound: &ReplayBound, times: &Option<Positions>| match bound {
            ReplayBound::Earliest => Some(first),
            ReplayBound::Now => Some(job),
            ReplayBound::Offsets(all) => of(self.spec, all, partition),
            ReplayBound::Time(_) => times.as_ref()?.get(&partition).map(|at| (*at).min(job)),
        };
        let end = match is_table {
            true => job,
            false => wanted(&self.request.to, &self.to).unwrap_or(job),
        };
        if let Some(saved) = &self.saved {
            // A partition that it does not name came since.
            let begin = saved.get(&partition).copied().unwrap_or(0);
            return from_saved(&place, begin, (first, end, job));
        }
        if is_table {
            return Ok((first, job));
        }
        let begin = wanted(self.request.begins(), &self.from).unwrap_or(job);
        let is_time = matches!(self.request.begins(), ReplayBound::Time(_));
        let is_cut = is_time && begin == first && first > 0;
        if begin < first || is_cut {
            return Err(Refusal::Invalid(format!(
                "{place}: what was there before offset {first} is gone: history begins there now, so say --from earliest, or \
                 a later time or offset"
            )));
        }
        not_beyond(&place, end, job)?;
        Ok((begin, end))
    }
}

fn not_beyond(place: &str, end: Offset, job: Offset) -> Result<(), Refusal> {
    match end > job {
        true => Err(Refusal::Invalid(format!(
            "{place}: --to says offset {end}, and the job itself has come to {job}"
        ))),
        false => Ok(()),
    }
}

/// From where a savepoint goes on in a partition: what follows it must be there, and be history.
fn from_saved(
    place: &str,
    begin: Offset,
    (first, end, job): (Offset, Offset, Offset),
) -> Result<(Offset, Offset), Refusal> {
    not_beyond(place, end, job)?;
    let wrong = match () {
        () if begin > job => format!(
            "{place}: the savepoint has come to offset {begin}, and the job to {job} only: it is of another history, or the \
             job began again from an older savepoint"
        ),
        () if begin < first => format!(
            "{place}: the savepoint goes on at offset {begin}, and what was there before offset {first} is gone: name a newer \
             savepoint"
        ),
        () if begin > end => format!(
            "{place}: --to says offset {end}, and the savepoint has come to {begin} already: say a later --to, or name an \
             older savepoint"
        ),
        () => return Ok((begin, end)),
    };
    Err(Refusal::Invalid(wrong))
}

/// Every offset that is named must be of a partition that there is.
fn named(spec: &JobSpec, ledger: &JobLedger, request: &ReplayRequest) -> Result<(), Refusal> {
    for bound in [request.begins(), &request.to] {
        let ReplayBound::Offsets(all) = bound else {
            continue;
        };
        for one in all {
            let mut partitions = ledger.committed.keys();
            if !partitions.any(|partition| is_of(spec, one, *partition)) {
                let sources: Vec<_> = spec
                    .sources
                    .iter()
                    .map(|s| format!("`{}`", s.name))
                    .collect();
                let what = match &one.source {
                    Some(source) => format!("source `{source}` has no partition {}", one.partition),
                    None if spec.sources.len() > 1 => format!(
                        "the job reads {}: name one of them, SOURCE:PARTITION=OFFSET",
                        sources.join(", ")
                    ),
                    None => format!("the job has read no partition {}", one.partition),
                };
                return Err(Refusal::Invalid(what));
            }
        }
    }
    Ok(())
}

fn is_of(spec: &JobSpec, one: &ReplayOffset, partition: Partition) -> bool {
    let source = spec.sources.get(usize::from(partition.source));
    let is_source = match &one.source {
        Some(name) => source.is_some_and(|source| source.name == *name),
        None => spec.sources.len() == 1,
    };
    is_source && one.partition == partition.id
}

fn of(spec: &JobSpec, all: &[ReplayOffset], partition: Partition) -> Option<Offset> {
    let mut all = all.iter();
    let found = all.find(|one| is_of(spec, one, partition));
    found.map(|one| one.offset)
}

fn place(spec: &JobSpec, partition: Partition) -> String {
    let source = &spec.sources[usize::from(partition.source)];
    format!("`{}` partition {}", source.target, partition.id)
}

fn asked<T>(answer: Result<T, SourceError>) -> Result<T, Refusal> {
    answer.map_err(|error| match error.may_pass() {
        true => Refusal::Unavailable(error.to_string()),
        false => Refusal::Invalid(error.to_string()),
    })
}
