//! The example `wordcount` with topics in place of the socket and the console: for tests that read
//! again what they sent, and for measuring what a word costs.

use streamhost::{Job, exactly_once, job, kafka};

/// In transactions, so that a reader sees each batch's counts once.
#[job(name = "wordcount-topic")]
pub fn wordcount_topic() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .flat_map(str::split_whitespace)
        .key_by(|word| *word)
        .each_batch()
        .count()
        .to(exactly_once(kafka("words")))
}
