//! `streamhost dev`: a Kafka and an HBase in one process, for ordinary clients and for jobs.

use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, free_port};
use streamhost_tests::outside;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed};

const BEFORE: u64 = 3_000;
const RATE: u32 = 2_000;

/// A `dev` on free ports, and the addresses of its broker and its table store.
pub(super) fn dev() -> (Host, String, String) {
    let (kafka, hbase) = (free_port(), free_port());
    (
        Host::dev(kafka, hbase),
        format!("127.0.0.1:{kafka}"),
        format!("127.0.0.1:{hbase}"),
    )
}

#[test]
fn ordinary_clients_work_with_it() {
    let (mut host, kafka, hbase) = dev();
    outside::create_topic(&kafka, "words", PARTITIONS);
    outside::send(&kafka, "words", &["one", "two", "caf\u{e9}"]);
    outside::create_table(&hbase, "words", &["word", "info"]);
    let values = |kafka: &str| {
        let mut values: Vec<String> = outside::topic(kafka, "words")
            .into_iter()
            .filter_map(|seen| seen.value)
            .collect();
        values.sort();
        values
    };
    assert_eq!(values(&kafka), ["caf\u{e9}", "one", "two"]);
    assert!(outside::table(&hbase, "words").is_empty());
    host.kill();
    host.restart();
    assert_eq!(
        values(&kafka),
        ["caf\u{e9}", "one", "two"],
        "topics outlive a kill"
    );
    assert!(outside::table(&hbase, "words").is_empty(), "so do tables");
}

#[test]
fn consumers_of_a_group_share_a_topic_and_go_on_where_the_group_was() {
    let (_host, kafka, _hbase) = dev();
    outside::create_topic(&kafka, "shared", PARTITIONS);
    for round in ["first", "second"] {
        let values: Vec<String> = (10..10 + 2 * PARTITIONS)
            .map(|number| format!("{round} {number}"))
            .collect();
        let shares = outside::share(&kafka, "shared", "readers", 2, &values);
        let mut partitions = shares
            .iter()
            .flat_map(|share| &share.partitions)
            .copied()
            .collect::<Vec<_>>();
        partitions.sort_unstable();
        assert_eq!(
            partitions,
            (0..i64::from(PARTITIONS)).collect::<Vec<_>>(),
            "each partition has one reader"
        );
        assert!(
            shares.iter().all(|share| !share.values.is_empty()),
            "both read: {shares:?}"
        );
        let mut read = shares
            .into_iter()
            .flat_map(|share| share.values)
            .collect::<Vec<_>>();
        read.sort_unstable();
        assert_eq!(
            read, values,
            "each value once, and none of the round before"
        );
    }
}

#[test]
fn the_clicks_job_runs_in_it_and_survives_a_kill() {
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let (mut host, kafka, hbase) = dev();
    feed::create_topic(&kafka, "clicks", PARTITIONS).expect("a topic");
    host.deploy_clicks("clicks");
    let mut clicks = Clicks::new(seed);
    feed::fill(&kafka, "clicks", clicks.by_ref().take(BEFORE as usize)).expect("a full topic");
    host.wait_records("clicks", BEFORE, LATE);

    let feed = Feed::start(&kafka, "clicks", RATE, clicks);
    host.wait_records("clicks", BEFORE + u64::from(RATE), LATE);
    host.kill();
    host.restart();
    let records = BEFORE + feed.stop().expect("all records sent");
    let status = host.wait_records("clicks", records, LATE);
    assert_eq!(status["records_in"], records, "positions outlive a kill");
    outside::clicks_are_right(&kafka, "clicks", &hbase, "clicks", "clicks.dead-letters");
    assert_eq!(
        host.wait_state("clicks", "running", SOON)["last_error"],
        serde_json::Value::Null
    );
}

#[test]
fn families_that_a_table_lacks_are_added() {
    let (host, kafka, hbase) = dev();
    outside::create_topic(&kafka, "clicks", PARTITIONS);
    outside::create_table(&hbase, "clicks", &["clickinfo"]);
    let clicks = component("examples/clicks");
    let refusal = host.deploy(&clicks, &["--set", "every=0"]).refusal();
    assert!(
        refusal.contains("`iteminfo`") && refusal.contains("--create-tables"),
        "{refusal}"
    );
    assert!(!refusal.contains("hbase shell"), "there is none: {refusal}");
    host.deploy(&clicks, &["--set", "every=0", "--create-tables"])
        .ok();
    outside::send(&kafka, "clicks", &["c,s,u,t,i,1"]);
    host.wait_records("clicks", 1, SOON);
    let rows = outside::table(&hbase, "clicks");
    assert!(
        rows["c"].contains_key("iteminfo:quantity") && rows["c"].contains_key("clickinfo:url"),
        "{rows:?}"
    );
}

#[test]
fn a_component_that_breaks_the_compiler_breaks_nothing_else() {
    let (host, kafka, _hbase) = dev();
    feed::create_topic(&kafka, "clicks", PARTITIONS).expect("a topic");
    host.deploy_clicks("clicks");
    let mut clicks = Clicks::new(seed());
    let before = clicks.by_ref().take(BEFORE as usize);
    feed::fill(&kafka, "clicks", before).expect("a full topic");

    // Component types within component types: one section, three bytes a level.
    let types = [&b"\x41\x01\x01".repeat(5_000)[..], b"\x41\0"].concat();
    let section = [&b"\x07\x9b\x75\x01"[..], &types].concat();
    let hostile = host.file("hostile.wasm");
    std::fs::write(&hostile, [&b"\0asm\x0d\0\x01\0"[..], &section].concat()).expect("a file");
    let refusal = host.deploy(&hostile, &[]).refusal();
    assert!(refusal.contains("nest"), "{refusal}");

    feed::fill(&kafka, "clicks", clicks.take(BEFORE as usize)).expect("a full topic");
    host.wait_records("clicks", 2 * BEFORE, LATE);
}
