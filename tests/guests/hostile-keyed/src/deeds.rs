//! What words make the guest do.

#[path = "../../hostile/src/harm.rs"]
mod harm;

use harm::{bomb, dig};
use std::hint::black_box;

/// `merge-panic`, `merge-bomb`, `merge-stack`, `merge-loop` do as they are called where
/// accumulators are merged, and those with `finish` behind the reduction.
pub(crate) fn harm(place: &str, word: &str) {
    match word
        .strip_prefix(place)
        .and_then(|word| word.strip_prefix('-'))
    {
        Some("panic") => panic!("a word for the {place} said so"),
        Some("bomb") => bomb(),
        Some("stack") => _ = black_box(dig(0)),
        Some("loop") => loop {
            black_box(word);
        },
        _ => {}
    }
}
