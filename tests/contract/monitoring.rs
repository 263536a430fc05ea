//! What Prometheus and Grafana are given: `/metrics` is as promtool wants it, the alert rules do what
//! their tests say, and they and the dashboard name metrics that there are.

use super::dev::dev;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::{promtool, root};
use streamhost_tests::servers::Servers;
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
    let scrape = || host.metrics();
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

/// Every sample of a counter or of a histogram's parts, by its name and labels.
fn counters(text: &str) -> BTreeMap<String, f64> {
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let rising: Vec<&str> = typed
        .filter_map(|rest| rest.split_once(' '))
        .filter(|(_, kind)| ["counter", "histogram"].contains(kind))
        .map(|(name, _)| name)
        .collect();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(of, _)| {
            let name = of.split('{').next().unwrap_or_default();
            rising.iter().any(|family| name.starts_with(family))
        })
        .map(|(of, value)| (of.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[test]
fn counters_never_fall_over_a_swap_a_pause_and_a_rollback() {
    let (host, kafka, _hbase) = dev();
    outside::create_topic(&kafka, "rises", PARTITIONS);
    host.deploy_clicks("rises");
    let scrape = || host.metrics();
    let settings = [
        "--name",
        "rises",
        "--set",
        "source.clicks=rises",
        "--set",
        "sink.clicks=rises",
        "--set",
        "every=0",
    ];
    let changes: [&dyn Fn(); 4] = [
        &|| {},
        &|| {
            drop(
                host.deploy(&component("examples/clicks-v2"), &settings)
                    .ok(),
            )
        },
        &|| {
            host.cli(["pause", "rises"]).ok();
            host.cli(["resume", "rises"]).ok();
        },
        &|| drop(host.cli(["rollback", "rises"]).ok()),
    ];
    let (mut before, mut records) = (BTreeMap::new(), 0);
    for change in changes {
        change();
        outside::send(&kafka, "rises", &LINES);
        records += LINES.len() as u64;
        host.wait_records("rises", records, SOON);
        let told = format!(
            "streamhost_source_records_total{{streamhost_job=\"rises\",source=\"clicks\"}} {records}"
        );
        wait_until("the metrics tell of the records", SOON, || {
            scrape().contains(&told)
        });
        let now = counters(&scrape());
        assert!(now.len() > 100, "{now:?}");
        for (of, was) in &before {
            let is = now
                .get(of)
                .copied()
                .unwrap_or_else(|| panic!("{of} is gone"));
            assert!(is >= *was, "{of} fell from {was} to {is}");
        }
        before = now;
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

/// Reads one request and answers it.
fn request(mut stream: TcpStream) -> Vec<u8> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    let length_of = |read: &[u8]| -> Option<usize> {
        let head = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text.split("content-length:").nth(1)?;
        let length: usize = length.lines().next()?.trim().parse().ok()?;
        Some(head + length)
    };
    while length_of(&read).is_none_or(|length| read.len() < length) {
        let count = stream.read(&mut buffer).expect("a request");
        assert!(count > 0, "it ends in the middle");
        read.extend_from_slice(&buffer[..count]);
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).expect("it is taken");
    read
}

#[test]
fn traces_reach_a_collector_and_the_log_is_json_where_that_is_asked() {
    let (_guard, servers) = Servers::shared();
    let collector = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = collector.local_addr().expect("its address");
    let lines = format!("[telemetry]\notlp-endpoint = \"http://{address}\"\n");
    let host = Host::serve_more(servers, &lines, &["--log-format", "json"]);
    let job = unique("traced");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    host.deploy_clicks(&job);
    outside::send(&servers.kafka, &job, &LINES);
    let request = request(collector.accept().expect("the host").0);
    let has = |text: &str| {
        request
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("POST /v1/traces "), "the way of OTLP over HTTP");
    for part in ["streamhost.job", &job, "transform", "deliver"] {
        assert!(has(part), "{part} is not in the trace");
    }
    wait_until("it is counted", SOON, || {
        let text = host.metrics();
        let sent = text
            .lines()
            .find_map(|line| line.strip_prefix("streamhost_traces_sent_total "));
        sent.is_some_and(|sent| sent != "0")
    });
    let log = std::fs::read_to_string(host.log()).expect("its log");
    // Before it was started anew its log was text.
    let objects: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of_job = objects.iter().find(|line| line["job"] == *job);
    let of_job = of_job.unwrap_or_else(|| panic!("no line of the job: {log}"));
    for field in ["timestamp", "level", "message"] {
        assert!(of_job[field].is_string(), "{of_job}");
    }
}
