//! What a server refuses for what is in a row costs that row, and stops no job.

use serde_json::Value;
use std::collections::BTreeSet;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed;
use streamhost_tests::guests::build_variant;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside::{self, Seen};
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, SOON, seed};
use streamhost_tests::wait::wait_until;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

/// Deploys a variant of the guest that reads the topic and writes to the target of this name.
fn deploy(host: &Host, variant: &str, job: &str, to: &str, more: &[&str]) {
    let file = host.file(&format!("{variant}.wasm"));
    build_variant("tests/guests/picky", variant, &file);
    let places = [
        format!("source.picky-in={job}"),
        format!("sink.picky-out={to}"),
    ];
    host.deploy_as(&file, job, &places, more).ok();
}

/// Makes a topic of two partitions that takes no record without a key.
fn create_compacted(servers: &Servers, name: &str, configs: &[&str]) {
    let mut arguments = vec!["--create", "--topic", name, "--partitions", "2"];
    arguments.extend(["--replication-factor", "1"]);
    for config in ["cleanup.policy=compact"].iter().chain(configs) {
        arguments.extend(["--config", config]);
    }
    servers.kafka_tool(TOPICS, &arguments).ok();
}

/// The dead letters of a job, each of which must name its sink.
fn letters(servers: &Servers, job: &str) -> Vec<Seen> {
    let letters = outside::topic(&servers.kafka, &format!("{job}.dead-letters"));
    for letter in &letters {
        let of = |name: &str| letter.headers.get(name).map(String::as_str);
        assert_eq!(
            (of("sink"), of("topic")),
            (Some("picky-out"), Some(job)),
            "{letter:?}"
        );
        assert!(
            of("offset").is_some() && of("partition").is_some(),
            "{letter:?}"
        );
    }
    letters
}

fn counts(status: &Value) -> (u64, u64) {
    let count = |name: &str| status[name].as_u64().expect("a count");
    (count("rows_out"), count("dead_letters"))
}

#[test]
fn a_family_that_only_the_data_names_costs_its_rows() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("families");
    outside::create_topic(&servers.kafka, &job, 1);
    outside::create_table(&servers.gateway, &job, &["f", "g"]);
    deploy(&host, "table", &job, &job, &[]);
    let values: Vec<String> = (0..60)
        .map(|n| match n {
            7 | 31 => format!("word{n} nowhere"),
            _ => format!("word{n} {}", if n % 2 == 0 { "f" } else { "g" }),
        })
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, &job, &values);
    let status = host.wait_records(&job, 60, LATE);
    assert_eq!(counts(&status), (58, 2), "{status}");
    assert_eq!(status["state"], "running", "{status}");
    let table = outside::table(&servers.gateway, &job);
    assert_eq!(table.len(), 58);
    let (one, other) = (&table["word2"], &table["word3"]);
    assert!(
        one.contains_key("f:q") && other.contains_key("g:q"),
        "{one:?} {other:?}"
    );
    let refused = letters(servers, &job);
    let found: BTreeSet<_> = refused.iter().filter_map(|l| l.value.as_deref()).collect();
    assert_eq!(found, ["word31 nowhere", "word7 nowhere"].into());
    let reason = &refused[0].headers["reason"];
    assert!(reason.contains("no family `nowhere`"), "{reason}");
    // A retry gives the record again once the table has the family: here it is refused once more.
    let retried = host.json(&["dead-letters", &job, "retry", "--all"]);
    let outcome = &retried["results"][0]["outcome"];
    assert_eq!(outcome, "dead-letter", "{retried}");
}

#[test]
fn records_that_a_topic_does_not_take_cost_themselves() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let mut random = Random::new(7);
    let noise: Vec<u8> = (0..60_000).map(|_| 33 + random.below(90) as u8).collect();
    for variant in ["plain", "once"] {
        let (job, out) = (unique(variant), unique("picky-out"));
        outside::create_topic(&servers.kafka, &job, 1);
        create_compacted(servers, &out, &["max.message.bytes=20000"]);
        let record = |n: usize| {
            let (key, value) = (format!("k{n}").into_bytes(), format!("v{n}").into_bytes());
            let (key, value) = match n {
                5 | 20 => (None, value),
                33 => (Some(key), noise.clone()),
                _ => (Some(key), value),
            };
            let (partition, time_ms) = (Some(0), None);
            Record {
                key,
                value: Some(value),
                partition,
                time_ms,
            }
        };
        feed::fill(&servers.kafka, &job, (0..50).map(record)).expect("a full topic");
        deploy(&host, variant, &job, &out, &[]);
        let status = host.wait_records(&job, 50, LATE);
        assert_eq!(counts(&status), (47, 3), "{variant}: {status}");
        assert_eq!(host.wait_state(&job, "running", SOON)["state"], "running");
        let written = outside::topic(&servers.kafka, &out);
        let keys: BTreeSet<_> = written.iter().filter_map(|seen| seen.key.clone()).collect();
        assert_eq!(
            (written.len(), keys.len()),
            (47, 47),
            "{variant}: each once"
        );
        let refused = letters(servers, &job);
        assert_eq!(refused.len(), 3, "{variant}: {refused:?}");
        let long = refused.iter().find(|l| l.key.as_deref() == Some("k33"));
        let reason = &long.expect("the long one").headers["reason"];
        assert!(reason.contains("max.message.bytes"), "{reason}");
    }
}

/// What a server refuses is found again by each life of the host; the letters and rows are there once.
#[test]
fn refused_records_and_the_rest_are_there_once_under_kills() {
    const RECORDS: usize = 3_000;
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let mut random = Random::new(seed());
    let (job, out) = (unique("refused-kills"), unique("picky-out"));
    outside::create_topic(&servers.kafka, &job, 1);
    create_compacted(servers, &out, &[]);
    // Every 60th has no key, which a compacted topic does not take.
    let is_refused = |n: usize| n % 60 == 7;
    let record = |n: usize| Record {
        key: (!is_refused(n)).then(|| format!("k{n}").into_bytes()),
        value: Some(format!("v{n}").into_bytes()),
        partition: Some(0),
        time_ms: None,
    };
    let small = ["--set", "limits.batch-records=150"];
    deploy(&host, "once", &job, &out, &small);
    feed::fill(&servers.kafka, &job, (0..RECORDS).map(record)).expect("a full topic");
    for life in 1..=5 {
        let at = host.records(&job) + random.below(RECORDS as u64 / 8);
        wait_until("some records more", LATE, || {
            host.records(&job) >= at.min(RECORDS as u64)
        });
        host.kill();
        host.restart();
        println!("life {life}");
    }
    let status = host.wait_records(&job, RECORDS as u64, LATE);
    let refused = (0..RECORDS).filter(|n| is_refused(*n)).count();
    let counted = ((RECORDS - refused) as u64, refused as u64);
    assert_eq!(counts(&status), counted, "{status}");
    let values = |seen: Vec<Seen>| -> Vec<String> {
        let mut values: Vec<_> = seen.into_iter().filter_map(|seen| seen.value).collect();
        values.sort();
        values
    };
    let wanted = |of: &dyn Fn(usize) -> bool| -> Vec<String> {
        let mut all: Vec<_> = (0..RECORDS)
            .filter(|n| of(*n))
            .map(|n| format!("v{n}"))
            .collect();
        all.sort();
        all
    };
    let written = outside::topic(&servers.kafka, &out);
    assert_eq!(
        values(written),
        wanted(&|n| !is_refused(n)),
        "each row once"
    );
    assert_eq!(
        values(letters(servers, &job)),
        wanted(&is_refused),
        "each letter once"
    );
}
