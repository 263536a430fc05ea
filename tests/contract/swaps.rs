//! A better version takes over between two batches: nothing lost, nothing doubled, one offset in
//! each partition.

use std::ops::Range;
use std::time::UNIX_EPOCH;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::gaps::Gaps;
use streamhost_tests::host::Host;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, SOON, sizes};
use streamhost_tests::stamping::{Into, Stamping, changes, numbered};
use streamhost_tests::wait::wait_until;

fn now_ms() -> i64 {
    UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_millis() as i64)
}

/// Swaps two versions under so many records a second, then rolls back: each record must be there
/// once, and each partition change version at one offset for each swap. Shows how long nothing was
/// written around the swaps.
#[track_caller]
fn swap_under_load(into: Into, rate: u32) {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let stamping = Stamping::new(servers, into);
    let (job, sizes) = (&stamping.job, sizes());
    let feed = Feed::start(&servers.kafka, job, rate, (0..).map(numbered));
    // Records that are sent after the swap can only be in batches that are cut after it.
    let wait_for_the_new_version =
        || host.wait_records(job, feed.sent() + sizes.swap_records, LATE);
    let mut swaps: Vec<Range<i64>> = Vec::new();
    for swap in 0..=sizes.swaps {
        let asked = now_ms();
        stamping.deploy(&host, swap as u64 % 2 + 1);
        swaps.push(asked..now_ms());
        let status = wait_for_the_new_version();
        assert_eq!(
            status["version"],
            swap as u64 % 2 + 1,
            "the same component keeps its version"
        );
    }
    let asked = now_ms();
    host.cli(["rollback", job]).ok();
    swaps.push(asked..now_ms());
    wait_for_the_new_version();
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(job, records, LATE);
    assert_eq!(
        (&status["dead_letters"], &status["rows_out"]),
        (&0.into(), &records.into()),
        "{status}"
    );
    let history = host.json(&["history", job]);
    assert_eq!(
        history.as_array().map(Vec::len),
        Some(sizes.swaps + 2),
        "{history}"
    );
    assert_eq!(
        (&history[0]["kind"], &history[0]["active"]),
        (&"rollback".into(), &true.into()),
        "{history}"
    );

    let stamps = stamping.stamps(records);
    for (partition, stamps) in stamps.iter().enumerate() {
        assert_eq!(
            changes(stamps).len(),
            sizes.swaps + 1,
            "partition {partition}: one offset for each change of version"
        );
        assert_eq!(
            stamps[0].version, 1,
            "partition {partition} begins with the first version"
        );
        assert!(
            stamps.is_sorted_by_key(|stamp| stamp.time_ms),
            "partition {partition} is written in order"
        );
    }
    // From when a deploy was asked for until every partition had rows of it.
    for (swap, asked) in swaps[1..].iter_mut().enumerate() {
        let there = stamps
            .iter()
            .map(|stamps| changes(stamps)[swap].time_ms)
            .max();
        asked.end = there.expect("partitions").max(asked.end);
    }
    let gaps = Gaps::new(
        stamps.iter().flatten().map(|stamp| stamp.time_ms).collect(),
        &swaps[1..],
    );
    println!("{into:?}, {rate} records/s, {} swaps: {gaps}", sizes.swaps);
    if into == Into::Table {
        let kept = stamping.values_kept(&stamps);
        assert!(
            kept.len() >= sizes.swaps && kept.values().all(|&values| values == 1),
            "written again: {kept:?}"
        );
    }
}

#[test]
fn twenty_swaps_and_a_rollback_lose_and_double_nothing_in_kafka() {
    swap_under_load(Into::Kafka, sizes().swap_rate);
}

#[test]
fn twenty_swaps_and_a_rollback_lose_and_double_nothing_in_hbase() {
    swap_under_load(Into::Table, sizes().swap_table_rate);
}

#[test]
fn an_exactly_once_job_that_is_undeployed_and_deployed_again_goes_on() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let stamping = Stamping::new(servers, Into::Kafka);
    let job = &stamping.job;
    let half = sizes().swap_records;
    let mut records = (0..).map(numbered);
    for version in [1, 2] {
        feed::fill(&servers.kafka, job, records.by_ref().take(half as usize))
            .expect("a full topic");
        stamping.deploy(&host, version);
        let status = host.wait_records(job, half, LATE);
        assert_eq!(
            (&status["records_in"], &status["version"]),
            (&half.into(), &1.into()),
            "a new job: {status}"
        );
        host.cli(["undeploy", job]).ok();
    }
    for stamps in stamping.stamps(2 * half) {
        assert_eq!(changes(&stamps).len(), 1, "each version its half");
    }
}

#[test]
fn a_swap_survives_a_kill() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let stamping = Stamping::new(servers, Into::Kafka);
    let (job, sizes) = (&stamping.job, sizes());
    let feed = Feed::start(&servers.kafka, job, sizes.swap_rate, (0..).map(numbered));
    for version in [1, 2] {
        stamping.deploy(&host, version);
        host.kill();
        host.restart();
        let deployed = host.status(job);
        let stamped = deployed["records_in"].as_u64().expect("a count") + sizes.swap_records;
        host.wait_records(job, stamped, LATE);
    }
    assert_eq!(
        host.status(job)["version"],
        2,
        "what was acknowledged is what runs"
    );
    let records = feed.stop().expect("all records sent");
    host.wait_records(job, records, LATE);
    wait_until("all is written", SOON, || host.status(job)["lag"] == 0);
    for stamps in stamping.stamps(records) {
        assert_eq!(changes(&stamps).len(), 1, "one change of version");
    }
}
