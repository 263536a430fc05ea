//! Words of a socket's lines, counted batch by batch: `('hello', 3)` on the console.

use streamhost::{Job, console, job, seconds, socket};

/// Every second: each word of the lines that came since, and how often it was there.
#[job]
pub fn wordcount() -> Job {
    socket("localhost:9999")
        .every(seconds(1))
        .try_map(|line| line.text()) // an Err goes to the dead letters, with its reason
        .flat_map(str::split_whitespace)
        .key_by(|word| *word)
        .each_batch()
        .count()
        .to(console())
}
