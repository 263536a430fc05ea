//! What a replay has come to.

use super::ReplayParts;
use std::collections::BTreeMap;
use streamhost_core::clock;
use streamhost_core::limits;
use streamhost_core::protocol::Counters;
use streamhost_core::types::Positions;

/// How a replay came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayEnd {
    /// All of it is done.
    Done,
    /// It cannot go on, for this reason.
    Broke(String),
    /// It was ended from outside, for this reason.
    Told(String),
}

/// What a replay is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayPhase {
    /// History is run through the version.
    #[default]
    Running,
    /// Records behind it are run through the active version: what they wrote is left out.
    Following,
    /// Places are read back.
    Comparing,
    /// What differs is written.
    Writing,
    /// It has ended.
    Ended,
}

/// What of a place is known to have been made by the records that were replayed, for rows that are
/// there and were not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtraRows {
    /// All of it: it is read to its end.
    OfPlace,
    /// What the active version makes of them.
    OfActive,
    /// Nothing beside what the version made: they cannot be told.
    #[default]
    Unknown,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// It was made and is not there.
    Missing,
    /// It was made otherwise.
    Differing,
    /// It is there and was not made.
    Extra,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedRow {
    /// How.
    pub kind: RowKind,
    /// Its key.
    pub key: String,
    /// The columns that differ.
    pub columns: Vec<ReplayedCell>,
}

/// One column of a row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedCell {
    /// Its name.
    pub column: String,
    /// What is there; none: nothing.
    pub held: Option<String>,
    /// What was made; none: nothing.
    pub made: Option<String>,
}

/// What a place has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceReport {
    /// The table.
    pub target: String,
    /// Rows that are as they were made.
    pub alike: u64,
    /// Rows that are there, and some columns are otherwise.
    pub differing: u64,
    /// Rows that were made and are not there.
    pub missing: u64,
    /// Rows that are there and were not made.
    pub extra: u64,
    /// Rows that later records wrote again where they would differ.
    pub overtaken: u64,
    /// In how many rows a column differs.
    pub columns: BTreeMap<String, u64>,
    /// Some rows that differ.
    pub samples: Vec<ReplayedRow>,
    /// Rows that were mended.
    pub mended: u64,
    /// Rows that were written and are not as they were written.
    pub unmended: u64,
}

impl PlaceReport {
    /// Rows that are in some way not as they were made.
    pub fn not_alike(&self) -> u64 {
        self.differing + self.missing + self.extra
    }

    /// Takes a row that differs.
    pub(super) fn take(&mut self, row: ReplayedRow) {
        match row.kind {
            RowKind::Missing => self.missing += 1,
            RowKind::Differing => self.differing += 1,
            RowKind::Extra => self.extra += 1,
        }
        if row.kind == RowKind::Differing {
            for cell in &row.columns {
                let is_known = self.columns.contains_key(&cell.column);
                let has_room = is_known || self.columns.len() < limits::REPLAY_COLUMNS_MAX;
                let name = if has_room { &*cell.column } else { "(others)" };
                *self.columns.entry(name.to_owned()).or_default() += 1;
            }
        }
        let alike = self.samples.iter().filter(|known| known.kind == row.kind);
        if alike.count() < limits::REPLAY_SAMPLES_MAX {
            self.samples.push(row);
        }
    }
}

/// What a replay has come to, so far.
#[derive(Clone, Debug, Default)]
pub struct ReplayReport {
    /// When it was started, in milliseconds since 1970.
    pub began_ms: i64,
    /// When it ended, and how.
    pub ended: Option<(i64, ReplayEnd)>,
    /// What it is at.
    pub phase: ReplayPhase,
    /// Where it begins.
    pub from: Positions,
    /// Where it ends.
    pub to: Positions,
    /// How far the version has come.
    pub at: Positions,
    /// Its batches.
    pub batches: u64,
    /// What they counted.
    pub counts: Counters,
    /// Records behind `to` that were run through the active version.
    pub followed: u64,
    /// Rows that were delivered, by sink.
    pub delivered: BTreeMap<String, u64>,
    /// What was held against what was made, by sink.
    pub places: BTreeMap<String, PlaceReport>,
    /// Which rows that were not made could be told.
    pub extra: ExtraRows,
    /// The time at which rows were mended.
    pub mended_ms: Option<i64>,
    /// What it waits for.
    pub waits: Option<String>,
}

impl ReplayReport {
    pub(super) fn of(parts: &ReplayParts) -> ReplayReport {
        let place = |place: &super::ReplayPlace| {
            let report = PlaceReport {
                target: place.target.clone(),
                ..PlaceReport::default()
            };
            (place.name.clone(), report)
        };
        ReplayReport {
            began_ms: clock::now_ms(),
            from: parts.terms.from.clone(),
            to: parts.terms.to.clone(),
            at: parts.terms.from.clone(),
            places: parts.places.iter().map(place).collect(),
            ..ReplayReport::default()
        }
    }

    /// Rows that are in some way not as they were made, of all places.
    pub fn not_alike(&self) -> u64 {
        self.places.values().map(PlaceReport::not_alike).sum()
    }
}
