//! Replays, and a job that is replayed.

use crate::clicks::Record;
use crate::feed;
use crate::guests::component;
use crate::host::{Host, unique};
use crate::outside::{self, Table};
use crate::servers::Servers;
use crate::sizes::LATE;
use serde_json::Value;

/// A count of a replay's view, of one sink.
#[track_caller]
pub fn counted(view: &Value, sink: &str, what: &str) -> u64 {
    let count = view["sinks"][sink][what].as_u64();
    count.unwrap_or_else(|| panic!("no {what} of {sink}: {view}"))
}

/// What a replay of a job's whole history comes to.
#[track_caller]
pub fn replay(host: &Host, job: &str, more: &[&str]) -> Value {
    let view = host.json(&[&["replay", job, "--samples", "20"], more].concat());
    assert_eq!(view["outcome"], "done", "{view}");
    view
}

/// A replay has touched nothing of the job's own, by its status before and after.
#[track_caller]
pub fn goes_on_as_it_was(before: &Value, after: &Value) {
    for same in [
        "records_in",
        "batches",
        "rows_out",
        "deployment",
        "incarnation",
    ] {
        assert_eq!(after[same], before[same], "{same} is the job's own");
    }
}

/// A job of the guest `twin`, whose versions differ in one thing.
pub struct Twin<'a> {
    /// Its host.
    pub host: Host,
    /// The servers that it has.
    pub servers: &'a Servers,
    /// Its name.
    pub job: String,
    /// Records of its topic.
    pub sent: u64,
}

impl<'a> Twin<'a> {
    /// One on a host of its own, of this version.
    #[track_caller]
    pub fn new(servers: &'a Servers, change: &str) -> Self {
        let job = unique("twin");
        outside::create_topic(&servers.kafka, &job, 1);
        let twin = Twin {
            host: Host::serve(servers),
            servers,
            job,
            sent: 0,
        };
        twin.deploy(change, &["--create-tables"]);
        twin
    }

    fn places(&self) -> Vec<String> {
        vec![
            format!("source.twin-in={}", self.job),
            format!("sink.twin-rows={}-rows", self.job),
            format!("sink.twin-sums={}-sums", self.job),
        ]
    }

    /// Deploys a version.
    #[track_caller]
    pub fn deploy(&self, change: &str, more: &[&str]) {
        let mut set = self.places();
        set.push(format!("param.change={change}"));
        set.push("limits.batch-records=2000".to_owned());
        let file = component("tests/guests/twin");
        self.host.deploy_as(&file, &self.job, &set, more).ok();
    }

    /// Sends more numbers, and waits until they are read.
    #[track_caller]
    pub fn send(&mut self, count: u64) {
        let numbers = self.sent..self.sent + count;
        let record = |n: u64| Record {
            value: Some(n.to_string().into_bytes()),
            ..Record::default()
        };
        feed::fill(&self.servers.kafka, &self.job, numbers.map(record)).expect("a full topic");
        self.sent += count;
        self.host.wait_records(&self.job, self.sent, LATE);
    }

    /// What a table of it holds.
    #[track_caller]
    pub fn table(&self, name: &str) -> Table {
        outside::table(&self.servers.gateway, &format!("{}-{name}", self.job))
    }
}
