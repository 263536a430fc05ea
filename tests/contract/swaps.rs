//! A better version takes over between two batches: nothing lost, nothing doubled, one offset in each partition.

use std::collections::BTreeMap;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside::{self, Seen};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, sizes};
use streamhost_tests::wait::wait_until;

const VERSIONS: [&str; 2] = ["tests/guests/stamp-1", "tests/guests/stamp-2"];

/// Record `n`: its partition and its number there, as text `0:7`.
fn numbered(n: u64) -> Record {
    let partition = (n % PARTITIONS as u64) as i32;
    let place = format!("{partition}:{}", n / PARTITIONS as u64).into_bytes();
    Record { key: Some(place.clone()), value: Some(place), partition: Some(partition), time_ms: None }
}

/// A stamping job and its topics: the one that it reads has the job's name.
struct Stamping {
    job: String,
    out: String,
}

impl Stamping {
    fn new(servers: &Servers) -> Stamping {
        let stamping = Stamping { job: unique("stamps"), out: unique("stamps-out") };
        for topic in [&stamping.job, &stamping.out] {
            feed::create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
        }
        stamping
    }

    fn deploy(&self, host: &Host, version: &'static str) {
        let (source, sink) = (format!("source.stamps-in={}", self.job), format!("sink.stamps-out={}", self.out));
        let settings = ["--name", &self.job, "--set", &source, "--set", &sink, "--set", "every=0"];
        host.deploy(&component(version), &settings).ok();
    }
}

/// For each partition of the source, the version that wrote each of its records, in order. Panics where one is missing
/// or there twice.
fn stamps(seen: &[Seen], records: u64) -> Vec<Vec<u64>> {
    let mut by_place = BTreeMap::new();
    for record in seen {
        let place = record.key.as_deref().expect("a stamp's key is its record");
        let (partition, number) = place.split_once(':').expect("a place");
        let place: (u64, u64) = (partition.parse().expect("a partition"), number.parse().expect("a number"));
        let value: serde_json::Value = serde_json::from_str(record.value.as_deref().unwrap_or("")).expect("JSON");
        let doubled = by_place.insert(place, value["version"].as_u64().expect("a version"));
        assert_eq!(doubled, None, "record {place:?} was written twice");
    }
    assert_eq!(by_place.len() as u64, records, "each record once");
    let partitions = 0..PARTITIONS as u64;
    let versions = |partition| by_place.range((partition, 0)..(partition + 1, 0)).map(|(_, &version)| version);
    partitions.map(|partition| versions(partition).collect()).collect()
}

#[test]
fn twenty_swaps_and_a_rollback_lose_and_double_nothing() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let stamping = Stamping::new(servers);
    let Stamping { job, out } = &stamping;
    let sizes = sizes();
    let feed = Feed::start(&servers.kafka, job, sizes.swap_rate, (0..).map(numbered));
    // Records that are sent after the swap can only be in batches that are cut after it.
    let wait_for_the_new_version = || host.wait_records(job, feed.sent() + sizes.swap_records, LATE);
    for swap in 0..=sizes.swaps {
        stamping.deploy(&host, VERSIONS[swap % 2]);
        let status = wait_for_the_new_version();
        assert_eq!(status["version"], swap as u64 % 2 + 1, "the same component keeps its version");
    }
    host.cli(["rollback", job]).ok();
    wait_for_the_new_version();
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(job, records, LATE);
    assert_eq!(status["dead_letters"], 0, "{status}");

    let changes = sizes.swaps + 1;
    for (partition, versions) in stamps(&outside::topic(&servers.kafka, out), records).iter().enumerate() {
        let changed = versions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changed, changes, "partition {partition} changes version at one offset for each swap");
        assert_eq!(versions[0], 1, "partition {partition} begins with the first version");
    }
    let history = host.json(&["history", job]);
    assert_eq!(history.as_array().map(Vec::len), Some(changes + 1), "{history}");
    assert_eq!((&history[0]["kind"], &history[0]["active"]), (&"rollback".into(), &true.into()), "{history}");
}

#[test]
fn an_exactly_once_job_that_is_undeployed_and_deployed_again_goes_on() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let stamping = Stamping::new(servers);
    let Stamping { job, out } = &stamping;
    let half = sizes().swap_records;
    let mut records = (0..).map(numbered);
    for version in VERSIONS {
        feed::fill(&servers.kafka, job, records.by_ref().take(half as usize)).expect("a full topic");
        stamping.deploy(&host, version);
        let status = host.wait_records(job, half, LATE);
        assert_eq!((&status["records_in"], &status["version"]), (&half.into(), &1.into()), "a new job: {status}");
        host.cli(["undeploy", job]).ok();
    }
    for versions in stamps(&outside::topic(&servers.kafka, out), 2 * half) {
        assert_eq!(versions.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1, "each version its half");
    }
}

#[test]
fn a_swap_survives_a_kill() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let stamping = Stamping::new(servers);
    let Stamping { job, out } = &stamping;
    let sizes = sizes();
    let feed = Feed::start(&servers.kafka, job, sizes.swap_rate, (0..).map(numbered));
    for folder in VERSIONS {
        stamping.deploy(&host, folder);
        host.kill();
        host.restart();
        let deployed = host.status(job);
        let stamped = deployed["records_in"].as_u64().expect("a count") + sizes.swap_records;
        host.wait_records(job, stamped, LATE);
    }
    assert_eq!(host.status(job)["version"], 2, "what was acknowledged is what runs");
    let records = feed.stop().expect("all records sent");
    host.wait_records(job, records, LATE);
    wait_until("all is written", SOON, || host.status(job)["lag"] == 0);
    for versions in stamps(&outside::topic(&servers.kafka, out), records) {
        assert_eq!(versions.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1, "one change of version");
    }
}
