//! Sales of each shop and minute, by the time of the sale: JSON in, a row for each window out.

use serde::Deserialize;
use streamhost::{Group, Job, Row, Time, hbase, job, kafka, minutes, seconds, tumbling};

/// What is taken from a record; other fields may be there.
#[derive(Deserialize)]
struct Sale<'a> {
    shop: &'a str,
    cents: u64,
    /// Milliseconds since 1970, UTC.
    at: i64,
}

/// One shop in one minute. Two key fields make the key `shop#start`.
#[derive(Row)]
#[row(separator = "#")]
struct ShopMinute<'a> {
    #[row(key)]
    shop: &'a str,
    #[row(key)]
    start: Time,
    #[row("sales:cents")]
    cents: u64,
}

/// The job. Its name is the function's.
#[job]
pub fn window_job() -> Job {
    kafka("sales")
        .try_map(|record| record.json::<Sale>())
        .timed_by(|sale| Time(sale.at)) // event time; without it, the Kafka record's own time
        .key_by(|sale| sale.shop)
        .named("sales-by-minute") // the state's name: the next version of the job goes on with it
        // A sale may come 10 s behind the newest one of its partition; what comes later is counted
        // as late (`.late_to(sink)` keeps it). A window is given out once, when it is over.
        .window(tumbling(minutes(1)).watermark(seconds(10)))
        .sum(|sale| sale.cents)
        .map(
            |Group {
                 key, value, window, ..
             }| ShopMinute {
                shop: key,
                start: window.start,
                cents: value,
            },
        )
        .to(hbase("sales"))
}
