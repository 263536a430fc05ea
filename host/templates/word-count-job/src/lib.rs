//! How often each word was seen, over all time: lines in, a row for each word that changed out.

use streamhost::{Job, Row, Update, hbase, job, kafka, seconds};

/// A word's row; each batch that holds the word writes it again.
#[derive(Row)]
struct Word<'a> {
    #[row(key)]
    word: &'a str,
    #[row("w:count")]
    count: u64,
}

/// The job. Its name is the function's.
#[job]
pub fn word_count_job() -> Job {
    kafka("lines")
        .every(seconds(1))
        .try_map(|line| line.text()) // not UTF-8: a dead letter
        .flat_map(str::split_whitespace)
        .key_by(|word| *word) // brings together what has one key, from all partitions
        .named("words") // the state's name: the next version of the job goes on with it
        .running() // over all time; `.expire_after(days)` forgets silent keys
        .count() // gives a u64 for each key that the batch changed
        .map(|Update { key, value, .. }| Word {
            word: key,
            count: value,
        })
        .to(hbase("words"))
}
