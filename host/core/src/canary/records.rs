//! What becomes of a batch's records where two versions run them.

use super::pick::picked;
use super::rows::mixed_rows;
use super::{CanaryPlan, Side};
use crate::contract::{ChunkAnswer, Fault, PassedOver, RecordQuarantines, Sliced, VersionFault};
use crate::types::{Chunk, Keyed};
use std::collections::BTreeSet;

/// Chunks, and what one version answered for them.
pub type Ran = (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>);

/// Has a side's version run chunks, given the decisions of an earlier run of the same batch, if this
/// is a replay.
pub type Run<'r> = &'r mut dyn FnMut(Side, Vec<Chunk>, Option<RecordQuarantines>) -> Ran;

/// What one side's version did, for the eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideCounts {
    /// Records that it ran.
    pub records: u64,
    /// Those, and groups, that failed: refused, or broken on.
    pub failed: u64,
    /// Those among them that its guest broke on.
    pub broken: u64,
    /// Those that came too late.
    pub late: u64,
    /// Those that it dropped.
    pub dropped: u64,
    /// Rows of it that count.
    pub rows: u64,
}

impl SideCounts {
    /// More of the same side.
    pub fn add(&mut self, more: SideCounts) {
        self.records += more.records;
        self.failed += more.failed;
        self.broken += more.broken;
        self.late += more.late;
        self.dropped += more.dropped;
        self.rows += more.rows;
    }

    fn of(chunks: &[Chunk], answers: &[ChunkAnswer]) -> SideCounts {
        let mut counts = SideCounts {
            records: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            ..SideCounts::default()
        };
        for answer in answers {
            counts.failed += answer.faults.len() as u64;
            counts.broken += answer.faults.iter().filter(|fault| fault.by_host).count() as u64;
            (counts.late, counts.dropped) =
                (counts.late + answer.late, counts.dropped + answer.dropped);
        }
        counts
    }

    fn with_rows<'a>(mut self, answers: impl Iterator<Item = &'a ChunkAnswer>) -> SideCounts {
        let rows = answers.flat_map(|answer| answer.rows.iter().flatten());
        self.rows = rows.map(|rows| rows.len() as u64).sum();
        self
    }
}

/// What came of a batch's records, and what each side did.
pub type Settled = Result<(Vec<ChunkAnswer>, [SideCounts; 2]), VersionFault>;

/// Runs a batch's records, each by the version whose part it is in.
pub fn run(
    plan: &CanaryPlan,
    chunks: Vec<Chunk>,
    quarantines: [Option<RecordQuarantines>; 2],
    run: Run<'_>,
) -> (Vec<Chunk>, Settled) {
    match plan.is_by_key() {
        true => settle(plan, chunks, quarantines, run),
        false => split(plan, chunks, quarantines, run),
    }
}

/// Each record is run by one version.
fn split(
    plan: &CanaryPlan,
    chunks: Vec<Chunk>,
    [of_active, of_canary]: [Option<RecordQuarantines>; 2],
    run: Run<'_>,
) -> (Vec<Chunk>, Settled) {
    let mut parts: [Vec<Chunk>; 2] = Default::default();
    let mut numbers: [Vec<Vec<usize>>; 2] = Default::default();
    for chunk in &chunks {
        let is_canarys = |i: usize| {
            let record = chunk.get(i);
            plan.share
                .has_record(chunk.partition.id, record.offset, record.key)
        };
        let of_canary: Vec<bool> = (0..chunk.len()).map(is_canarys).collect();
        for side in [0, 1] {
            let (part, of) = picked(chunk, |i| of_canary[i] == (side == 1));
            parts[side].push(part);
            numbers[side].push(of);
        }
    }
    let [active, canary] = parts;
    let (active, by_active) = run(Side::Active, active, of_active);
    let (canary, by_canary) = run(Side::Canary, canary, of_canary);
    let joined = by_active.and_then(|by_active| {
        let by_canary = by_canary?;
        let counts = [
            SideCounts::of(&active, &by_active).with_rows(by_active.iter()),
            SideCounts::of(&canary, &by_canary).with_rows(by_canary.iter()),
        ];
        let [of_active, of_canary] = &numbers;
        let numbers = of_active.iter().zip(of_canary);
        let both = by_active.into_iter().zip(by_canary).zip(numbers);
        let join = |((active, canary), (a, c)): ((_, _), (&Vec<_>, &Vec<_>))| {
            join(plan, [(active, a), (canary, c)])
        };
        Ok((both.map(join).collect(), counts))
    });
    (chunks, joined)
}

/// What came of a chunk whose records went to two versions.
fn join(plan: &CanaryPlan, sides: [(ChunkAnswer, &Vec<usize>); 2]) -> ChunkAnswer {
    let [(mut active, a), (mut canary, c)] = sides;
    let mut joined = ChunkAnswer {
        late: active.late + canary.late,
        dropped: active.dropped + canary.dropped,
        largest_ms: match (a.is_empty(), c.is_empty()) {
            (true, false) => canary.largest_ms,
            (false, true) | (true, true) => active.largest_ms,
            (false, false) => active.largest_ms.max(canary.largest_ms),
        },
        splits: active
            .splits
            .iter()
            .map(|&at| a[at as usize] as u32)
            .collect(),
        canary_splits: canary
            .splits
            .iter()
            .map(|&at| c[at as usize] as u32)
            .collect(),
        ..ChunkAnswer::default()
    };
    let layouts = plan.layouts[0].iter().zip(&plan.layouts[1]);
    for (sink, (of_active, of_canary)) in layouts.enumerate() {
        let rows = [&mut active, &mut canary].map(|answer| std::mem::take(&mut answer.rows[sink]));
        let [by_active, by_canary] = rows;
        let sides = [
            (of_active, by_active, &a[..]),
            (of_canary, by_canary, &c[..]),
        ];
        joined.rows.push(mixed_rows(sides));
    }
    let place = |fault: Fault, numbers: &[usize], canary| Fault {
        position: numbers[fault.position as usize] as u32,
        canary,
        ..fault
    };
    joined.faults = active
        .faults
        .into_iter()
        .map(|fault| place(fault, a, false))
        .collect();
    joined
        .faults
        .extend(canary.faults.into_iter().map(|fault| place(fault, c, true)));
    joined.faults.sort_by_key(|fault| fault.position);
    joined
}

/// Each record is run by both versions, and of each key what its own version made counts. A record
/// is run whole or is a dead letter whole, so where one version alone fails on it, it is asked whose
/// its keys are:
///
/// | active | canary | then |
/// |---|---|---|
/// | fails | fails | a dead letter, for the active version's reason |
/// | fails | makes keys of the canary's alone | what the canary made |
/// | fails | anything else | a dead letter |
/// | makes keys of its own alone, or none | fails | what the active version made |
/// | makes a key of the canary's | fails | a dead letter, for the canary's reason |
fn settle(
    plan: &CanaryPlan,
    chunks: Vec<Chunk>,
    quarantines: [Option<RecordQuarantines>; 2],
    run: Run<'_>,
) -> (Vec<Chunk>, Settled) {
    let [of_active, of_canary] = quarantines;
    let (chunks, active) = run(Side::Active, chunks, of_active.clone());
    let active = match active {
        Ok(active) => active,
        Err(fault) => return (chunks, Err(fault)),
    };
    let (chunks, canary) = run(Side::Canary, chunks, of_canary.clone());
    let canary = match canary {
        Ok(canary) => canary,
        Err(fault) => return (chunks, Err(fault)),
    };
    let counts = [
        SideCounts::of(&chunks, &active),
        SideCounts::of(&chunks, &canary),
    ];
    let mut aside = [RecordQuarantines::new(), RecordQuarantines::new()];
    let replays = of_active.is_some();
    for (side, faults, others) in [
        (Side::Active, &canary, &active),
        (Side::Canary, &active, &canary),
    ] {
        let asked = asked_alone(&chunks, faults, others);
        match set_aside(plan, side, &chunks, asked, replays, run) {
            Ok(decided) => aside[side as usize] = decided,
            Err(fault) => return (chunks, Err(fault)),
        }
    }
    let mut chunks = chunks;
    let mut answers = [active, canary];
    let given = [of_active, of_canary];
    for ((side, aside), given) in [Side::Active, Side::Canary]
        .into_iter()
        .zip(aside)
        .zip(given)
    {
        if aside.is_empty() {
            continue;
        }
        let mut all = given.clone().unwrap_or_default();
        all.extend(aside);
        let (back, again) = run(side, chunks, Some(all));
        chunks = back;
        match again {
            Ok(again) => answers[side as usize] = again,
            Err(fault) => return (chunks, Err(fault)),
        }
    }
    let [active, canary] = answers;
    let merged: Vec<_> = active
        .into_iter()
        .zip(canary)
        .map(|(a, c)| merge(plan, a, c))
        .collect();
    let [of_active, of_canary] = counts;
    let counts = [of_active.with_rows(merged.iter()), of_canary];
    (chunks, Ok((merged, counts)))
}

/// The records on which one version failed and the other did not: chunk, position, reason.
fn asked_alone<'a>(
    chunks: &[Chunk],
    failed: &'a [ChunkAnswer],
    others: &[ChunkAnswer],
) -> Vec<(usize, u32, &'a str)> {
    let mut alone = Vec::new();
    for (at, (failed, other)) in failed.iter().zip(others).enumerate().take(chunks.len()) {
        let both: BTreeSet<u32> = other.faults.iter().map(|fault| fault.position).collect();
        let one = failed
            .faults
            .iter()
            .filter(|fault| !both.contains(&fault.position));
        alone.extend(one.map(|fault| (at, fault.position, fault.reason.as_str())));
    }
    alone
}

/// Of records on which the other version alone failed, those that are not this side's by what it
/// makes of each: they are dead letters, and it does without them.
fn set_aside(
    plan: &CanaryPlan,
    side: Side,
    chunks: &[Chunk],
    asked: Vec<(usize, u32, &str)>,
    replays: bool,
    run: Run<'_>,
) -> Result<RecordQuarantines, VersionFault> {
    if asked.is_empty() {
        return Ok(RecordQuarantines::new());
    }
    let single = |&(chunk, position, _): &(usize, u32, &str)| {
        chunks[chunk].part(&(position as usize..position as usize + 1))
    };
    let singles = asked.iter().map(single).collect();
    let (singles, answers) = run(side, singles, replays.then(RecordQuarantines::new));
    let mut aside = RecordQuarantines::new();
    for ((single, answer), (.., reason)) in singles.iter().zip(answers?).zip(asked) {
        if !is_of(plan, side, &answer) {
            aside.insert(
                (single.partition, single.offsets[0]),
                Some(reason.to_owned()),
            );
        }
    }
    Ok(aside)
}

/// Whether what a side's version makes of a record is all its own, though the other one fails on it.
fn is_of(plan: &CanaryPlan, side: Side, answer: &ChunkAnswer) -> bool {
    let mut keys = answer.keyed.iter().flat_map(|keyed| keyed.keys.iter());
    if !answer.faults.is_empty() {
        return false;
    }
    match side {
        // What it drops, or makes before any key, is the active version's to say.
        Side::Active => keys.all(|key| plan.side_of(key) == side),
        Side::Canary => {
            let makes_rows = answer.rows.iter().flatten().any(|rows| !rows.is_empty());
            let is_empty = answer.keyed.iter().all(|keyed| keyed.keys.is_empty());
            !makes_rows && !is_empty && keys.all(|key| plan.side_of(key) == side)
        }
    }
}

/// What counts of a chunk that both versions have run.
fn merge(plan: &CanaryPlan, active: ChunkAnswer, canary: ChunkAnswer) -> ChunkAnswer {
    let mut merged = ChunkAnswer {
        late: active.late,
        dropped: active.dropped,
        largest_ms: active.largest_ms,
        splits: active.splits,
        canary_splits: canary.splits,
        ..ChunkAnswer::default()
    };
    let laid = |(layout, rows): (&super::Layout, Vec<_>)| {
        rows.into_iter().map(|rows| layout.laid(rows)).collect()
    };
    merged.rows = plan.layouts[0].iter().zip(active.rows).map(laid).collect();
    for (side, keyed) in [(Side::Active, active.keyed), (Side::Canary, canary.keyed)] {
        let own = keyed.into_iter().map(|keyed| of_side(plan, side, keyed));
        merged
            .keyed
            .extend(own.filter(|keyed| !keyed.keys.is_empty()));
    }
    let mut of_canary = canary.faults.into_iter().peekable();
    let mut pass = |fault: Fault, side| {
        let Fault {
            position, reason, ..
        } = fault;
        let passed = PassedOver {
            position,
            reason,
            canary: side == Side::Canary,
        };
        merged.passed_over.extend(fault.by_host.then_some(passed));
    };
    for fault in active.faults {
        while let Some(before) = of_canary.next_if(|other| other.position < fault.position) {
            pass(before, Side::Canary);
        }
        match of_canary.next_if(|other| other.position == fault.position) {
            None => pass(fault, Side::Active),
            // It was set aside for the canary's fault.
            Some(other) if fault.by_host && fault.reason == other.reason => {
                merged.faults.push(Fault {
                    canary: true,
                    ..other
                });
                pass(fault, Side::Active);
            }
            Some(other) => {
                pass(other, Side::Canary);
                merged.faults.push(fault);
            }
        }
    }
    of_canary.for_each(|fault| pass(fault, Side::Canary));
    merged
}

/// The items whose keys are a side's.
fn of_side(plan: &CanaryPlan, side: Side, keyed: Keyed) -> Keyed {
    let mut own = Keyed {
        stage: keyed.stage,
        side: keyed.side,
        ..Keyed::default()
    };
    for i in 0..keyed.keys.len() {
        let key = keyed.keys.get(i);
        if plan.side_of(key) != side {
            continue;
        }
        let is_deleted = keyed.deleted.binary_search(&(i as u32)).is_ok();
        own.deleted
            .extend(is_deleted.then_some(own.keys.len() as u32));
        own.keys.push(key);
        own.values.push(keyed.values.get(i));
        own.times_ms.push(keyed.times_ms[i]);
        own.until_ms.extend(keyed.until_ms.get(i));
    }
    own
}
