//! What the highest bids of open auctions come to in each category, as auctions open, move to another
//! category and close, and bids come.

use streamhost::{Job, Record, Row, hbase, job, kafka, ok};

#[derive(Row)]
struct Total<'a> {
    #[row(key)]
    category: &'a str,
    #[row("f:sum")]
    sum: u64,
}

/// An auction with its category; without a value it is closed.
fn auction(record: Record<'_>) -> Result<(&str, Option<&str>), String> {
    let category = match record.has_value() {
        true => Some(record.text()?),
        false => None,
    };
    Ok((record.key_text()?, category))
}

/// Reads `auctions` and `bids`.
#[job]
pub fn totals() -> Job {
    let open = kafka("auctions")
        .try_map(auction)
        .key_by(|(auction, _)| *auction)
        .named("open")
        .table(|_, (_, category)| category);
    let highest = kafka("bids")
        .try_map(|bid| ok((bid.key_text()?, bid.text()?.parse::<u64>()?)))
        .key_by(|(auction, _)| *auction)
        .named("highest")
        .table(|highest, (_, price)| highest.max(Some(price)));
    open.join_table(highest, |_, category, price| (*category, *price))
        .group_by(|_, (category, _)| *category)
        .sum(|(_, price)| *price)
        .map(|change| change.row(|category, sum| Total { category, sum }))
        .to(hbase("totals"))
}
