//! A canary runs its part of the records and no other, and what it wrote is what its part is,
//! whatever is killed; it is widened, completed, and taken back, by hand or by the host.

use serde_json::Value;
use std::collections::BTreeMap;
use streamhost_core::job::Share;
use streamhost_tests::clicks::Record;
use streamhost_tests::command::Said;
use streamhost_tests::feed;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS};
use streamhost_tests::wait::{wait_for, wait_until};

/// A job of the guest `twin`: numbers, and their sums by the last digit unless it has none.
struct Twin<'a> {
    host: Host,
    servers: &'a Servers,
    job: String,
    sums: bool,
    sent: u64,
}

impl<'a> Twin<'a> {
    fn new(servers: &'a Servers, sums: bool) -> Self {
        let job = unique("canary");
        feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
        let twin = Twin {
            host: Host::serve(servers),
            servers,
            job,
            sums,
            sent: 0,
        };
        twin.deploy("none", &["--create-tables"]).ok();
        twin
    }

    fn deploy(&self, change: &str, more: &[&str]) -> Said {
        let set = [
            format!("source.twin-in={}", self.job),
            format!("sink.twin-rows={}-rows", self.job),
            "limits.batch-records=500".to_owned(),
            format!("param.sums={}", self.sums),
            format!("param.change={change}"),
        ];
        let sums = self
            .sums
            .then(|| format!("sink.twin-sums={}-sums", self.job));
        // The numbers that fail are all in one partition, so a batch may have many of them.
        let budget = match change {
            "mark" => Some("50% over 1m"),
            "dies" => Some("none"), // it is to go by what it breaks
            _ => None,
        };
        let budget = budget.map(|most| format!("max-dead-letters={most}"));
        let set: Vec<_> = set.into_iter().chain(sums).chain(budget).collect();
        let file = component("tests/guests/twin");
        self.host.deploy_as(&file, &self.job, &set, more)
    }

    /// Sends so many numbers.
    fn puts(&mut self, count: u64) {
        let numbers = (self.sent..self.sent + count).map(number);
        feed::fill(&self.servers.kafka, &self.job, numbers).expect("all are sent");
        self.sent += count;
    }

    /// The same, and waits until their rows are there.
    fn send(&mut self, count: u64) {
        self.puts(count);
        self.host.wait_records(&self.job, self.sent, LATE);
    }

    /// Kills the host in the middle of so many numbers.
    fn dies_within(&mut self, count: u64) {
        self.puts(count);
        let before = self.host.records(&self.job);
        let more = (before + 1).min(self.sent); // it may be through with them
        self.host.wait_records(&self.job, more, LATE);
        self.host.kill();
        self.host.restart();
        self.host.wait_records(&self.job, self.sent, LATE);
    }

    fn canary(&self) -> Value {
        self.host.status(&self.job)["canary"].clone()
    }

    /// By whom each row of a table was made; none: by the version without a mark.
    fn by(&self, table: &str) -> BTreeMap<String, bool> {
        let rows = outside::table(&self.servers.gateway, &format!("{}-{table}", self.job));
        let is_marked =
            |(key, row): (String, BTreeMap<String, String>)| (key, row.contains_key("f:by"));
        rows.into_iter().map(is_marked).collect()
    }

    /// Every number that is no dead letter has its row, and those from a number on that are in a part
    /// were made by the canary, and no others.
    fn canary_made(&self, first: u64, part: &str) -> u64 {
        let part: Share = part.parse().expect("a part");
        let rows = self.by("rows");
        let wanted: Vec<u64> = (0..self.sent).filter(|n| n % 100 != 50).collect();
        let mut found: Vec<u64> = rows
            .keys()
            .map(|key| key.parse().expect("a number"))
            .collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "every number has its row");
        let mut made = 0;
        for n in wanted.into_iter().filter(|n| *n >= first) {
            let (partition, offset) = place(n);
            let is_canarys = part.has_record(partition, offset, None);
            assert_eq!(rows[&n.to_string()], is_canarys, "{n}");
            made += u64::from(is_canarys);
        }
        made
    }
}

/// Where a number is in the topic.
fn place(n: u64) -> (i32, i64) {
    let partitions = PARTITIONS as u64;
    ((n % partitions) as i32, (n / partitions) as i64)
}

/// Number `n`, as a record.
fn number(n: u64) -> Record {
    Record {
        key: None,
        value: Some(n.to_string().into_bytes()),
        partition: Some(place(n).0),
        time_ms: None,
    }
}

#[test]
fn a_canary_runs_its_share_is_widened_and_completed_whatever_is_killed() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, false);
    twin.send(1000);
    let said = twin.deploy("mark", &["--canary", "30%"]).ok();
    assert!(
        said.contains("version 2 runs 30% of the keys beside version 1"),
        "{said}"
    );
    twin.send(4000);
    let count = |of: &Value| of["records"].as_u64().expect("a count");
    let canary = wait_for("both versions have run all records", LATE, || {
        let canary = twin.canary();
        (count(&canary["active"]) + count(&canary["canary"]) == 4000).then_some(canary)
    });
    let made = twin.canary_made(1000, "30%");
    assert_eq!(
        canary["canary"]["rows"], made,
        "what it made is what is there: {canary}"
    );
    let told = format!(
        "streamhost_canary_rows_total{{streamhost_job=\"{}\",side=\"canary\",version=\"2\"}} {made}\n",
        twin.job
    );
    wait_until("the metrics tell of it", LATE, || {
        twin.host.metrics().contains(&told)
    });

    // After a crash it goes on, and every record of a batch that is run again is its version's.
    twin.dies_within(4000);
    twin.canary_made(1000, "30%");
    let diff = twin.host.cli(["diff", &twin.job]).ok();
    assert!(
        diff.contains("version 2 runs 30% of the keys since"),
        "{diff}"
    );

    let none = twin
        .host
        .cli(["promote", &twin.job, "--to", "partitions=0,9"]);
    let none = none.refusal();
    assert!(
        none.contains("partition 9 is none that the job reads: it reads 0, 1, 2, 3"),
        "{none}"
    );
    let said = twin
        .host
        .cli(["promote", &twin.job, "--to", "partitions=0,2"])
        .ok();
    assert!(said.contains("version 2 runs partitions 0,2"), "{said}");
    twin.dies_within(4000);
    assert_eq!(twin.canary_made(9000, "partitions=0,2"), 1960);
    let said = twin.host.cli(["promote", &twin.job]).ok();
    assert!(said.contains("version 2 is active"), "{said}");
    twin.send(1000);
    assert_eq!(twin.canary_made(13_000, "partitions=0,1,2,3"), 990);
    let history = twin.host.cli(["history", &twin.job]).ok();
    assert!(history.contains("canary: version 2 runs 30%"), "{history}");
}

#[test]
fn of_each_key_what_its_own_version_made_counts() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, true);
    twin.send(2000);
    twin.deploy("mark", &["--canary", "40%"]).ok();
    twin.send(2000);
    let few = twin.by("sums");
    let count = |of: &BTreeMap<String, bool>| of.values().filter(|marked| **marked).count();
    assert!((1..10).contains(&count(&few)), "{few:?}");
    // Rows before a key stay the active version's.
    assert_eq!(twin.canary_made(0, "partitions=99"), 0);
    assert_eq!(twin.canary()["by_key"], true);
    twin.dies_within(3000);
    assert_eq!(twin.by("sums"), few, "a key stays with its version");

    twin.host.cli(["promote", &twin.job, "--to", "80%"]).ok();
    twin.dies_within(3000);
    let more = twin.by("sums");
    assert!(count(&more) >= count(&few), "{more:?}");
    assert!(
        few.iter().all(|(key, marked)| !marked || more[key]),
        "a larger share has all of a smaller one"
    );
    twin.host.cli(["promote", &twin.job]).ok();
    twin.send(1000);
    assert_eq!(count(&twin.by("sums")), 10);
    let sums = outside::table(&servers.gateway, &format!("{}-sums", twin.job));
    for digit in 0..10 {
        let counts = |n: &u64| n % 10 == digit && n % 100 != 50;
        let want: u64 = (0..twin.sent).filter(counts).sum();
        assert_eq!(
            sums[&format!("k{digit}")]["f:sum"],
            want.to_string(),
            "k{digit}"
        );
    }
}

#[test]
fn a_canary_that_fails_one_record_in_twenty_is_taken_back_by_the_host() {
    let (_guard, servers) = Servers::shared();
    for sums in [false, true] {
        let mut twin = Twin::new(servers, sums);
        twin.send(2000);
        twin.deploy("refuse", &["--canary", "25%"]).ok();
        let newest = wait_for("the host takes the canary back", LATE, || {
            twin.send(1000);
            let history = twin.host.json(&["history", &twin.job]);
            (history[0]["kind"] == "automatic-rollback").then(|| history[0].clone())
        });
        let reason = newest["reason"].as_str().expect("a reason");
        assert!(
            reason.contains("version 2 was rolled back: over the usual max-dead-letters"),
            "{reason}"
        );
        assert_eq!(
            (&newest["version"], &newest["canary"]),
            (&1.into(), &Value::Null)
        );
        assert_eq!(twin.canary(), Value::Null);
        let letters = twin.host.status(&twin.job)["dead_letters"]
            .as_u64()
            .expect("a count");
        twin.send(1000);
        let after = twin.host.status(&twin.job)["dead_letters"]
            .as_u64()
            .expect("a count");
        assert_eq!(after - letters, 10, "version 1 fails on one in a hundred");
        // By hand, too.
        twin.deploy("mark", &["--canary", "25%"]).ok();
        let said = twin.host.cli(["rollback", &twin.job]).ok();
        assert!(said.contains("version 1 is active"), "{said}");
        assert_eq!(twin.canary(), Value::Null);
    }
}

#[test]
fn a_canary_that_breaks_on_all_it_runs_goes_at_once_and_the_active_version_runs_its_records() {
    let (_guard, servers) = Servers::shared();
    for sums in [false, true] {
        let mut twin = Twin::new(servers, sums);
        twin.send(2000);
        twin.deploy("dies", &["--canary", "50%"]).ok();
        let newest = wait_for("the host takes the canary back", LATE, || {
            twin.send(4000);
            let history = twin.host.json(&["history", &twin.job]);
            (history[0]["kind"] == "automatic-rollback").then(|| history[0].clone())
        });
        let reason = newest["reason"].as_str().expect("a reason");
        assert!(
            reason.contains("the canary: it broke on more than 100 records"),
            "{reason}"
        );
        assert_eq!(newest["version"], 1);
        let letters = twin.host.status(&twin.job)["dead_letters"].clone();
        // The batch that it broke was run again without it: what is a dead letter by it is of batches
        // before, in which there was little to break on.
        let rows = twin.by("rows").len() as u64;
        assert_eq!(letters, twin.sent - rows, "of {} numbers", twin.sent);
        twin.send(1000);
        let status = twin.host.status(&twin.job);
        let before = letters.as_u64().expect("a count");
        assert_eq!(status["dead_letters"], before + 10, "one in a hundred");
        assert_eq!(twin.canary(), Value::Null);
    }
}

#[test]
fn what_cannot_be_a_canary_is_refused() {
    let (_guard, servers) = Servers::shared();
    let mut keyed = Twin::new(servers, true);
    keyed.send(100);
    let cases: [(&str, &[&str], &str); 5] = [
        ("mark", &["--canary", "120%"], "is no share"),
        ("mark", &["--canary", "few"], "is no share"),
        (
            "mark",
            &["--canary", "partitions=0"],
            "say a share of its keys",
        ),
        ("none", &["--canary", "5%"], "just this is active already"),
        (
            "mark",
            &["--canary", "5%", "--set", "on-error=skip"],
            "are for the whole job",
        ),
    ];
    for (change, more, words) in cases {
        let refused = keyed.deploy(change, more).refusal();
        assert!(refused.contains(words), "{more:?}: {refused}");
    }
    let none = keyed.host.cli(["promote", &keyed.job, "--to", "50%"]);
    assert!(none.refusal().contains("has no canary"));
    keyed.sums = false;
    let without_sums = ["--canary", "5%", "--reset-settings"]; // or their place would be set still
    let other = keyed.deploy("mark", &without_sums).refusal();
    assert!(other.contains("its keyed stages"), "{other}");
    assert_eq!(keyed.canary(), Value::Null);
    // Of a shadow that compares two versions, and a canary that makes two of them, one runs.
    keyed.sums = true;
    keyed.deploy("mark", &["--canary", "5%"]).ok();
    let shadow = keyed.deploy("column", &["--shadow"]).refusal();
    assert!(shadow.contains("has a canary"), "{shadow}");
    let again = keyed.deploy("mark", &["--canary", "5%"]).ok();
    assert!(again.contains("nothing changed"), "{again}");
}
