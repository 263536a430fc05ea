//! Orders and payments of one key: those that belong together, and those of either side that stay
//! alone. A row for each, so that a table holds all that the join gave.

use streamhost::{Job, Record, Row, Time, between, fields, hbase, job, kafka, seconds};

#[derive(serde::Serialize, serde::Deserialize)]
struct Entry<'a> {
    key: &'a str,
    id: &'a str,
    time: Time,
}

impl<'a> Entry<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let [key, id, time] = fields(record.text()?, ' ')?;
        let time = time.parse().map_err(|error| format!("the time: {error}"))?;
        Ok(Entry {
            key,
            id,
            time: Time(time),
        })
    }
}

#[derive(Row)]
struct Both {
    #[row(key)]
    pair: String,
    #[row("f:key")]
    key: String,
}

fn both(order: Option<Entry<'_>>, payment: Option<Entry<'_>>) -> Both {
    let id = |entry: &Option<Entry<'_>>| entry.as_ref().map_or("-", |entry| entry.id).to_owned();
    let pair = format!("{}/{}", id(&order), id(&payment));
    let key = order
        .or(payment)
        .map_or_else(String::new, |entry| entry.key.to_owned());
    Both { pair, key }
}

/// A payment is at most two seconds earlier than its order, and five later.
#[job]
pub fn joins() -> Job {
    let payments = kafka("payments")
        .try_map(Entry::parse)
        .timed_by(|entry| entry.time)
        .key_by(|entry| entry.key);
    kafka("orders")
        .try_map(Entry::parse)
        .timed_by(|entry| entry.time)
        .key_by(|entry| entry.key)
        .outer_join(payments, between(seconds(2), seconds(5)), both)
        .to(hbase("both"))
}
