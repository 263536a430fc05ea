//! Rows of one sink: each is held against that of the same key. Where one key has several, those
//! that are alike go together first, and the others in their order.

use super::row::{Cell, Row, SinkRows, shown, shown_cell};
use super::{Side, keep};
use crate::limits;
use crate::types::Kind;
use std::collections::{BTreeMap, HashMap};

/// The place of a row's headers among its columns.
const HEADERS: &str = "(headers)";
/// The same of whether the row is deleted.
const DELETED: &str = "(row)";

/// How rows of one sink differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkDifference {
    /// Rows that both versions made alike.
    pub alike: u64,
    /// Rows of one key that differ.
    pub differing: u64,
    /// Rows that both versions made alike, but not in the same order among those of their key.
    pub reordered: u64,
    /// Rows that the active version alone made.
    pub only_active: u64,
    /// Rows that the shadow alone made.
    pub only_shadow: u64,
    /// In how many of the differing rows a column differs, by its name.
    pub columns: BTreeMap<String, u64>,
    /// Some of what is not alike.
    pub samples: Vec<RowSample>,
}

/// A row that is not alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSample {
    /// Which version made it.
    pub side: Side,
    /// Its key; empty where rows have none.
    pub key: Vec<String>,
    /// The columns that differ; of a row of one version, all that it has.
    pub columns: Vec<ColumnDifference>,
}

/// One column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDifference {
    /// Its name.
    pub column: String,
    /// What the active version has there; none: nothing.
    pub active: Option<String>,
    /// What the shadow has there; none: nothing.
    pub shadow: Option<String>,
}

/// A column that either version declares, and its place in each.
struct Aligned<'a> {
    name: &'a str,
    kinds: (Kind, Kind),
    active: Option<usize>,
    shadow: Option<usize>,
}

/// A row without its key, by which rows are alike.
#[derive(PartialEq, Eq, Hash)]
struct Content<'a> {
    is_deleted: bool,
    cells: Vec<Cell<'a>>,
    extra: Vec<(&'a str, u8, &'a [u8])>,
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// One version's rows of a key.
type Group<'a> = Vec<(Row<'a>, Content<'a>)>;

impl SinkDifference {
    /// So many rows, all alike.
    pub(super) fn none(alike: u64) -> SinkDifference {
        SinkDifference {
            alike,
            ..SinkDifference::default()
        }
    }

    /// How the rows of a sink differ. A version that does not have the sink has no rows.
    pub(super) fn of(active: Option<SinkRows<'_>>, shadow: Option<SinkRows<'_>>) -> SinkDifference {
        let columns = aligned(active, shadow);
        // By key, in the order of their first rows.
        let mut places: HashMap<Vec<&[u8]>, usize> = HashMap::new();
        let mut groups: Vec<(Group<'_>, Group<'_>)> = Vec::new();
        for (rows, is_active) in [(active, true), (shadow, false)] {
            for row in rows.into_iter().flat_map(SinkRows::iter) {
                let at = *places.entry(row.key()).or_insert_with(|| {
                    groups.push(Default::default());
                    groups.len() - 1
                });
                let content = content(row, &columns, is_active);
                let (ours, theirs) = &mut groups[at];
                match is_active {
                    true => ours.push((row, content)),
                    false => theirs.push((row, content)),
                }
            }
        }
        let mut difference = SinkDifference::default();
        for (active, shadow) in groups {
            difference.take_group(active, shadow, &columns);
        }
        difference
    }

    fn take_group(&mut self, active: Group<'_>, shadow: Group<'_>, columns: &[Aligned<'_>]) {
        let pairs = active.iter().zip(&shadow);
        let in_place = pairs.filter(|((_, a), (_, b))| a == b).count();
        if in_place == active.len() && active.len() == shadow.len() {
            self.alike += in_place as u64;
            return;
        }
        let mut counts: HashMap<&Content<'_>, usize> = HashMap::new();
        for (_, content) in &shadow {
            *counts.entry(content).or_default() += 1;
        }
        let mut leave = |content| match counts.get_mut(content) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        };
        let ours: Vec<_> = active.iter().filter(|(_, row)| leave(row)).collect();
        // What is left in the counts has no counterpart; the last ones of several alike.
        let rest = shadow.iter().rev().filter(|(_, row)| {
            let left = counts.get_mut(row).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        });
        let mut theirs: Vec<_> = rest.collect();
        theirs.reverse();
        let alike = active.len() - ours.len();
        match ours.is_empty() && theirs.is_empty() {
            true => {
                self.alike += in_place as u64;
                self.reordered += (alike - in_place) as u64;
            }
            false => self.alike += alike as u64,
        }
        for at in 0..ours.len().max(theirs.len()) {
            let row = |of: &[&(Row<'_>, Content<'_>)]| of.get(at).map(|_| at);
            match (row(&ours), row(&theirs)) {
                (Some(a), Some(b)) => self.differ(ours[a], theirs[b], columns),
                (Some(a), None) => self.alone(ours[a], Side::Active, columns),
                (None, Some(b)) => self.alone(theirs[b], Side::Shadow, columns),
                (None, None) => {}
            }
        }
    }

    /// Both versions have a row of this key, and they differ.
    fn differ(
        &mut self,
        (ours, a): &(Row<'_>, Content<'_>),
        (theirs, b): &(Row<'_>, Content<'_>),
        columns: &[Aligned<'_>],
    ) {
        self.differing += 1;
        let (a, b) = (
            told(*ours, a, columns, true),
            told(*theirs, b, columns, false),
        );
        let mut found = Vec::new();
        for name in a
            .keys()
            .chain(b.keys().filter(|name| !a.contains_key(*name)))
        {
            let (active, shadow) = (a.get(name).cloned(), b.get(name).cloned());
            if active.as_ref().map(|(bytes, _)| bytes) != shadow.as_ref().map(|(bytes, _)| bytes) {
                self.count_column(name, 1);
                found.push(ColumnDifference {
                    column: name.clone(),
                    active: active.map(|(_, shown)| shown),
                    shadow: shadow.map(|(_, shown)| shown),
                });
            }
        }
        self.sample(Side::Both, *ours, found);
    }

    fn count_column(&mut self, name: &str, by: u64) {
        let has_room = self.columns.len() < limits::SHADOW_COLUMNS_MAX;
        let name = match has_room || self.columns.contains_key(name) {
            true => name,
            false => "(others)",
        };
        *self.columns.entry(name.to_owned()).or_default() += by;
    }

    fn alone(
        &mut self,
        (row, content): &(Row<'_>, Content<'_>),
        side: Side,
        columns: &[Aligned<'_>],
    ) {
        let is_active = side == Side::Active;
        match is_active {
            true => self.only_active += 1,
            false => self.only_shadow += 1,
        }
        let cells = told(*row, content, columns, is_active).into_iter();
        let column = |(column, (_, value)): (String, (Vec<u8>, String))| {
            let (active, shadow) = match is_active {
                true => (Some(value), None),
                false => (None, Some(value)),
            };
            ColumnDifference {
                column,
                active,
                shadow,
            }
        };
        self.sample(side, *row, cells.map(column).collect());
    }

    fn sample(&mut self, side: Side, row: Row<'_>, mut columns: Vec<ColumnDifference>) {
        columns.truncate(limits::SHADOW_COLUMNS_MAX);
        let sample = RowSample {
            side,
            key: row.shown_key(),
            columns,
        };
        keep(&mut self.samples, sample, |sample| sample.side);
    }

    /// Adds what a later batch differs by.
    pub(super) fn add(&mut self, later: SinkDifference) {
        self.alike += later.alike;
        self.differing += later.differing;
        self.reordered += later.reordered;
        self.only_active += later.only_active;
        self.only_shadow += later.only_shadow;
        for (name, count) in later.columns {
            self.count_column(&name, count);
        }
        for sample in later.samples {
            keep(&mut self.samples, sample, |sample| sample.side);
        }
    }
}

/// The columns of both, by name.
fn aligned<'a>(active: Option<SinkRows<'a>>, shadow: Option<SinkRows<'a>>) -> Vec<Aligned<'a>> {
    let columns = |side: Option<SinkRows<'a>>| side.map_or(&[][..], |side| &side.spec.columns);
    let (ours, theirs) = (columns(active), columns(shadow));
    let place = |name: &str| theirs.iter().position(|column| column.name == name);
    let both = ours.iter().enumerate().map(|(at, column)| {
        let shadow = place(&column.name);
        Aligned {
            name: &column.name,
            kinds: (
                column.kind,
                shadow.map_or(column.kind, |at| theirs[at].kind),
            ),
            active: Some(at),
            shadow,
        }
    });
    let is_new = |name: &str| ours.iter().all(|column| column.name != name);
    let new = theirs
        .iter()
        .enumerate()
        .filter(|(_, column)| is_new(&column.name));
    let new = new.map(|(at, column)| Aligned {
        name: &column.name,
        kinds: (column.kind, column.kind),
        active: None,
        shadow: Some(at),
    });
    both.chain(new).collect()
}

fn content<'a>(row: Row<'a>, columns: &[Aligned<'_>], is_active: bool) -> Content<'a> {
    let place = |column: &Aligned<'_>| match is_active {
        true => column.active,
        false => column.shadow,
    };
    let own = row.cells();
    let cell = |column| place(column).map_or(Cell::Absent, |at| own[at]);
    let extra = row
        .extra()
        .map(|(name, kind, value)| (name, kind as u8, value));
    let headers = row.headers().into_iter().map(|one| (one.name, one.value));
    Content {
        is_deleted: row.is_deleted(),
        cells: columns.iter().map(cell).collect(),
        extra: extra.collect(),
        headers: headers.collect(),
    }
}

/// All that a row has beside its key, by name: in bytes, which say whether it is the same, and as
/// it is shown.
fn told(
    row: Row<'_>,
    content: &Content<'_>,
    columns: &[Aligned<'_>],
    is_active: bool,
) -> BTreeMap<String, (Vec<u8>, String)> {
    let mut told = BTreeMap::new();
    if content.is_deleted {
        told.insert(DELETED.to_owned(), (vec![1], "(deleted)".to_owned()));
        return told;
    }
    for (column, &cell) in columns.iter().zip(&content.cells) {
        let kind = match is_active {
            true => column.kinds.0,
            false => column.kinds.1,
        };
        let bytes = match cell {
            Cell::Absent => continue,
            Cell::Deleted => vec![0],
            Cell::Value(value) => [&[1], value].concat(),
        };
        let shown = shown_cell(kind, cell).unwrap_or_default();
        told.insert(column.name.to_owned(), (bytes, shown));
    }
    for (name, kind, value) in row.extra() {
        let bytes = [&[1, kind as u8], value].concat();
        told.insert(name.to_owned(), (bytes, shown(kind, value)));
    }
    if !content.headers.is_empty() {
        let one = |(name, value): &(&str, Option<&[u8]>)| {
            let value = value.map(|value| shown(Kind::Text, value));
            format!("{name}={}", value.unwrap_or_else(|| "(none)".to_owned()))
        };
        let all: Vec<_> = content.headers.iter().map(one).collect();
        let bytes = format!("{:?}", content.headers).into_bytes();
        told.insert(
            HEADERS.to_owned(),
            (bytes, shown(Kind::Text, all.join(", ").as_bytes())),
        );
    }
    told
}
