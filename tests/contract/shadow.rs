//! A shadow shows what differs between two versions, and all of it; it writes nothing, and breaks
//! nothing of the active one. It is promoted between two batches, whatever is killed.

use serde_json::Value;
use std::time::Instant;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, SOON, sizes};
use streamhost_tests::wait::{wait_for, wait_until};

/// A job of the guest `twin`, whose versions differ in one thing.
struct Twin<'a> {
    host: Host,
    servers: &'a Servers,
    job: String,
    sent: u64,
}

impl<'a> Twin<'a> {
    fn new(servers: &'a Servers, partitions: i32) -> Self {
        let job = unique("twin");
        outside::create_topic(&servers.kafka, &job, partitions);
        let twin = Twin {
            host: Host::serve(servers),
            servers,
            job,
            sent: 0,
        };
        twin.deploy(&[], &["--create-tables"]);
        twin
    }

    fn places(&self) -> Vec<String> {
        vec![
            format!("source.twin-in={}", self.job),
            format!("sink.twin-rows={}-rows", self.job),
            format!("sink.twin-sums={}-sums", self.job),
            "limits.batch-records=2000".to_owned(),
        ]
    }

    fn deploy(&self, set: &[&str], more: &[&str]) -> String {
        let mut all = self.places();
        all.extend(set.iter().map(|&pair| pair.to_owned()));
        let file = component("tests/guests/twin");
        self.host.deploy_as(&file, &self.job, &all, more).ok()
    }

    /// Starts a shadow that differs so.
    fn shadow(&self, change: &str, more: &[&str]) {
        let change = format!("param.change={change}");
        let more = [&["--shadow"], more].concat();
        self.deploy(&[&change, "limits.time=200ms"], &more);
        // It is compared from the next batch on.
        assert_eq!(self.diff()["running"], true);
    }

    /// Sends so many numbers, and waits until their rows are there.
    fn send(&mut self, count: u64) {
        let numbers: Vec<String> = (self.sent..self.sent + count)
            .map(|n| n.to_string())
            .collect();
        let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
        outside::send(&self.servers.kafka, &self.job, &values);
        self.sent += count;
        self.host.wait_records(&self.job, self.sent, LATE);
    }

    /// Fills the topic with so many numbers while the job is paused; how many of them it runs a second
    /// then.
    fn catches_up(&mut self, count: u64) -> f64 {
        self.host.cli(["pause", &self.job]).ok();
        let numbers = (self.sent..self.sent + count).map(|n| Record {
            value: Some(n.to_string().into_bytes()),
            partition: Some((n % 4) as i32),
            ..Record::default()
        });
        feed::fill(&self.servers.kafka, &self.job, numbers).expect("all are sent");
        self.sent += count;
        self.host.cli(["resume", &self.job]).ok();
        let began = Instant::now();
        self.host.wait_records(&self.job, self.sent, LATE * 5);
        count as f64 / began.elapsed().as_secs_f64()
    }

    fn diff(&self) -> Value {
        self.host.json(&["diff", &self.job, "--samples", "20"])
    }

    /// The comparison once the shadow has seen all that was sent since it began, at `from`.
    fn compared(&self, from: u64) -> Value {
        let records = self.sent - from;
        wait_for(&format!("{records} records are compared"), LATE, || {
            let diff = self.diff();
            assert_eq!(diff["running"], true, "{diff}");
            (diff["records"] == records).then_some(diff)
        })
    }
}

/// Sends in portions, so that the shadow keeps up with all of them.
fn send_slowly(twin: &mut Twin<'_>, count: u64) -> Value {
    let from = twin.sent;
    let mut diff = Value::Null;
    for _ in 0..count / 1000 {
        twin.send(1000);
        diff = twin.compared(from);
    }
    diff
}

#[test]
fn each_difference_is_found_and_counted() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, 1);
    twin.send(3000);
    let of = |diff: &Value, sink: &str, what: &str| diff["sinks"][sink][what].as_u64();

    twin.shadow("none", &[]);
    let diff = send_slowly(&mut twin, 5000);
    assert_eq!(
        (&diff["differing"], &diff["skipped"]),
        (&0.into(), &0.into()),
        "{diff}"
    );
    assert_eq!(of(&diff, "twin-rows", "alike"), Some(4950), "{diff}");
    assert_eq!(diff["dead_letters"]["alike"], 50, "{diff}");
    let told = format!(
        "streamhost_shadow_compared_total{{streamhost_job=\"{}\",version=\"2\",result=\"alike\"}} {}\n",
        twin.job, diff["alike"]
    );
    wait_until("the metrics tell of it", SOON, || {
        twin.host.metrics().contains(&told)
    });
    let refused = twin.host.deploy_as(
        &component("tests/guests/twin"),
        &twin.job,
        &twin.places(),
        &["--shadow"],
    );
    assert!(refused.refusal().contains("has a shadow already"));
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    twin.shadow("column", &[]);
    let diff = send_slowly(&mut twin, 5000);
    let rows = &diff["sinks"]["twin-rows"];
    assert_eq!(
        (&rows["differing"], &rows["alike"]),
        (&5.into(), &4945.into()),
        "{diff}"
    );
    assert_eq!(
        rows["columns"],
        serde_json::json!({ "f:length": 5 }),
        "{diff}"
    );
    assert_eq!(rows["samples"][0]["key"][0], "8007", "{diff}");
    let column = &rows["samples"][0]["columns"][0];
    assert_eq!(
        (&column["active"], &column["shadow"]),
        (&"4".into(), &"5".into())
    );
    assert_eq!(of(&diff, "twin-sums", "differing"), Some(0), "{diff}");
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    twin.shadow("filter", &[]);
    let diff = send_slowly(&mut twin, 3000);
    assert_eq!(of(&diff, "twin-rows", "only_active"), Some(3), "{diff}");
    assert_eq!(diff["counts"]["dropped"]["shadow"], 3, "{diff}");
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    twin.shadow("reason", &[]);
    let diff = send_slowly(&mut twin, 3000);
    let letters = &diff["dead_letters"];
    assert_eq!(
        (&letters["differing"], &letters["alike"]),
        (&3.into(), &27.into()),
        "{diff}"
    );
    assert_eq!(letters["samples"][0]["shadow"], "not taken", "{diff}");
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    // From the first wrong addition on, every sum of its key is another one: the shadow's state is its
    // own, and goes its own way.
    twin.shadow("merge", &[]);
    let diff = send_slowly(&mut twin, 3000);
    let sums = &diff["sinks"]["twin-sums"];
    assert!(sums["differing"].as_u64() >= Some(3), "{diff}");
    assert_eq!(sums["samples"][0]["key"][0], "k7", "{diff}");
    assert_eq!(of(&diff, "twin-rows", "differing"), Some(0), "{diff}");
    assert!(diff["state_bytes"].as_u64() > Some(0), "{diff}");
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    twin.shadow("broken", &[]);
    let diff = send_slowly(&mut twin, 3000);
    assert_eq!(diff["dead_letters"]["only_shadow"], 3, "{diff}");
    assert_eq!(diff["counts"]["broken"]["shadow"], 3, "{diff}");
    twin.host.cli(["drop-shadow", &twin.job]).ok();

    for (change, count, at_least) in [("slow", "cpu_us", 3), ("memory", "memory_bytes", 2)] {
        twin.shadow(change, &[]);
        let diff = send_slowly(&mut twin, 3000);
        let counts = &diff["counts"][count];
        let of = |who: &str| counts[who].as_u64().expect("a count");
        assert!(of("shadow") > at_least * of("active"), "{diff}");
        assert_eq!(diff["differing"], 0, "{diff}");
        twin.host.cli(["drop-shadow", &twin.job]).ok();
    }
    let gone = twin.host.cli(["diff", &twin.job]);
    assert!(gone.refusal().contains("has no shadow"));
}

#[test]
fn a_shadow_that_cannot_keep_up_leaves_batches_out_and_begins_anew_behind_them() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, 4);
    twin.shadow("slow", &[]);
    twin.send(40_000);
    let diff = wait_for("batches were left out", LATE, || {
        let diff = twin.diff();
        let count = |what: &str| diff[what].as_u64();
        (count("skipped") > Some(0) && count("forks") > Some(0)).then_some(diff)
    });
    assert_eq!(diff["running"], true, "{diff}");
    // What it did run is compared as if nothing were left out: sums too, which began with the
    // active version's.
    let forks = diff["forks"].as_u64();
    let diff = wait_for("it began anew", LATE, || {
        twin.send(2000);
        let diff = twin.diff();
        (diff["forks"].as_u64() > forks).then_some(diff)
    });
    assert_eq!(diff["differing"], 0, "{diff}");
    let status = twin.host.status(&twin.job);
    assert_eq!(status["shadow"]["running"], true, "{status}");
    twin.host.kill();
    twin.host.restart();
    twin.host.wait_records(&twin.job, twin.sent, LATE);
    let gone = twin.host.cli(["diff", &twin.job]);
    assert!(gone.refusal().contains("is gone"), "it ended with the host");
}

#[test]
fn a_shadow_is_promoted_if_what_was_asked_holds_and_else_it_is_not() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, 1);
    twin.send(1000);
    let why = |twin: &Twin<'_>| {
        wait_for("the shadow has ended", SOON, || {
            let diff = twin.diff();
            let why = diff["why"].as_str().map(str::to_owned);
            why.filter(|_| diff["running"] == false && !diff["ended"].is_null())
        })
    };
    let terms = [
        "--batches",
        "2",
        "--promote-if",
        "differing = 0 and dead_letters <= active",
    ];
    twin.shadow("column", &terms);
    send_slowly_until_ended(&mut twin);
    let said = why(&twin);
    assert!(
        said.contains("`differing = 0` does not hold: it is"),
        "{said}"
    );
    assert_eq!(twin.host.status(&twin.job)["version"], 1);

    twin.shadow("none", &terms);
    send_slowly_until_ended(&mut twin);
    wait_until("it is active", SOON, || {
        twin.host.status(&twin.job)["version"] == 2
    });
    let said = why(&twin);
    assert!(said.contains("it is active, as version 2"), "{said}");

    // By hand, and the sums go on where they were.
    twin.shadow("filter", &[]);
    twin.send(1000);
    let said = twin.host.cli(["promote", &twin.job]).ok();
    assert!(said.contains("version 3 is active"), "{said}");
    twin.send(1000);
    let last = twin.sent;
    let wanted = |digit: u64| -> u64 {
        let counts = |n: &u64| {
            let is_filtered = n % 1000 == 7 && *n >= last - 1000;
            n % 10 == digit && n % 100 != 50 && !is_filtered
        };
        (0..last).filter(counts).sum()
    };
    let sums = outside::table(&servers.gateway, &format!("{}-sums", twin.job));
    for digit in 0..10 {
        let row = &sums[&format!("k{digit}")];
        let sum = row.values().next().expect("a cell");
        assert_eq!(*sum, wanted(digit).to_string(), "k{digit}");
    }
    // What was compared is not what runs any more.
    twin.host.cli(["rollback", &twin.job]).ok();
    let refused = twin.host.cli(["promote", &twin.job]);
    assert!(refused.code == 1, "{refused:?}");
}

/// `STREAMHOST_TEST_SIZE=full tests/run.sh contract equal_versions --nocapture` compares a million records, and
/// shows what a shadow costs the active version where that has no time to spare.
#[test]
fn equal_versions_show_no_difference_however_many_records() {
    let (_guard, servers) = Servers::shared();
    let records = sizes().shadow_records;
    let mut twin = Twin::new(servers, 4);
    twin.send(1000);
    let alone = twin.catches_up(records);
    twin.shadow("none", &["--for", "1h"]);
    let (mut beside, mut rounds) = (0.0, 0.0);
    let diff = wait_for("so many records are compared", LATE * 20, || {
        beside += twin.catches_up(records);
        rounds += 1.0;
        let diff = twin.diff();
        assert_eq!(
            (&diff["running"], &diff["differing"], &diff["faults"]),
            (&true.into(), &0.into(), &0.into()),
            "{diff}"
        );
        (diff["records"].as_u64() >= Some(records)).then_some(diff)
    });
    let rows = &diff["sinks"]["twin-rows"];
    for only in ["only_active", "only_shadow", "reordered"] {
        assert_eq!(rows[only], 0, "{diff}");
    }
    assert!(rows["alike"].as_u64() > Some(records / 2), "{diff}");
    println!(
        "{} records alike, {} of {} batches left out; {:.0} records/s alone, {:.0} beside the shadow: {:.2}",
        diff["records"],
        diff["skipped"],
        diff["skipped"].as_u64().unwrap_or(0) + diff["batches"].as_u64().unwrap_or(0),
        alone,
        beside / rounds,
        beside / rounds / alone
    );
}

/// Sends until the shadow has run its batches.
fn send_slowly_until_ended(twin: &mut Twin<'_>) {
    wait_until("its batches are run", LATE, || {
        twin.send(1000);
        twin.diff()["running"] == false
    });
}

#[test]
fn what_cannot_be_a_shadow_is_refused() {
    let (_guard, servers) = Servers::shared();
    let twin = Twin::new(servers, 1);
    let file = component("tests/guests/twin");
    let ask = |set: &[&str], more: &[&str]| {
        let key = |pair: &str| pair.split_once('=').map(|(key, _)| key.to_owned());
        let given: Vec<_> = set.iter().map(|pair| key(pair)).collect();
        let mut all = twin.places();
        all.retain(|pair| !given.contains(&key(pair)));
        all.extend(set.iter().map(|&pair| pair.to_owned()));
        let more = [&["--shadow"], more].concat();
        twin.host.deploy_as(&file, &twin.job, &all, &more)
    };
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&["source.twin-in=another"], &[], "reads other sources"),
        (&[], &["--promote-if", "speed = 1"], "`speed` is no figure"),
        (&[], &["--for", "3 days"], "1day at most"),
        (&[], &["--batches", "0"], "from 1 on"),
        (&["param.chance=x"], &[], "did you mean `change`?"),
        (&["limits.memory=1"], &[], "limits.memory"),
    ];
    for (set, more, words) in cases {
        let refused = ask(set, more).refusal();
        assert!(refused.contains(words), "{set:?} {more:?}: {refused}");
    }
    let other = twin
        .host
        .deploy_as(&file, "nobody", &twin.places(), &["--shadow"]);
    assert!(other.refusal().contains("there is no job `nobody`"));
    let none = twin.host.cli(["promote", &twin.job]);
    assert!(none.refusal().contains("has no shadow"));
}
