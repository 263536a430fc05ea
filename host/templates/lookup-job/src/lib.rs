//! Orders with the name of their customer: a topic, and a compacted topic that is a table.

use streamhost::{Job, Row, fields, hbase, job, kafka};

/// An order with what the table says of its customer.
#[derive(Row)]
struct Named {
    #[row(key)]
    order: String,
    #[row("order:customer")]
    customer: String,
    #[row("order:cents")]
    cents: u64,
}

/// The job. Its name is the function's.
#[job]
pub fn lookup_job() -> Job {
    // The table: the record's key is the customer's id, its value the name. It is read to its end
    // before the first order, and followed from there on. A record without a value deletes its key.
    let customers = kafka("customers")
        .try_map(|record| Ok::<_, String>((record.key_text()?, record.text()?)))
        .key_by(|(id, _)| *id);
    kafka("orders")
        .try_map(|record| {
            let [order, customer, cents] = fields(record.text()?, ',')?;
            let cents = cents.parse::<u64>().map_err(|e| format!("cents: {e}"))?;
            Ok::<_, String>((order, customer, cents))
        })
        .key_by(|(_, customer, _)| *customer)
        .named("customer-names") // the state's name: the next version of the job goes on with it
        .lookup(customers, |(order, _, cents), customer| Named {
            order: order.to_owned(),
            customer: customer.map_or("unknown", |(_, name)| name).to_owned(),
            cents,
        })
        .to(hbase("orders"))
}
