//! Records that are gone before they were read are never skipped silently.

use streamhost_tests::guests::component;
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
    outside::send(
        &servers.kafka,
        topic,
        &clicks.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

/// The end of each partition of a topic of three.
fn ends(servers: &Servers, topic: &str) -> [u64; 3] {
    let mut ends = [0; 3];
    for seen in outside::topic(&servers.kafka, topic) {
        ends[usize::try_from(seen.partition).expect("a partition")] = seen.offset as u64 + 1;
    }
    ends
}

/// A job that has read two records of its topic of one partition, and is paused.
fn paused(host: &Host, servers: &Servers, job: &str) {
    outside::create_topic(&servers.kafka, job, 1);
    send(servers, job, &["a", "b"]);
    host.deploy_clicks(job);
    host.wait_records(job, 2, SOON);
    host.cli(["pause", job]).ok();
}

/// It stops, and says why and how to go on; and goes on when it is told to. Its log says what it
/// `skips`.
fn stops_then_skips(
    host: &Host,
    servers: &Servers,
    job: &str,
    (why, skips): (&str, &str),
    keys: &[&str],
) {
    host.cli(["resume", job]).ok();
    let stopped = host.wait_state(job, "stopped", SOON);
    let error = stopped["last_error"].as_str().unwrap_or_default();
    assert!(
        error.contains(why) && error.contains("--skip-lost"),
        "{stopped}"
    );
    assert_eq!(stopped["records_in"], 2, "{stopped}");
    host.cli(["resume", job, "--skip-lost"]).ok();
    let status = host.wait_records(job, keys.len() as u64, SOON);
    assert_eq!(status["state"], "running", "{status}");
    let log = host.cli(["logs", job]).ok();
    let skipped: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("--skip-lost: "))
        .collect();
    assert!(
        skipped.iter().any(|line| line.contains(skips)),
        "its log says what was left out: {log}"
    );
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
    servers.delete_below(&job, &[(0, 4)]);
    stops_then_skips(
        &host,
        servers,
        &job,
        ("gone", "offsets 2 to 4 of "),
        &["a", "b", "e"],
    );
}

#[test]
fn a_topic_that_is_made_anew_and_is_longer_than_before() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("anew");
    paused(&host, servers, &job);
    servers
        .kafka_tool(TOPICS, &["--delete", "--topic", &job])
        .ok();
    wait_until("the topic is gone", SOON, || {
        !servers.kafka_tool(TOPICS, &["--list"]).ok().contains(&job)
    });
    outside::create_topic(&servers.kafka, &job, 1);
    send(servers, &job, &["p", "q", "r"]);
    stops_then_skips(
        &host,
        servers,
        &job,
        ("made anew", "was deleted and made anew"),
        &["a", "b", "p", "q", "r"],
    );
}

/// All that is gone is passed over at once, whatever comes first; and an interval in between does
/// not use up the word.
#[test]
fn records_of_two_partitions_are_deleted_and_a_third_has_more() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("deleted");
    outside::create_topic(&servers.kafka, &job, 3);
    let keys = |from: u32, to: u32| (from..to).map(|n| format!("k{n:03}")).collect::<Vec<_>>();
    let send = |keys: &[String]| {
        send(
            servers,
            &job,
            &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    let (source, sink) = (format!("source.clicks={job}"), format!("sink.clicks={job}"));
    let settings = [
        "--name",
        &job,
        "--set",
        &source,
        "--set",
        &sink,
        "--set",
        "every=1s",
        "--create-tables",
    ];
    host.deploy(&component("examples/clicks"), &settings).ok();
    send(&keys(0, 60));
    host.wait_records(&job, 60, SOON);
    host.cli(["pause", &job]).ok();
    let reached = ends(servers, &job);
    send(&keys(60, 120));
    let ends_then = ends(servers, &job);
    let more = |id: usize| ends_then[id] - reached[id];
    assert!(
        (0..3).all(|id| more(id) > 1),
        "each partition has some of 60 records: {reached:?} {ends_then:?}"
    );
    // The last record of two partitions is left, and all of the third.
    servers.delete_below(&job, &[(0, ends_then[0] - 1), (1, ends_then[1] - 1)]);
    host.cli(["resume", &job]).ok();
    let stopped = host.wait_state(&job, "stopped", SOON);
    assert!(
        stopped["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("--skip-lost")),
        "{stopped}"
    );

    host.cli(["resume", &job, "--skip-lost"]).ok();
    // A batch of what the third has may have come through before it stopped.
    let status = host.wait_records(&job, 60 + more(2) + 2, SOON);
    assert_eq!(
        (&status["state"], &status["records_in"]),
        (&"running".into(), &(60 + more(2) + 2).into()),
        "{status}"
    );
    let log = host.cli(["logs", &job]).ok();
    for id in [0, 1] {
        let (from, to) = (reached[id], ends_then[id] - 1);
        let line = format!("--skip-lost: offsets {from} to {to} of `{job}` partition {id} ");
        assert!(log.contains(&line), "{line}: {log}");
    }
    // Nothing is asked about again, and a restart needs no word.
    host.cli(["pause", &job]).ok();
    send(&keys(120, 130));
    host.cli(["resume", &job]).ok();
    host.wait_records(&job, 60 + more(2) + 12, SOON);
}
