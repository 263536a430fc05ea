//! Counts the lines that it sees, and measures them; breaks on those that have `boom` in them.

use streamhost::{Job, Row, counter, hbase, histogram, job, kafka};

#[derive(Row)]
struct Line<'a> {
    #[row(key)]
    text: &'a str,
    #[row("f:bytes")]
    bytes: u64,
}

/// Reads `counted-in`.
#[job]
pub fn counted() -> Job {
    let (lines, bytes) = (counter("lines"), histogram("bytes"));
    kafka("counted-in")
        .try_map(|line| line.text())
        .inspect(move |text| {
            lines.inc();
            bytes.observe(text.len() as u64);
        })
        .map(|text| {
            assert!(!text.contains("boom"), "`{text}` is not to be had");
            Line {
                text,
                bytes: text.len() as u64,
            }
        })
        .to(hbase("counted-out"))
}
