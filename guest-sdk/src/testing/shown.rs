//! What a reader of a test can tell of an answer.

use super::text;
use std::collections::BTreeMap;
use streamhost_core::contract::{Answer, KeyOutcome};
use streamhost_core::job::{JobSpec, StageKind};
use streamhost_core::types::Keyed;

/// Words about records, groups or pairs, each with its position.
type Placed = Vec<(usize, String)>;

/// What one call, or several over one input, made of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) faults: Placed,
    /// By sink.
    pub(super) rows: Vec<Placed>,
    late: Vec<usize>,
    largest_ms: i64,
    /// By key: what is kept, and what was refused.
    outcomes: Vec<KeyOutcome>,
    /// By stage and side.
    keyed: BTreeMap<(u32, u8), Went>,
}

/// What goes to one side of a keyed stage.
#[derive(Debug, Default, PartialEq, Eq)]
struct Went {
    /// The positions that went in.
    positions: Vec<usize>,
    items: Vec<Item>,
}

/// A partial accumulator, or an item of a join or lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    key: Vec<u8>,
    value: Vec<u8>,
    time_ms: i64,
    until_ms: Option<i64>,
    deleted: bool,
}

impl Shown {
    /// Of a checked answer.
    pub(super) fn of(answer: &Answer, spec: &JobSpec) -> Shown {
        let mut shown = Shown::default();
        shown.append(answer, 0, spec);
        shown
    }

    /// Adds what was made of the records that follow, the first of which is at `first`.
    pub(super) fn append(&mut self, answer: &Answer, first: usize, spec: &JobSpec) {
        let at = |position: &u32| first + *position as usize;
        let faults = answer.faults.iter();
        self.faults
            .extend(faults.map(|(position, why)| (at(position), why.clone())));
        self.rows.resize(spec.sinks.len(), Placed::new());
        for ((all, rows), sink) in self.rows.iter_mut().zip(&answer.rows).zip(&spec.sinks) {
            let places = rows.positions.iter().map(at);
            all.extend(places.zip(text::rows(rows, sink)));
        }
        self.late.extend(answer.late.iter().map(at));
        self.largest_ms = answer.largest_ms;
        let outcomes = answer.outcomes.iter().cloned();
        self.outcomes.extend(outcomes.map(|outcome| KeyOutcome {
            at: first + outcome.at,
            ..outcome
        }));
        for keyed in &answer.keyed {
            let went = self.keyed.entry((keyed.stage, keyed.side)).or_default();
            went.positions.extend(keyed.positions.iter().map(at));
            went.items
                .extend((0..keyed.keys.len()).map(|i| item(keyed, i)));
        }
    }

    /// What must be the same however the calls were cut: accumulators are of one call's records,
    /// and can be compared only once they are merged.
    pub(super) fn without_accumulators(mut self, spec: &JobSpec) -> Shown {
        for ((stage, _), went) in &mut self.keyed {
            let kind = spec.stages[*stage as usize - spec.sources.len()].kind;
            if !matches!(
                kind,
                StageKind::Join(_) | StageKind::Lookup | StageKind::Process(_)
            ) {
                went.items.clear();
            }
        }
        self
    }

    /// The same to a reader: numbers with a fraction may differ in their last digits, as the order
    /// of additions shows there. What goes on to another stage cannot be read here, so with floats
    /// in it only its keys are compared.
    pub(super) fn is_like(&self, other: &Shown, floats: bool) -> bool {
        let same_rows = |(a, b): (&Placed, &Placed)| {
            a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| text::near(a, b))
        };
        let items = |shown: &Shown| -> Vec<Item> {
            let items = shown.keyed.values().flat_map(|went| went.items.clone());
            items
                .map(|item| Item {
                    value: if floats { Vec::new() } else { item.value },
                    ..item
                })
                .collect()
        };
        self.faults.len() == other.faults.len()
            && self.rows.iter().zip(&other.rows).all(same_rows)
            && items(self) == items(other)
    }

    /// All of it on one line.
    pub(super) fn in_words(&self) -> String {
        let rows = self.rows.iter().flatten();
        let faults = self.faults.iter();
        let items = self.keyed.values().flat_map(|went| &went.items);
        let all: Vec<String> = rows
            .map(|(_, row)| format!("`{row}`"))
            .chain(faults.map(|(_, why)| format!("the fault `{why}`")))
            .chain(items.map(|item| format!("{:?}", item.value)))
            .collect();
        if all.is_empty() {
            "nothing".into()
        } else {
            all.join(", ")
        }
    }
}

fn item(keyed: &Keyed, i: usize) -> Item {
    Item {
        key: keyed.keys.get(i).to_vec(),
        value: keyed.values.get(i).to_vec(),
        time_ms: keyed.times_ms[i],
        until_ms: keyed.until_ms.get(i).copied(),
        deleted: keyed.deleted.binary_search(&(i as u32)).is_ok(),
    }
}
