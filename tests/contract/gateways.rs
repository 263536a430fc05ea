//! HBase's gateway as it may be set up, and as it may hang.

use std::time::{Duration, Instant};
use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, http_get, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::{Server, Servers};
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::wait::wait_until;

/// A call that hangs gives up after 30 s: whoever stops a job waits much less.
const MUCH_LESS: Duration = Duration::from_secs(10);

#[test]
fn a_gateway_that_is_framed_and_compact() {
    let (_guard, servers) = Servers::shared();
    let gateway = servers.framed_gateway();
    let job = unique("framed");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let records = sizes().clicks / 20;
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    feed::fill(
        &servers.kafka,
        &job,
        Clicks::new(seed).take(records as usize),
    )
    .expect("a full topic");
    {
        let other = Host::serve_framed(servers, &gateway, false);
        let refusal = other.try_clicks(&job, &job).refusal();
        assert!(
            refusal.contains("transport or protocol mismatch"),
            "{refusal}"
        );
    }
    let host = Host::serve_framed(servers, &gateway, true);
    host.deploy_clicks(&job);
    host.wait_records(&job, records, LATE);
    outside::clicks_are_right(
        &servers.kafka,
        &job,
        &servers.gateway,
        &job,
        &format!("{job}.dead-letters"),
    );
}

#[test]
fn a_gateway_that_hangs_does_not_hold_a_pause() {
    let (_guard, servers) = Servers::alone();
    let host = Host::serve(servers);
    let job = unique("hangs");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["first,s,u,t,i,1"]);
    host.deploy_clicks(&job);
    host.wait_records(&job, 1, SOON);
    let ready = || http_get(&host.address, "/readyz").expect("it answers");
    assert_eq!(ready(), (200, "ready\n".to_owned()));

    let frozen = servers.freeze(Server::Gateway);
    outside::send(&servers.kafka, &job, &["second,s,u,t,i,1"]);
    host.wait_state(&job, "retrying", LATE); // it is at its delivery for longer than is usual
    let (code, why) = ready();
    assert!(code == 200 && why.contains(&job), "{code} {why}");
    let asked = Instant::now();
    host.cli(["pause", &job]).ok();
    assert!(
        asked.elapsed() < MUCH_LESS,
        "the pause took {:?}",
        asked.elapsed()
    );
    assert!(!ready().1.contains("waits"), "nothing waits any more");
    drop(frozen);

    host.cli(["resume", &job]).ok();
    host.wait_records(&job, 2, SOON);
    wait_until("nothing waits", SOON, || ready().1 == "ready\n");
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(keys, ["first", "second"]);
}

#[test]
fn a_sink_may_name_another_cluster() {
    let (_guard, servers) = Servers::shared();
    let job = unique("cluster");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["first,s,u,t,i,1"]);
    let gateway = &servers.gateway;
    let sections =
        format!("[hbase]\nthrift = \"127.0.0.1:1\"\n[hbase.near]\nthrift = \"{gateway}\"\n");
    let host = Host::serve_hbase(servers, &sections);
    let clicks = component("examples/clicks");
    let into = |cluster: &str| {
        let set = [
            format!("source.clicks={job}"),
            format!("sink.clicks={job}"),
            format!("sink.clicks.connector-instance={cluster}"),
        ];
        host.deploy_as(&clicks, &job, &set, &["--create-tables"])
    };
    let refusal = into("far").refusal();
    assert!(refusal.contains("there are near"), "{refusal}");
    into("near").ok();
    host.wait_records(&job, 1, SOON);
    let keys: Vec<String> = outside::table(gateway, &job).into_keys().collect();
    assert_eq!(keys, ["first"]);
}
