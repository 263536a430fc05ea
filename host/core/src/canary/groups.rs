//! Groups of keyed stages, each merged and finished by the version whose its key is.

use super::pick::{Picked, picked};
use super::{CanaryPlan, Side};
use crate::contract::{Combined, GroupFault, KeyOutcome, Made};
use crate::types::Column;

/// What a side is asked, and which of all items these are.
pub type Part<T> = (T, Vec<usize>);

/// What is asked of each side, by the items' keys.
pub fn split<T: Picked>(plan: &CanaryPlan, keys: &Column, asked: &T) -> [Part<T>; 2] {
    let of_canary: Vec<bool> = keys
        .iter()
        .map(|key| plan.side_of(key) == Side::Canary)
        .collect();
    [false, true].map(|side| picked(asked, |i| of_canary[i] == side))
}

fn placed(faults: Vec<GroupFault>, numbers: &[usize]) -> impl Iterator<Item = GroupFault> {
    faults.into_iter().map(|fault| GroupFault {
        at: numbers[fault.at],
        ..fault
    })
}

/// The accumulators of all groups in their order.
pub fn join_combined(groups: usize, sides: [(Combined, &[usize]); 2]) -> Combined {
    let mut places = vec![(0, 0); groups];
    for (side, (_, numbers)) in sides.iter().enumerate() {
        numbers
            .iter()
            .enumerate()
            .for_each(|(i, &number)| places[number] = (side, i));
    }
    let mut joined = Combined::default();
    for (side, i) in places {
        joined.accumulators.push(sides[side].0.accumulators.get(i));
    }
    for (combined, numbers) in sides {
        joined.faults.extend(placed(combined.faults, numbers));
    }
    joined.faults.sort_by_key(|fault| fault.at);
    joined
}

/// The rows of all groups, the active version's first: no key has rows of both.
pub fn join_made(plan: &CanaryPlan, sides: [(Made, &[usize]); 2]) -> Made {
    let mut joined = Made {
        rows: vec![Vec::new(); plan.spec.sinks.len()],
        ..Made::default()
    };
    for ((made, numbers), layouts) in sides.into_iter().zip(&plan.layouts) {
        for ((into, rows), layout) in joined.rows.iter_mut().zip(made.rows).zip(layouts) {
            into.extend(rows.into_iter().map(|rows| layout.laid(rows)));
        }
        joined.keyed.extend(made.keyed);
        joined.faults.extend(placed(made.faults, numbers));
        let outcomes = made.outcomes.into_iter().map(|outcome| KeyOutcome {
            at: numbers[outcome.at],
            ..outcome
        });
        joined.outcomes.extend(outcomes);
    }
    joined.outcomes.sort_by_key(|outcome| outcome.at);
    joined.faults.sort_by_key(|fault| fault.at);
    joined
}
