//! What words make the guest do.

use std::hint::black_box;

/// Memory until there is no more.
fn bomb() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1u8; 1 << 20]));
        black_box(hoard.len());
    }
}

/// Calls until the stack is full.
fn dig(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(depth) == u64::MAX {
        return depth; // never, but the compiler is not to know
    }
    frame[1] + dig(depth + 1) + black_box(frame)[2]
}

/// `merge-panic`, `merge-bomb`, `merge-stack`, `merge-loop` do as they are called where accumulators are merged, and
/// those with `finish` behind the reduction.
pub(crate) fn harm(place: &str, word: &str) {
    match word.strip_prefix(place).and_then(|word| word.strip_prefix('-')) {
        Some("panic") => panic!("a word for the {place} said so"),
        Some("bomb") => bomb(),
        Some("stack") => _ = black_box(dig(0)),
        Some("loop") => loop {
            black_box(word);
        },
        _ => {}
    }
}
