//! A job that a planned batch stops goes on with a version that gives the batch up, and what its
//! sinks hold of it is not written twice.

use std::collections::BTreeSet;
use streamhost_tests::guests::build_variant;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::LATE;

fn words(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("word{n} f")).collect()
}

fn send(servers: &Servers, topic: &str, words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, topic, &words);
}

#[test]
fn a_dropped_table_stops_a_job_until_its_batch_is_given_up() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let (job, table, other) = (unique("replan"), unique("gone"), unique("other"));
    let topic = unique("replan-topic");
    outside::create_topic(&servers.kafka, &job, 1);
    outside::create_topic(&servers.kafka, &topic, 2);
    outside::create_table(&servers.gateway, &table, &["f"]);
    let file = host.file("both.wasm");
    build_variant("tests/guests/picky", "both", &file);
    let deploy = |host: &Host, table: &str, more: &[&str]| {
        let places = [
            format!("source.picky-in={job}"),
            format!("sink.picky-topic={topic}"),
            format!("sink.picky-out={table}"),
        ];
        host.deploy_as(&file, &job, &places, more)
    };
    deploy(&host, &table, &[]).ok();
    send(servers, &job, &words(0..20));
    host.wait_records(&job, 20, LATE);
    outside::drop_table(&servers.gateway, &table);
    send(servers, &job, &words(20..40));
    let stopped = host.wait_state(&job, "stopped", LATE);
    let reason = stopped["last_error"].as_str().expect("a reason");
    assert!(reason.contains("--replan"), "{reason}");
    // A new version alone finishes what the old one has planned, and cannot.
    deploy(&host, &other, &["--create-tables"]).ok();
    host.wait_state(&job, "stopped", LATE);
    let dry = deploy(&host, &other, &["--replan", "--dry-run"]).ok();
    assert!(
        dry.contains("is given up") && dry.contains("version 2"),
        "{dry}"
    );
    assert_eq!(host.status(&job)["deployment"], 2, "nothing was changed");
    // The host may die at any moment of it.
    let said = deploy(&host, &other, &["--replan"]).ok();
    host.kill();
    host.restart();
    for price in ["is given up", "keeps the rows", "`picky-topic`"] {
        assert!(said.contains(price), "{price}: {said}");
    }
    send(servers, &job, &words(40..50));
    let status = host.wait_records(&job, 50, LATE);
    assert_eq!(
        (&status["dead_letters"], &status["lag"]),
        (&0.into(), &0.into()),
        "{status}"
    );
    let rows = outside::table(&servers.gateway, &other);
    let wanted: BTreeSet<String> = (20..50).map(|n| format!("word{n}")).collect();
    assert!(rows.keys().eq(&wanted), "{:?}", rows.keys());
    let mut written: Vec<_> = outside::topic(&servers.kafka, &topic)
        .into_iter()
        .map(|seen| seen.value.expect("a value"))
        .collect();
    let mut sent = words(0..50);
    written.sort();
    sent.sort();
    assert_eq!(written, sent, "each once, though the topic held the batch");
    let history = host.cli(["history", &job]).ok();
    assert!(history.contains("--replan"), "{history}");
}
