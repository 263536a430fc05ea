//! Holds reductions to what makes their results the same in any cut: the same batch is run again,
//! with its calls cut in other ways, and both come to the same.

use super::guest::Guest;
use super::shown::Shown;
use super::workers::NativeWorkers;
use streamhost_core::contract::{Finished, Groups, Moment};
use streamhost_core::executor::BatchOutcome;
use streamhost_core::job::{StageKind, WindowForm};
use streamhost_core::keyed::entry;
use streamhost_core::state::Writes;
use streamhost_core::types::{Column, NO_TIME_MS};

/// A batch that was run, and what its calls were.
pub(super) struct Run<'a> {
    pub(super) outcome: &'a BatchOutcome,
    pub(super) workers: &'a NativeWorkers<'a>,
}

impl Run<'_> {
    /// Items of a stage's results that were late for a later one.
    fn late_items(&self) -> u64 {
        self.outcome.counts.late - self.workers.late
    }

    /// The groups that a stage finished, all in one.
    fn groups(&self, number: u32) -> Groups {
        let mut all = Groups::default();
        for (stage, finished) in &self.workers.finished {
            let Finished::Groups(groups) = finished else {
                continue;
            };
            if *stage == number {
                groups.keys.iter().for_each(|key| all.keys.push(key));
                let accumulators = groups.accumulators.iter();
                accumulators.for_each(|accumulator| all.accumulators.push(accumulator));
                all.starts_ms.extend(&groups.starts_ms);
                all.ends_ms.extend(&groups.ends_ms);
            }
        }
        all
    }

    /// What a stage wrote.
    fn writes(&self, stage: &str) -> Option<&Writes> {
        let facts = self.outcome.stages.get(stage)?;
        self.outcome.delta.stages.get(&facts.id)
    }
}

/// Panics where a stage of a batch that was run whole comes to something else in another cut.
pub(super) fn compare(guest: &Guest<'_>, whole: &Run<'_>, other: &Run<'_>) {
    if whole.late_items() + other.late_items() > 0 {
        // A session is late by its last event, so that it may not be where half of it is.
        return;
    }
    for stage in 0..guest.spec.stages.len() {
        compare_finished(guest, stage, whole, other);
        compare_kept(guest, stage, whole, other);
    }
}

fn compare_finished(guest: &Guest<'_>, stage: usize, whole: &Run<'_>, other: &Run<'_>) {
    let number = (guest.spec.sources.len() + stage) as u32;
    let (one, two) = (whole.groups(number), other.groups(number));
    let places = |groups: &Groups| {
        let times = groups.starts_ms.iter().zip(&groups.ends_ms);
        let places = groups.keys.iter().zip(times);
        places
            .map(|(key, (&start_ms, &end_ms))| (key.to_vec(), start_ms, end_ms))
            .collect::<Vec<_>>()
    };
    same_places(guest, stage, &places(&one), &places(&two));
    for group in 0..one.keys.len() {
        let accumulators = [one.accumulators.get(group), two.accumulators.get(group)];
        let times = (one.starts_ms[group], one.ends_ms[group]);
        same_group(guest, stage, one.keys.get(group), times, accumulators);
    }
}

fn compare_kept(guest: &Guest<'_>, stage: usize, whole: &Run<'_>, other: &Run<'_>) {
    let spec = &guest.spec.stages[stage];
    let (one, two) = (whole.writes(&spec.name), other.writes(&spec.name));
    let none = Writes::new();
    let (one, two) = (one.unwrap_or(&none), two.unwrap_or(&none));
    let places = |writes: &Writes| {
        let blank = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
            let value = value.as_ref().map(|value| {
                let count = entry::accumulators(&spec.kind, key, value).map_or(0, |all| all.len());
                entry::with_accumulators(&spec.kind, key, value, &vec![&b""[..]; count])
            });
            (key.clone(), value)
        };
        writes.iter().map(blank).collect::<Vec<_>>()
    };
    if matches!(
        spec.kind,
        StageKind::Join(_) | StageKind::Lookup | StageKind::Process(_)
    ) {
        return; // their items were compared as they were made
    }
    same_places(guest, stage, &places(one), &places(two));
    let clock_ms = whole.outcome.times.clock_ms;
    for ((key, one), two) in one.iter().zip(two.values()) {
        let (Some(one), Some(two)) = (one, two) else {
            continue;
        };
        let all = |value| entry::accumulators(&spec.kind, key, value).unwrap_or_default();
        for (one, two) in all(one).into_iter().zip(all(two)) {
            let key = key_of(&spec.kind, key);
            same_group(guest, stage, key, (clock_ms, clock_ms), [one, two]);
        }
    }
}

/// The record's key in the key of what a reduction keeps for it.
fn key_of<'k>(kind: &StageKind, key: &'k [u8]) -> &'k [u8] {
    let has_time = matches!(kind, StageKind::Window(window) if matches!(window.form, WindowForm::Panes { .. }));
    let head = if has_time { 1 + size_of::<i64>() } else { 1 };
    &key[head..]
}

fn same_places<P: std::fmt::Debug + PartialEq>(guest: &Guest<'_>, stage: usize, one: &P, two: &P) {
    assert_eq!(
        one, two,
        "the keys or windows of stage `{}` depend on how records are cut into batches (whole: left)",
        guest.spec.stages[stage].name
    );
}

/// Two accumulators of one group are the same, or at least what follows makes the same of them.
fn same_group(
    guest: &Guest<'_>,
    stage: usize,
    key: &[u8],
    times: (i64, i64),
    [one, two]: [&[u8]; 2],
) {
    if one == two {
        return;
    }
    let [one, two] = [one, two]
        .map(|accumulator| guest.quietly(|| finish_alone(guest, stage, key, times, accumulator)));
    assert!(
        one.is_like(&two, guest.has_floats(stage)),
        "the reduction of stage `{}` depends on how records are cut into batches: is it associative? Whole they come \
         to {}, in another cut to {}",
        guest.spec.stages[stage].name,
        one.in_words(),
        two.in_words()
    );
}

fn finish_alone(
    guest: &Guest<'_>,
    stage: usize,
    key: &[u8],
    (start_ms, end_ms): (i64, i64),
    accumulator: &[u8],
) -> Shown {
    let one = |item: &[u8]| {
        let mut column = Column::default();
        column.push(item);
        column
    };
    let group = Groups {
        keys: one(key),
        accumulators: one(accumulator),
        starts_ms: vec![start_ms],
        ends_ms: vec![end_ms],
    };
    let moment = Moment {
        batch_ms: start_ms,
        watermark_ms: NO_TIME_MS,
        partition_ms: NO_TIME_MS,
    };
    let number = (guest.spec.sources.len() + stage) as u32;
    let answer = guest.finish(number, moment, &Finished::Groups(group));
    Shown::of(&answer, guest.spec)
}
