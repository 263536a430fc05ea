//! Nexmark's queries as jobs. Numbers and meaning are those of https://github.com/nexmark/nexmark.

use crate::events::{Auction, Bid, DAY_MS, Person};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;
use streamhost::flow::Flow;
use streamhost::*;

/// Further than events come behind others.
const DISORDER: Duration = seconds(4);

fn people<'b>() -> Stream<'b, impl Flow<'b, Item = Person> + use<'b>> {
    let people = kafka("person").try_map(|person| person.json::<Person>());
    people.timed_by(|person| Time(person.at))
}

fn auctions<'b>() -> Stream<'b, impl Flow<'b, Item = Auction> + use<'b>> {
    let auctions = kafka("auction").try_map(|auction| auction.json::<Auction>());
    auctions.timed_by(|auction| Time(auction.at))
}

fn bids<'b>() -> Stream<'b, impl Flow<'b, Item = Bid> + use<'b>> {
    let bids = kafka("bid").try_map(|bid| bid.json::<Bid>());
    bids.timed_by(|bid| Time(bid.at))
}

/// Pass through.
#[job]
pub(crate) fn q0() -> Job {
    kafka("bid").try_map(|bid| bid.text()).to(console())
}

/// Prices in euros.
#[job]
pub(crate) fn q1() -> Job {
    bids()
        .map(|bid| {
            format!(
                "{} {} {} {}",
                bid.auction,
                bid.bidder,
                bid.price * 908,
                bid.at
            )
        })
        .to(console())
}

/// Bids of some auctions.
#[job]
pub(crate) fn q2() -> Job {
    let some = bids().filter(|bid| bid.auction % 5 == 0);
    some.map(|bid| format!("{} {}", bid.auction, bid.price))
        .to(console())
}

/// Who in some states sells in a category.
#[job]
pub(crate) fn q3() -> Job {
    let people = people().filter(|person| ["OR", "ID", "CA"].contains(&&*person.state));
    let auctions = auctions()
        .filter(|auction| auction.category == 10)
        .key_by(|auction| auction.seller);
    people
        .key_by(|person| person.id)
        .join(auctions, within(days(365)), |person, auction| {
            format!(
                "{} {} {} {}",
                person.name, person.city, person.state, auction.id
            )
        })
        .to(console())
}

/// Auctions with their bids while they were open.
fn bids_of_auctions<'b>() -> Stream<'b, impl Flow<'b, Item = (Auction, Bid)> + use<'b>> {
    let bids = bids().key_by(|bid| bid.auction);
    auctions()
        .key_by(|auction| auction.id)
        .join(bids, within(days(365)), |auction, bid| (auction, bid))
        .filter(|(auction, bid)| (auction.at..=auction.expires).contains(&bid.at))
}

/// The average of the winning bids of each category.
#[job]
pub(crate) fn q4() -> Job {
    bids_of_auctions()
        .key_by(|(auction, _)| auction.id)
        .table(|best: Option<(u64, u64)>, (auction, bid)| {
            best.max(Some((auction.category, bid.price)))
        })
        .group_by(|_, (category, _)| *category)
        .avg(|(_, price)| *price)
        .to(console())
}

/// The auctions with most bids in ten seconds, every two seconds.
#[job]
pub(crate) fn q5() -> Job {
    bids()
        .key_by(|bid| bid.auction)
        .window(hopping(seconds(10), seconds(2)).watermark(DISORDER))
        .count()
        .map(|counted| (counted.window.start.0, counted.value, vec![counted.key]))
        .key_by(|(start, ..)| *start)
        .each_batch()
        .reduce(|(start, a, mut some), (_, b, more)| match a.cmp(&b) {
            std::cmp::Ordering::Less => (start, b, more),
            std::cmp::Ordering::Greater => (start, a, some),
            std::cmp::Ordering::Equal => {
                some.extend(more);
                some.sort_unstable();
                (start, a, some)
            }
        })
        .map(|hot| format!("{} {:?}", hot.key, (hot.value.1, hot.value.2)))
        .to(console())
}

#[derive(Clone, Serialize, Deserialize)]
enum Event {
    Opens(Auction),
    Bid(Bid),
}

/// An auction that is open, or that is not known yet.
#[derive(Default, Serialize, Deserialize)]
struct Open {
    auction: Option<Auction>,
    bids: Vec<Bid>,
}

/// Auctions that are over, with the bid that won: the highest, and of equal ones the first.
fn winning_bids<'b>() -> Stream<'b, impl Flow<'b, Item = (Auction, Bid)> + use<'b>> {
    auctions()
        .map(Event::Opens)
        .union(bids().map(Event::Bid))
        .key_by(|event| match event {
            Event::Opens(auction) => auction.id,
            Event::Bid(bid) => bid.auction,
        })
        .named("winning")
        .process(
            |_: u64, event, open: &mut Option<Open>, ctx: &mut Context<'_, (Auction, Bid)>| {
                let open = open.get_or_insert_default();
                match event {
                    Event::Bid(bid) => open.bids.push(bid),
                    Event::Opens(auction) => {
                        ctx.timer_at(Time(auction.expires) + DISORDER);
                        open.auction = Some(auction);
                    }
                }
            },
        )
        .on_timer(
            |_: u64, _: Timer, open: &mut Option<Open>, ctx: &mut Context<'_, (Auction, Bid)>| {
                let Some(Open {
                    auction: Some(auction),
                    bids,
                }) = open.take()
                else {
                    return;
                };
                let good = bids
                    .into_iter()
                    .filter(|bid| (auction.at..=auction.expires).contains(&bid.at));
                if let Some(best) =
                    good.max_by_key(|bid| (bid.price, Reverse((bid.at, bid.bidder))))
                {
                    ctx.emit((auction, best));
                }
            },
        )
}

/// The average of each seller's last ten winning bids.
#[job]
pub(crate) fn q6() -> Job {
    winning_bids()
        .key_by(|(auction, _)| auction.seller)
        .table(|last: Option<Vec<(i64, u64, u64)>>, (auction, bid)| {
            let mut last = last.unwrap_or_default();
            last.push((auction.expires, auction.id, bid.price));
            last.sort_unstable();
            Some(last.split_off(last.len().saturating_sub(10)))
        })
        .map_values(|last| {
            last.iter().map(|(.., price)| *price).sum::<u64>() as f64 / last.len() as f64
        })
        .to(console())
}

/// The highest bid of ten seconds.
#[job]
pub(crate) fn q7() -> Job {
    bids()
        .key_by(|_| ())
        .window(tumbling(seconds(10)).watermark(DISORDER))
        .max(|bid| (bid.price, bid.auction, bid.bidder))
        .map(|highest| format!("{} {:?}", highest.window.start.0, highest.value))
        .to(console())
}

/// New people who sell within the same ten seconds.
#[job]
pub(crate) fn q8() -> Job {
    let auctions = auctions().key_by(|auction| auction.seller);
    people()
        .key_by(|person| person.id)
        .join(
            auctions,
            tumbling(seconds(10)).watermark(DISORDER),
            |person, _| (person.id, person.name, person.at.div_euclid(10_000)),
        )
        .key_by(|(id, _, window)| (*id, *window))
        .table(|_, (_, name, _)| Some(name))
        .map(|change| format!("{:?} {}", change.key, change.after.unwrap_or_default()))
        .to(console())
}

/// The winning bid of each auction.
#[job]
pub(crate) fn q9() -> Job {
    winning_bids()
        .map(|(auction, bid)| {
            format!(
                "{} {} {:?}",
                auction.id,
                auction.item,
                (bid.bidder, bid.price)
            )
        })
        .to(console())
}

/// Bids with the day and the minute that they belong to, as a folder by time has them.
#[job]
pub(crate) fn q10() -> Job {
    bids()
        .map(|bid| {
            format!(
                "{} {} {}",
                bid.at.div_euclid(DAY_MS),
                bid.at.rem_euclid(DAY_MS) / 60_000,
                bid.price
            )
        })
        .to(console())
}

/// Bids of each bidder in one session.
#[job]
pub(crate) fn q11() -> Job {
    bids()
        .key_by(|bid| bid.bidder)
        .window(session(seconds(10)).watermark(DISORDER))
        .count()
        .map(|one| format!("{} {} {}", one.key, one.window.start.0, one.value))
        .to(console())
}

/// Bids of each bidder in ten seconds of the batches' time.
#[job]
pub(crate) fn q12() -> Job {
    kafka("bid")
        .try_map(|bid| bid.json::<Bid>())
        .key_by(|bid| bid.bidder)
        .window(tumbling(seconds(10)).processing_time())
        .count()
        .map(|one| format!("{} {}", one.key, one.value))
        .to(console())
}

/// Bids with what a table says of their auction.
#[job]
pub(crate) fn q13() -> Job {
    let side = kafka("auction")
        .try_map(|auction| auction.json::<Auction>())
        .key_by(|auction| auction.id);
    kafka("bid")
        .try_map(|bid| bid.json::<Bid>())
        .key_by(|bid| bid.auction)
        .lookup(side, |bid, auction| {
            auction.map(|auction| format!("{} {} {}", bid.auction, bid.price, auction.item))
        })
        .flat_map(|row| row)
        .to(console())
}

/// Bids of a price, with the time of day and how many `c` the URL has.
#[job]
pub(crate) fn q14() -> Job {
    bids()
        .filter(|bid| (1_000_000..50_000_000).contains(&bid.price))
        .map(|bid| {
            let time = match bid.at.rem_euclid(DAY_MS) / 3_600_000 {
                8..=18 => "day",
                0..=5 | 20..=23 => "night",
                _ => "other",
            };
            let count = bid.url.chars().filter(|c| *c == 'c').count();
            format!("{} {} {time} {count}", bid.auction, bid.price * 908)
        })
        .to(console())
}

/// Bids of a day: all, and those up to a price and up to another, with how many bidders made them.
#[derive(Default, Serialize, Deserialize)]
struct Bidders {
    bids: [u64; 3],
    bidders: [BTreeSet<u64>; 3],
}

impl Bidders {
    fn add(&mut self, bid: Bid) {
        let rank = rank(bid.price);
        self.bids[rank] += 1;
        self.bidders[rank].insert(bid.bidder);
    }

    fn merge(&mut self, more: Bidders) {
        for (rank, bidders) in more.bidders.into_iter().enumerate() {
            self.bids[rank] += more.bids[rank];
            self.bidders[rank].extend(bidders);
        }
    }

    fn shown(&self) -> String {
        let [low, middle, high] = &self.bidders;
        let all: BTreeSet<_> = low.iter().chain(middle).chain(high).collect();
        let distinct = [low, middle, high].map(BTreeSet::len);
        format!("{:?} {} {distinct:?}", self.bids, all.len())
    }
}

pub(crate) fn rank(price: u64) -> usize {
    match price {
        0..10_000 => 0,
        10_000..1_000_000 => 1,
        _ => 2,
    }
}

/// Bids and bidders of each day.
#[job]
pub(crate) fn q15() -> Job {
    bids()
        .key_by(|bid| bid.at.div_euclid(DAY_MS))
        .running()
        .fold(Bidders::default, Bidders::add, Bidders::merge)
        .map(|day| Update {
            key: day.key,
            value: day.value.shown(),
            batch: day.batch,
        })
        .to(console())
}

/// The same of each channel.
#[job]
pub(crate) fn q16() -> Job {
    bids()
        .key_by(|bid| (bid.channel.clone(), bid.at.div_euclid(DAY_MS)))
        .running()
        .fold(Bidders::default, Bidders::add, Bidders::merge)
        .map(|of| Update {
            key: format!("{}/{}", of.key.0, of.key.1),
            value: of.value.shown(),
            batch: of.batch,
        })
        .to(console())
}

/// Figures of each auction and day.
#[job]
pub(crate) fn q17() -> Job {
    bids()
        .key_by(|bid| (bid.auction, bid.at.div_euclid(DAY_MS)))
        .running()
        .aggregate(|each| {
            (
                each.count(),
                each.count_if(|bid| rank(bid.price) == 0),
                each.count_if(|bid| rank(bid.price) == 2),
                each.min(|bid| bid.price),
                each.max(|bid| bid.price),
                each.avg(|bid| bid.price),
                each.sum(|bid| bid.price),
            )
        })
        .map(|of| Update {
            key: format!("{}/{}", of.key.0, of.key.1),
            value: format!("{:?}", of.value),
            batch: of.batch,
        })
        .to(console())
}

/// The last bid of each bidder for each auction.
#[job]
pub(crate) fn q18() -> Job {
    bids()
        .key_by(|bid| (bid.bidder, bid.auction))
        .table(|last: Option<(i64, u64)>, bid| last.max(Some((bid.at, bid.price))))
        .map(|change| {
            change.row(|(bidder, auction), (at, price)| Last {
                bidder,
                auction,
                value: format!("{at} {price}"),
            })
        })
        .to(console())
}

#[derive(Row)]
#[row(separator = "/")]
struct Last {
    #[row(key)]
    bidder: u64,
    #[row(key)]
    auction: u64,
    value: String,
}

/// The ten highest bids of each auction.
#[job]
pub(crate) fn q19() -> Job {
    bids()
        .key_by(|bid| bid.auction)
        .table(|top: Option<Vec<(u64, i64, u64)>>, bid| {
            let mut top = top.unwrap_or_default();
            top.push((bid.price, bid.at, bid.bidder));
            top.sort_unstable_by_key(|bid| Reverse(*bid));
            top.truncate(10);
            Some(top)
        })
        .map_values(|top| format!("{top:?}"))
        .to(console())
}

/// Bids with the auction that they are for, of a category.
#[job]
pub(crate) fn q20() -> Job {
    let bids = bids().key_by(|bid| bid.auction);
    auctions()
        .filter(|auction| auction.category == 10)
        .key_by(|auction| auction.id)
        .join(bids, within(days(365)), |auction, bid| {
            format!(
                "{} {} {} {}",
                bid.auction, bid.bidder, bid.price, auction.item
            )
        })
        .to(console())
}

/// Bids with the number of their channel, as its name or the URL says it.
#[job]
pub(crate) fn q21() -> Job {
    let number = |bid: &Bid| match &*bid.channel.to_lowercase() {
        "apple" => Some("0".to_owned()),
        "google" => Some("1".to_owned()),
        "facebook" => Some("2".to_owned()),
        "baidu" => Some("3".to_owned()),
        _ => {
            let (_, behind) = bid.url.split_once("channel_id=")?;
            Some(behind.split('&').next()?.to_owned())
        }
    };
    bids()
        .flat_map(move |bid| Some(format!("{} {} {}", bid.auction, bid.channel, number(&bid)?)))
        .to(console())
}

/// The folders of URLs.
#[job]
pub(crate) fn q22() -> Job {
    bids()
        .map(|bid| {
            let folders: Vec<&str> = bid.url.split('/').skip(3).take(3).collect();
            format!("{} {}", bid.auction, folders.join(" "))
        })
        .to(console())
}
