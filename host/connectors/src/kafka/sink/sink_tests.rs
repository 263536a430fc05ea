use super::*;
use crate::kafka::KafkaDeadLetters;
use crate::kafka::dead_letters::LEFT_OUT;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use streamhost_core::job::connector::Options;
use streamhost_core::job::{JobSpec, SourceSpec};
use streamhost_core::limits;
use streamhost_core::types::{Partition, Span, Spans};
use streamhost_dev::broker::{Broker, Listening, Settings};
use streamhost_engine::sink::DeadLetters;

const LONG: Duration = Duration::from_secs(60);

/// The embedded broker, which stands for Kafka here.
pub(in crate::kafka) struct Cluster {
    listening: Listening,
    _folder: tempfile::TempDir,
    pub(in crate::kafka) settings: KafkaSettings,
}

pub(in crate::kafka) fn cluster(topics: &[&str]) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let one = Settings {
        partitions_default: 1,
        ..Settings::default()
    };
    let broker = Broker::open(
        &fjall::Database::builder(folder.path()).open().unwrap(),
        one,
    )
    .unwrap();
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let settings = KafkaSettings {
        brokers: listening.address().to_string(),
        ..KafkaSettings::default()
    };
    for topic in topics {
        settings.create_topic(topic, &[]).unwrap();
    }
    Cluster {
        listening,
        _folder: folder,
        settings,
    }
}

impl Cluster {
    fn transactions(&self, sources: &[SourceSpec]) -> Transactions {
        self.transactions_to("out", sources)
    }

    fn transactions_to(&self, topic: &str, sources: &[SourceSpec]) -> Transactions {
        Transactions::new(
            &self.settings,
            topic,
            topics_of(&sink_spec(topic), sources),
            "streamhost.job.out".to_owned(),
            &CancelSignal::default(),
        )
    }

    fn producer(&self, cancel: &CancelSignal) -> BatchProducer {
        BatchProducer::new(&self.settings, "out", None, cancel).unwrap()
    }

    /// What readers of committed records see of a topic's only partition: values, and whether
    /// something was left out.
    pub(in crate::kafka) fn committed(&self, topic: &str) -> Vec<(String, bool)> {
        let reader: BaseConsumer = self.settings.reader("reader").unwrap().create().unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, 0, Offset::Beginning)
            .unwrap();
        reader.assign(&all).unwrap();
        let (mut values, deadline) = (Vec::new(), Instant::now() + LONG);
        loop {
            assert!(Instant::now() < deadline, "the topic has no end");
            match reader.poll(LONG) {
                Some(Ok(message)) => {
                    let value =
                        String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    let left_out = message
                        .headers()
                        .is_some_and(|all| all.iter().any(|header| header.key == LEFT_OUT));
                    values.push((value, left_out));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return values,
                other => assert!(other.is_some(), "nothing came"),
            }
        }
    }

    fn committed_values(&self, topic: &str) -> Vec<String> {
        self.committed(topic)
            .into_iter()
            .map(|(value, _)| value)
            .collect()
    }
}

pub(super) fn sink_spec(topic: &str) -> SinkSpec {
    SinkSpec {
        connector: "kafka".to_owned(),
        name: topic.to_owned(),
        target: topic.to_owned(),
        dynamic: false,
        columns: Vec::new(),
        ..SinkSpec::default()
    }
}

fn source(connector: &str, cluster: &str) -> SourceSpec {
    SourceSpec {
        connector: connector.to_owned(),
        name: cluster.to_owned(),
        target: cluster.to_owned(),
        ..SourceSpec::default()
    }
}

pub(in crate::kafka) fn job() -> JobSpec {
    let name = "job".to_owned();
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name,
        every: Duration::ZERO,
        sources: Vec::new(),
        stages: Vec::new(),
        sinks: Vec::new(),
    }
}

fn spans(of: &[(u16, i32, i64)]) -> Spans {
    let span = |&(source, id, to): &(u16, i32, i64)| {
        (
            Partition { source, id },
            Span {
                from: 0,
                to,
                records: to as u64,
            },
        )
    };
    of.iter().map(span).collect()
}

fn deliver(to: &mut Transactions, spans: &Spans, batch: u64, value: &str) -> Result<(), SinkError> {
    let digest = format!("{value} {batch}").replace(' ', "-");
    let delivery = Delivery {
        epoch: 7,
        batch,
        time_ms: 0,
        digest: &digest,
        spans,
        version: 1,
    };
    to.deliver(&delivery, |producer| {
        producer.send(None, Some(format!("{value} {batch}").as_bytes()))
    })
    .map(drop)
}

fn batch(marker: Result<Option<Marker>, SinkError>) -> Option<u64> {
    marker.unwrap().map(|marker| marker.batch)
}

fn is_away<T: std::fmt::Debug>(answer: &Result<T, SinkError>) -> bool {
    matches!(answer, Err(SinkError::Away { reason, .. }) if reason.contains("taken over"))
}

fn is_fenced<T: std::fmt::Debug>(answer: &Result<T, SinkError>) -> bool {
    matches!(answer, Err(SinkError::Fenced { id }) if id.contains("`streamhost.job.out`"))
}

#[test]
fn the_marker_needs_no_source_of_kafkas() {
    let cluster = cluster(&["out", "in"]);
    let (file, socket) = (
        source("file", "data/in.csv"),
        source("socket", "localhost:9999"),
    );
    let (rate, topic) = (source("rate", "generator"), source("kafka", "in"));
    let cases: [(&[SourceSpec], Spans, TopicOffsets); 4] = [
        (
            std::slice::from_ref(&file),
            spans(&[(0, 77, 10)]),
            TopicOffsets::new(),
        ),
        (&[socket], spans(&[(0, 0, 10)]), TopicOffsets::new()),
        (&[rate], spans(&[(0, 0, 10)]), TopicOffsets::new()),
        (
            &[file.clone(), topic],
            spans(&[(0, 77, 10), (1, 0, 30)]),
            [("in".to_owned(), [(0, 30)].into())].into(),
        ),
    ];
    for (n, (sources, spans, reached)) in (1..).zip(cases) {
        let mut first = cluster.transactions(sources);
        assert_eq!(batch(first.open()), (n > 1).then(|| n - 1), "{sources:?}");
        deliver(&mut first, &spans, n, "row").unwrap();
        let mut second = cluster.transactions(sources);
        assert_eq!(batch(second.open()), Some(n), "{sources:?}");
        assert_eq!(second.reached(), reached, "{sources:?}");
    }
    assert_eq!(
        cluster.committed_values("out"),
        ["row 1", "row 2", "row 3", "row 4"]
    );
}

#[test]
fn a_marker_of_another_topic_counts_as_none() {
    let cluster = cluster(&["out", "other", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let elsewhere = |sink: &Transactions| sink.elsewhere().map(|marker| marker.batch);
    let mut to = cluster.transactions_to("out", &sources);
    assert_eq!((batch(to.open()), elsewhere(&to)), (None, None));
    deliver(&mut to, &spans, 1, "row").unwrap();

    let mut to = cluster.transactions_to("other", &sources);
    assert_eq!((batch(to.open()), elsewhere(&to)), (None, Some(1)));
    assert_eq!(to.reached(), TopicOffsets::new());
    deliver(&mut to, &spans, 2, "row").unwrap();
    assert_eq!((batch(to.open()), elsewhere(&to)), (Some(2), None));

    let mut to = cluster.transactions_to("out", &sources);
    assert_eq!((batch(to.open()), elsewhere(&to)), (None, Some(2)));
    assert_eq!(cluster.committed_values("out"), ["row 1"]);
    assert_eq!(cluster.committed_values("other"), ["row 2"]);
}

#[test]
fn a_topic_that_was_made_anew_holds_nothing_of_before() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let mut to = cluster.transactions(&sources);
    to.open().unwrap();
    deliver(&mut to, &spans, 1, "row").unwrap();
    let admin = cluster.settings.admin().unwrap();
    let deleted =
        kafka::wait_for(admin.delete_topics(&["out"], &rdkafka::admin::AdminOptions::new()));
    assert!(deleted.unwrap().iter().all(Result::is_ok));
    let absent = to.peek();
    assert_eq!(batch(absent), None, "what is not there holds nothing");
    assert!(to.elsewhere().is_some());
    cluster.settings.create_topic("out", &[]).unwrap();
    let mut to = cluster.transactions(&sources);
    assert_eq!(batch(to.open()), None);
    assert!(to.elsewhere().is_some());
}

#[test]
fn who_only_looks_takes_nothing_over() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let mut writes = cluster.transactions(&sources);
    writes.open().unwrap();
    let mut looks = cluster.transactions(&sources);
    assert_eq!(batch(looks.peek()), None);
    for n in [1, 2] {
        deliver(&mut writes, &spans, n, "row").unwrap();
        assert_eq!(batch(looks.peek()), Some(n));
        assert_eq!(
            looks.reached(),
            [("in".to_owned(), [(0, 10)].into())].into()
        );
    }
}

#[test]
fn a_marker_without_a_target_counts_until_the_next_batch() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let group = cluster.settings.asker(Some("streamhost.job.out")).unwrap();
    let mut before = TopicPartitionList::new();
    let mut place = before.add_partition("in", 0);
    place.set_offset(Offset::Offset(7)).unwrap();
    place.set_metadata("streamhost-1 7 4 d");
    group
        .commit(&before, rdkafka::consumer::CommitMode::Sync)
        .unwrap();
    let mut to = cluster.transactions(&sources);
    assert_eq!(batch(to.open()), Some(4));
    assert_eq!(to.reached(), [("in".to_owned(), [(0, 7)].into())].into());
    deliver(&mut to, &spans, 5, "row").unwrap();
    assert_eq!(batch(to.open()), Some(5));
    let mut other = cluster.transactions_to("in", &sources);
    assert_eq!(batch(other.open()), None, "the new form names its target");
}

#[test]
fn another_host_that_writes_is_seen() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let (mut a, mut b) = (
        cluster.transactions(&sources),
        cluster.transactions(&sources),
    );
    assert_eq!(batch(a.open()), None);
    deliver(&mut a, &spans, 1, "a").unwrap();
    assert_eq!(batch(b.open()), Some(1));
    deliver(&mut b, &spans, 2, "b").unwrap();
    let refused = deliver(&mut a, &spans, 2, "a");
    assert!(is_away(&refused), "{refused:?}");
    let refused = a.open();
    assert!(is_fenced(&refused), "{refused:?}");
    assert_eq!(cluster.committed_values("out"), ["a 1", "b 2"]);
}

#[test]
fn an_id_that_was_taken_is_taken_back_once() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let mut a = cluster.transactions(&sources);
    let take_over = || batch(cluster.transactions(&sources).open());
    a.open().unwrap();
    deliver(&mut a, &spans, 1, "a").unwrap();
    for n in [2, 3] {
        assert_eq!(take_over(), Some(n - 1));
        let refused = deliver(&mut a, &spans, n, "a");
        assert!(is_away(&refused), "{refused:?}");
        assert_eq!(batch(a.open()), Some(n - 1), "nobody wrote");
        deliver(&mut a, &spans, n, "a").unwrap();
    }
    take_over();
    assert!(is_away(&deliver(&mut a, &spans, 4, "a")));
    a.open().unwrap();
    take_over();
    let refused = deliver(&mut a, &spans, 4, "a");
    assert!(
        is_fenced(&refused),
        "no delivery came in between: {refused:?}"
    );
    assert_eq!(cluster.committed_values("out"), ["a 1", "a 2", "a 3"]);
}

#[test]
fn what_fails_is_not_there() {
    let cluster = cluster(&["out", "in"]);
    let (sources, spans) = ([source("kafka", "in")], spans(&[(0, 0, 10)]));
    let mut a = cluster.transactions(&sources);
    a.open().unwrap();
    let delivery = Delivery {
        epoch: 7,
        batch: 1,
        time_ms: 0,
        digest: "d",
        spans: &spans,
        version: 1,
    };
    let long = vec![b'x'; limits::KAFKA_LETTER_BYTES_MAX + 1];
    let refused = a.deliver(&delivery, |producer| {
        producer.send(None, Some(b"half"))?;
        producer.send(None, Some(&long))
    });
    assert_eq!(
        refused.unwrap(),
        [Failure {
            position: 1,
            code: Code::MessageSizeTooLarge
        }]
    );
    deliver(&mut a, &spans, 1, "at once").unwrap();
    assert_eq!(batch(a.open()), Some(1));
    deliver(&mut a, &spans, 2, "later").unwrap();
    assert_eq!(cluster.committed_values("out"), ["at once 1", "later 2"]);
}

#[test]
fn an_outbox_tells_which_records_were_not_taken() {
    let cluster = cluster(&["out"]);
    let mut producer = cluster.producer(&CancelSignal::default());
    let long = vec![b'x'; limits::KAFKA_LETTER_BYTES_MAX + 1];
    for _ in 0..2 {
        for value in [&b"1"[..], &long, b"3"] {
            producer.send(None, Some(value)).unwrap();
        }
        let failed = producer.settle().unwrap();
        assert_eq!(
            failed,
            [Failure {
                position: 1,
                code: Code::MessageSizeTooLarge
            }]
        );
    }
    producer.send(Some(b"k"), None).unwrap();
    producer.settle_all().unwrap();
    assert_eq!(cluster.committed_values("out"), ["1", "3", "1", "3", ""]);
}

#[test]
fn nobody_waits_for_brokers_once_the_job_is_to_stop() {
    let cluster = cluster(&["out"]);
    let cancel = CancelSignal::default();
    let mut producer = cluster.producer(&cancel);
    let spec = SinkSpec {
        options: Options::default().with(EXACTLY_ONCE, true),
        ..sink_spec("out")
    };
    let mut sinks = [sink_spec("out"), spec]
        .map(|spec| KafkaSink::new(&cluster.settings, &spec, &[], "streamhost.job", &cancel));
    let mut letters =
        KafkaDeadLetters::new(&cluster.settings, "dead", &job(), "streamhost.job", &cancel);
    cluster.listening.stop();
    producer.send(None, Some(b"never")).unwrap();
    cancel.cancel();
    assert!(matches!(producer.settle(), Err(SinkError::Cancelled)));
    for sink in &mut sinks {
        assert!(matches!(sink.open(), Err(SinkError::Cancelled)));
    }
    assert!(matches!(letters.open(), Err(SinkError::Cancelled)));
}
