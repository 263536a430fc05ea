//! Copies words to a table, and breaks on some of them in every way in which a guest can break.

mod harm;

use harm::{bomb, dig};
use std::hint::black_box;
use streamhost::{Job, Row, hbase, job, kafka};

#[derive(Row)]
struct Word<'a> {
    #[row(key)]
    word: &'a str,
    #[row("word:length")]
    length: u32,
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
    Word {
        word: text,
        length: length as u32,
    }
}

/// `panic`, `bomb`, `stack` and `loop` do as they are called.
#[job]
pub fn hostile() -> Job {
    kafka("words")
        .try_map(|record| record.text().map(word))
        .to(hbase("words"))
}
