//! Copies a topic, and says in each row which version wrote it: version 2.

use streamhost::{Job, Row, exactly_once, job, kafka};

#[derive(Row)]
struct Stamped<'a> {
    #[row(key)]
    record: &'a str,
    version: u32,
}

/// In transactions, so that a reader sees each record once.
#[job]
pub fn stamps() -> Job {
    kafka("stamps-in")
        .try_map(|record| record.text().map(|text| Stamped { record: text, version: 2 }))
        .to(exactly_once(kafka("stamps-out")))
}
