//! Ways to use all that there is. The keyed guest of this kind has them too.

use std::hint::black_box;

/// Memory until there is no more.
pub(crate) fn bomb() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1u8; 1 << 20]));
        black_box(hoard.len());
    }
}

/// Calls until the stack is full.
pub(crate) fn dig(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(depth) == u64::MAX {
        return depth; // never, but the compiler is not to know
    }
    frame[1] + dig(depth + 1) + black_box(frame)[2]
}
