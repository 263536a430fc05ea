//! What the queries come to: loops over all events, which know nothing of streams.

use crate::events::{Auction, Bid, DAY_MS, Events};
use crate::queries::rank;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

type Rows = Vec<String>;
type Table = BTreeMap<String, String>;

fn of_bids(events: &Events, row: impl Fn(&Bid) -> Option<String>) -> Rows {
    events.bids.iter().filter_map(row).collect()
}

pub(crate) fn q0(events: &Events) -> Rows {
    of_bids(events, |bid| serde_json::to_string(bid).ok())
}

pub(crate) fn q1(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let Bid {
            auction,
            bidder,
            price,
            at,
            ..
        } = bid;
        Some(format!("{auction} {bidder} {} {at}", price * 908))
    })
}

pub(crate) fn q2(events: &Events) -> Rows {
    of_bids(events, |bid| {
        (bid.auction % 5 == 0).then(|| format!("{} {}", bid.auction, bid.price))
    })
}

pub(crate) fn q3(events: &Events) -> Rows {
    let mut rows = Rows::new();
    for person in &events.people {
        for auction in &events.auctions {
            let is_one = person.state != "AZ" && auction.category == 10;
            if is_one && auction.seller == person.id {
                rows.push(format!(
                    "{} {} {} {}",
                    person.name, person.city, person.state, auction.id
                ));
            }
        }
    }
    rows
}

/// Auctions with the bid that won.
fn winning(events: &Events) -> Vec<(&Auction, &Bid)> {
    let of = |auction: &Auction, bid: &&Bid| {
        bid.auction == auction.id && bid.at >= auction.at && bid.at <= auction.expires
    };
    let won = events.auctions.iter().filter_map(|auction| {
        let bids = events.bids.iter().filter(|bid| of(auction, bid));
        Some((
            auction,
            bids.max_by_key(|bid| (bid.price, Reverse((bid.at, bid.bidder))))?,
        ))
    });
    won.collect()
}

fn mean(prices: &[u64]) -> f64 {
    prices.iter().sum::<u64>() as f64 / prices.len() as f64
}

pub(crate) fn q4(events: &Events) -> Table {
    let mut all: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (auction, bid) in winning(events) {
        all.entry(auction.category).or_default().push(bid.price);
    }
    all.into_iter()
        .map(|(category, prices)| (category.to_string(), format!("{:?}", mean(&prices))))
        .collect()
}

pub(crate) fn q5(events: &Events) -> Rows {
    let mut windows: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
    for bid in &events.bids {
        for hop in 0..5 {
            let start = bid.at.div_euclid(2_000) * 2_000 - hop * 2_000;
            *windows
                .entry(start)
                .or_default()
                .entry(bid.auction)
                .or_default() += 1;
        }
    }
    let hot = windows.into_iter().map(|(start, counts)| {
        let most = counts.values().max().copied().unwrap_or_default();
        let some: Vec<u64> = counts
            .into_iter()
            .filter(|(_, count)| *count == most)
            .map(|(auction, _)| auction)
            .collect();
        format!("{start} {:?}", (most, some))
    });
    hot.collect()
}

pub(crate) fn q6(events: &Events) -> Table {
    let mut all: BTreeMap<u64, Vec<(i64, u64, u64)>> = BTreeMap::new();
    for (auction, bid) in winning(events) {
        all.entry(auction.seller)
            .or_default()
            .push((auction.expires, auction.id, bid.price));
    }
    let average = |(seller, mut sold): (u64, Vec<(i64, u64, u64)>)| {
        sold.sort_unstable();
        let last: Vec<u64> = sold
            .iter()
            .rev()
            .take(10)
            .map(|(.., price)| *price)
            .collect();
        (seller.to_string(), format!("{:?}", mean(&last)))
    };
    all.into_iter().map(average).collect()
}

pub(crate) fn q7(events: &Events) -> Rows {
    let mut highest = BTreeMap::new();
    for bid in &events.bids {
        let best = highest
            .entry(bid.at.div_euclid(10_000) * 10_000)
            .or_insert((0, 0, 0));
        *best = (*best).max((bid.price, bid.auction, bid.bidder));
    }
    highest
        .into_iter()
        .map(|(start, best)| format!("{start} {best:?}"))
        .collect()
}

pub(crate) fn q8(events: &Events) -> Rows {
    let mut rows = BTreeSet::new();
    for person in &events.people {
        let window = person.at.div_euclid(10_000);
        let mut sold = events
            .auctions
            .iter()
            .filter(|auction| auction.seller == person.id);
        if sold.any(|auction| auction.at.div_euclid(10_000) == window) {
            rows.insert(format!("{:?} {}", (person.id, window), person.name));
        }
    }
    rows.into_iter().collect()
}

pub(crate) fn q9(events: &Events) -> Rows {
    let row = |(auction, bid): (&Auction, &Bid)| {
        format!(
            "{} {} {:?}",
            auction.id,
            auction.item,
            (bid.bidder, bid.price)
        )
    };
    winning(events).into_iter().map(row).collect()
}

pub(crate) fn q10(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let (day, minutes) = (bid.at / DAY_MS, bid.at / 60_000);
        Some(format!("{day} {} {}", minutes - day * 24 * 60, bid.price))
    })
}

pub(crate) fn q11(events: &Events) -> Rows {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for bid in &events.bids {
        times.entry(bid.bidder).or_default().push(bid.at);
    }
    let mut rows = Rows::new();
    for (bidder, mut times) in times {
        times.sort_unstable();
        // Windows that touch are one, as in Flink.
        for session in times.chunk_by(|a, b| b - a <= 10_000) {
            rows.push(format!("{bidder} {} {}", session[0], session.len()));
        }
    }
    rows
}

/// By bidder, as which batch has which bid is the test's own affair.
pub(crate) fn q12(events: &Events) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for bid in &events.bids {
        *counts.entry(bid.bidder).or_default() += 1;
    }
    counts
}

pub(crate) fn q13(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let auction = events
            .auctions
            .iter()
            .find(|auction| auction.id == bid.auction)?;
        Some(format!("{} {} {}", bid.auction, bid.price, auction.item))
    })
}

pub(crate) fn q14(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let hour = bid.at % DAY_MS / 3_600_000;
        let time = if (8..=18).contains(&hour) {
            "day"
        } else if !(6..20).contains(&hour) {
            "night"
        } else {
            "other"
        };
        let count = bid.url.matches('c').count();
        let is_one = bid.price >= 1_000_000 && bid.price < 50_000_000;
        is_one.then(|| format!("{} {} {time} {count}", bid.auction, bid.price * 908))
    })
}

fn bidders(bids: &[&Bid]) -> String {
    let of = |wanted: usize| bids.iter().filter(move |bid| rank(bid.price) == wanted);
    let counts = [0, 1, 2].map(|rank| of(rank).count());
    let distinct = [0, 1, 2].map(|rank| {
        of(rank)
            .map(|bid| bid.bidder)
            .collect::<BTreeSet<_>>()
            .len()
    });
    let all: BTreeSet<u64> = bids.iter().map(|bid| bid.bidder).collect();
    format!("{counts:?} {} {distinct:?}", all.len())
}

fn groups(events: &Events, key: impl Fn(&Bid) -> String) -> BTreeMap<String, Vec<&Bid>> {
    let mut groups: BTreeMap<String, Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        groups.entry(key(bid)).or_default().push(bid);
    }
    groups
}

pub(crate) fn q15(events: &Events) -> Table {
    let days = groups(events, |bid| (bid.at / DAY_MS).to_string());
    days.into_iter()
        .map(|(key, bids)| (key, bidders(&bids)))
        .collect()
}

pub(crate) fn q16(events: &Events) -> Table {
    let days = groups(events, |bid| format!("{}/{}", bid.channel, bid.at / DAY_MS));
    days.into_iter()
        .map(|(key, bids)| (key, bidders(&bids)))
        .collect()
}

pub(crate) fn q17(events: &Events) -> Table {
    let days = groups(events, |bid| format!("{}/{}", bid.auction, bid.at / DAY_MS));
    let figures = |bids: Vec<&Bid>| {
        let prices: Vec<u64> = bids.iter().map(|bid| bid.price).collect();
        let of = |wanted: usize| {
            prices
                .iter()
                .filter(|price| rank(**price) == wanted)
                .count()
        };
        let (least, most) = (
            prices.iter().min().expect("one"),
            prices.iter().max().expect("one"),
        );
        let sum: u64 = prices.iter().sum();
        format!(
            "{:?}",
            (prices.len(), of(0), of(2), least, most, mean(&prices), sum)
        )
    };
    days.into_iter()
        .map(|(key, bids)| (key, figures(bids)))
        .collect()
}

pub(crate) fn q18(events: &Events) -> Table {
    let pairs = groups(events, |bid| format!("{}/{}", bid.bidder, bid.auction));
    let last = |bids: Vec<&Bid>| {
        let (at, price) = bids
            .iter()
            .map(|bid| (bid.at, bid.price))
            .max()
            .expect("one");
        format!("{at} {price}")
    };
    pairs
        .into_iter()
        .map(|(key, bids)| (key, last(bids)))
        .collect()
}

pub(crate) fn q19(events: &Events) -> Table {
    let top = |mut bids: Vec<&Bid>| {
        bids.sort_by_key(|bid| Reverse((bid.price, bid.at, bid.bidder)));
        let top: Vec<_> = bids
            .iter()
            .take(10)
            .map(|bid| (bid.price, bid.at, bid.bidder))
            .collect();
        format!("{top:?}")
    };
    let auctions = groups(events, |bid| bid.auction.to_string());
    auctions
        .into_iter()
        .map(|(key, bids)| (key, top(bids)))
        .collect()
}

pub(crate) fn q20(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let mut auctions = events.auctions.iter();
        let auction =
            auctions.find(|auction| auction.id == bid.auction && auction.category == 10)?;
        Some(format!(
            "{} {} {} {}",
            bid.auction, bid.bidder, bid.price, auction.item
        ))
    })
}

pub(crate) fn q21(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let known = [
            ("apple", "0"),
            ("Google", "1"),
            ("FACEBOOK", "2"),
            ("baidu", "3"),
        ];
        let named = known.iter().find(|(name, _)| *name == bid.channel);
        let of_url = || {
            bid.url
                .rsplit("channel_id=")
                .next()
                .filter(|rest| !rest.contains('/'))
        };
        let number = named.map(|(_, number)| *number).or_else(of_url)?;
        Some(format!("{} {} {number}", bid.auction, bid.channel))
    })
}

pub(crate) fn q22(events: &Events) -> Rows {
    of_bids(events, |bid| {
        let path = bid.url.strip_prefix("https://www.nexmark.com/")?;
        let (folders, _) = path.split_once("/item.htm")?;
        Some(format!("{} {}", bid.auction, folders.replace('/', " ")))
    })
}
