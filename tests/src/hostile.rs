//! The guest `hostile-keyed` at work: a job whose stage `seen` counts what each key says, and
//! breaks on some words.

use crate::clicks::Record;
use crate::command::Said;
use crate::feed::{create_topic, fill};
use crate::guests::build_variant;
use crate::host::{Host, unique};
use crate::outside;
use crate::servers::Servers;
use crate::sizes::{LATE, SOON};
use crate::wait::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;

const FOLDER: &str = "tests/guests/hostile-keyed";

/// What a key said.
pub fn said(key: &str, word: &str) -> Record {
    Record {
        key: None,
        value: Some(format!("{key},{word}").into_bytes()),
        partition: None,
        time_ms: None,
    }
}

/// The same in a partition, at a time.
pub fn said_at(partition: i32, time_ms: i64, key: &str, word: &str) -> Record {
    Record {
        partition: Some(partition),
        time_ms: Some(time_ms),
        ..said(key, word)
    }
}

/// A dead letter of a keyed stage.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The stage.
    pub stage: String,
    /// The group's key.
    pub key: String,
    /// Why.
    pub reason: String,
    /// What was to be merged or finished.
    pub value: Option<String>,
    /// All headers.
    pub headers: BTreeMap<String, String>,
}

/// A job of the guest, on a host of its own.
pub struct Hostile {
    servers: &'static Servers,
    /// The host.
    pub host: Host,
    /// The job's name, and its topic's and its table's.
    pub job: String,
    settings: Vec<String>,
    sent: u64,
}

impl Hostile {
    /// An empty topic of so many partitions, and a host without a job. `settings` are `KEY=VALUE`.
    #[track_caller]
    pub fn new(servers: &'static Servers, partitions: i32, settings: &[&str]) -> Hostile {
        let job = unique("hostile");
        create_topic(&servers.kafka, &job, partitions).expect("a topic");
        let own = [format!("source.words={job}"), format!("sink.seen={job}")];
        let settings = own
            .into_iter()
            .chain(settings.iter().map(|&setting| setting.to_owned()))
            .collect();
        Hostile {
            servers,
            host: Host::serve(servers),
            job,
            settings,
            sent: 0,
        }
    }

    /// Deploys a variant of the guest. `more` are arguments.
    #[track_caller]
    pub fn deploy(&self, variant: &str, more: &[&str]) -> Said {
        let file = self.host.file(&format!("{variant}.wasm"));
        build_variant(FOLDER, variant, &file);
        let mut arguments = vec!["--name", &self.job, "--create-tables"];
        arguments.extend(self.settings.iter().flat_map(|setting| ["--set", setting]));
        self.host.deploy(&file, &[&arguments[..], more].concat())
    }

    /// Sends records.
    #[track_caller]
    pub fn send(&mut self, records: impl IntoIterator<Item = Record>) {
        self.sent +=
            fill(&self.servers.kafka, &self.job, records.into_iter()).expect("all records sent");
    }

    /// Waits until all that was sent is delivered; returns the job's status then.
    #[track_caller]
    pub fn wait(&self) -> Value {
        let status = self.host.wait_records(&self.job, self.sent, LATE);
        assert_eq!(
            status["records_in"], self.sent,
            "each record once: {status}"
        );
        status
    }

    /// Sends records, and waits until they are delivered.
    #[track_caller]
    pub fn say(&mut self, records: impl IntoIterator<Item = Record>) -> Value {
        self.send(records);
        self.wait()
    }

    /// Sends records whose batch is planned and cannot be delivered, as the table is gone. Then the
    /// host is killed, and finds the table there again, but empty: it has to run that batch once
    /// more.
    #[track_caller]
    pub fn say_and_kill(&mut self, records: impl IntoIterator<Item = Record>) {
        outside::drop_table(&self.servers.gateway, &self.job);
        self.send(records);
        let status = self.host.wait_state(&self.job, "stopped", LATE);
        let error = status["last_error"].as_str().unwrap_or_default();
        assert!(
            error.contains(&self.job),
            "stopped as its table is gone: {status}"
        );
        self.host.kill();
        outside::create_table(&self.servers.gateway, &self.job, &["seen"]);
        self.host.restart();
    }

    /// `kill -9`, and the next start.
    #[track_caller]
    pub fn kill(&mut self) {
        self.host.kill();
        self.host.restart();
    }

    /// Waits until the version that was deployed last is rolled back by the host to `version`;
    /// returns why.
    #[track_caller]
    pub fn wait_rolled_back(&self, version: u64) -> String {
        wait_for("the host has rolled back", SOON, || {
            let (history, status) = (
                self.host.json(&["history", &self.job]),
                self.host.status(&self.job),
            );
            let is_back =
                history[0]["kind"] == "automatic-rollback" && status["version"] == version;
            (is_back && status["state"] == "running")
                .then(|| history[0]["reason"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// A column of its table, by key.
    #[track_caller]
    pub fn column(&self, name: &str) -> BTreeMap<String, String> {
        let rows = outside::table(&self.servers.gateway, &self.job);
        rows.into_iter()
            .map(|(key, mut cells)| (key, cells.remove(name).unwrap_or_default()))
            .collect()
    }

    /// How many words each key has said, by its table.
    #[track_caller]
    pub fn words(&self) -> BTreeMap<String, u64> {
        self.column("seen:words")
            .into_iter()
            .map(|(key, words)| (key, words.parse().expect("a number")))
            .collect()
    }

    /// Its dead letters, of which those of one batch, stage and key that are there twice count
    /// once.
    #[track_caller]
    pub fn letters(&self) -> Vec<Letter> {
        let letters = outside::topic(&self.servers.kafka, &format!("{}.dead-letters", self.job));
        let mut found = BTreeMap::new();
        for letter in letters {
            let header = |name: &str| letter.headers.get(name).cloned().unwrap_or_default();
            let key = letter.key.clone().unwrap_or_default();
            let place = (
                header("incarnation"),
                header("batch"),
                header("stage"),
                key.clone(),
            );
            let (stage, reason) = (header("stage"), header("reason"));
            found.insert(
                place,
                Letter {
                    stage,
                    key,
                    reason,
                    value: letter.value,
                    headers: letter.headers,
                },
            );
        }
        found.into_values().collect()
    }

    /// The dead letter of a key, which has one.
    #[track_caller]
    pub fn letter(&self, key: &str) -> Letter {
        let mut letters = self.letters();
        letters.retain(|letter| letter.key == key);
        assert_eq!(letters.len(), 1, "one letter of {key}: {letters:?}");
        letters.remove(0)
    }
}
