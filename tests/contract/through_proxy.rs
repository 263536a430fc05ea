//! The servers behind a fault proxy: what their clients are promised holds when answers are lost and connections are cut.

use std::collections::BTreeSet;
use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::host::unique;
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{SOON, seed};
use streamhost_tests::wait::wait_until;

#[test]
fn an_idempotent_producer_writes_each_record_once_when_answers_are_lost() {
    let (_guard, servers) = Servers::shared();
    let (proxy, brokers) = servers.kafka_proxy();
    let topic = unique("proxied");
    feed::create_topic(&servers.kafka, &topic, 1).expect("a topic");
    let feed = Feed::start(&brokers, &topic, 2_000, Clicks::new(seed()).take(8_000));
    for command in [
        "drop-answer min=1000",
        "cut 700 up min=1000",
        "drop-answer 2 min=1000",
        "reset",
    ] {
        let before = feed.sent();
        wait_until("records flow", SOON, || feed.sent() > before + 500);
        proxy.tell(command).expect("a command");
    }
    assert_eq!(feed.finish().expect("all are acknowledged"), 8_000);
    let events = proxy.tell("events").expect("a command");
    assert_eq!(events.matches("drop-answer").count(), 3, "{events}");
    assert_eq!(events.matches("cut-request").count(), 1, "{events}");

    let seen = outside::topic(&servers.kafka, &topic);
    let offsets: BTreeSet<i64> = seen.iter().map(|record| record.offset).collect();
    assert_eq!(
        (seen.len(), offsets.len()),
        (8_000, 8_000),
        "none is lost, none is there twice"
    );
}
