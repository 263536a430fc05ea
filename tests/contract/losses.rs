//! Records that are gone before they were read are never skipped silently.

use std::fs::write;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;
use streamhost_tests::wait::wait_until;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn clicks(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| format!("{key},s,u,t,i,1")).collect()
}

fn send(servers: &Servers, topic: &str, keys: &[&str]) {
    let clicks = clicks(keys);
    outside::send(&servers.kafka, topic, &clicks.iter().map(String::as_str).collect::<Vec<_>>());
}

/// A job that has read two records of its topic of one partition, and is paused.
fn paused(host: &Host, servers: &Servers, job: &str) {
    outside::create_topic(&servers.kafka, job, 1);
    send(servers, job, &["a", "b"]);
    host.deploy_clicks(job);
    host.wait_records(job, 2, SOON);
    host.cli(["pause", job]).ok();
}

/// It stops, and says why and how to go on; and goes on when it is told to.
fn stops_then_skips(host: &Host, servers: &Servers, job: &str, why: &str, keys: &[&str]) {
    host.cli(["resume", job]).ok();
    let stopped = host.wait_state(job, "stopped", SOON);
    let error = stopped["last_error"].as_str().unwrap_or_default();
    assert!(error.contains(why) && error.contains("--skip-lost"), "{stopped}");
    assert_eq!(stopped["records_in"], 2, "{stopped}");
    host.cli(["resume", job, "--skip-lost"]).ok();
    let status = host.wait_records(job, keys.len() as u64, SOON);
    assert_eq!(status["state"], "running", "{status}");
    assert!(host.cli(["logs", job]).ok().contains(job), "its log says what was left out");
    let rows: Vec<String> = outside::table(&servers.gateway, job).into_keys().collect();
    assert_eq!(rows, keys);
}

#[test]
fn records_that_are_deleted_before_they_are_read() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("deleted");
    paused(&host, servers, &job);
    send(servers, &job, &["c", "d", "e"]);
    let below = host.file("below.json");
    let offsets =
        format!("{{\"version\": 1, \"partitions\": [{{\"topic\": \"{job}\", \"partition\": 0, \"offset\": 4}}]}}");
    write(&below, offsets).expect("the folder can be written");
    let tool = "org.apache.kafka.tools.DeleteRecordsCommand";
    servers.kafka_tool(tool, &["--offset-json-file", &below.display().to_string()]).ok();
    stops_then_skips(&host, servers, &job, "gone", &["a", "b", "e"]);
}

#[test]
fn a_topic_that_is_made_anew_and_is_longer_than_before() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("anew");
    paused(&host, servers, &job);
    servers.kafka_tool(TOPICS, &["--delete", "--topic", &job]).ok();
    wait_until("the topic is gone", SOON, || !servers.kafka_tool(TOPICS, &["--list"]).ok().contains(&job));
    outside::create_topic(&servers.kafka, &job, 1);
    send(servers, &job, &["p", "q", "r"]);
    stops_then_skips(&host, servers, &job, "made anew", &["a", "b", "p", "q", "r"]);
}
