use super::*;
use crate::job::settings::JobLimits;

fn column(name: &str) -> RawColumn {
    RawColumn {
        name: name.to_owned(),
        kind: Kind::Text,
        optional: false,
    }
}

fn sink(kind: SinkKind, name: &str, columns: &[&str]) -> SinkDescription {
    SinkDescription {
        kind,
        name: name.to_owned(),
        keyed: kind == SinkKind::Hbase,
        dynamic: false,
        columns: columns.iter().map(|name| column(name)).collect(),
        exactly_once: false,
    }
}

fn source(name: &str) -> SourceDescription {
    of_kind(SourceKind::Kafka, name)
}

fn of_kind(kind: SourceKind, name: &str) -> SourceDescription {
    let rate = u32::from(kind == SourceKind::Rate);
    SourceDescription {
        kind,
        name: name.to_owned(),
        table: false,
        timed: true,
        follow: false,
        rate,
    }
}

fn clicks() -> JobDescription {
    JobDescription {
        name: "clicks".to_owned(),
        every_ms: Some(10_000),
        sources: vec![source("clicks")],
        stages: vec![],
        sinks: vec![sink(SinkKind::Hbase, "clicks", &["f:a", "f:b"])],
    }
}

fn with(set: &[(&str, &str)]) -> Settings {
    let pairs = set
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Settings::parse(&pairs, JobLimits::default()).expect("the settings themselves are good")
}

#[test]
fn a_good_job_becomes_a_plan() {
    let spec = check(clicks(), None, &with(&[])).expect("good");
    assert_eq!(spec.name, "clicks");
    assert_eq!(spec.every, Duration::from_secs(10));
    assert_eq!(spec.sources[0].target, "clicks");
    assert_eq!(spec.sinks[0].columns[1].name, "f:b");

    let set = with(&[
        ("source.clicks", "clicks.v2"),
        ("sink.clicks", "ns:clicks"),
        ("every", "0"),
    ]);
    let spec = check(clicks(), Some("other"), &set).expect("good");
    assert_eq!((spec.name.as_str(), spec.every), ("other", Duration::ZERO));
    assert_eq!(
        (
            spec.sources[0].name.as_str(),
            spec.sources[0].target.as_str()
        ),
        ("clicks", "clicks.v2")
    );
    assert_eq!(
        (spec.sinks[0].name.as_str(), spec.sinks[0].target.as_str()),
        ("clicks", "ns:clicks")
    );
}

#[test]
fn what_may_be_is_let_through() {
    let raw = |sinks| JobDescription { sinks, ..clicks() };
    let cases = [
        raw(vec![sink(SinkKind::Kafka, "out", &[""])]),
        raw(vec![
            sink(SinkKind::Console, "rows", &["a", "b"]),
            sink(SinkKind::Hbase, "t", &["f:q"]),
        ]),
        raw(vec![SinkDescription {
            exactly_once: true,
            keyed: true,
            ..sink(SinkKind::Kafka, "out", &["a"])
        }]),
        raw(vec![SinkDescription {
            dynamic: true,
            ..sink(SinkKind::Hbase, "t", &[])
        }]),
        JobDescription {
            sources: vec![
                of_kind(SourceKind::Socket, "localhost:9999"),
                SourceDescription {
                    follow: true,
                    ..of_kind(SourceKind::File, "data/of day=1/*.csv")
                },
                of_kind(SourceKind::Rate, "rate"),
                SourceDescription {
                    rate: 1_000_000,
                    ..of_kind(SourceKind::Rate, "other")
                },
                source("t"),
            ],
            ..clicks()
        },
        raw(vec![
            sink(SinkKind::Hbase, "a", &["f:a"]),
            sink(SinkKind::Kafka, "b", &["f:a"]),
        ]),
        JobDescription {
            every_ms: None,
            ..clicks()
        },
        JobDescription {
            every_ms: Some(86_400_000),
            ..clicks()
        },
    ];
    for raw in cases {
        assert!(
            check(raw.clone(), None, &with(&[])).is_ok(),
            "{raw:?}: {:?}",
            check(raw.clone(), None, &with(&[]))
        );
    }
}

#[test]
fn each_fault_is_found_and_says_what() {
    type Spoil = fn(&mut JobDescription);
    let cases: &[(Spoil, &str)] = &[
        (|j| j.name = "Clicks!".to_owned(), "job's name `Clicks!`"),
        (|j| j.name = String::new(), "job's name ``"),
        (|j| j.every_ms = Some(86_400_001), "1day at most"),
        (|j| j.every_ms = Some(u64::MAX), "1day at most"),
        (|j| j.sources.clear(), "no source"),
        (|j| j.sinks.clear(), "no sink"),
        (
            |j| j.sources = (0..40).map(|i| source(&format!("t{i}"))).collect(),
            "41 sources and sinks",
        ),
        (
            |j| j.sources.push(source("clicks")),
            "two sources are called `clicks`",
        ),
        (
            |j| j.sinks.push(sink(SinkKind::Console, "clicks", &["a"])),
            "two sinks are called `clicks`",
        ),
        (
            |j| j.sources[0].name = "a b".to_owned(),
            "source name `a b`",
        ),
        (|j| j.sources[0].name = "a:b".to_owned(), "no topic `a:b`"),
        (
            |j| j.sources[0] = of_kind(SourceKind::Socket, "localhost"),
            "no address `localhost`: an address is `host:port`",
        ),
        (
            |j| j.sources[0] = of_kind(SourceKind::Socket, "h:99999"),
            "its port `99999`",
        ),
        (
            |j| j.sources[0] = of_kind(SourceKind::File, ""),
            "source name ``",
        ),
        (
            |j| j.sources[0] = of_kind(SourceKind::File, "a\tb"),
            "control characters",
        ),
        (
            |j| j.sources[0] = of_kind(SourceKind::Rate, "a b"),
            "source name `a b`",
        ),
        (
            |j| {
                j.sources[0] = SourceDescription {
                    rate: 0,
                    ..of_kind(SourceKind::Rate, "r")
                }
            },
            "`0` records a second",
        ),
        (
            |j| {
                j.sources[0] = SourceDescription {
                    rate: 1_000_001,
                    ..of_kind(SourceKind::Rate, "r")
                }
            },
            "1 to 1000000",
        ),
        (|j| j.sources[0].follow = true, "cannot be followed"),
        (
            |j| j.sources.push(of_kind(SourceKind::File, "clicks")),
            "two sources are called `clicks`",
        ),
        (|j| j.sinks[0].name = "a:b:c".to_owned(), "no table `a:b:c`"),
        (
            |j| j.sinks[0].columns[0].name = "fa".to_owned(),
            "column `fa`: an HBase column is `family:qualifier`",
        ),
        (
            |j| j.sinks[0].columns[0].name = String::new(),
            "column ``: it is empty",
        ),
        (
            |j| j.sinks[0].columns[1].name = "f:a".to_owned(),
            "two columns `f:a`",
        ),
        (|j| j.sinks[0].keyed = false, "need a key"),
        (|j| j.sinks[0].exactly_once = true, "exactly-once"),
        (
            |j| j.sinks[0].columns = (0..1001).map(|i| column(&format!("f:{i}"))).collect(),
            "1001 columns, of 1000",
        ),
        (
            |j| j.sinks[0] = sink(SinkKind::Kafka, "out", &["", "a"]),
            "can have no other columns",
        ),
        (
            |j| {
                j.sinks[0] = SinkDescription {
                    dynamic: true,
                    ..sink(SinkKind::Kafka, "out", &[""])
                }
            },
            "can have no other columns",
        ),
        (
            |j| j.sinks[0] = sink(SinkKind::Kafka, "out", &["a\n"]),
            "control characters",
        ),
        (
            |j| j.sinks[0] = sink(SinkKind::Kafka, "clicks", &["a"]),
            "never end",
        ),
        (
            |j| j.sinks[0] = sink(SinkKind::Kafka, "clicks.dead-letters", &["a"]),
            "dead letters' too",
        ),
        (
            |j| j.sources[0] = source("clicks.dead-letters"),
            "its dead letters go there too",
        ),
    ];
    for (spoil, want) in cases {
        let mut raw = clicks();
        spoil(&mut raw);
        let faults = check(raw, None, &with(&[])).expect_err(want);
        assert_eq!(faults.len(), 1, "{want}: {faults:?}");
        assert!(
            faults[0].to_string().contains(want),
            "{want}: {}",
            faults[0]
        );
    }
}

#[test]
fn settings_that_do_not_fit_the_job_are_faults() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("source.klicks", "x")],
            "`source.klicks` names no source of this job: it has `clicks`",
        ),
        (
            &[("sink.x", "y")],
            "`sink.x` names no sink of this job: it has `clicks`, `log`",
        ),
        (&[("sink.log", "y")], "standard output"),
        (&[("source.clicks", "a:b")], "no topic `a:b`"),
        (&[("sink.clicks", "a:b:c")], "no table `a:b:c`"),
        (&[("sink.clicks", "default:clicks")], "say `clicks`"),
        (&[("dead-letters", "clicks")], "never end"),
        (&[("group", "streamhost.clicks.out")], "the host's own"),
        (&[("group", "streamhost-run.clicks")], "the host's own"),
    ];
    for (set, want) in cases {
        let mut raw = clicks();
        raw.sinks.push(sink(SinkKind::Console, "log", &["a"]));
        let faults = check(raw, None, &with(set)).expect_err(want);
        assert_eq!(faults.len(), 1, "{want}: {faults:?}");
        assert!(
            faults[0].to_string().contains(want),
            "{want}: {}",
            faults[0]
        );
    }
    assert!(
        check(clicks(), None, &with(&[("group", "streamhost.clicks")])).is_ok(),
        "its own usual name may be said"
    );
}

#[test]
fn a_source_can_be_set_to_another_place_of_its_kind() {
    let raw = JobDescription {
        sources: vec![
            of_kind(SourceKind::Socket, "localhost:1"),
            of_kind(SourceKind::File, "in"),
        ],
        ..clicks()
    };
    let spec = check(
        raw.clone(),
        None,
        &with(&[("source.localhost:1", "[::1]:2"), ("source.in", "a b/c")]),
    )
    .expect("good");
    assert_eq!(
        (
            spec.sources[0].target.as_str(),
            spec.sources[1].target.as_str()
        ),
        ("[::1]:2", "a b/c")
    );
    let faults = check(
        raw.clone(),
        None,
        &with(&[("source.localhost:1", "clicks")]),
    )
    .expect_err("no address");
    assert!(
        in_words(&faults).contains("name another with --set source.localhost:1=…"),
        "{}",
        in_words(&faults)
    );
    let faults = check(
        raw,
        None,
        &with(&[("source.localhost:1", "h:1"), ("source.in", "h:1")]),
    )
    .expect_err("one place");
    assert!(
        in_words(&faults).contains("both are `h:1`"),
        "positions are kept by place: {}",
        in_words(&faults)
    );
}

#[test]
fn a_generators_rate_is_not_its_place() {
    let two = [
        of_kind(SourceKind::Rate, "r"),
        of_kind(SourceKind::Rate, "s"),
    ];
    let raw = JobDescription {
        sources: two.to_vec(),
        ..clicks()
    };
    let spec = check(
        raw.clone(),
        None,
        &with(&[("source.r", "500"), ("source.s", "500")]),
    )
    .expect("two of one rate");
    let found: Vec<_> = spec
        .sources
        .iter()
        .map(|source| (source.target.as_str(), source.rate))
        .collect();
    assert_eq!(
        found,
        [("r", 500), ("s", 500)],
        "positions are kept by place, and another rate goes on"
    );
    for rate in ["abc", "0", "1000001", "-1"] {
        let faults = check(raw.clone(), None, &with(&[("source.r", rate)])).expect_err("no rate");
        assert_eq!(
            faults,
            [JobFault::Rate {
                source_name: "r".to_owned(),
                rate: rate.to_owned()
            }]
        );
    }
}

#[test]
fn what_is_wrong_is_said_in_few_words() {
    let long = "x".repeat(1 << 20);
    let column = |name: &str| RawColumn {
        name: name.to_owned(),
        kind: Kind::Text,
        optional: false,
    };
    let raw = JobDescription {
        name: long.clone(),
        sources: vec![
            source(&long),
            source(&long),
            of_kind(SourceKind::Rate, "a\u{1b}[2J"),
        ],
        sinks: vec![SinkDescription {
            columns: vec![column(&long), column(&long)],
            ..sink(SinkKind::Kafka, &long, &[])
        }],
        ..clicks()
    };
    let faults = check(raw, None, &with(&[("source.none", "x")])).expect_err("much is wrong");
    assert!(faults.len() > 5, "{}", faults.len());
    let words = in_words(&faults);
    assert!(
        words.len() < faults.len() * 1100 && !words.contains('\u{1b}'),
        "{words}"
    );
    assert!(words.contains("it has 1048576 characters"), "{words}");
    let many = in_words(&vec!["x"; limits::FAULTS_SHOWN_MAX + 7]);
    assert!(many.ends_with("x; and 7 more"), "{many}");
}

#[test]
fn what_must_end_is_no_generator() {
    let raw = JobDescription {
        sources: vec![of_kind(SourceKind::Rate, "r"), source("t")],
        ..clicks()
    };
    assert!(check(raw.clone(), None, &with(&[])).is_ok());
    let faults = check(raw, None, &with(&[("until", "end")])).expect_err("it never ends");
    assert!(
        faults.len() == 1 && in_words(&faults).contains("source `r` never ends"),
        "{}",
        in_words(&faults)
    );
    assert!(check(clicks(), None, &with(&[("until", "end")])).is_ok());
}

#[test]
fn a_topic_that_is_written_may_have_the_name_of_a_file_that_is_read() {
    let raw = JobDescription {
        sources: vec![of_kind(SourceKind::File, "out")],
        sinks: vec![sink(SinkKind::Kafka, "out", &["a"])],
        ..clicks()
    };
    assert_eq!(check(raw, None, &with(&[])).map(|_| ()), Ok(()));
}

#[test]
fn two_sources_cannot_be_set_to_one_topic() {
    let raw = JobDescription {
        sources: vec![source("a"), source("b")],
        ..clicks()
    };
    assert!(check(raw.clone(), None, &with(&[])).is_ok());
    let faults =
        check(raw, None, &with(&[("source.a", "x"), ("source.b", "x")])).expect_err("one topic");
    assert_eq!(
        in_words(&faults),
        "sources `a` and `b` both are `x`: one of the two must go, or be set to another place"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let raw = JobDescription {
        name: "X".to_owned(),
        sources: vec![],
        stages: vec![],
        sinks: vec![sink(SinkKind::Hbase, "t", &["a", "b"])],
        every_ms: None,
    };
    let faults = check(raw, None, &with(&[])).expect_err("four faults");
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(
        in_words(&faults).matches("; ").count(),
        4,
        "one of them has a `; ` of its own"
    );
}
