//! A new version that goes over its budget is rolled back by the host itself, at a batch boundary,
//! and no record is lost or doubled on the way.

use serde_json::Value;
use std::collections::BTreeSet;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS};
use streamhost_tests::wait::wait_for;

const RATE: u32 = 500;

/// A job of numbers, by the guest `sloppy`.
struct Numbers {
    host: Host,
    servers: &'static Servers,
    job: String,
    feed: Feed,
}

/// Number `n`, as a record.
fn number(n: u64) -> Record {
    Record {
        key: None,
        value: Some(n.to_string().into_bytes()),
        partition: Some((n % PARTITIONS as u64) as i32),
        time_ms: None,
    }
}

impl Numbers {
    /// Version 1 at work, which fails nothing.
    fn begin(servers: &'static Servers) -> Numbers {
        let (host, job) = (Host::serve(servers), unique("numbers"));
        feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
        let feed = Feed::start(&servers.kafka, &job, RATE, (0..).map(number));
        let numbers = Numbers {
            host,
            servers,
            job,
            feed,
        };
        numbers.deploy(&[], &[]);
        numbers.goes_on(1000);
        numbers
    }

    fn deploy(&self, set: &[&str], more: &[&str]) {
        let job = &self.job;
        let places = [
            format!("source.numbers-in={job}"),
            format!("sink.numbers-out={job}"),
        ];
        let set = set.iter().map(|&pair| pair.to_owned());
        let set: Vec<_> = places.into_iter().chain(set).collect();
        let sloppy = component("tests/guests/sloppy");
        let more = [&["--create-tables"], more].concat();
        self.host.deploy_as(&sloppy, job, &set, &more).ok();
    }

    /// Waits for so many records more.
    fn goes_on(&self, records: u64) -> Value {
        let (host, job) = (&self.host, &self.job);
        host.wait_records(job, host.records(job) + records, LATE)
    }

    /// Waits until the host has gone back to version 1; the newest deployment.
    fn is_rolled_back(&self) -> Value {
        wait_for("the host goes back to version 1", LATE, || {
            let history = self.host.json(&["history", &self.job]);
            let newest = history[0].clone();
            (newest["kind"] == "automatic-rollback").then_some(newest)
        })
    }

    /// Ends the feed. Each number must be a row or a dead letter, once; how many letters there are.
    fn every_number_is_there_once(self) -> usize {
        let sent = self.feed.stop().expect("all records sent");
        self.host.wait_records(&self.job, sent, LATE);
        let rows: BTreeSet<String> = outside::table(&self.servers.gateway, &self.job)
            .into_keys()
            .collect();
        let topic = format!("{}.dead-letters", self.job);
        let letters = outside::topic(&self.servers.kafka, &topic);
        let letters: Vec<String> = letters.into_iter().filter_map(|seen| seen.value).collect();
        let failed: BTreeSet<String> = letters.iter().cloned().collect();
        assert_eq!(failed.len(), letters.len(), "a letter is there twice");
        assert!(
            rows.is_disjoint(&failed),
            "a row and a letter of one number"
        );
        let all: BTreeSet<String> = (0..sent).map(|n| n.to_string()).collect();
        assert!(
            rows.union(&failed).eq(&all),
            "{} of {sent}",
            rows.len() + failed.len()
        );
        letters.len()
    }
}

#[test]
fn a_version_that_fails_one_record_in_twenty_is_rolled_back_by_itself() {
    let (_guard, servers) = Servers::shared();
    let numbers = Numbers::begin(servers);
    // Nobody gave it a budget: what is usual holds.
    numbers.deploy(&["param.fails=5"], &[]);
    let newest = numbers.is_rolled_back();
    let reason = newest["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("version 2 was rolled back: over the usual max-dead-letters"),
        "{reason}"
    );
    assert_eq!(
        (&newest["version"], &newest["number"]),
        (&1.into(), &3.into())
    );
    numbers.goes_on(1000);

    // The user's own budget, for a version that fails one in a hundred.
    let own = ["--max-dead-letters", "0.5% over 1m"];
    numbers.deploy(&["param.fails=1"], &own);
    wait_for("the host goes back from version 3", LATE, || {
        let history = numbers.host.json(&["history", &numbers.job]);
        let reason = history[0]["reason"].as_str().unwrap_or_default().to_owned();
        reason
            .contains("version 3 was rolled back: over its budget")
            .then_some(())
    });
    numbers.goes_on(1000);

    // It is mended, and stays.
    numbers.deploy(&["param.fails=0"], &own);
    let status = numbers.goes_on(2000);
    assert_eq!(
        (&status["version"], &status["state"]),
        (&4.into(), &"running".into()),
        "{status}"
    );
    let letters = numbers.every_number_is_there_once();
    assert!(letters > 10, "{letters}");
}

#[test]
fn a_version_that_takes_long_is_rolled_back_and_one_that_may_goes_on() {
    let (_guard, servers) = Servers::shared();
    let numbers = Numbers::begin(servers);
    let cpu = ["--max-cpu", "0.3 over 5s"];
    numbers.deploy(&["param.turns=4000"], &cpu);
    let newest = numbers.is_rolled_back();
    let reason = newest["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("over its budget max-cpu `0.3 over 5s`"),
        "{reason}"
    );

    // Without probation nothing is rolled back: the job stops, as its user wants it.
    let stops = [
        "--max-dead-letters",
        "10 over 1m",
        "--probation",
        "0",
        "--over-budget",
        "stop",
    ];
    numbers.deploy(&["param.fails=5"], &stops);
    let status = numbers.host.wait_state(&numbers.job, "stopped", LATE);
    let reason = status["last_error"].as_str().expect("a reason");
    assert!(
        reason.contains("over its budget max-dead-letters `10 over 1m`"),
        "{reason}"
    );
    numbers.deploy(&["param.fails=0"], &[]);
    numbers.goes_on(1000);
    numbers.every_number_is_there_once();
}
