//! Every source and every sink, with the real servers, when the host dies around a write: before it,
//! within it, and behind it; the server hears late of what was sent before; and it refuses a row each
//! time. One table: a connector is a line of it. `host/connectors/src/contract_tests.rs` holds them to
//! the rest without servers.

use std::collections::BTreeMap;
use std::fs::write;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use streamhost_tests::clicks::Record;
use streamhost_tests::elastic::Elastic;
use streamhost_tests::fault_proxy::FaultProxy;
use streamhost_tests::feed;
use streamhost_tests::guests::build_variant;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::mariadb::MariaDb;
use streamhost_tests::outside;
use streamhost_tests::postgres::Postgres;
use streamhost_tests::random::Random;
use streamhost_tests::servers::{Proxied, Servers};
use streamhost_tests::sizes::LATE;
use streamhost_tests::wait::wait_until;

/// Records of a round that are rows, and what pads each: all of them are several requests.
const ROWS: usize = 40;
const PAD_BYTES: usize = 1000;
/// Only a request that carries rows has so many bytes.
const WRITE: &str = "min=3000";

/// What happens to the next write, and then the host is killed: it does not reach the server, or in
/// part, or its answer does not come back.
const ROUNDS: [(&str, &str); 3] = [
    ("before", "hold-next"),
    ("within", "cut 2000 up"),
    ("behind", "drop-answer"),
];

/// What is written, by key and the round that wrote it, and how often it is there.
type Found = BTreeMap<(String, String), u64>;

/// A sink. Its server is started when it is asked for.
struct Kind {
    server: &'static str,
    variant: &'static str,
    /// The host, which reaches the sink's server through a proxy.
    start: fn(&Servers) -> (Proxied, Host),
    /// Rows have a key: the last one stays, and each is there once.
    keyed: bool,
    /// Each row is there once.
    once: bool,
    /// A write that is on its way keeps the next one waiting, as its session holds a lock.
    locks: bool,
    /// The end of a record whose row the server refuses.
    refused: Option<&'static str>,
    read_back: fn(&Servers, &str) -> Found,
}

const SINKS: [Kind; 7] = [
    Kind {
        server: "hbase",
        variant: "kafka-hbase",
        start: |servers| {
            let proxy = FaultProxy::before(&servers.gateway).expect("a proxy");
            let section = format!(
                "[hbase]\nthrift = \"{}\"\n[allow]\nfiles = [\"/**\"]\n",
                proxy.address()
            );
            (proxy.into(), Host::serve_hbase(servers, &section))
        },
        keyed: true,
        once: true,
        locks: false,
        refused: Some("nowhere x"),
        read_back: |servers, table| {
            let cells = outside::column(&servers.gateway, table, "f:text");
            counted(
                cells
                    .into_iter()
                    .map(|(key, cell)| format!("{key} f {}", cell.value)),
            )
        },
    },
    Kind {
        server: "kafka",
        variant: "kafka-topic",
        start: kafka_behind_a_proxy,
        keyed: false,
        once: false,
        locks: false,
        refused: None,
        read_back: in_topic,
    },
    Kind {
        server: "kafka",
        variant: "kafka-once",
        start: kafka_behind_a_proxy,
        keyed: false,
        once: true,
        locks: false,
        refused: None,
        read_back: in_topic,
    },
    Kind {
        server: "postgres",
        variant: "kafka-postgres",
        start: |servers| {
            let postgres = Postgres::shared();
            let proxy = FaultProxy::before(&postgres.address).expect("a proxy");
            let through = proxy.address().to_string();
            let section = postgres.section().replace(&postgres.address, &through);
            (proxy.into(), Host::serve_more(servers, &section, &[]))
        },
        keyed: false,
        once: true,
        locks: true,
        refused: Some("f \0"),
        read_back: |_, table| {
            let lines = format!("SELECT line FROM \"{table}\"");
            counted(Postgres::shared().rows(&lines).into_iter())
        },
    },
    Kind {
        server: "mysql",
        variant: "kafka-mysql",
        start: |servers| {
            let mariadb = MariaDb::shared();
            let proxy = FaultProxy::before(&mariadb.address).expect("a proxy");
            let through = proxy.address().to_string();
            let section = mariadb.section().replace(&mariadb.address, &through);
            (proxy.into(), Host::serve_more(servers, &section, &[]))
        },
        keyed: false,
        once: true,
        locks: true,
        refused: Some("nan x"),
        read_back: |_, table| {
            let lines = format!("SELECT line FROM `{table}`");
            counted(MariaDb::shared().rows(&lines).into_iter())
        },
    },
    Kind {
        server: "elasticsearch",
        start: |servers| before_documents(servers, Elastic::shared()),
        read_back: |_, index| in_documents(Elastic::shared(), index),
        ..DOCUMENTS
    },
    Kind {
        server: "opensearch",
        start: |servers| before_documents(servers, Elastic::opensearch()),
        read_back: |_, index| in_documents(Elastic::opensearch(), index),
        ..DOCUMENTS
    },
];

/// What both servers of documents have in common.
const DOCUMENTS: Kind = Kind {
    server: "",
    variant: "kafka-elasticsearch",
    start: |servers| before_documents(servers, Elastic::shared()),
    keyed: true,
    once: true,
    locks: false,
    refused: Some("nan x"),
    read_back: |_, index| in_documents(Elastic::shared(), index),
};

fn before_documents(servers: &Servers, server: &Elastic) -> (Proxied, Host) {
    let proxy = FaultProxy::before(&server.address).expect("a proxy");
    let through = proxy.address().to_string();
    let section = server.section().replace(&server.address, &through);
    (proxy.into(), Host::serve_more(servers, &section, &[]))
}

fn in_documents(server: &Elastic, index: &str) -> Found {
    let line = |source: serde_json::Value| source["line"].as_str().expect("a line").to_owned();
    counted(server.sources(index).into_values().map(line))
}

fn kafka_behind_a_proxy(servers: &Servers) -> (Proxied, Host) {
    let (proxy, brokers) = servers.kafka_proxy();
    let host = Host::serve_between(servers, &brokers, &servers.gateway);
    (proxy, host)
}

fn in_topic(servers: &Servers, topic: &str) -> Found {
    let records = outside::topic(&servers.kafka, topic).into_iter();
    counted(records.filter_map(|record| record.value))
}

/// Rows by their key and round, from `KEY FAMILY ROUND PAD`.
fn counted(rows: impl Iterator<Item = String>) -> Found {
    let mut found = Found::new();
    for row in rows {
        let words: Vec<&str> = row.split(' ').collect();
        *found
            .entry((words[0].to_owned(), words[2].to_owned()))
            .or_default() += 1;
    }
    found
}

/// The rows of a round: its own, and one that each round writes anew.
fn lines(round: &str) -> Vec<String> {
    // Of random digits, as Kafka's client makes little of what repeats itself.
    let mut random = Random::new(PAD_BYTES as u64);
    let mut pad = || -> String {
        let digits = (0..PAD_BYTES / 16).map(|_| format!("{:016x}", random.next_u64()));
        digits.collect()
    };
    let own = (1..ROWS).map(|n| format!("{round}-{n}"));
    own.chain(["same".to_owned()])
        .map(|key| format!("{key} f {round} {}", pad()))
        .collect()
}

fn record(line: String) -> Record {
    Record {
        value: Some(line.into_bytes()),
        ..Record::default()
    }
}

/// How many requests have met a fault.
fn met(proxy: &FaultProxy) -> usize {
    let events = proxy.tell("events").expect("a command");
    events.matches("connection ").count()
}

fn deploy(host: &Host, variant: &str, job: &str, source: &str) {
    let file = host.file(&format!("{variant}.wasm"));
    build_variant("tests/guests/ends", variant, &file);
    let sink = format!("sink.ends-out={job}");
    let settings = ["--name", job, "--create-tables", "--set", "every=300ms"];
    let places = ["--set", source, "--set", &sink];
    host.deploy(&file, &[&settings[..], &places].concat()).ok();
}

/// What is expected of all rounds together.
fn is_right(kind: &Kind, rounds: &[&str], found: &Found) {
    let last = rounds.last().expect("a round");
    for round in rounds {
        for line in lines(round) {
            let key = line.split(' ').next().expect("a key").to_owned();
            if kind.keyed && key == "same" && round != last {
                continue; // written over
            }
            let times = found.get(&(key.clone(), (*round).to_owned())).copied();
            match kind.once {
                true => assert_eq!(times, Some(1), "{} {key} {round}", kind.variant),
                false => assert!(times >= Some(1), "{} {key} {round}", kind.variant),
            }
        }
    }
    let rows = match kind.keyed {
        true => rounds.len() * (ROWS - 1) + 1,
        false => rounds.len() * ROWS,
    };
    assert_eq!(found.len(), rows, "{}: and no others", kind.variant);
}

#[test]
fn hbase_keeps_its_guarantee_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("hbase");
}

#[test]
fn topics_keep_their_guarantees_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("kafka");
}

#[test]
fn postgres_keeps_its_guarantee_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("postgres");
}

#[test]
fn mysql_keeps_its_guarantee_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("mysql");
}

#[test]
fn elasticsearch_keeps_its_guarantee_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("elasticsearch");
}

#[test]
fn opensearch_keeps_its_guarantee_when_the_host_dies_around_a_write() {
    keeps_its_guarantee("opensearch");
}

/// Each sink of this server.
#[track_caller]
fn keeps_its_guarantee(server: &str) {
    let (_guard, servers) = Servers::shared();
    for kind in SINKS.iter().filter(|kind| kind.server == server) {
        let (proxy, mut host) = (kind.start)(servers);
        let job = unique(kind.variant);
        let topic = format!("{job}-in");
        feed::create_topic(&servers.kafka, &topic, 1).expect("a topic");
        let source = format!("source.ends-in={topic}");
        deploy(&host, kind.variant, &job, &source);
        let mut sent = 0;
        let mut send = |round: &str, refused: Option<&str>| {
            let bad = refused.map(|end| format!("bad-{round} {end}"));
            let all: Vec<String> = lines(round).into_iter().chain(bad).collect();
            sent += all.len() as u64;
            feed::fill(&servers.kafka, &topic, all.into_iter().map(record)).expect("a full topic");
            sent
        };
        for (round, fault) in ROUNDS {
            let before = met(&proxy);
            proxy.tell(&format!("{fault} {WRITE}")).expect("a command");
            let all = send(round, kind.refused);
            wait_until(&format!("{} meets `{fault}`", kind.variant), LATE, || {
                met(&proxy) > before
            });
            host.kill();
            host.restart();
            if kind.locks {
                proxy.tell("release").expect("a command");
            }
            host.wait_records(&job, all, LATE);
        }
        // The server hears now at the latest of what was on its way when the host was killed first.
        proxy.tell("release").expect("a command");
        let all = send("last", None);
        let status = host.wait_records(&job, all, LATE);
        let refused = kind.refused.map_or(0, |_| ROUNDS.len());
        assert_eq!(status["dead_letters"], refused, "{status}");
        assert_eq!(status["state"], "running", "{status}");
        let rounds = ["before", "within", "behind", "last"];
        let found = (kind.read_back)(servers, &job);
        is_right(kind, &rounds, &found);
    }
}

/// A source that holds the lines of a round, its setting, and who gives them.
fn filled(source: &str, host: &Host) -> (String, Option<TcpListener>) {
    if source == "file" {
        let path = host.file("ends-in");
        write(&path, lines(source).join("\n") + "\n").expect("the folder can be written");
        return (format!("source.ends-in={}", path.display()), None);
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    (format!("source.localhost:9999={address}"), Some(listener))
}

#[test]
fn what_a_source_gave_is_there_once_when_the_host_dies_around_a_write() {
    let (_guard, servers) = Servers::shared();
    let hbase = &SINKS[0];
    for source in ["file", "socket"] {
        let (proxy, mut host) = (hbase.start)(servers);
        let (job, variant) = (unique(source), format!("{source}-hbase"));
        let (setting, listener) = filled(source, &host);
        proxy
            .tell(&format!("hold-next {WRITE}"))
            .expect("a command");
        deploy(&host, &variant, &job, &setting);
        let peer = listener.map(|listener| {
            let (mut peer, _): (TcpStream, _) = listener.accept().expect("the host comes");
            let all = lines(source).join("\n") + "\n";
            peer.write_all(all.as_bytes()).expect("it reads");
            peer
        });
        wait_until(&format!("a batch of {source} is on its way"), LATE, || {
            met(&proxy) > 0
        });
        host.kill();
        drop(peer);
        host.restart();
        let status = host.wait_records(&job, 1, LATE);
        if source == "file" {
            host.wait_records(&job, ROWS as u64, LATE);
        }
        proxy.tell("release").expect("a command");
        let found = (hbase.read_back)(servers, &job);
        // Of a socket what was planned before the kill, which was kept with the plan.
        let read = host.records(&job) as usize;
        let planned: Found = counted(lines(source).into_iter().take(read));
        assert_eq!(found, planned, "{source}: {status}");
    }
}
