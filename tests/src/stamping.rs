//! The guest `stamp` at work: a job each of whose rows says which version wrote it.

use crate::clicks::Record;
use crate::feed;
use crate::guests::build_variant;
use crate::host::{Host, unique};
use crate::outside::{self, Written};
use crate::servers::Servers;
use crate::sizes::PARTITIONS;
use std::collections::BTreeMap;

const FOLDER: &str = "tests/guests/stamp";
const COLUMN: &str = "stamp:version";

/// Where it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    /// A topic, in transactions.
    Kafka,
    /// A table of HBase.
    Table,
}

/// A stamping job and its places: the topic that it reads has the job's name.
pub struct Stamping {
    servers: &'static Servers,
    into: Into,
    /// Its name.
    pub job: String,
    /// Where it writes.
    pub place: String,
}

/// A row of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its key: the record's place, such as `0:7`.
    pub key: String,
    /// The version that wrote it.
    pub version: u64,
    /// When it was written.
    pub time_ms: i64,
}

/// Record `n`: its partition and its number there, as text `0:7`.
pub fn numbered(n: u64) -> Record {
    let partition = (n % PARTITIONS as u64) as i32;
    let place = format!("{partition}:{}", n / PARTITIONS as u64).into_bytes();
    Record {
        key: Some(place.clone()),
        value: Some(place),
        partition: Some(partition),
        time_ms: None,
    }
}

impl Stamping {
    /// Makes the places.
    #[track_caller]
    pub fn new(servers: &'static Servers, into: Into) -> Stamping {
        let stamping = Stamping {
            servers,
            into,
            job: unique("stamps"),
            place: unique("stamps-out"),
        };
        feed::create_topic(&servers.kafka, &stamping.job, PARTITIONS).expect("a topic");
        match into {
            Into::Kafka => {
                feed::create_topic(&servers.kafka, &stamping.place, PARTITIONS).expect("a topic")
            }
            Into::Table => outside::create_table(&servers.gateway, &stamping.place, &["stamp"]),
        }
        stamping
    }

    /// Deploys version 1 or 2.
    #[track_caller]
    pub fn deploy(&self, host: &Host, version: u64) {
        self.deploy_to(host, version, &self.place, &[]);
    }

    /// Deploys version 1 or 2 with another place to write to, and more arguments. Gives what the
    /// command said.
    #[track_caller]
    pub fn deploy_to(&self, host: &Host, version: u64, to: &str, more: &[&str]) -> String {
        let variant = format!(
            "{}-{version}",
            if self.into == Into::Kafka {
                "kafka"
            } else {
                "table"
            }
        );
        let file = host.file(&format!("{variant}.wasm"));
        build_variant(FOLDER, &variant, &file);
        let (source, sink) = (
            format!("source.stamps-in={}", self.job),
            format!("sink.stamps-out={to}"),
        );
        let settings = [
            "--name", &self.job, "--set", &source, "--set", &sink, "--set", "every=0",
        ];
        host.deploy(&file, &[&settings, more].concat()).ok()
    }

    /// The rows as clients that are not ours read them, by partition of the source and in its
    /// order. Panics unless each of so many records is there just once.
    #[track_caller]
    pub fn stamps(&self, records: u64) -> Vec<Vec<Stamp>> {
        let mut written = self.written();
        let partitions = PARTITIONS as u64;
        let stamp = |n: u64| {
            let key = String::from_utf8(numbered(n).key.expect("a key")).expect("text");
            let Written { value, time_ms } = written
                .remove(&key)
                .unwrap_or_else(|| panic!("record {key} is lost"));
            Stamp {
                key,
                version: value.parse().expect("a version"),
                time_ms,
            }
        };
        let all: Vec<Stamp> = (0..records).map(stamp).collect();
        assert!(written.is_empty(), "rows of no record: {written:?}");
        let of = |partition: u64| {
            all.iter()
                .skip(partition as usize)
                .step_by(PARTITIONS as usize)
                .cloned()
                .collect()
        };
        (0..partitions).map(of).collect()
    }

    #[track_caller]
    fn written(&self) -> BTreeMap<String, Written> {
        if self.into == Into::Table {
            return outside::column(&self.servers.gateway, &self.place, COLUMN);
        }
        let mut rows = BTreeMap::new();
        for seen in outside::topic(&self.servers.kafka, &self.place) {
            let row: serde_json::Value =
                serde_json::from_str(seen.value.as_deref().unwrap_or("")).expect("JSON");
            let written = Written {
                value: row[COLUMN].to_string(),
                time_ms: seen.time_ms,
            };
            let key = seen.key.expect("a stamp's key is its record");
            assert_eq!(
                rows.insert(key.clone(), written),
                None,
                "record {key} was written twice"
            );
        }
        rows
    }

    /// How many values the table keeps of the rows on both sides of each change of version: more
    /// than one where a row was written again later.
    #[track_caller]
    pub fn values_kept(&self, stamps: &[Vec<Stamp>]) -> BTreeMap<String, u64> {
        let sides = stamps.iter().flat_map(|stamps| {
            stamps
                .windows(2)
                .filter(|pair| pair[0].version != pair[1].version)
        });
        let keys: Vec<&str> = sides.flatten().map(|stamp| stamp.key.as_str()).collect();
        outside::values_kept(&self.servers.gateway, &self.place, COLUMN, &keys)
    }
}

/// Where the version changes: each first row of the next one.
pub fn changes(stamps: &[Stamp]) -> Vec<&Stamp> {
    stamps
        .windows(2)
        .filter(|pair| pair[0].version != pair[1].version)
        .map(|pair| &pair[1])
        .collect()
}
