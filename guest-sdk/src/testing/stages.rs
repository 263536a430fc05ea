//! The keyed stages of a batch, one after the other: what is kept, what is over, and what follows.

use super::calls::Guest;
use super::cuts::{self, Cut};
use super::joins::{self, Sides};
use super::model::{Bytes, END_OF_TIME_MS, Finished, Kind, NO_TIME_MS, Part, Times};
use super::reduce::Kept;
use super::text;
use std::collections::BTreeMap;

/// How far a stage's time had come before a batch, and how far it comes by it: its watermark, or
/// the batches' clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) before_ms: i64,
    pub(super) now_ms: i64,
}

impl Reached {
    pub(super) fn is_end(self) -> bool {
        self.now_ms == END_OF_TIME_MS
    }
}

/// What a stage keeps from batch to batch.
#[derive(Clone, Debug)]
pub(super) enum Store {
    Reduction(Kept),
    Join(Sides),
    Table(BTreeMap<Bytes, Bytes>),
}

impl Store {
    pub(super) fn of(kind: Kind) -> Store {
        match kind {
            Kind::Join { .. } => Store::Join(Sides::new()),
            Kind::Lookup => Store::Table(BTreeMap::new()),
            _ => Store::Reduction(Kept::of(kind)),
        }
    }

    /// How many entries: keys, panes' keys, sessions, or items that wait for partners.
    pub(super) fn len(&self) -> usize {
        match self {
            Store::Reduction(kept) => kept.len(),
            Store::Join(sides) => sides.values().flatten().map(Vec::len).sum(),
            Store::Table(table) => table.len(),
        }
    }
}

/// What a batch sends to a stage, and what it would send if its calls were cut in other ways.
#[derive(Clone, Debug, Default)]
struct Waiting {
    parts: Vec<Part>,
    cuts: Vec<Vec<Part>>,
}

/// What the keyed stages made of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// For each sink.
    pub(super) rows: Vec<Vec<String>>,
    pub(super) letters: Vec<String>,
    /// Items of a stage's results that came too late for a later stage.
    pub(super) late: usize,
}

/// Runs all keyed stages over what a batch's calls of `transform` made for them, in the order of
/// (partition, offset).
pub(super) fn run(
    guest: &Guest<'_>,
    stores: &mut [Store],
    transformed: Vec<Cut>,
    times: Times,
) -> Outcome {
    let mut waiting = vec![Waiting::default(); stores.len()];
    for cut in transformed {
        route(&mut waiting, cut);
    }
    let mut outcome = Outcome {
        rows: vec![Vec::new(); guest.sinks()],
        ..Outcome::default()
    };
    for (stage, store) in stores.iter_mut().enumerate() {
        let Waiting {
            mut parts,
            mut cuts,
        } = std::mem::take(&mut waiting[stage]);
        let reached = reached(guest, stage, times);
        let late = drop_late(&mut parts, guest.kinds[stage], reached);
        let in_cuts: usize = cuts
            .iter_mut()
            .map(|parts| drop_late(parts, guest.kinds[stage], reached))
            .sum();
        if late + in_cuts > 0 {
            // A session is late by its last event, so that it may not be where half of it is.
            cuts.clear();
        }
        outcome.late += late;
        let finished = match store {
            Store::Reduction(kept) => {
                Finished::Groups(kept.run(guest, stage, &parts, &cuts, times, reached))
            }
            Store::Join(sides) => {
                Finished::Pairs(joins::join(sides, guest.kinds[stage], &parts, reached))
            }
            Store::Table(table) => Finished::Pairs(joins::lookup(table, &parts)),
        };
        if finished.len() == 0 {
            continue;
        }
        let mut cut = cuts::run(guest, finished.len(), NO_TIME_MS, |range, _| {
            guest.finish(stage, times, &finished.part(range))
        });
        let name = guest.stage_name(stage);
        let faults = std::mem::take(&mut cut.made.faults).into_iter();
        outcome.letters.extend(
            faults.map(|(at, why)| format!("{name}@{}: {why}", text::bytes(finished.key(at)))),
        );
        for (all, new) in outcome
            .rows
            .iter_mut()
            .zip(std::mem::take(&mut cut.made.rows))
        {
            all.extend(new.into_iter().map(|(_, row)| row));
        }
        route(&mut waiting, cut);
    }
    outcome
}

/// Adds what a call made to what waits for each stage. Calls have been cut in different numbers of
/// ways; one that has no more ways goes on with its last.
fn route(waiting: &mut [Waiting], cut: Cut) {
    for (stage, waiting) in waiting.iter_mut().enumerate() {
        let mine = |parts: &[Part]| -> Vec<Part> {
            parts
                .iter()
                .filter(|part| part.stage == stage)
                .cloned()
                .collect()
        };
        let whole = mine(&cut.made.parts);
        let ways = waiting.cuts.len().max(cut.others.len());
        let before = waiting.cuts.last().unwrap_or(&waiting.parts).clone();
        waiting.cuts.resize(ways, before);
        for (way, parts) in waiting.cuts.iter_mut().enumerate() {
            parts.extend(
                cut.others
                    .get(way)
                    .or(cut.others.last())
                    .map_or_else(|| whole.clone(), |parts| mine(parts)),
            );
        }
        waiting.parts.extend(whole);
    }
}

/// Leaves out what is too late, and says how much it was. Records were judged when they came, so
/// these are items of another stage, as a lookup's, which waits for nothing.
fn drop_late(parts: &mut [Part], kind: Kind, reached: Reached) -> usize {
    let items = |parts: &[Part]| parts.iter().map(|part| part.items.len()).sum::<usize>();
    let all = items(parts);
    for part in &mut *parts {
        part.items
            .retain(|item| !kind.is_late(item.time_ms, item.until_ms, reached.before_ms));
    }
    all - items(parts)
}

fn reached(guest: &Guest<'_>, stage: usize, times: Times) -> Reached {
    match guest.kinds[stage] {
        Kind::Panes { timing, .. } | Kind::Session { timing, .. } if timing.processing => {
            let ended = times.watermark_ms == END_OF_TIME_MS;
            let now_ms = if ended {
                END_OF_TIME_MS
            } else {
                times.clock_ms
            };
            Reached {
                before_ms: times.clock_before_ms,
                now_ms,
            }
        }
        _ => Reached {
            before_ms: watermark(guest, stage, times.before_ms),
            now_ms: watermark(guest, stage, times.watermark_ms),
        },
    }
}

/// The stage's own watermark: the least of what its inputs have reached.
fn watermark(guest: &Guest<'_>, stage: usize, job_ms: i64) -> i64 {
    if job_ms == END_OF_TIME_MS {
        return END_OF_TIME_MS;
    }
    let input = |input: usize| match input.checked_sub(guest.sources()) {
        None => guest.is_timed(input).then_some(job_ms),
        Some(before) => match watermark(guest, before, job_ms) {
            NO_TIME_MS => Some(NO_TIME_MS),
            END_OF_TIME_MS => Some(END_OF_TIME_MS),
            reached_ms => Some(reached_ms.saturating_sub(guest.kinds[before].delay_ms())),
        },
    };
    guest
        .inputs(stage)
        .filter_map(input)
        .min()
        .unwrap_or(END_OF_TIME_MS)
}
