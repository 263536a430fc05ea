//! Orders paired with their payments: two topics in, one row for each pair out.

use streamhost::{Job, Row, Time, exactly_once, fields, job, kafka, minutes, within};

/// A line `order,item,milliseconds`.
struct Order<'a> {
    id: &'a str,
    item: &'a str,
    at: Time,
}

/// A paid order, written to a topic as JSON with the order's id as the key.
#[derive(Row)]
struct Paid {
    #[row(key)]
    order: String,
    #[row("item")]
    item: String,
    #[row("cents")]
    cents: u64,
}

fn time(text: &str) -> Result<Time, String> {
    let milliseconds = text.parse();
    milliseconds
        .map(Time)
        .map_err(|_| format!("`{text}` is not a time in milliseconds"))
}

/// The job. Its name is the function's.
#[job]
pub fn join_job() -> Job {
    let payments = kafka("payments")
        .try_map(|record| {
            let [order, cents, at] = fields(record.text()?, ',')?;
            let cents = cents.parse::<u64>().map_err(|e| format!("cents: {e}"))?;
            Ok::<_, String>((order, cents, time(at)?))
        })
        .timed_by(|(_, _, at)| *at)
        .key_by(|(order, _, _)| *order);
    kafka("orders")
        .try_map(|record| {
            let [id, item, at] = fields(record.text()?, ',')?;
            Ok::<_, String>(Order {
                id,
                item,
                at: time(at)?,
            })
        })
        .timed_by(|order| order.at)
        .map(|order| (order.id, order.item))
        .key_by(|(id, _)| *id) // both sides by the same key
        .named("paid") // the state's name: the next version of the job goes on with it
        // At most ten minutes apart in event time, whichever comes first. `.left_join` also gives
        // orders without a payment.
        .join(
            payments,
            within(minutes(10)),
            |(id, item), (_, cents, _)| Paid {
                order: id.to_owned(),
                item: item.to_owned(),
                cents,
            },
        )
        .to(exactly_once(kafka("paid"))) // one transaction for each batch
}
