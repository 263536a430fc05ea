//! Copies a topic, and says in each row which version wrote it. Its variant says where to, and
//! which version it is: `kafka-1`, `kafka-2`, `table-1`, `table-2`. The first one refuses what begins
//! with `bad`.

#[path = "../../variant.rs"]
mod variant;

use streamhost::{Job, Row, exactly_once, hbase, job, kafka};
use variant::variant;

#[derive(Row)]
struct Stamped<'a> {
    #[row(key)]
    record: &'a str,
    #[row("stamp:version")]
    version: u32,
}

/// In transactions where it writes to Kafka, so that a reader sees each record once.
#[job]
pub fn stamps() -> Job {
    let (to, version) = variant().split_once('-').unwrap_or(("kafka", "1"));
    let version = if version == "2" { 2 } else { 1 };
    let stamped = kafka("stamps-in").try_map(move |record| match record.text()? {
        bad if version == 1 && bad.starts_with("bad") => Err(format!("`{bad}` is bad")),
        text => Ok(Stamped {
            record: text,
            version,
        }),
    });
    match to {
        "table" => stamped.to(hbase("stamps-out")),
        _ => stamped.to(exactly_once(kafka("stamps-out"))),
    }
}
