use super::*;
use crate::job::connector::{CONSOLE, ConnectorRules, FILE, HBASE, KAFKA, RATE, SOCKET};
use crate::job::settings::JobLimits;

fn column(name: &str) -> RawColumn {
    RawColumn {
        name: name.to_owned(),
        kind: Kind::Text,
        optional: false,
    }
}

fn sink(connector: &str, name: &str, columns: &[&str]) -> SinkDescription {
    SinkDescription {
        connector: connector.to_owned(),
        name: name.to_owned(),
        keys: if connector == "hbase" {
            vec![column("id")]
        } else {
            vec![]
        },
        headers: false,
        dynamic: false,
        columns: columns.iter().map(|name| column(name)).collect(),
        options: Vec::new(),
    }
}

fn source(name: &str) -> SourceDescription {
    of("kafka", name)
}

fn of(connector: &str, name: &str) -> SourceDescription {
    SourceDescription {
        connector: connector.to_owned(),
        name: name.to_owned(),
        table: false,
        timed: true,
        options: Vec::new(),
    }
}

fn option(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

const CONNECTORS: [&ConnectorRules; 6] = [&KAFKA, &HBASE, &CONSOLE, &FILE, &SOCKET, &RATE];

fn proven(raw: JobDescription, settings: &Settings) -> Result<JobSpec, Vec<JobFault>> {
    check(raw, None, settings, &CONNECTORS)
}

fn clicks() -> JobDescription {
    JobDescription {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "clicks".to_owned(),
        every_ms: Some(10_000),
        sources: vec![source("clicks")],
        stages: vec![],
        sinks: vec![sink("hbase", "clicks", &["f:a", "f:b"])],
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
    let spec = proven(clicks(), &with(&[])).expect("good");
    assert_eq!(spec.name, "clicks");
    assert_eq!(spec.every, Duration::from_secs(10));
    assert_eq!(spec.sources[0].target, "clicks");
    assert_eq!(spec.sinks[0].columns[1].name, "f:b");

    let set = with(&[
        ("source.clicks", "clicks.v2"),
        ("sink.clicks", "ns:clicks"),
        ("every", "0"),
    ]);
    let spec = check(clicks(), Some("other"), &set, &CONNECTORS).expect("good");
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
        raw(vec![sink("kafka", "out", &[""])]),
        raw(vec![
            sink("console", "rows", &["a", "b"]),
            sink("hbase", "t", &["f:q"]),
        ]),
        raw(vec![SinkDescription {
            options: option("exactly-once", "true"),
            keys: vec![column("id")],
            ..sink("kafka", "out", &["a"])
        }]),
        raw(vec![SinkDescription {
            dynamic: true,
            ..sink("hbase", "t", &[])
        }]),
        JobDescription {
            sources: vec![
                of("socket", "localhost:9999"),
                SourceDescription {
                    options: option("follow", "true"),
                    ..of("file", "data/of day=1/*.csv")
                },
                of("rate", "rate"),
                SourceDescription {
                    options: option("rate", "1000000"),
                    ..of("rate", "other")
                },
                source("t"),
            ],
            ..clicks()
        },
        raw(vec![
            sink("hbase", "a", &["f:a"]),
            sink("kafka", "b", &["f:a"]),
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
            proven(raw.clone(), &with(&[])).is_ok(),
            "{raw:?}: {:?}",
            proven(raw.clone(), &with(&[]))
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
            |j| j.sinks.push(sink("console", "clicks", &["a"])),
            "two sinks are called `clicks`",
        ),
        (
            |j| j.sources[0].name = "a b".to_owned(),
            "source name `a b`",
        ),
        (|j| j.sources[0].name = "a:b".to_owned(), "no topic `a:b`"),
        (
            |j| j.sources[0] = of("socket", "localhost"),
            "no address `localhost`: an address is `host:port`",
        ),
        (
            |j| j.sources[0] = of("socket", "h:99999"),
            "its port `99999`",
        ),
        (|j| j.sources[0] = of("file", ""), "source name ``"),
        (|j| j.sources[0] = of("file", "a\tb"), "control characters"),
        (|j| j.sources[0] = of("rate", "a b"), "source name `a b`"),
        (
            |j| {
                j.sources[0] = SourceDescription {
                    options: option("rate", "0"),
                    ..of("rate", "r")
                }
            },
            "`rate=0` cannot be",
        ),
        (
            |j| {
                j.sources[0] = SourceDescription {
                    options: option("rate", "1000001"),
                    ..of("rate", "r")
                }
            },
            "1 to 1000000",
        ),
        (
            |j| j.sources[0].options = option("follow", "true"),
            "`kafka` has no option `follow`",
        ),
        (
            |j| j.sources.push(of("file", "clicks")),
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
        (|j| j.sinks[0].keys.clear(), "need a key"),
        (
            |j| j.sinks[0].keys.push(column("more")),
            "has 2 key columns, and `hbase` takes 1",
        ),
        (
            |j| j.sinks[0].keys[0].kind = Kind::Uint,
            "key `id`: `hbase` takes keys of text or bytes, and this one is uint",
        ),
        (
            |j| j.sinks[0].options = option("exactly-once", "true"),
            "`hbase` has no option `exactly-once` as a sink: it has none",
        ),
        (
            |j| {
                j.sinks[0] = SinkDescription {
                    options: option("exactly-onse", "true"),
                    ..sink("kafka", "out", &["a"])
                }
            },
            "did you mean `exactly-once`?",
        ),
        (
            |j| j.sinks[0].options = (0..65).map(|i| (format!("o{i}"), String::new())).collect(),
            "65 options, of 64",
        ),
        (
            |j| j.sinks[0].connector = "hbaes".to_owned(),
            "no sink connector `hbaes`: did you mean `hbase`?",
        ),
        (
            |j| j.sources[0].connector = "hbase".to_owned(),
            "no source connector `hbase`: there are kafka, file, socket, rate",
        ),
        (
            |j| j.sinks[0].columns = (0..1001).map(|i| column(&format!("f:{i}"))).collect(),
            "1001 columns, of 1000",
        ),
        (
            |j| j.sinks[0] = sink("kafka", "out", &["", "a"]),
            "can have no other columns",
        ),
        (
            |j| {
                j.sinks[0] = SinkDescription {
                    dynamic: true,
                    ..sink("kafka", "out", &[""])
                }
            },
            "can have no other columns",
        ),
        (
            |j| j.sinks[0] = sink("kafka", "out", &["a\n"]),
            "control characters",
        ),
        (
            |j| j.sinks[0] = sink("kafka", "clicks", &["a"]),
            "never end",
        ),
        (
            |j| j.sinks[0] = sink("kafka", "clicks.dead-letters", &["a"]),
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
        let faults = proven(raw, &with(&[])).expect_err(want);
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
        raw.sinks.push(sink("console", "log", &["a"]));
        let faults = proven(raw, &with(set)).expect_err(want);
        assert_eq!(faults.len(), 1, "{want}: {faults:?}");
        assert!(
            faults[0].to_string().contains(want),
            "{want}: {}",
            faults[0]
        );
    }
    assert!(
        proven(clicks(), &with(&[("group", "streamhost.clicks")])).is_ok(),
        "its own usual name may be said"
    );
}

#[test]
fn a_source_can_be_set_to_another_place_of_its_kind() {
    let raw = JobDescription {
        sources: vec![of("socket", "localhost:1"), of("file", "in")],
        ..clicks()
    };
    let spec = proven(
        raw.clone(),
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
    let faults =
        proven(raw.clone(), &with(&[("source.localhost:1", "clicks")])).expect_err("no address");
    assert!(
        in_words(&faults).contains("name another with --set source.localhost:1=…"),
        "{}",
        in_words(&faults)
    );
    let faults = proven(
        raw,
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
    let two = [of("rate", "r"), of("rate", "s")];
    let raw = JobDescription {
        sources: two.to_vec(),
        ..clicks()
    };
    let spec = proven(
        raw.clone(),
        &with(&[("source.r", "500"), ("source.s", "500")]),
    )
    .expect("two of one rate");
    let found: Vec<_> = spec
        .sources
        .iter()
        .map(|source| (source.target.as_str(), source.options.number("rate")))
        .collect();
    assert_eq!(
        found,
        [("r", 500), ("s", 500)],
        "positions are kept by place, and another rate goes on"
    );
    for rate in ["abc", "0", "1000001", "-1"] {
        let faults = proven(raw.clone(), &with(&[("source.r", rate)])).expect_err("no rate");
        assert!(
            faults.len() == 1 && in_words(&faults).contains(&format!("`rate={rate}` cannot be")),
            "{faults:?}"
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
        sources: vec![source(&long), source(&long), of("rate", "a\u{1b}[2J")],
        sinks: vec![SinkDescription {
            columns: vec![column(&long), column(&long)],
            ..sink("kafka", &long, &[])
        }],
        ..clicks()
    };
    let faults = proven(raw, &with(&[("source.none", "x")])).expect_err("much is wrong");
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
        sources: vec![of("rate", "r"), source("t")],
        ..clicks()
    };
    assert!(proven(raw.clone(), &with(&[])).is_ok());
    let faults = proven(raw, &with(&[("until", "end")])).expect_err("it never ends");
    assert!(
        faults.len() == 1 && in_words(&faults).contains("source `r` never ends"),
        "{}",
        in_words(&faults)
    );
    assert!(proven(clicks(), &with(&[("until", "end")])).is_ok());
}

#[test]
fn a_topic_that_is_written_may_have_the_name_of_a_file_that_is_read() {
    let raw = JobDescription {
        sources: vec![of("file", "out")],
        sinks: vec![sink("kafka", "out", &["a"])],
        ..clicks()
    };
    assert_eq!(proven(raw, &with(&[])).map(|_| ()), Ok(()));
}

#[test]
fn two_sources_cannot_be_set_to_one_topic() {
    let raw = JobDescription {
        sources: vec![source("a"), source("b")],
        ..clicks()
    };
    assert!(proven(raw.clone(), &with(&[])).is_ok());
    let faults =
        proven(raw, &with(&[("source.a", "x"), ("source.b", "x")])).expect_err("one topic");
    assert_eq!(
        in_words(&faults),
        "sources `a` and `b` both are `x`: one of the two must go, or be set to another place"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let raw = JobDescription {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "X".to_owned(),
        sources: vec![],
        stages: vec![],
        sinks: vec![sink("hbase", "t", &["a", "b"])],
        every_ms: None,
    };
    let faults = proven(raw, &with(&[])).expect_err("four faults");
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(
        in_words(&faults).matches("; ").count(),
        4,
        "one of them has a `; ` of its own"
    );
}

#[test]
fn options_are_set_by_name_and_names_may_have_dots() {
    let raw = JobDescription {
        sources: vec![of("file", "in.txt"), of("file", "in")],
        sinks: vec![sink("kafka", "out.txt", &["a"])],
        ..clicks()
    };
    let set = with(&[
        ("source.in.txt", "else.txt"),
        ("source.in.txt.follow", "true"),
        ("sink.out.txt.exactly-once", "true"),
    ]);
    let spec = proven(raw.clone(), &set).expect("good");
    assert_eq!(
        spec.sources[0].target, "else.txt",
        "a name before an option"
    );
    let followed = spec.sources.iter().map(|s| s.options.is_on("follow"));
    assert_eq!(followed.collect::<Vec<_>>(), [true, false]);
    assert!(spec.sinks[0].options.is_on("exactly-once"));
    for (key, value, want) in [
        ("source.in.folow", "true", "did you mean `follow`?"),
        ("source.in.follow", "yes", "`follow=yes` cannot be"),
        ("sink.out.txt.x", "1", "it has `exactly-once`"),
        (
            "sink.out.txt.connector-instance",
            "eu",
            "no `[kafka.eu]` is in the host's streamhost.toml: there is none beside",
        ),
    ] {
        let faults = proven(raw.clone(), &with(&[(key, value)])).expect_err(want);
        assert!(in_words(&faults).contains(want), "{want}: {faults:?}");
    }
}
