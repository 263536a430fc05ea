//! Keeps texts that are long enough, by a parameter, and says how long they must be.

use streamhost::{Job, Row, hbase, job, kafka, param};

#[derive(Row)]
struct Text<'a> {
    #[row(key)]
    text: &'a str,
    #[row("f:least")]
    least: u64,
}

/// Reads `texts-in`.
#[job]
pub fn texts() -> Job {
    let least = param::<u64>("least-length", 3);
    kafka("texts-in")
        .try_map(|record| record.text())
        .filter(move |text| text.len() as u64 >= least)
        .map(move |text| Text { text, least })
        .to(hbase("texts-out"))
}
