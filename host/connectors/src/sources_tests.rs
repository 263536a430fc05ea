use super::*;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use streamhost_core::job::settings::{BatchLimits, StartPosition};
use streamhost_core::limits;
use streamhost_core::types::{Offset, Partition, Positions};
use streamhost_engine::batch::{Batch, BatchBuilder};

const A: Partition = Partition { source: 0, id: 0 };
const B: Partition = Partition { source: 1, id: 0 };
const LONG: Duration = Duration::from_secs(60);

fn spec(kind: SourceKind, place: &str) -> SourceSpec {
    SourceSpec {
        kind,
        name: place.to_owned(),
        target: place.to_owned(),
        rate: 1000,
        ..SourceSpec::default()
    }
}

fn settings() -> KafkaSettings {
    KafkaSettings {
        brokers: "127.0.0.1:1".to_owned(),
        ..KafkaSettings::default()
    }
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
        spec(SourceKind::Rate, "rate"),
        spec(SourceKind::File, file.to_str().unwrap()),
        spec(
            SourceKind::Socket,
            &listener.local_addr().unwrap().to_string(),
        ),
    ];
    let mut source = open(&settings(), &sources, "g", false).unwrap();
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
        spec(SourceKind::Socket, &address),
        SourceSpec {
            follow: true,
            ..spec(SourceKind::File, folder.path().to_str().unwrap())
        },
    ];
    let mut source = open(&settings(), &sources, "g", true).unwrap();
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
    let refused = open(&settings(), &[spec(SourceKind::Kafka, "a b")], "g", false)
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, SourceError::Refused { what: "topic", .. }),
        "{refused}"
    );
    let sources = [
        spec(SourceKind::Rate, "not a topic"),
        spec(SourceKind::Kafka, "t"),
    ];
    let mut source = open(&settings(), &sources, "g", true).unwrap();
    source.commit_progress(&[(A, 5)].into()); // of a generator: nothing to tell
    assert!(!source.is_exhausted(&[(A, 5), (B, 0)].into()));
}
