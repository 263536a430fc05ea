//! The keyed examples as tests run them: their topics, their sinks, their next version, and the
//! oracle's word on them.

use crate::clicks::Record;
use crate::command::Said;
use crate::feed::{create_topic, fill};
use crate::guests::component;
use crate::host::{Host, unique};
use crate::keyed::{Kind, panels};
use crate::outside;
use crate::servers::Servers;
use crate::sizes::{LATE, PARTITIONS, SOON};
use crate::wait::wait_until;
use serde_json::Value;

/// A keyed example.
#[derive(Debug)]
pub struct Example {
    /// Its oracle, and what its topics and tables are called after.
    pub name: &'static str,
    /// What it reads.
    pub kind: Kind,
    /// The folders of two versions of it: another component of the same state.
    pub versions: [&'static str; 2],
    /// The job's name for its topic.
    pub source: &'static str,
    /// It looks panels up.
    pub has_panels: bool,
    /// The job's name for its table, if it fills one; and the oracle's.
    pub table: Option<(&'static str, &'static str)>,
    /// The job's name for its sink that is a topic.
    pub topic: Option<&'static str>,
    /// When a batch is cut shows in its rows.
    pub by_batch: bool,
}

/// `wordcount` with a topic in place of the socket.
pub const WORDS: Example = Example {
    name: "wordcount",
    kind: Kind::Lines,
    versions: [
        "tests/guests/wordcount-topic",
        "tests/guests/wordcount-topic-2",
    ],
    source: "lines",
    has_panels: false,
    table: None,
    topic: Some("words"),
    by_batch: true,
};
/// `pageviews`.
pub const PAGEVIEWS: Example = Example {
    name: "pageviews",
    kind: Kind::Pageviews,
    versions: ["examples/pageviews", "tests/guests/pageviews-2"],
    source: "pageviews",
    has_panels: false,
    table: Some(("pageviews", "table")),
    topic: Some("pageviews-raw"),
    by_batch: true,
};
/// `hashtags`.
pub const HASHTAGS: Example = Example {
    name: "hashtags",
    kind: Kind::Posts,
    versions: ["examples/hashtags", "tests/guests/hashtags-2"],
    source: "posts",
    has_panels: false,
    table: Some(("trending", "trending")),
    topic: None,
    by_batch: false,
};
/// `sensors`.
pub const SENSORS: Example = Example {
    name: "sensors",
    kind: Kind::Readings,
    versions: ["examples/sensors", "tests/guests/sensors-2"],
    source: "readings",
    has_panels: true,
    table: Some(("power", "power")),
    topic: Some("readings-late"),
    by_batch: false,
};
/// `sessions`.
pub const SESSIONS: Example = Example {
    name: "sessions",
    kind: Kind::Plays,
    versions: ["examples/sessions", "tests/guests/sessions-2"],
    source: "plays",
    has_panels: false,
    table: Some(("sessions", "sessions")),
    topic: None,
    by_batch: false,
};

/// A topic of an example's events, and one of panels where it has them.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The events' topic.
    pub events: String,
    /// The panels' topic.
    panels: Option<String>,
    /// Records of the panels' topic.
    pub panel_records: u64,
}

impl Topics {
    /// New and empty topics of so many partitions.
    #[track_caller]
    pub fn empty(example: &Example, servers: &Servers, partitions: i32) -> Topics {
        let new = |name: &str| {
            let name = unique(name);
            create_topic(&servers.kafka, &name, partitions).expect("a topic");
            name
        };
        let panels = example.has_panels.then(|| new("panels"));
        Topics {
            events: new(example.source),
            panels,
            panel_records: 0,
        }
    }

    /// The same, with all generated panels in their topic.
    #[track_caller]
    pub fn new(example: &Example, servers: &Servers) -> Topics {
        let mut topics = Topics::empty(example, servers, PARTITIONS);
        topics.fill_panels(servers, panels().into_iter());
        topics
    }

    /// Sends panels, if the example has any.
    #[track_caller]
    pub fn fill_panels(&mut self, servers: &Servers, panels: impl Iterator<Item = Record>) {
        if let Some(topic) = &self.panels {
            self.panel_records += fill(&servers.kafka, topic, panels).expect("panels sent");
        }
    }
}

/// What the oracle says of a job.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Records in its topics.
    pub records: u64,
    /// Records that came too late.
    pub late: u64,
    /// Rows that its sinks must be given.
    pub rows: u64,
    /// Records that must be set aside.
    pub dead_letters: u64,
    /// Dead letters beyond one for each of these.
    pub dead_letters_doubled: u64,
}

impl Verdict {
    /// The counts that an oracle prints.
    pub fn of(counts: &Value) -> Verdict {
        let count = |name: &str| {
            counts[name]
                .as_u64()
                .unwrap_or_else(|| panic!("the oracle tells no {name}: {counts}"))
        };
        Verdict {
            records: count("records"),
            late: count("late"),
            rows: count("rows"),
            dead_letters: count("dead_letters"),
            dead_letters_doubled: count("dead_letters_doubled"),
        }
    }

    /// Panics where a job's own counts are others.
    #[track_caller]
    pub fn is_told_by(&self, status: &Value) {
        let told = |name: &str| status[name].as_u64();
        assert_eq!(told("records_in"), Some(self.records), "{status}");
        assert_eq!(told("late"), Some(self.late), "{status}");
        assert_eq!(told("rows_out"), Some(self.rows), "{status}");
        assert_eq!(told("dead_letters"), Some(self.dead_letters), "{status}");
    }
}

/// A job of an example, with sinks of its own.
#[derive(Debug)]
pub struct Run<'a> {
    example: &'a Example,
    servers: &'a Servers,
    topics: Topics,
    /// Its name; its sinks are called after it.
    pub job: String,
}

impl<'a> Run<'a> {
    /// A new job that reads these topics.
    pub fn new(example: &'a Example, servers: &'a Servers, topics: &Topics) -> Run<'a> {
        Run {
            example,
            servers,
            topics: topics.clone(),
            job: unique(example.name),
        }
    }

    /// Its sinks: the job's names for them, the oracle's, and where they really are.
    fn sinks(&self) -> Vec<(&'static str, &'static str, String)> {
        let topic = self.example.topic.map(|topic| (topic, topic));
        let sinks = self.example.table.into_iter().chain(topic);
        sinks
            .map(|(name, place)| (name, place, format!("{}-{place}", self.job)))
            .collect()
    }

    /// Deploys one of the two versions, with more settings: `KEY=VALUE`.
    #[track_caller]
    pub fn deploy(&self, host: &Host, version: usize, more: &[&str]) -> Said {
        let mut settings = vec![format!(
            "source.{}={}",
            self.example.source, self.topics.events
        )];
        settings.extend(
            self.topics
                .panels
                .iter()
                .map(|panels| format!("source.panels={panels}")),
        );
        settings.extend(
            self.sinks()
                .iter()
                .map(|(name, _, place)| format!("sink.{name}={place}")),
        );
        settings.extend(more.iter().map(|&setting| setting.to_owned()));
        let mut arguments = vec!["--name", &self.job, "--create-tables"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        let said = host.deploy(&component(self.example.versions[version]), &arguments);
        assert_eq!(
            said.code, 0,
            "version {version} of {} is refused: {}",
            self.job, said.err
        );
        said
    }

    /// Waits until so many records of the events' topic are read, all panels too, and all that came
    /// of them is durable.
    #[track_caller]
    pub fn wait_for_all(&self, host: &Host, events: u64) -> Value {
        host.wait_records(&self.job, events + self.topics.panel_records, LATE);
        wait_until("nothing is left to read", SOON, || {
            host.status(&self.job)["lag"] == 0
        });
        host.status(&self.job)
    }

    /// Has the oracle compare sinks and dead letters with the topics. Panics with the first
    /// differences.
    #[track_caller]
    pub fn verdict(&self, ended: bool) -> Verdict {
        let mut places: Vec<(&str, String)> = vec![
            ("brokers", self.servers.kafka.clone()),
            ("gateway", self.servers.gateway.clone()),
            ("dead-letters", format!("{}.dead-letters", self.job)),
            (self.example.source, self.topics.events.clone()),
        ];
        places.extend(
            self.topics
                .panels
                .iter()
                .map(|panels| ("panels", panels.clone())),
        );
        places.extend(
            self.sinks()
                .into_iter()
                .map(|(_, place, name)| (place, name)),
        );
        places.extend(ended.then(|| ("ended", "yes".to_owned())));
        Verdict::of(&outside::oracle(self.example.name, &places))
    }

    /// Its table's rows as text, `key=… column=value …`, in the order of their keys.
    #[track_caller]
    pub fn rows(&self) -> Vec<String> {
        let (_, _, table) = self.sinks().swap_remove(0);
        let row = |(key, cells): (String, std::collections::BTreeMap<String, String>)| {
            let cells = cells
                .iter()
                .map(|(column, value)| format!(" {column}={value}"));
            format!("key={key}{}", cells.collect::<String>())
        };
        outside::table(&self.servers.gateway, &table)
            .into_iter()
            .map(row)
            .collect()
    }
}
