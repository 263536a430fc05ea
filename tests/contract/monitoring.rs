//! What Prometheus and Grafana are given: `/metrics` is as promtool wants it, the alert rules do what
//! their tests say, and they and the dashboard name metrics that there are.

use super::dev::dev;
use std::collections::BTreeSet;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::host::http_get;
use streamhost_tests::outside;
use streamhost_tests::paths::{promtool, root};
use streamhost_tests::sizes::{PARTITIONS, SOON};
use streamhost_tests::wait::wait_until;

const LINES: [&str; 3] = ["1,s,u,t,i,1", "2,s,u,t,i,1", "no click"];

/// The names of metrics in a text, without the endings that a histogram's samples have.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let begins = |word: &&str| {
        ["streamhost_", "process_"]
            .iter()
            .any(|b| word.starts_with(b))
    };
    // The label of a job.
    let metrics = words
        .filter(begins)
        .filter(|word| *word != "streamhost_job");
    let whole = |word: &str| {
        let mut ends = ["_bucket", "_sum", "_count"].iter();
        let family = ends.find_map(|end| word.strip_suffix(end));
        family.unwrap_or(word).to_owned()
    };
    metrics.map(whole).collect()
}

#[test]
fn metrics_are_clean_and_those_that_the_alerts_and_the_dashboard_name_are_there() {
    let (host, kafka, _hbase) = dev();
    outside::create_topic(&kafka, "seen", PARTITIONS);
    host.deploy_clicks("seen");
    outside::send(&kafka, "seen", &LINES);
    host.wait_records("seen", LINES.len() as u64, SOON);
    let scrape = || http_get(&host.address, "/metrics").expect("it answers").1;
    let wants = [
        "streamhost_job_records_in_total{streamhost_job=\"seen\"} 3",
        "streamhost_stage_dead_letters_total{streamhost_job=\"seen\",stage=\"clicks\",class=\"refused\"} 1",
        "streamhost_record_latency_seconds_count{streamhost_job=\"seen\"} 3",
    ];
    // The host looks at its jobs once a second.
    wait_until("the metrics tell of the records", SOON, || {
        let text = scrape();
        wants.iter().all(|want| text.contains(want))
    });
    let text = scrape();
    let file = host.file("metrics.txt");
    std::fs::write(&file, &text).expect("a file of the test");
    let mut check = Command::new("sh");
    check.args(["-c", "exec \"$0\" check metrics <\"$1\""]);
    let said = say(check.arg(promtool()).arg(&file));
    assert_eq!((said.code, &*said.out, &*said.err), (0, "", ""), "{text}");

    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let there: BTreeSet<String> = typed
        .filter_map(|rest| rest.split(' ').next().map(str::to_owned))
        .collect();
    for file in ["alerts.yml", "grafana.json"] {
        let path = root().join("host/monitoring").join(file);
        let text = std::fs::read_to_string(path).expect("a file of the checkout");
        let named = names(&text);
        assert!(named.len() > 5, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn alerts_do_what_their_tests_say() {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let mut tool = Command::new(promtool());
        tool.current_dir(root().join("host/monitoring"));
        let said = say(tool.args(arguments)).ok();
        assert!(said.contains("SUCCESS"), "{said}");
    }
}
