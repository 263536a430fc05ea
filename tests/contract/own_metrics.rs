//! What a job counts itself is in `/metrics`, once for each record that is durable.

use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;
use streamhost_tests::wait::wait_until;

/// The sample with this name and these labels; none: there is no such one.
fn sample(host: &Host, labelled: &str) -> Option<f64> {
    let text = host.metrics();
    let value = |line: &str| line.strip_prefix(labelled)?.trim().parse().ok();
    text.lines().find_map(value)
}

#[test]
fn a_job_counts_each_record_once_whatever_breaks_beside_it() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("counted");
    outside::create_topic(&servers.kafka, &job, 2);
    let set = [
        format!("source.counted-in={job}"),
        format!("sink.counted-out={job}"),
    ];
    let counted = component("tests/guests/counted");
    // A component whose job has none imports nothing for them, and runs on hosts that have none.
    let imports = |component: &std::path::Path| {
        let path = component.to_str().expect("a path");
        host.cli(["inspect", path]).ok().contains("job/metrics")
    };
    assert!(imports(&counted) && !imports(&component("examples/clicks")));
    host.deploy_as(&counted, &job, &set, &["--create-tables"])
        .ok();
    let lines =
        format!("streamhost_job_counter_total{{streamhost_job=\"{job}\",counter=\"lines\"}}");
    let of_bytes = |what: &str| {
        let labels = format!("streamhost_job=\"{job}\",histogram=\"bytes\"");
        format!("streamhost_job_histogram_{what}{{{labels}}}")
    };
    wait_until("it is there before anything was counted", SOON, || {
        sample(&host, &lines) == Some(0.0)
    });

    // A call breaks, and its records are asked in halves: what the others counted is not counted twice.
    let texts: Vec<String> = (0..300)
        .map(|n| match n % 100 {
            50 => format!("boom {n:03}"),
            _ => format!("line {n:03}"),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, &job, &texts);
    let status = host.wait_records(&job, 300, SOON);
    assert_eq!(status["dead_letters"], 3, "{status}");
    wait_until("all are counted", SOON, || {
        sample(&host, &lines) == Some(297.0)
    });
    assert_eq!(sample(&host, &of_bytes("count")), Some(297.0));
    assert_eq!(sample(&host, &of_bytes("sum")), Some(297.0 * 8.0));

    // With the host its counters begin anew.
    host.kill();
    host.restart();
    wait_until("it is there again", SOON, || {
        sample(&host, &lines) == Some(0.0)
    });
    outside::send(&servers.kafka, &job, &["one", "two"]);
    host.wait_records(&job, 302, SOON);
    wait_until("what came is counted", SOON, || {
        sample(&host, &lines) == Some(2.0)
    });
}
