//! In which ways an input is cut into calls, as the host may cut it in any way.

use std::ops::Range;

/// Beside record by record, an input is cut in two at so many places: enough to tell `(a - b) - c`
/// from `a - (b - c)`.
const PLACES_MAX: usize = 16;
/// The same for an input of more than so many, which takes its time.
const MANY: usize = 1_000;
const PLACES_OF_MANY: usize = 2;

/// How many ways there are to cut so many records, groups or pairs, beside leaving them whole.
pub(super) fn ways(count: usize) -> usize {
    match count {
        0 | 1 => 0,
        _ => 1 + places(count),
    }
}

/// The pieces of an input that is cut in one of its ways. One that has no more ways is cut in its
/// last.
pub(super) fn pieces(count: usize, way: usize) -> Vec<Range<usize>> {
    let ends: Vec<usize> = match ways(count).checked_sub(1).map(|last| last.min(way)) {
        None => vec![count],
        Some(0) => (1..=count).collect(),
        Some(way) => vec![cut_at(count, way), count],
    };
    let mut from = 0;
    let piece = |end| std::mem::replace(&mut from, end)..end;
    ends.into_iter().map(piece).collect()
}

/// A way in words.
pub(super) fn in_words(count: usize, way: usize) -> String {
    match way {
        0 => "one by one".into(),
        _ => format!("cut before the one at {}", cut_at(count, way)),
    }
}

fn places(count: usize) -> usize {
    if count > MANY {
        PLACES_OF_MANY
    } else {
        PLACES_MAX.min(count - 1)
    }
}

fn cut_at(count: usize, way: usize) -> usize {
    way * count / (places(count) + 1)
}
