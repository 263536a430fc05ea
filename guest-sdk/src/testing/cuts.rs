//! Runs a call's input whole and in other cuts, as the host may cut it in any way, and compares
//! what comes of it.

use super::calls::Guest;
use super::model::{Item, Kind, Made, Part, Placed};
use std::collections::BTreeMap;
use std::ops::Range;

/// Beside record by record, an input is cut in two at so many places: enough to tell `(a - b) - c`
/// from `a - (b - c)`.
const PLACES_MAX: usize = 16;
/// The same for an input of more than so many, which takes its time.
const MANY: usize = 1_000;
const PLACES_OF_MANY: usize = 2;

/// What a call made of its whole input, and what other cuts of the input send to the keyed stages.
pub(super) struct Cut {
    pub(super) made: Made,
    pub(super) others: Vec<Vec<Part>>,
}

/// Runs a call over `count` records, groups or pairs. `call` is given a part of them, and the
/// largest event time before it. Panics where what is made of them depends on the cut; accumulators
/// can only be compared once they are merged.
pub(super) fn run(
    guest: &Guest<'_>,
    count: usize,
    largest_ms: i64,
    call: impl Fn(Range<usize>, i64) -> Made,
) -> Cut {
    let made = call(0..count, largest_ms);
    let mut others = Vec::new();
    for (pieces, words) in ways(count) {
        let mut joined = Made {
            rows: vec![Vec::new(); made.rows.len()],
            largest_ms,
            ..Made::default()
        };
        for piece in pieces {
            let first = piece.start;
            let next = guest.quietly(|| call(piece, joined.largest_ms));
            joined.append(next, first);
        }
        assert_eq!(
            Visible::of(&made, guest.kinds),
            Visible::of(&joined, guest.kinds),
            "the job depends on how its records are cut into batches: what it makes of one batch (left) and of the \
             same records {words} (right) differ. Does it keep something between two records?"
        );
        others.push(joined.parts);
    }
    Cut { made, others }
}

/// The cuts, each with words for it.
fn ways(count: usize) -> Vec<(Vec<Range<usize>>, String)> {
    if count < 2 {
        return Vec::new();
    }
    let one_by_one = (0..count).map(|i| i..i + 1).collect();
    let mut ways = vec![(one_by_one, "one by one".to_string())];
    let places = if count > MANY {
        PLACES_OF_MANY
    } else {
        PLACES_MAX.min(count - 1)
    };
    for place in 0..places {
        let at = (place + 1) * count / (places + 1);
        ways.push((
            vec![0..at, at..count],
            format!("cut before the one at {at}"),
        ));
    }
    ways
}

impl Made {
    /// What was made of the records that follow, the first of which is at `first`.
    fn append(&mut self, next: Made, first: usize) {
        self.faults
            .extend(next.faults.into_iter().map(|(at, why)| (first + at, why)));
        for (all, new) in self.rows.iter_mut().zip(next.rows) {
            all.extend(new.into_iter().map(|(at, row)| (first + at, row)));
        }
        self.parts.extend(next.parts.into_iter().map(|mut part| {
            part.positions.iter_mut().for_each(|at| *at += first);
            part
        }));
        self.late.extend(next.late.into_iter().map(|at| first + at));
        self.largest_ms = next.largest_ms;
    }
}

/// What must be the same in any cut.
#[derive(Debug, PartialEq, Eq)]
struct Visible<'a> {
    faults: &'a Placed,
    rows: &'a [Placed],
    late: &'a [usize],
    largest_ms: i64,
    /// By stage and side.
    keyed: BTreeMap<(usize, u8), Went<'a>>,
}

/// What goes to one side of a keyed stage.
#[derive(Debug, Default, PartialEq, Eq)]
struct Went<'a> {
    positions: Vec<usize>,
    /// Where nothing is reduced.
    items: Vec<&'a Item>,
}

impl<'a> Visible<'a> {
    fn of(made: &'a Made, kinds: &[Kind]) -> Self {
        let mut keyed: BTreeMap<(usize, u8), Went<'_>> = BTreeMap::new();
        for part in &made.parts {
            let went = keyed.entry((part.stage, part.side)).or_default();
            went.positions.extend(&part.positions);
            if matches!(kinds[part.stage], Kind::Join { .. } | Kind::Lookup) {
                went.items.extend(&part.items);
            }
        }
        let Made {
            faults,
            rows,
            late,
            largest_ms,
            ..
        } = made;
        Visible {
            faults,
            rows,
            late,
            largest_ms: *largest_ms,
            keyed,
        }
    }
}
