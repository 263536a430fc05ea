//! Tables that change, joined and summed up: whatever is killed, swapped or run on how many lanes,
//! what is written in the end is what the tables come to.

use std::collections::BTreeMap;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::{create_topic, fill};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, seed};
use streamhost_tests::wait::wait_until;

const PARTITIONS: i32 = 3;
const AUCTIONS: u64 = 60;
const RECORDS: u64 = 4_000;

/// All of one auction in one partition, in order.
fn record(auction: u64, value: Option<String>) -> Record {
    Record {
        key: Some(format!("auction{auction}").into_bytes()),
        value: value.map(String::into_bytes),
        partition: Some(auction as i32 % PARTITIONS),
        time_ms: None,
    }
}

/// What auctions became, what was bid, and what that comes to by category.
fn history(random: &mut Random) -> (Vec<Record>, Vec<Record>, BTreeMap<String, String>) {
    let (mut open, mut highest) = (BTreeMap::new(), BTreeMap::new());
    let mut auctions = Vec::new();
    for n in 0..RECORDS {
        let auction = random.below(AUCTIONS);
        // One category is empty in the end: what it had is deleted.
        let categories = if n < RECORDS / 2 { 6 } else { 5 };
        let category = format!("category{}", random.below(categories));
        let stays = random.percent(70);
        match stays {
            true => drop(open.insert(auction, category.clone())),
            false => drop(open.remove(&auction)),
        }
        auctions.push(record(auction, stays.then_some(category)));
    }
    for auction in 0..AUCTIONS {
        open.insert(auction, format!("category{}", auction % 4));
        auctions.push(record(auction, Some(open[&auction].clone())));
    }
    let mut bids = Vec::new();
    for n in 0..RECORDS {
        // Half of the auctions have no bid.
        let auction = random.below(AUCTIONS / 2) * 2;
        let price = 10 + n / 3 + random.below(20);
        let best: &mut u64 = highest.entry(auction).or_default();
        *best = price.max(*best);
        bids.push(record(auction, Some(price.to_string())));
    }
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (auction, price) in &highest {
        *sums.entry(open[auction].clone()).or_default() += price;
    }
    let sums = sums
        .into_iter()
        .map(|(category, sum)| (category, sum.to_string()));
    (auctions, bids, sums.collect())
}

#[test]
fn sums_over_joined_tables_are_right_whatever_happens() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let (auctions, bids, want) = history(&mut Random::new(seed));
    assert!(want.len() >= 2, "{want:?}");
    let topics = [unique("auctions"), unique("bids")];
    let mut records = 0;
    for (topic, all) in topics.iter().zip([auctions, bids]) {
        create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
        records += fill(&servers.kafka, topic, all.into_iter()).expect("a full topic");
    }
    let totals = component("tests/guests/totals");
    for lanes in [1, 2] {
        let mut host = Host::serve_on(lanes, servers);
        let job = unique("totals");
        let set = [
            format!("source.auctions={}", topics[0]),
            format!("source.bids={}", topics[1]),
            format!("sink.totals={job}"),
            "limits.batch-records=200".to_owned(),
        ];
        host.deploy_as(&totals, &job, &set, &["--create-tables"])
            .ok();
        for part in [1, 2, 4] {
            host.wait_records(&job, records * part / 5, LATE);
            host.kill();
            host.restart();
        }
        host.wait_records(&job, records, LATE);
        let status = host.status(&job);
        assert_eq!(status["dead_letters"], 0, "{status}");
        let found = || -> BTreeMap<String, String> {
            let cells = outside::column(&servers.gateway, &job, "f:sum");
            cells
                .into_iter()
                .map(|(key, cell)| (key, cell.value))
                .collect()
        };
        wait_until("the table is right", LATE, || found() == want);
    }
}
