//! Copies words to a table, and breaks on some of them in every way in which a guest can break.

use std::hint::black_box;
use streamhost::{Job, Row, hbase, job, kafka};

#[derive(Row)]
struct Word<'a> {
    #[row(key)]
    word: &'a str,
    #[row("word:length")]
    length: u32,
}

/// Memory until there is no more.
fn bomb() -> usize {
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

fn word(text: &str) -> Word<'_> {
    let length = match text {
        "panic" => panic!("a record said so"),
        "bomb" => bomb(),
        "stack" => dig(0) as usize,
        "loop" => loop {
            black_box(text);
        },
        _ => text.len(),
    };
    Word { word: text, length: length as u32 }
}

/// `panic`, `bomb`, `stack` and `loop` do as they are called.
#[job]
pub fn hostile() -> Job {
    kafka("words").try_map(|record| record.text().map(word)).to(hbase("words"))
}
