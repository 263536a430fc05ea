use super::*;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use streamhost_core::job::connector::Options;
use streamhost_core::job::settings::{BatchLimits, StartPosition};
use streamhost_core::limits;
use streamhost_core::types::{Offset, Partition, Positions};
use streamhost_engine::batch::{Batch, BatchBuilder};

const A: Partition = Partition { source: 0, id: 0 };
const B: Partition = Partition { source: 1, id: 0 };
const LONG: Duration = Duration::from_secs(60);

fn spec(connector: &str, place: &str) -> SourceSpec {
    SourceSpec {
        connector: connector.to_owned(),
        name: place.to_owned(),
        target: place.to_owned(),
        options: Options::default().with("rate", 1000),
        ..SourceSpec::default()
    }
}

fn open(sources: &[SourceSpec], until_end: bool) -> Result<Box<dyn Source>, SourceError> {
    let kafka = KafkaSettings {
        brokers: "127.0.0.1:1".to_owned(),
        ..KafkaSettings::default()
    };
    Registry::new(kafka, HbaseSettings::default()).open_sources(&SourceContext {
        sources,
        group: "g",
        until_end,
    })
}

fn fetch_while(
    source: &mut dyn Source,
    at: &Positions,
    goes_on: impl Fn(&dyn Source, &BatchBuilder) -> bool,
) -> Batch {
    let mut builder = BatchBuilder::open(at, BatchLimits::default());
    let deadline = Instant::now() + LONG;
    while goes_on(source, &builder) {
        assert!(
            Instant::now() < deadline,
            "what was waited for did not come"
        );
        match source.fetch(&mut builder, limits::FETCH_WAIT) {
            Ok(()) | Err(SourceError::Away { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    builder.close()
}

#[test]
fn a_file_a_connection_and_a_generator_are_read_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    std::fs::write(&file, "a\nb\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sources = [
        spec("rate", "rate"),
        spec("file", file.to_str().unwrap()),
        spec("socket", &listener.local_addr().unwrap().to_string()),
    ];
    let mut source = open(&sources, false).unwrap();
    let at = source.start(StartPosition::Earliest).unwrap();
    assert_eq!(
        at.keys().map(|p| p.source).collect::<Vec<_>>(),
        [0, 1, 2],
        "by the job's own numbers"
    );
    assert_eq!(
        source.partitions().unwrap(),
        at.keys().copied().collect::<Vec<_>>()
    );
    source.assign(&at).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"from afar\n").unwrap();
    let enough = |builder: &BatchBuilder| {
        let reached: BTreeSet<(u16, Offset)> = builder
            .end_positions()
            .into_iter()
            .map(|(p, at)| (p.source, at))
            .collect();
        reached.contains(&(1, 4))
            && reached.contains(&(2, 1))
            && reached.iter().any(|&(s, at)| s == 0 && at >= 100)
    };
    let batch = fetch_while(source.as_mut(), &at, |_, builder| !enough(builder));
    let from: BTreeSet<u16> = batch
        .chunks
        .iter()
        .map(|chunk| chunk.partition.source)
        .collect();
    assert_eq!(from, [0, 1, 2].into());
    assert_eq!(source.ends().len(), 3);
    assert_eq!(
        [0, 1, 2].map(|i| source.is_replayable(i)),
        [true, true, false]
    );
    assert!(
        !source.is_exhausted(&batch.end_positions()),
        "a generator never ends"
    );
}

#[test]
fn it_is_over_when_all_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.txt"), "a\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sources = [
        spec("socket", &address),
        SourceSpec {
            options: Options::default().with("follow", true),
            ..spec("file", folder.path().to_str().unwrap())
        },
    ];
    let mut source = open(&sources, true).unwrap();
    let at = source.start(StartPosition::Earliest).unwrap();
    source.assign(&at).unwrap();
    let (peer, _) = listener.accept().unwrap();
    let batch = fetch_while(source.as_mut(), &at, |_, builder| builder.records() < 1);
    assert!(
        !source.is_exhausted(&batch.end_positions()),
        "the connection is open"
    );
    drop(peer);
    let at = batch.end_positions();
    fetch_while(source.as_mut(), &at, |source, builder| {
        !source.is_exhausted(&builder.end_positions())
    });
}

#[test]
fn jobs_of_topics_alone_get_the_kafka_source_with_the_jobs_numbers() {
    let refused = open(&[spec("kafka", "a b")], false)
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, SourceError::Refused { what: "topic", .. }),
        "{refused}"
    );
    let sources = [spec("rate", "not a topic"), spec("kafka", "t")];
    let mut source = open(&sources, true).unwrap();
    source.commit_progress(&[(A, 5)].into()); // of a generator: nothing to tell
    assert!(!source.is_exhausted(&[(A, 5), (B, 0)].into()));
}

#[test]
fn the_list_of_rules_is_the_list_of_connectors() {
    let registry = Registry::default();
    let names =
        |rules: &[&ConnectorRules]| rules.iter().map(|rules| rules.name).collect::<Vec<_>>();
    let own: Vec<_> = registry.usual.iter().map(|own| own.rules()).collect();
    assert_eq!(names(&own), names(&RULES));
    for connector in &registry.usual {
        let rules = connector.rules();
        assert_eq!(connector.source().is_some(), rules.source.is_some());
        assert_eq!(connector.sink().is_some(), rules.sink.is_some());
    }
}

#[test]
fn what_the_rules_say_of_sinks_is_what_the_sinks_say() {
    let registry = Registry::default();
    for rules in RULES {
        let Some(own) = &rules.sink else { continue };
        let spec = SinkSpec {
            connector: rules.name.to_owned(),
            target: "t".to_owned(),
            ..SinkSpec::default()
        };
        let cancel = CancelSignal::default();
        let sink = registry.sink(&spec).unwrap().open(
            &spec,
            &SinkContext {
                sources: &[],
                owner: "",
                cancel: &cancel,
            },
        );
        assert_eq!(sink.limits(), own.limits, "{}", rules.name);
        assert_eq!(
            sink.guarantee(),
            (own.guarantee)(&spec.options),
            "{}",
            rules.name
        );
        for option in own.options {
            assert_eq!(option.kind.check(option.default), Ok(()), "{}", option.name);
        }
    }
}

/// The book's table of options.
fn table() -> String {
    let mut table =
        "| connector | as | option | default | value | meaning |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for rules in RULES {
        let source = rules.source.iter().map(|source| ("source", source.options));
        let sink = rules.sink.iter().map(|sink| ("sink", sink.options));
        for (role, options) in source.chain(sink) {
            for option in options {
                let (name, kind) = (rules.name, option.kind);
                table += &format!(
                    "| `{name}` | {role} | `{}` | `{}` | {kind} | {} |\n",
                    option.name, option.default, option.doc
                );
            }
        }
    }
    table
}

#[test]
fn the_books_table_of_options_is_the_registrys() {
    let page = include_str!("../../../docs/src/configuration.md");
    assert!(page.contains(&table()), "it lacks:\n{}", table());
}
