//! What a join gives into a table is what the two topics say, whoever is killed when.

use std::collections::{BTreeMap, BTreeSet};
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::fill;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::keyed::START_MS;
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed};

/// Records of each side, and how many of them are sent between two kills.
const EACH: usize = 6_000;
const PORTION: usize = 1_500;
const KEYS: u64 = 300;
/// Event times go on so far from record to record, and stand back so far at most.
const STEP_MS: i64 = 20;
const BEHIND_MS: u64 = 3_000;

/// As `tests/guests/joins` has it.
const BEFORE_MS: i64 = 2_000;
const AFTER_MS: i64 = 5_000;

struct Entry {
    key: u64,
    id: String,
    time_ms: i64,
}

fn entries(prefix: &str, random: &mut Random) -> Vec<Entry> {
    let entry = |i: usize| Entry {
        key: random.below(KEYS),
        id: format!("{prefix}{i:05}"),
        time_ms: START_MS + i as i64 * STEP_MS - random.below(BEHIND_MS) as i64,
    };
    (0..EACH).map(entry).collect()
}

fn record(key: &str, id: &str, time_ms: i64, partition: i32) -> Record {
    Record {
        key: None,
        value: Some(format!("{key} {id} {time_ms}").into_bytes()),
        partition: Some(partition),
        time_ms: Some(time_ms),
    }
}

/// An entry far behind all others in each partition: when they are read, nothing of before waits
/// any more. They stay alone, and no row shows them yet.
fn ends(prefix: &str) -> impl Iterator<Item = Record> {
    let end_ms = START_MS + 3_600_000;
    (0..PARTITIONS).map(move |partition| {
        let (key, id) = (format!("end-{prefix}"), format!("{prefix}-end-{partition}"));
        record(&key, &id, end_ms, partition)
    })
}

/// The rows, by the plain definition of an outer join.
fn expected(orders: &[Entry], payments: &[Entry]) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    let mut paired = BTreeSet::new();
    for order in orders {
        let of_it = payments.iter().filter(|payment| {
            let apart_ms = payment.time_ms - order.time_ms;
            payment.key == order.key && (-BEFORE_MS..=AFTER_MS).contains(&apart_ms)
        });
        let mut is_alone = true;
        for payment in of_it {
            is_alone = false;
            paired.insert(&payment.id);
            let pair = format!("{}/{}", order.id, payment.id);
            rows.insert(pair, order.key.to_string());
        }
        if is_alone {
            rows.insert(format!("{}/-", order.id), order.key.to_string());
        }
    }
    let alone = payments
        .iter()
        .filter(|payment| !paired.contains(&payment.id));
    rows.extend(alone.map(|payment| (format!("-/{}", payment.id), payment.key.to_string())));
    rows
}

#[test]
fn an_outer_join_gives_each_pair_and_each_lone_item_through_kills() {
    let (_guard, servers) = Servers::shared();
    let job = unique("joins");
    let (orders_topic, payments_topic) = (format!("{job}-orders"), format!("{job}-payments"));
    for topic in [&orders_topic, &payments_topic] {
        outside::create_topic(&servers.kafka, topic, PARTITIONS);
    }
    let seed = seed();
    let mut random = Random::new(seed);
    let (orders, payments) = (entries("o", &mut random), entries("p", &mut random));
    let mut host = Host::serve_on(2, servers);
    let settings = [
        format!("source.orders={orders_topic}"),
        format!("source.payments={payments_topic}"),
        format!("sink.both={job}"),
        // Many small batches, so that partners meet in state and not in one batch alone.
        "limits.batch-records=500".into(),
    ];
    host.deploy_as(
        &component("tests/guests/joins"),
        &job,
        &settings,
        &["--create-tables"],
    )
    .ok();
    let mut sent = 0;
    for at in (0..EACH).step_by(PORTION) {
        for (topic, entries) in [(&orders_topic, &orders), (&payments_topic, &payments)] {
            let portion = entries[at..at + PORTION].iter().enumerate();
            let records = portion.map(|(i, entry)| {
                let partition = (i as i32) % PARTITIONS;
                record(&entry.key.to_string(), &entry.id, entry.time_ms, partition)
            });
            sent += fill(&servers.kafka, topic, records).expect("records are sent");
        }
        // Somewhere within what was just sent.
        let reached = sent - random.below(PORTION as u64);
        host.wait_records(&job, reached, LATE);
        host.kill();
        host.restart();
    }
    for (topic, prefix) in [(&orders_topic, "o"), (&payments_topic, "p")] {
        sent += fill(&servers.kafka, topic, ends(prefix)).expect("records are sent");
    }
    let status = host.wait_records(&job, sent, LATE);
    assert_eq!(status["late"], 0, "{status}");
    assert_eq!(status["dead_letters"], 0, "{status}");
    // Each batch that lets something go is written before the next one is cut: when nothing is
    // due any more, all is in the table.
    let wanted = expected(&orders, &payments);
    let found: BTreeMap<String, String> = outside::table(&servers.gateway, &job)
        .into_iter()
        .map(|(pair, cells)| (pair, cells.into_values().collect()))
        .collect();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|row| !found.contains_key(row.0))
        .take(5)
        .collect();
    let extra: Vec<_> = found
        .iter()
        .filter(|row| !wanted.contains_key(row.0))
        .take(5)
        .collect();
    assert!(
        found == wanted,
        "SEED={seed}: {} rows of {}; missing {missing:?}, too many {extra:?}",
        found.len(),
        wanted.len()
    );
}
