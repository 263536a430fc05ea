//! Page visits from a topic into a table: one line `id,user,url,seconds` in, one row out.

use streamhost::{Job, Record, Row, fields, hbase, job, kafka, seconds};

/// A row of the table. Each field is a column; those marked `key` make the row's key.
#[derive(Row, Clone)]
struct Visit<'a> {
    #[row(key)]
    id: &'a str, // borrowed from the record: nothing is copied
    #[row("visit:user")] // a column is `family:qualifier`
    user: &'a str,
    #[row("visit:url")]
    url: &'a str,
    #[row("visit:seconds")]
    seconds: u64,
}

/// An `Err` sends the record to the dead letters, with this text as the reason.
fn parse(record: Record<'_>) -> Result<Visit<'_>, String> {
    let [id, user, url, seconds] = fields(record.text()?, ',')?;
    let seconds = seconds
        .parse()
        .map_err(|_| format!("the seconds `{seconds}` are not a whole number"))?;
    Ok(Visit {
        id,
        user,
        url,
        seconds,
    })
}

/// The job. Its name is the function's.
#[job]
pub fn kafka_to_hbase_job() -> Job {
    kafka("visits") // `--set source.visits=TOPIC` reads another topic
        .every(seconds(1)) // the batch interval; without it a batch closes as soon as it can
        .try_map(parse)
        .filter(|visit| visit.seconds > 0) // what is filtered out is counted as dropped
        .to(hbase("visits")) // `--set sink.visits=TABLE` writes another table
}
