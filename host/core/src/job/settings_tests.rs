use super::*;

fn pairs(text: &[(&str, &str)]) -> BTreeMap<String, String> {
    text.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn parse(key: &str, value: &str) -> Result<Settings, String> {
    Settings::parse(&pairs(&[(key, value)]), JobLimits::default()).map_err(|faults| {
        faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })
}

fn none() -> Settings {
    Settings::none(JobLimits::default())
}

#[test]
fn each_setting_sets_its_field() {
    let at = |seconds| StartPosition::At(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let limits = JobLimits::default();
    let cases = [
        (
            "every",
            "1s",
            Settings {
                every: Some(Duration::from_secs(1)),
                ..none()
            },
        ),
        (
            "every",
            " 250ms ",
            Settings {
                every: Some(Duration::from_millis(250)),
                ..none()
            },
        ),
        (
            "every",
            "0",
            Settings {
                every: Some(Duration::ZERO),
                ..none()
            },
        ),
        (
            "every",
            "0s",
            Settings {
                every: Some(Duration::ZERO),
                ..none()
            },
        ),
        (
            "source.clicks",
            "c2",
            Settings {
                sources: pairs(&[("clicks", "c2")]),
                ..none()
            },
        ),
        (
            "source.a.b",
            "c2",
            Settings {
                sources: pairs(&[("a.b", "c2")]),
                ..none()
            },
        ),
        (
            "sink.clicks",
            "ns:t",
            Settings {
                sinks: pairs(&[("clicks", "ns:t")]),
                ..none()
            },
        ),
        (
            "dead-letters",
            "bad.ones",
            Settings {
                dead_letters: Some("bad.ones".to_owned()),
                ..none()
            },
        ),
        ("start", "earliest", none()),
        (
            "start",
            "latest",
            Settings {
                start: StartPosition::Latest,
                ..none()
            },
        ),
        (
            "start",
            "1970-01-02T00:00:00Z",
            Settings {
                start: at(86_400),
                ..none()
            },
        ),
        (
            "start",
            "1970-01-02t00:00:00z",
            Settings {
                start: at(86_400),
                ..none()
            },
        ),
        (
            "start",
            "1970-01-02T00:00:00+01:00",
            Settings {
                start: at(82_800),
                ..none()
            },
        ),
        (
            "start",
            "1970-01-02T00:00:00-01:30",
            Settings {
                start: at(91_800),
                ..none()
            },
        ),
        (
            "source.in",
            "data/a b.csv",
            Settings {
                sources: pairs(&[("in", "data/a b.csv")]),
                ..none()
            },
        ),
        (
            "until",
            "end",
            Settings {
                until_end: true,
                ..none()
            },
        ),
        (
            "idle",
            "90s",
            Settings {
                idle: Duration::from_secs(90),
                ..none()
            },
        ),
        (
            "idle",
            "0",
            Settings {
                idle: Duration::ZERO,
                ..none()
            },
        ),
        ("idle", "30s", none()),
        ("ahead", "1day", none()),
        (
            "on-error",
            "skip",
            Settings {
                on_error: OnError::Skip,
                ..none()
            },
        ),
        (
            "on-error",
            "stop",
            Settings {
                on_error: OnError::Stop,
                ..none()
            },
        ),
        ("on-error", "dead-letter", none()),
        (
            "group",
            "mine",
            Settings {
                group: Some("mine".to_owned()),
                ..none()
            },
        ),
        (
            "limits.memory",
            "16MiB",
            Settings {
                limits: JobLimits {
                    memory_bytes: 16 << 20,
                    ..limits
                },
                ..none()
            },
        ),
        (
            "limits.memory",
            "8388608",
            Settings {
                limits: JobLimits {
                    memory_bytes: 8 << 20,
                    ..limits
                },
                ..none()
            },
        ),
        (
            "limits.time",
            "500ms",
            Settings {
                limits: JobLimits {
                    time: Duration::from_millis(500),
                    ..limits
                },
                ..none()
            },
        ),
        (
            "limits.batch-records",
            "7",
            Settings {
                limits: JobLimits {
                    batch_records: 7,
                    ..limits
                },
                ..none()
            },
        ),
        (
            "limits.batch-bytes",
            "1KiB",
            Settings {
                limits: JobLimits {
                    batch_bytes: 1024,
                    ..limits
                },
                ..none()
            },
        ),
    ];
    for (key, value, want) in cases {
        assert_eq!(parse(key, value), Ok(want), "{key}={value}");
    }
}

#[test]
fn bad_values_are_refused_with_what_would_do() {
    let cases = [
        ("every", "1", "unit is missing: `1s`"),
        ("every", "", "number and a unit"),
        ("every", "-1s", "number and a unit"),
        ("every", "soon", "number and a unit"),
        ("every", "2days", "1day at most"),
        ("every", "1us", "whole number of milliseconds"),
        ("every", "99999999999999999999s", "number and a unit"),
        ("dead-letters", "", "empty"),
        ("dead-letters", "a b", "topic's name"),
        ("group", " ", "empty"),
        ("start", "yesterday", "RFC 3339"),
        ("start", "2026-13-01T00:00:00Z", "RFC 3339"),
        ("start", "2026-01-01T00:00:00", "RFC 3339"),
        ("start", "2026-01-01T00:00:00+25:00", "RFC 3339"),
        ("start", "äöüäöü", "RFC 3339"),
        ("start", "", "RFC 3339"),
        ("until", "forever", "can only be `end`"),
        ("until", "", "can only be `end`"),
        ("idle", "30", "unit is missing"),
        ("idle", "never", "number and a unit"),
        ("idle", "2years", "at most"),
        ("source.clicks", "a\tb", "control characters"),
        ("on-error", "ignore", "dead-letter, skip, stop"),
        ("limits.memory", "64", "4.0 MiB to 1.0 GiB"),
        ("limits.memory", "2GiB", "4.0 MiB to 1.0 GiB"),
        ("limits.memory", "lots", "such as `64MiB`"),
        ("limits.memory", "-1", "such as `64MiB`"),
        ("limits.time", "1ms", "10ms to 10m"),
        ("limits.time", "1h", "10ms to 10m"),
        ("limits.time", "5", "unit is missing"),
        ("limits.batch-records", "0", "1 to 100000"),
        ("limits.batch-records", "1e3", "whole number"),
        ("limits.batch-bytes", "0", "from 1 B"),
        ("limits.batch-bytes", "1GiB", "16.0 MiB"),
        ("source.", "x", "name after the dot"),
        ("source.clicks", "", "empty"),
        ("sink.clicks", "a\tb", "control characters"),
    ];
    for (key, value, want) in cases {
        let said = parse(key, value).expect_err(&format!("{key}={value} was taken"));
        assert!(
            said.contains(want) && said.contains(key),
            "{key}={value}: {said}"
        );
    }
}

#[test]
fn event_times_may_be_however_far_ahead() {
    let set = |value| Settings::parse(&pairs(&[("ahead", value)]), JobLimits::default());
    assert_eq!(set("0").unwrap().time_rules(true).ahead_ms, 0);
    assert_eq!(set("2h").unwrap().time_rules(true).ahead_ms, 7_200_000);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    let cases = [
        ("evry", "did you mean `every`?"),
        ("dead-letter", "did you mean `dead-letters`?"),
        ("on_error", "did you mean `on-error`?"),
        ("sources.clicks", "did you mean `source.clicks`?"),
        ("snk.clicks", "did you mean `sink.clicks`?"),
        ("parm.least", "did you mean `param.least`?"),
        ("memory", "did you mean `limits.memory`?"),
        ("limits.memry", "did you mean `limits.memory`?"),
        ("limit.time", "did you mean `limits.time`?"),
        (
            "parallelism",
            "there are source.NAME, sink.NAME, param.NAME, ahead, dead-letters, every",
        ),
        ("idel", "did you mean `idle`?"),
        ("untl", "did you mean `until`?"),
        ("", "there are"),
    ];
    for (key, want) in cases {
        let said = parse(key, "x").expect_err(key);
        assert!(said.contains(want), "{key}: {said}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = Settings::parse(
        &pairs(&[
            ("evry", "1s"),
            ("start", "never"),
            ("limits.time", "1h"),
            ("group", "fine"),
        ]),
        JobLimits::default(),
    )
    .expect_err("three faults");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn defaults_are_the_hosts_and_the_names_follow_the_job() {
    let defaults = JobLimits {
        batch_records: 5,
        ..JobLimits::default()
    };
    let settings = Settings::parse(&BTreeMap::new(), defaults).expect("no pairs, no faults");
    assert_eq!(settings.limits.batch().records_max, 5);
    assert_eq!(settings.dead_letter_topic("clicks"), "clicks.dead-letters");
    assert_eq!(settings.group_of("clicks"), "streamhost.clicks");
    let said = Settings {
        dead_letters: Some("d".to_owned()),
        group: Some("g".to_owned()),
        ..settings
    };
    assert_eq!(
        (said.dead_letter_topic("clicks"), said.group_of("clicks")),
        ("d".to_owned(), "g".to_owned())
    );
}
