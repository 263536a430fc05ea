//! What every source and every sink must keep to, whatever its connector: one table over the
//! registry, with the embedded servers. A connector without a line in [`source_of`] or [`sink_of`]
//! fails here.

use crate::connector::{Presence, SinkContext, SourceContext};
use crate::hbase::{HbaseSettings, TableReader};
use crate::kafka::KafkaSettings;
use crate::kafka::topics::{TopicReader, TopicSpan, TopicWriter};
use crate::registry::{self, RULES, Registry};
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use streamhost_core::job::connector::{
    ConnectorRules, DELETES, ELASTICSEARCH, EXACTLY_ONCE, Ends, FILES, MYSQL, Options, Outside,
    POSTGRES,
};
use streamhost_core::job::settings::{BatchLimits, StartPosition};
use streamhost_core::job::{ColumnSpec, SinkSpec, SourceSpec};
use streamhost_core::limits;
use streamhost_core::types::{
    Column, ColumnNames, ExtraCells, Guarantee, Header, Headers, Kind, Partition, Positions,
    RefusedRow, Rows, Span, Spans,
};
use streamhost_dev::broker::{self, Broker};
use streamhost_dev::tables::{self, Tables};
use streamhost_engine::batch::{Batch, BatchBuilder};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Remedy, Sink, SinkError};
use streamhost_engine::source::{Source, SourceError};

const LONG: Duration = Duration::from_secs(60);

/// The embedded servers, and what reads and writes them.
struct World {
    folder: tempfile::TempDir,
    broker: broker::Listening,
    tables: tables::Listening,
    kafka: KafkaSettings,
    hbase: HbaseSettings,
    registry: Registry,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path().join("db"));
    let db = db.open().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let one = broker::Settings {
        partitions_default: 1,
        ..broker::Settings::default()
    };
    let broker = Broker::open(&db, one).unwrap().listen(any).unwrap();
    let tables = Tables::open(&db).unwrap().listen(any).unwrap();
    let kafka = KafkaSettings {
        brokers: broker.address().to_string(),
        ..KafkaSettings::default()
    };
    let hbase = HbaseSettings {
        gateways: vec![tables.address().to_string()],
        ..HbaseSettings::default()
    };
    World {
        registry: Registry::new(kafka.clone(), hbase.clone()),
        folder,
        broker,
        tables,
        kafka,
        hbase,
    }
}

// Sources.

/// A source of this connector that holds `a`, `b` and `c`, and who may end it; of a generator its
/// numbers.
fn source_of(world: &World, connector: &str) -> (SourceSpec, Option<TcpListener>) {
    let mut listener = None;
    let (target, options) = match connector {
        "kafka" => {
            let mut topic = TopicWriter::open(&world.kafka, "letters", true).unwrap();
            for value in [b"a", b"b", b"c"] {
                topic.send(None, Some(value)).unwrap();
            }
            topic.settle().unwrap();
            ("letters".to_owned(), Options::default())
        }
        "file" => {
            let path = world.folder.path().join("letters.txt");
            std::fs::write(&path, "a\nb\nc\n").unwrap();
            (path.to_str().unwrap().to_owned(), Options::default())
        }
        "socket" => {
            let bound = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = bound.local_addr().unwrap().to_string();
            listener = Some(bound);
            (address, Options::default())
        }
        "rate" => ("r".to_owned(), Options::default().with("rate", 1000)),
        other => panic!("say here how a source of `{other}` is filled"),
    };
    let spec = SourceSpec {
        connector: connector.to_owned(),
        name: "s".to_owned(),
        target,
        options,
        ..SourceSpec::default()
    };
    (spec, listener)
}

fn open(world: &World, spec: &SourceSpec) -> Box<dyn Source> {
    let context = SourceContext {
        sources: std::slice::from_ref(spec),
        group: "g",
        until_end: registry::source_rules(&spec.connector).is_some_and(|r| r.ends != Ends::Never),
    };
    world.registry.open_sources(&context).unwrap()
}

fn fetch(source: &mut dyn Source, mut builder: BatchBuilder, enough: usize) -> Batch {
    let deadline = Instant::now() + LONG;
    while builder.records() < enough && !builder.is_complete() {
        assert!(Instant::now() < deadline, "the records did not come");
        match source.fetch(&mut builder, limits::FETCH_WAIT) {
            Ok(()) | Err(SourceError::Away { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    builder.close()
}

#[test]
fn every_source_reads_what_is_there_and_the_same_again_if_it_can() {
    let world = world();
    for rules in RULES {
        let Some(of) = &rules.source else { continue };
        let (spec, listener) = source_of(&world, rules.name);
        let connector = world.registry.source(&spec).unwrap();
        let present = connector.inspect(&spec, true).unwrap();
        assert_eq!(present, Presence::There, "{}", rules.name);
        let mut source = open(&world, &spec);
        let at = source.start(StartPosition::Earliest).unwrap();
        let there = source.partitions().unwrap();
        assert!(there.iter().all(|p| at.contains_key(p)) && there.len() == at.len());
        source.assign(&at).unwrap();
        let mut peer = listener.map(|listener| listener.accept().unwrap().0);
        if let Some(peer) = &mut peer {
            peer.write_all(b"a\nb\nc\n").unwrap();
        }
        let batch = fetch(
            source.as_mut(),
            BatchBuilder::open(&at, BatchLimits::default()),
            3,
        );
        assert!(batch.records() >= 3, "{}", rules.name);
        let offsets = batch.chunks.iter().all(|chunk| chunk.offsets.is_sorted());
        assert!(offsets, "{}: in order", rules.name);
        assert_eq!(source.is_replayable(0), of.replayable, "{}", rules.name);
        source.commit_progress(&batch.end_positions());
        if of.replayable {
            let mut again = open(&world, &spec);
            again.assign(&at).unwrap();
            let exactly = BatchBuilder::exactly(&batch.spans);
            let second = fetch(again.as_mut(), exactly, usize::MAX);
            assert_eq!(
                second.chunks, batch.chunks,
                "{}: the same again",
                rules.name
            );
        }
        drop(peer);
        let end = batch.end_positions();
        match of.ends {
            Ends::Never => assert!(!source.is_exhausted(&end), "{}", rules.name),
            Ends::Known | Ends::ByPeer => is_over(source.as_mut(), &end, rules.name),
        }
    }
}

/// It notices its end, and brings nothing more.
fn is_over(source: &mut dyn Source, at: &Positions, name: &str) {
    let deadline = Instant::now() + LONG;
    let mut builder = BatchBuilder::open(at, BatchLimits::default());
    while !source.is_exhausted(&builder.end_positions()) {
        assert!(Instant::now() < deadline, "{name}: it has no end");
        source.fetch(&mut builder, limits::FETCH_WAIT).unwrap();
    }
    assert_eq!(builder.records(), 0, "{name}");
}

// Sinks.

/// A sink with a column of each kind.
fn sink_of(connector: &str, target: &str, options: Options) -> SinkSpec {
    let names = registry::sink_rules(connector).unwrap().columns;
    let column = |kind: &Kind| ColumnSpec {
        name: match names {
            ColumnNames::Fields => kind.word().to_owned(),
            ColumnNames::FamilyAndQualifier => format!("f:{}", kind.word()),
        },
        kind: *kind,
        optional: true,
    };
    SinkSpec {
        connector: connector.to_owned(),
        name: "out".to_owned(),
        target: target.to_owned(),
        keys: vec![ColumnSpec::key()],
        columns: Kind::ALL.iter().map(column).collect(),
        headers: true,
        options,
        ..SinkSpec::default()
    }
}

/// A row with every kind of cell, one that lacks all but one and deletes another, and one that is
/// deleted whole.
fn rows() -> Rows {
    let mut cells = Column::default();
    let (eight, float) = (7u64.to_le_bytes(), 1.5f64.to_le_bytes());
    let full: [&[u8]; 9] = [
        b"k1",
        b"text",
        b"\xff\0",
        &eight,
        &eight,
        &float,
        &[1],
        &eight,
        b"[1,{}]",
    ];
    let part: [&[u8]; 9] = [b"k2", b"only", b"", b"", b"", b"", b"", b"", b""];
    let gone: [&[u8]; 9] = [b"k3", b"", b"", b"", b"", b"", b"", b"", b""];
    for item in full.iter().chain(&part).chain(&gone) {
        cells.push(item);
    }
    let mut headers = Headers::default();
    let (name, value) = ("trace", Some(&b"t1"[..]));
    headers.push(0, Header { name, value });
    Rows {
        positions: vec![0, 1, 2],
        cells,
        absent: (12..18).chain(19..27).collect(),
        deleted: vec![11],
        deleted_rows: vec![2],
        extra: ExtraCells::default(),
        headers,
    }
}

fn sink(world: &World, spec: &SinkSpec) -> Box<dyn Sink> {
    let source = SourceSpec {
        connector: "file".to_owned(),
        target: "in".to_owned(),
        ..SourceSpec::default()
    };
    let context = SinkContext {
        sources: &[source],
        owner: "streamhost.contract",
        cancel: &CancelSignal::default(),
    };
    world.registry.sink(spec).unwrap().open(spec, &context)
}

/// No row is refused.
pub(crate) struct NoneRefused;

impl Refusals for NoneRefused {
    fn most(&self) -> usize {
        0
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        assert_eq!(refused, []);
        Ok(())
    }
}

fn deliver(sink: &mut dyn Sink, batch: u64) -> Result<(), SinkError> {
    let span = Span {
        from: 0,
        to: batch as i64,
        records: batch,
    };
    let spans: Spans = [(Partition { source: 0, id: 0 }, span)].into();
    let delivery = Delivery {
        epoch: 1,
        batch,
        time_ms: 1_700_000_000_000 + 10 * batch as i64,
        digest: "d1",
        spans: &spans,
        version: 1,
    };
    sink.deliver(&delivery, &[rows()], &mut NoneRefused)
}

/// What a reader finds, a line a row; none where nobody can read it.
fn read_back(world: &World, spec: &SinkSpec) -> Option<Vec<String>> {
    match spec.connector.as_str() {
        "hbase" => {
            let mut table = TableReader::open(world.hbase.clone(), &spec.target, b"").unwrap();
            let rows = table.next(100).unwrap();
            Some(rows.iter().map(|row| format!("{row:?}")).collect())
        }
        "kafka" => {
            let span = TopicSpan {
                from_beginning: true,
                ..TopicSpan::default()
            };
            let mut topic = TopicReader::open(&world.kafka, &spec.target, span).unwrap();
            let mut found = Vec::new();
            while !topic.is_done() {
                let record = topic.next(limits::FETCH_WAIT).unwrap();
                found.extend(record.map(|r| format!("{:?}={:?}", r.key, r.value)));
            }
            Some(found)
        }
        "console" => None,
        "files" => {
            let all = std::fs::read_dir(&spec.target).unwrap();
            let all = all.map(|entry| entry.unwrap().path());
            let parts = all.filter(|path| path.extension().is_some_and(|end| end == "json"));
            let parts = parts.filter(|path| !path.ends_with("_streamhost.json"));
            Some(
                parts
                    .map(|path| std::fs::read_to_string(path).unwrap())
                    .collect(),
            )
        }
        other => panic!("say here how what a sink of `{other}` wrote is read"),
    }
}

/// PostgreSQL, MySQL and Elasticsearch have no embedded server: `postgres.rs`, `mysql.rs` and
/// `elasticsearch.rs` in `tests/contract` hold their sinks to the same, with real ones.
fn is_embedded(rules: &ConnectorRules) -> bool {
    ![POSTGRES.name, MYSQL.name, ELASTICSEARCH.name].contains(&rules.name)
}

/// A target of this name; folders are in the world's.
fn target_of(world: &World, rules: &ConnectorRules, name: &str) -> String {
    let sink = rules.sink.as_ref().unwrap();
    match sink.target.outside {
        Some(Outside::Files) => world.folder.path().join(name).to_str().unwrap().to_owned(),
        _ => name.to_owned(),
    }
}

#[test]
fn every_sink_creates_its_target_and_keeps_its_guarantee() {
    let world = world();
    let exactly_once = Options::default().with(EXACTLY_ONCE, true);
    for (n, rules) in (0..).zip(RULES) {
        let Some(of) = &rules.sink else { continue };
        if !is_embedded(rules) {
            continue;
        }
        let has = |options: &Options| {
            options
                .iter()
                .all(|(name, _)| of.options.iter().any(|o| o.name == name))
        };
        for options in [Options::default(), exactly_once.clone()] {
            if !has(&options) {
                continue;
            }
            let guarantee = (of.guarantee)(&options);
            let name = format!("{} ({})", rules.name, guarantee.words());
            let target = target_of(&world, rules, &format!("t{n}-{}", guarantee.words()));
            let options = match rules.name == FILES.name {
                true => options.with(DELETES, "column"),
                false => options,
            };
            let spec = sink_of(rules.name, &target, options);
            is_created(&world, &spec, &name);
            let mut first = sink(&world, &spec);
            assert_eq!(first.guarantee(), guarantee, "{name}");
            assert_eq!(first.open().unwrap(), None, "{name}: nothing is there yet");
            deliver(first.as_mut(), 1).unwrap();
            let once = read_back(&world, &spec);
            assert_ne!(once, Some(Vec::new()), "{name}: the rows are there");
            // A host that did not hear of it delivers again.
            let mut again = sink(&world, &spec);
            let marker = again.open().unwrap();
            assert_eq!(marker.is_some(), guarantee == Guarantee::Marked, "{name}");
            if marker.is_none_or(|marker| marker.batch < 1) {
                deliver(again.as_mut(), 1).unwrap();
            }
            let twice = read_back(&world, &spec);
            match (guarantee, once, twice) {
                (Guarantee::AtLeastOnce, Some(once), Some(twice)) => {
                    assert_eq!(twice, [once.clone(), once].concat(), "{name}");
                }
                (_, once, twice) => assert_eq!(once, twice, "{name}"),
            }
        }
    }
}

/// What is missing is refused, or created where that is asked for.
fn is_created(world: &World, spec: &SinkSpec, name: &str) {
    let connector = world.registry.sink(spec).unwrap();
    let rules = registry::sink_rules(&spec.connector).unwrap();
    if rules.target.what.is_empty() {
        assert_eq!(
            connector.inspect(spec, false).unwrap(),
            Presence::There,
            "{name}"
        );
        return;
    }
    let refused = connector.inspect(spec, false).unwrap_err();
    assert_eq!(refused.remedy(), Remedy::Stop, "{name}: {refused}");
    assert!(
        refused.to_string().contains(&spec.target),
        "{name}: {refused}"
    );
    assert_eq!(
        connector.inspect(spec, true).unwrap(),
        Presence::Missing,
        "{name}"
    );
    connector.create(spec).unwrap();
    assert_eq!(
        connector.inspect(spec, false).unwrap(),
        Presence::There,
        "{name}"
    );
    assert_eq!(
        connector.inspect(spec, true).unwrap(),
        Presence::There,
        "{name}"
    );
}

#[test]
fn every_sink_says_that_its_server_is_away_and_ends_when_the_job_is_to_stop() {
    let world = world();
    let specs: Vec<SinkSpec> = RULES
        .iter()
        .filter(|rules| is_embedded(rules) && rules.name != FILES.name) // a disk has no server
        .filter(|rules| {
            rules
                .sink
                .as_ref()
                .is_some_and(|of| !of.target.what.is_empty())
        })
        .map(|rules| sink_of(rules.name, "t", Options::default()))
        .collect();
    for spec in &specs {
        world.registry.sink(spec).unwrap().create(spec).unwrap();
    }
    let World {
        broker,
        tables,
        registry,
        folder: _folder,
        ..
    } = world;
    broker.stop();
    tables.stop();
    for spec in &specs {
        let cancel = CancelSignal::default();
        let context = SinkContext {
            sources: &[],
            owner: "streamhost.contract",
            cancel: &cancel,
        };
        let mut sink = registry.sink(spec).unwrap().open(spec, &context);
        let away = sink.open().unwrap_err();
        assert_eq!(away.remedy(), Remedy::Retry, "{}: {away}", spec.connector);
        cancel.cancel();
        let began = Instant::now();
        assert!(sink.open().is_err(), "{}", spec.connector);
        assert!(began.elapsed() < LONG, "{}", spec.connector);
    }
}
