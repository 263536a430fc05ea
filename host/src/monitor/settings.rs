//! Every setting there is for a job, and where its value comes from.

use crate::api::JobFacts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::job::settings::{JobLimits, OnError, Settings, StartPosition};
use utoipa::ToSchema;

/// A job's settings.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobSettings {
    deployment: u64,
    settings: Vec<Setting>,
}

/// One setting.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Setting {
    key: String,
    value: String,
    from: &'static str,
    default: Option<String>,
    meaning: &'static str,
    unit: Option<&'static str>,
}

struct Table<'a> {
    set: &'a BTreeMap<String, String>,
    rows: Vec<Setting>,
}

impl Table<'_> {
    /// A setting whose value is this unless the deployment says another.
    fn row(
        &mut self,
        key: impl Into<String>,
        value: String,
        from: &'static str,
        default: Option<&str>,
        meaning: &'static str,
    ) {
        let key = key.into();
        let set = self.set.get(&key).map(|value| value.trim().to_owned());
        self.rows.push(Setting {
            from: if set.is_some() { "deploy" } else { from },
            value: set.unwrap_or(value),
            key,
            default: default.map(str::to_owned),
            meaning,
            unit: None,
        });
    }
}

impl JobSettings {
    pub(super) fn of(facts: &JobFacts) -> JobSettings {
        let none = Settings::none(facts.host_limits);
        let settings = facts.settings.as_ref().unwrap_or(&none);
        let mut table = Table {
            set: &facts.set,
            rows: Vec::new(),
        };
        let every = facts
            .spec
            .as_ref()
            .map_or(Duration::ZERO, |spec| spec.every);
        let every = match every {
            Duration::ZERO => "0".to_owned(),
            every => humantime::format_duration(every).to_string(),
        };
        let what = "how often a batch closes; 0: as soon as the pipeline is free";
        table.row("every", every, "job", Some("0"), what);
        if let Some(spec) = &facts.spec {
            for source in &spec.sources {
                let key = format!("source.{}", source.name);
                let what = "what this source reads";
                table.row(key, source.target.clone(), "job", Some(&source.name), what);
            }
            for sink in &spec.sinks {
                let key = format!("sink.{}", sink.name);
                let what = "what this sink writes";
                table.row(key, sink.target.clone(), "job", Some(&sink.name), what);
            }
        }
        reading(&mut table, facts, settings);
        limits(&mut table, settings.limits);
        budgets(&mut table);
        JobSettings {
            deployment: facts.status.deployment,
            settings: table.rows,
        }
    }
}

fn reading(table: &mut Table<'_>, facts: &JobFacts, settings: &Settings) {
    let job = &facts.status.job;
    let start = match settings.start {
        StartPosition::Earliest => "earliest".to_owned(),
        StartPosition::Latest => "latest".to_owned(),
        StartPosition::At(time) => {
            let since = time
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            clock::rfc3339(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }
    };
    let until = if settings.until_end { "end" } else { "–" };
    let or_none = |time: Duration| match time {
        Duration::ZERO => "0".to_owned(),
        time => humantime::format_duration(time).to_string(),
    };
    let (idle, ahead) = (or_none(settings.idle), or_none(settings.ahead));
    let on_error = match settings.on_error {
        OnError::DeadLetter => "dead-letter",
        OnError::Skip => "skip",
        OnError::Stop => "stop",
    };
    let what = "where a new job begins to read: `earliest`, `latest`, or a time in RFC 3339";
    table.row("start", start, "default", Some("earliest"), what);
    let what = "`end`: read to the ends that the topics have now, then the job is finished";
    table.row("until", until.to_owned(), "default", None, what);
    let what = "how long a silent partition holds windows back; 0: always";
    table.row("idle", idle, "default", Some("30s"), what);
    let what = "how far ahead of its record's own time an event time may be; 0: however far";
    table.row("ahead", ahead, "default", Some("1day"), what);
    let what = "what happens to a record that is refused: `dead-letter`, `skip` or `stop`";
    table.row(
        "on-error",
        on_error.to_owned(),
        "default",
        Some("dead-letter"),
        what,
    );
    let topic = facts.status.dead_letter_topic.clone();
    let usual = format!("{job}.dead-letters");
    let what = "the topic of its dead letters";
    table.row("dead-letters", topic, "default", Some(&usual), what);
    let group = facts.status.group.clone();
    let what = "the consumer group that shows its progress to monitors";
    table.row("group", group, "default", None, what);
}

fn limits(table: &mut Table<'_>, limits: JobLimits) {
    let usual = JobLimits::default();
    let bytes = |bytes: usize| match bytes {
        bytes if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        bytes => format!("{bytes}B"),
    };
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let rows: [(_, _, String, String, _); 4] = [
        (
            "limits.memory",
            limits.memory_bytes == usual.memory_bytes,
            bytes(limits.memory_bytes),
            bytes(usual.memory_bytes),
            "memory of one instance of its function",
        ),
        (
            "limits.time",
            limits.time == usual.time,
            time(limits.time),
            time(usual.time),
            "how long one call of its function may take",
        ),
        (
            "limits.batch-records",
            limits.batch_records == usual.batch_records,
            limits.batch_records.to_string(),
            usual.batch_records.to_string(),
            "records of one batch",
        ),
        (
            "limits.batch-bytes",
            limits.batch_bytes == usual.batch_bytes,
            bytes(limits.batch_bytes),
            bytes(usual.batch_bytes),
            "bytes of keys and values of one batch",
        ),
    ];
    for (key, is_usual, value, usual, what) in rows {
        let from = if is_usual { "default" } else { "host" };
        table.row(key, value, from, Some(&usual), what);
    }
}

/// What is shown is what was set.
fn budgets(table: &mut Table<'_>) {
    for (key, usual, what) in [
        (
            "max-dead-letters",
            "2% over 1m on probation",
            "how many records may become dead letters, as a share or a number; `none`: however many",
        ),
        (
            "max-latency",
            "none",
            "how old records may be when all sinks have them, but for one in a hundred",
        ),
        ("max-cpu", "none", "how many cores it may use"),
        (
            "probation",
            "100 batches and 15m",
            "how long a new version that proves unfit is rolled back; 0: not at all",
        ),
        (
            "over-budget",
            "go-on",
            "what is done over a budget where nothing is rolled back: `go-on` or `stop`",
        ),
    ] {
        table.row(key, usual.to_owned(), "default", Some(usual), what);
    }
}
