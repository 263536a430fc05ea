//! A data folder that the release before left at a `kill -9`, as `tests/upgrade/make.sh` says: today's
//! binary goes on in it, reads each kind of record, and counts on exactly.

use std::collections::BTreeMap;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::host::{Host, free_port};
use streamhost_tests::outside;
use streamhost_tests::paths::root;
use streamhost_tests::sizes::{LATE, SOON};
use streamhost_tests::wait::wait_until;

const COUNT: &str = "seen:count";

struct Upgraded {
    host: Host,
    kafka: String,
    hbase: String,
}

impl Upgraded {
    /// Today's `dev` in that folder.
    #[track_caller]
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let archive = root().join("tests/upgrade/before.tar.xz");
        let mut unpack = Command::new("tar");
        say(unpack.arg("-C").arg(folder.path()).arg("-xJf").arg(archive)).ok();
        let (kafka, hbase) = (free_port(), free_port());
        Upgraded {
            host: Host::dev_in(folder, kafka, hbase),
            kafka: format!("127.0.0.1:{kafka}"),
            hbase: format!("127.0.0.1:{hbase}"),
        }
    }

    /// The counts in a table, by row; a number crosses as text.
    fn counts(&self, table: &str) -> BTreeMap<String, String> {
        let cells = outside::column(&self.hbase, table, COUNT);
        let value = |(row, cell): (String, outside::Written)| (row, cell.value);
        cells.into_iter().map(value).collect()
    }

    /// Sends values to a job's topic, behind `before` that were read: each once the job has read the one
    /// before it, as the topic has several partitions, and a later time that is read first would make
    /// the other late.
    #[track_caller]
    fn send(&self, job: &str, values: &[&str], before: u64) {
        for (value, read) in values.iter().zip(before + 1..) {
            outside::send(&self.kafka, job, &[value]);
            self.host.wait_records(job, read, LATE);
        }
    }

    fn text(&self, job: &str, arguments: &[&str]) -> String {
        let all: Vec<&str> = arguments.iter().copied().chain([job]).collect();
        self.host.cli(all).ok()
    }
}

fn rows<const N: usize>(rows: [(&str, u64); N]) -> BTreeMap<String, String> {
    rows.map(|(row, count)| (row.to_owned(), count.to_string()))
        .into()
}

/// The first minute of 2023, and the session of its seconds 0 to 30, each with what it is called.
const WINDOW_A: &str = "a#1672531200000";
const WINDOW_B: &str = "b#1672531200000";

#[test]
fn a_data_folder_of_the_release_before_is_gone_on_with() {
    let mut upgraded = Upgraded::open();
    let (kafka, hbase) = (upgraded.kafka.clone(), upgraded.hbase.clone());

    // The planned batches are delivered once their tables are there again: of `plain` by reading its
    // topic again, of `running` by the records that were kept with the plan.
    for job in ["plain", "running"] {
        outside::create_table(&hbase, job, &["seen"]);
        let state = upgraded.host.status(job)["state"].clone();
        if state == "stopped" {
            upgraded.text(job, &["resume"]);
        }
    }
    let plain = upgraded.host.wait_records("plain", 7, LATE);
    assert_eq!(plain["rows_out"], 5, "three before, two planned: {plain}");
    assert_eq!(plain["dead_letters"], 2, "{plain}");
    assert_eq!(upgraded.counts("plain"), rows([("five", 1), ("four", 1)]));
    let running = upgraded.host.wait_records("running", 4, LATE);
    assert_eq!(running["records_in"], 4, "{running}");
    assert_eq!(
        upgraded.counts("running"),
        rows([("a", 3)]),
        "what was counted before the kill is counted on"
    );

    // Windows and a session that were open then end with all of their events.
    upgraded.send("windows", &["a 1672531204000", "c 1672531300000"], 4);
    wait_until("the windows fire", SOON, || {
        upgraded.counts("windows").len() == 2
    });
    assert_eq!(
        upgraded.counts("windows"),
        rows([(WINDOW_A, 4), (WINDOW_B, 1)])
    );
    upgraded.send("sessions", &["a 1672531250000", "a 1672532000000"], 2);
    wait_until("the session ends", LATE, || {
        !upgraded.counts("sessions").is_empty()
    });
    assert_eq!(upgraded.counts("sessions"), rows([(WINDOW_A, 3)]));

    // What is remembered of letters, deployments and the job that is gone.
    let letters = upgraded.host.json(&["dead-letters", "plain", "list"]);
    let outcomes = letters.to_string();
    assert!(outcomes.contains("dropped"), "{letters}");
    let history = upgraded.host.json(&["history", "plain"]);
    let versions = history.as_array().map(Vec::len);
    assert_eq!(versions, Some(2), "{history}");
    let gone = upgraded.host.json(&["history", "gone"]);
    assert!(gone.to_string().contains("undeploy"), "{gone}");

    // And it goes on from here, over a kill of its own.
    outside::send(&kafka, "plain", &["six", "bad-three"]);
    upgraded.host.wait_records("plain", 9, LATE);
    upgraded.host.kill();
    upgraded.host.restart();
    let plain = upgraded.host.wait_records("plain", 9, LATE);
    assert_eq!(plain["rows_out"], 6, "{plain}");
    assert_eq!(plain["dead_letters"], 3, "{plain}");
}
