//! Jobs that write documents: deployed, killed, cut off from their server; the index is as an oracle says
//! that reads it over HTTP.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use streamhost_tests::clicks::{Clicks, Record};
use streamhost_tests::command::Said;
use streamhost_tests::elastic::Elastic;
use streamhost_tests::fault_proxy::FaultProxy;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::{build_variant, component};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

/// Deploys the example `clicks-elasticsearch` from a topic to an index of the same name.
fn deploy_clicks(host: &Host, job: &str) -> Said {
    let places = [format!("source.clicks={job}"), format!("sink.clicks={job}")];
    let clicks = component("examples/clicks-elasticsearch");
    host.deploy_as(&clicks, job, &places, &["--create-tables"])
}

/// Deploys a variant of the guest `rows`, as above.
fn deploy_rows(host: &Host, variant: &str, job: &str) -> Said {
    let file = host.file(&format!("{variant}.wasm"));
    build_variant("tests/guests/rows", variant, &file);
    let places = [
        format!("source.rows-in={job}"),
        format!("sink.rows-out={job}"),
    ];
    host.deploy_as(&file, job, &places, &["--create-tables"])
}

/// Records whose values are all different.
fn lines() -> impl Iterator<Item = Record> + Send {
    (0..).map(|n| Record {
        value: Some(format!("line {n}").into_bytes()),
        ..Record::default()
    })
}

/// What each of few words has come to, of changes and deletes without end.
#[derive(Clone)]
struct Words {
    random: Random,
    number: u64,
}

impl Words {
    fn new(seed: u64) -> Self {
        Words {
            random: Random::new(seed),
            number: 0,
        }
    }
}

impl Iterator for Words {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.number += 1;
        let (name, shard) = (self.random.below(50), self.random.below(4));
        let rest = match self.random.below(4) {
            0 => ",-".to_owned(),
            1 => format!("{},", self.number),
            2 => format!(",note {}", self.number),
            _ => format!("{},note", self.number),
        };
        Some(Record {
            key: Some(format!("word{name}").into_bytes()),
            value: Some(format!("word{name},{shard},{rest}").into_bytes()),
            ..Record::default()
        })
    }
}

/// What must be there of so many words: the last of each, as a document is a whole row.
fn model(seed: u64, records: u64) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for record in Words::new(seed).take(records as usize) {
        let value = String::from_utf8(record.value.expect("a value")).expect("text");
        let parts: Vec<&str> = value.split(',').collect();
        let shard: u64 = parts[1].parse().expect("a number");
        let id = format!("[\"{}\",{shard}]", parts[0]);
        if parts[3] == "-" {
            all.remove(&id);
            continue;
        }
        let mut document = json!({"name": parts[0], "shard": shard});
        if let Ok(count) = parts[2].parse::<i64>() {
            document["count"] = count.into();
        }
        if !parts[3].is_empty() {
            document["note"] = parts[3].into();
        }
        all.insert(id, document);
    }
    all
}

#[track_caller]
fn is_right(server: &Elastic, index: &str, want: &BTreeMap<String, Value>) {
    let found = server.sources(index);
    for (id, document) in want {
        assert_eq!(found.get(id), Some(document), "{id}");
    }
    assert_eq!(found.len(), want.len(), "and no others");
}

#[test]
fn the_host_is_killed_at_random_moments_and_documents_are_right() {
    let (_guard, servers) = Servers::shared();
    let server = Elastic::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let (clicks, words, added) = (unique("es-clicks"), unique("es-words"), unique("es-added"));
    for topic in [&clicks, &words, &added] {
        feed::create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
    }
    deploy_clicks(&host, &clicks).ok();
    deploy_rows(&host, "documents", &words).ok();
    deploy_rows(&host, "added", &added).ok();
    let rate = sizes.kill_rate;
    let feed = Feed::start(&servers.kafka, &clicks, rate, Clicks::new(seed));
    let changes = Feed::start(&servers.kafka, &words, rate, Words::new(seed));
    let appends = Feed::start(&servers.kafka, &added, rate, lines());
    for kill in 1..=sizes.kills {
        let least = sizes.kill_records_max / 5;
        let moment = feed.sent() + least + random.below(sizes.kill_records_max - least);
        let what = format!("record {moment} is sent, for kill {kill}");
        wait_until(&what, LATE, || feed.sent() >= moment);
        host.kill();
        host.restart();
    }
    let records = feed.stop().expect("all records sent");
    let changed = changes.stop().expect("all records sent");
    let lines = appends.stop().expect("all records sent");
    let status = host.wait_records(&clicks, records, LATE);
    host.wait_records(&words, changed, LATE);
    host.wait_records(&added, lines, LATE);
    is_right(server, &words, &model(seed, changed));
    let mut times: HashMap<String, u64> = HashMap::new();
    for source in server.sources(&added).into_values() {
        let line = source["line"].as_str().expect("a line").to_owned();
        *times.entry(line).or_default() += 1;
    }
    assert_eq!(times.len() as u64, lines, "each line is there");
    assert!(times.values().all(|&times| times == 1), "and once");
    let letters = format!("{clicks}.dead-letters");
    let verdict = outside::clicks_in_elasticsearch_are_right(
        &servers.kafka,
        &clicks,
        &server.address,
        &clicks,
        &letters,
    );
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
    assert_eq!(status["state"], "running", "{status}");
}

#[test]
fn the_server_dies_falls_silent_and_loses_its_answers_and_the_job_goes_on() {
    let (_guard, servers) = Servers::shared();
    let server = Elastic::own("faults");
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let proxy = FaultProxy::before(&server.address).expect("a proxy");
    let through = proxy.address().to_string();
    let section = server.section().replace(&server.address, &through);
    let host = Host::serve_more(servers, &section, &[]);
    let job = unique("es-outage");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy_rows(&host, "documents", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, Words::new(seed));
    let goes_on = |more: u64| {
        let before = host.records(&job);
        host.wait_records(&job, before + more, LATE);
    };
    goes_on(500);

    server.tell("kill").ok();
    let status = host.wait_state(&job, "retrying", LATE);
    assert!(status["waiting_for"].is_object(), "{status}");
    server.tell("start").ok();
    host.wait_state(&job, "running", LATE);
    goes_on(500);

    server.tell("pause").ok();
    let sent = feed.sent();
    wait_until("records are sent meanwhile", LATE, || {
        feed.sent() > sent + 1000
    });
    server.tell("resume").ok();
    goes_on(1000);

    for command in [
        "drop-answer",
        "cut 100 up",
        "drop-answer 3",
        "cut 5000 up",
        "reset",
        "cut 20 down",
    ] {
        proxy.tell(command).expect("understood");
        goes_on(300);
    }
    proxy.tell(&format!("random {seed} 5")).expect("understood");
    let before = feed.sent();
    wait_until("some more are sent", LATE, || feed.sent() > before + 3000);
    proxy.tell("pass").expect("understood");
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);
    assert_eq!(status["state"], "running", "{status}");
    is_right(&server, &job, &model(seed, records));
    server.tell("stop").ok();
}

#[test]
fn what_an_index_refuses_is_a_dead_letter_and_what_does_not_fit_is_said_at_deploy() {
    let (_guard, servers) = Servers::shared();
    let server = Elastic::shared();
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("es-strict");
    outside::create_topic(&servers.kafka, &job, 1);
    let index = |quantity: &str| {
        let keyword = json!({"type": "keyword"});
        json!({"settings": {"index.gc_deletes": "10m"}, "mappings": {"dynamic": "strict", "properties": {
            "id": keyword, "student": keyword, "url": keyword, "clicked": {"type": "date"}, "item": keyword,
            "quantity": {"type": quantity}}}})
    };
    server.tell_it("PUT", &format!("/{job}"), &index("boolean"));
    let refused = deploy_clicks(&host, &job);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err.contains("field `quantity` is `boolean`"),
        "{}",
        refused.err
    );
    server.tell_it("DELETE", &format!("/{job}"), &Value::Null);
    server.tell_it("PUT", &format!("/{job}"), &index("byte"));
    deploy_clicks(&host, &job).ok();
    let click = |n: usize| match n {
        3 => "click3,s,u,never,book,1".to_owned(),
        30 => "click30,s,u,2020-01-01T00:00:00,book,128".to_owned(),
        _ => format!("click{n},s,u,2020-01-01T00:00:00+02:00,book,1"),
    };
    let values: Vec<String> = (0..60).map(click).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, &job, &values);
    let status = host.wait_records(&job, 60, LATE);
    assert_eq!(
        (&status["rows_out"], &status["dead_letters"]),
        (&58.into(), &2.into())
    );
    assert_eq!(server.count(&job), 58);
    host.kill();
    host.restart();
    host.wait_records(&job, 60, LATE);
    let letters = outside::topic(&servers.kafka, &format!("{job}.dead-letters"));
    let mut found: Vec<(&str, &str)> = letters
        .iter()
        .map(|letter| (&*letter.headers["offset"], &*letter.headers["reason"]))
        .collect();
    found.sort_unstable();
    assert_eq!(found.len(), 2, "each once: {found:?}");
    for ((offset, reason), (want, field)) in
        found.iter().zip([("3", "[clicked]"), ("30", "[quantity]")])
    {
        assert!(*offset == want && reason.contains(field), "{found:?}");
    }
}
