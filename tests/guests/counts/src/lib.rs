//! Running counts of a topic's lines: for measuring what state of many keys costs.

use streamhost::{Job, exactly_once, job, kafka};

/// Every line is a key.
#[job]
pub fn counts() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .key_by(|line| *line)
        .running()
        .count()
        .to(exactly_once(kafka("counts")))
}
