//! Kafka, the gateway or HBase goes away and comes back: the job waits, says so, and the table is
//! right.

use std::time::Instant;
use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::{Server, Servers, Verb};
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::stamping::{Into, Stamping, numbered};

/// `server` is killed under a running job, and started again once the job says that it waits for
/// something with `named` in its words.
fn outage(server: Server, named: &str) {
    let (_guard, servers) = Servers::alone();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let host = Host::serve(servers);
    let job = unique("outage");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    host.deploy_clicks(&job);
    let feed = Feed::start(&servers.kafka, &job, sizes.outage_rate, Clicks::new(seed));
    host.wait_records(&job, u64::from(sizes.outage_rate), LATE);

    let killed = Instant::now();
    servers.tell(server, Verb::Kill);
    let status = host.wait_state(&job, "retrying", LATE);
    println!("{server:?}: retrying after {:?}", killed.elapsed());
    let what = status["waiting_for"]["what"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    assert!(
        what.contains(named),
        "says that it waits for {named}: {status}"
    );
    assert!(
        status["waiting_for"]["since"].is_string(),
        "says since when: {status}"
    );
    servers.tell(server, Verb::Start);
    println!("{server:?}: back after {:?}", killed.elapsed());

    let status = host.wait_state(&job, "running", LATE);
    println!("{server:?}: running after {:?}", killed.elapsed());
    assert!(status["waiting_for"].is_null(), "{status}");
    let records = feed.stop().expect("all records sent");
    host.wait_records(&job, records, LATE);
    println!("{server:?}: caught up after {:?}", killed.elapsed());
    outside::clicks_are_right(
        &servers.kafka,
        &job,
        &servers.gateway,
        &job,
        &format!("{job}.dead-letters"),
    );
}

#[test]
fn kafka_is_killed_and_comes_back() {
    outage(Server::Kafka, "kafka");
}

#[test]
fn the_gateway_is_killed_and_comes_back() {
    outage(Server::Gateway, "hbase");
}

#[test]
fn hbase_is_killed_behind_its_gateway_and_comes_back() {
    outage(Server::Hbase, "hbase");
}

#[test]
fn a_kafka_that_hangs_does_not_hold_a_pause() {
    let (_guard, servers) = Servers::alone();
    let host = Host::serve(servers);
    let stamping = Stamping::new(servers, Into::Kafka);
    let (job, sizes) = (&stamping.job, sizes());
    let feed = Feed::start(&servers.kafka, job, sizes.outage_rate, (0..).map(numbered));
    stamping.deploy(&host, 1);
    host.wait_records(job, u64::from(sizes.outage_rate), LATE);

    let frozen = servers.freeze(Server::Kafka);
    let asked = Instant::now();
    host.cli(["pause", job]).ok();
    println!("paused after {:?}", asked.elapsed());
    assert!(
        asked.elapsed() < SOON,
        "the pause took {:?}, and Kafka's client waits for minutes",
        asked.elapsed()
    );
    drop(frozen);

    host.cli(["resume", job]).ok();
    let records = feed.stop().expect("all records sent");
    host.wait_records(job, records, LATE);
    assert_eq!(
        stamping.stamps(records).len(),
        PARTITIONS as usize,
        "each record once, in every partition"
    );
}
