//! How two versions' runs of the same batch differ: rows by sink, key and column, dead letters by
//! record, and counts. One version is *active*, and its rows are written; the other is a *shadow*.

use crate::executor::BatchOutcome;
use crate::job::{JobSpec, SinkSpec};
use crate::limits;
use crate::protocol::Counters;
use crate::types::Kind;
use std::collections::BTreeMap;

mod held;
mod letters;
mod row;
mod rows;
#[cfg(test)]
mod tests;

pub use held::{HeldCell, HeldRow, LastWrites, RowFound};
pub use letters::{LetterDifference, LetterSample};
pub use rows::{ColumnDifference, RowSample, SinkDifference};

/// Where what differs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Both versions have it, and it is not alike.
    Both,
    /// The active version alone has it.
    Active,
    /// The shadow alone has it.
    Shadow,
}

/// A count of both versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The active version's.
    pub active: u64,
    /// The shadow's.
    pub shadow: u64,
}

impl Pair {
    fn add(&mut self, other: Pair) {
        self.active += other.active;
        self.shadow += other.shadow;
    }
}

/// How batches differ, one or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Records that both versions were given.
    pub records: u64,
    /// Rows by sink.
    pub sinks: BTreeMap<String, SinkDifference>,
    /// Dead letters.
    pub letters: LetterDifference,
    /// How many dead letters there are.
    pub dead_letters: Pair,
    /// Records that the job's policy left out.
    pub skipped: Pair,
    /// Records that came too late.
    pub late: Pair,
    /// Records that the job itself dropped.
    pub dropped: Pair,
    /// Records and groups that the code broke on.
    pub broken: Pair,
}

/// One version's run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What the version describes.
    pub spec: &'a JobSpec,
    /// What came of the batch.
    pub outcome: &'a BatchOutcome,
}

impl Difference {
    /// How the shadow's run of a batch differs from the active version's.
    pub fn of(active: Run<'_>, shadow: Run<'_>) -> Difference {
        let counts = |count: fn(&Counters) -> u64| Pair {
            active: count(&active.outcome.counts),
            shadow: count(&shadow.outcome.counts),
        };
        let broken = |run: Run<'_>| run.outcome.broken.values().sum();
        Difference {
            records: active.outcome.counts.records_in,
            sinks: sinks(active, shadow),
            letters: LetterDifference::of(
                &active.outcome.dead_letters,
                &shadow.outcome.dead_letters,
            ),
            dead_letters: counts(|counts| counts.dead_letters),
            skipped: counts(|counts| counts.skipped),
            late: counts(|counts| counts.late),
            dropped: counts(|counts| counts.dropped),
            broken: Pair {
                active: broken(active),
                shadow: broken(shadow),
            },
        }
    }

    /// Adds what a later batch differs by.
    pub fn add(&mut self, later: Difference) {
        self.records += later.records;
        for (sink, difference) in later.sinks {
            self.sinks.entry(sink).or_default().add(difference);
        }
        self.letters.add(later.letters);
        self.dead_letters.add(later.dead_letters);
        self.skipped.add(later.skipped);
        self.late.add(later.late);
        self.dropped.add(later.dropped);
        self.broken.add(later.broken);
    }

    /// Rows that both versions made alike, of all sinks.
    pub fn alike(&self) -> u64 {
        self.sum(|sink| sink.alike)
    }

    /// Rows that are in some way not alike, and dead letters that are not.
    pub fn differing(&self) -> u64 {
        let rows = |sink: &SinkDifference| {
            sink.differing + sink.reordered + sink.only_active + sink.only_shadow
        };
        let letters = &self.letters;
        self.sum(rows) + letters.differing + letters.only_active + letters.only_shadow
    }

    fn sum(&self, of: impl Fn(&SinkDifference) -> u64) -> u64 {
        self.sinks.values().map(of).sum()
    }
}

/// The rows of each sink that either version has, by its name.
fn sinks(active: Run<'_>, shadow: Run<'_>) -> BTreeMap<String, SinkDifference> {
    let mut names: Vec<&str> = Vec::new();
    let all = active.spec.sinks.iter().chain(&shadow.spec.sinks);
    all.for_each(|sink| {
        if !names.contains(&&*sink.name) {
            names.push(&sink.name);
        }
    });
    let difference = |name: &str| {
        let (a, b) = (of_sink(active, name), of_sink(shadow, name));
        let is_alike = a.is_some_and(|a| b.is_some_and(|b| are_alike(active, a, shadow, b)));
        let difference = match is_alike {
            true => SinkDifference::none(rows_of(active, name)),
            false => SinkDifference::of(a.map(|at| side(active, at)), b.map(|at| side(shadow, at))),
        };
        (name.to_owned(), difference)
    };
    names.into_iter().map(difference).collect()
}

fn of_sink(run: Run<'_>, name: &str) -> Option<usize> {
    run.spec.sinks.iter().position(|sink| sink.name == name)
}

fn rows_of(run: Run<'_>, name: &str) -> u64 {
    run.outcome.counts.rows.get(name).copied().unwrap_or(0)
}

fn side(run: Run<'_>, at: usize) -> row::SinkRows<'_> {
    row::SinkRows {
        spec: &run.spec.sinks[at],
        rows: &run.outcome.rows[at],
    }
}

/// Whether the digests say that all rows are the same, in the same order: what is nearly always so
/// costs no look at rows.
fn are_alike(active: Run<'_>, a: usize, shadow: Run<'_>, b: usize) -> bool {
    let (one, other) = (&active.spec.sinks[a], &shadow.spec.sinks[b]);
    let columns = |sink: &SinkSpec| (sink.keys.clone(), sink.columns.clone());
    let digest = |run: Run<'_>, sink: &SinkSpec| run.outcome.digests.get(&sink.name).cloned();
    columns(one) == columns(other) && digest(active, one) == digest(shadow, other)
}

/// Bytes of a key or a value as they are shown, of bounded length.
pub fn shown_bytes(bytes: &[u8]) -> String {
    row::shown(Kind::Text, bytes)
}

/// Keeps a sample, unless there are enough of its class.
fn keep<T, C: PartialEq>(samples: &mut Vec<T>, sample: T, class: impl Fn(&T) -> C) {
    let of = class(&sample);
    let there = samples.iter().filter(|known| class(known) == of).count();
    if there < limits::SHADOW_SAMPLES_MAX {
        samples.push(sample);
    }
}
