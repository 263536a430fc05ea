use super::*;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::types::Span;
use streamhost_dev::broker::{Broker, Listening, Settings};
use streamhost_engine::batch::Batch;
use streamhost_engine::source::Loss;

const LONG: Duration = Duration::from_secs(60);

/// The embedded broker, which stands for Kafka here.
struct Cluster {
    _listening: Listening,
    _folder: tempfile::TempDir,
    settings: KafkaSettings,
    producer: BaseProducer,
}

fn cluster() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(
        &fjall::Database::builder(folder.path()).open().unwrap(),
        Settings::default(),
    )
    .unwrap();
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let settings = KafkaSettings {
        brokers: listening.address().to_string(),
        ..KafkaSettings::default()
    };
    let producer = settings.client().unwrap().create().unwrap();
    Cluster {
        _listening: listening,
        _folder: folder,
        settings,
        producer,
    }
}

impl Cluster {
    fn send(&self, topic: &str, partition: i32, values: &[&str]) {
        for value in values {
            let record: BaseRecord<'_, (), str> =
                BaseRecord::to(topic).partition(partition).payload(*value);
            self.producer
                .send(record)
                .map_err(|(error, _)| error)
                .unwrap();
        }
        self.producer.flush(LONG).unwrap();
    }

    /// Deletes what lies before these positions, as retention does.
    fn forget(&self, topic: &str, before: &Positions) {
        let admin: AdminClient<DefaultClientContext> =
            self.settings.client().unwrap().create().unwrap();
        let list = queue::list(
            before
                .iter()
                .map(|(p, &at)| (topic, p.id, ClientOffset::Offset(at))),
        )
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let deleted = runtime
            .block_on(admin.delete_records(&list, &AdminOptions::new()))
            .unwrap();
        assert_eq!(deleted.count(), before.len());
    }

    fn source(&self, plans: &[SourceSpec]) -> KafkaSource {
        let mut own = BTreeSet::new();
        for (i, topic) in (0..)
            .zip(plans)
            .filter(|(_, spec)| spec.connector == "kafka")
        {
            own.insert(i);
            self.settings.create_topic(&topic.target, &[]).unwrap();
        }
        KafkaSource::new(&self.settings, plans, &own, "g").unwrap()
    }
}

fn topic(name: &str, table: bool) -> SourceSpec {
    SourceSpec {
        connector: "kafka".to_owned(),
        name: name.to_owned(),
        target: name.to_owned(),
        table,
        ..SourceSpec::default()
    }
}

fn other() -> SourceSpec {
    SourceSpec {
        connector: "rate".to_owned(),
        ..topic("not a topic", false)
    }
}

fn at(source: u16, id: i32) -> Partition {
    Partition { source, id }
}

fn fetch_while(
    source: &mut KafkaSource,
    from: &Positions,
    goes_on: impl Fn(&KafkaSource, &BatchBuilder) -> bool,
) -> Batch {
    let mut builder = BatchBuilder::open(from, BatchLimits::default());
    let deadline = Instant::now() + LONG;
    while goes_on(source, &builder) {
        assert!(
            Instant::now() < deadline,
            "what was waited for did not come: {:?}",
            builder.end_positions()
        );
        source.fetch(&mut builder, limits::FETCH_WAIT).unwrap();
    }
    builder.close()
}

#[test]
fn until_its_end_a_topic_is_read_to_the_end_it_had_and_no_farther() {
    let cluster = cluster();
    let mut source = cluster.source(&[other(), topic("t", false)]).until_end();
    cluster.send("t", 0, &["a", "b"]);
    cluster.send("t", 1, &["c"]);
    let begin = source.start(StartPosition::Earliest).unwrap();
    assert_eq!(
        begin.keys().map(|p| p.source).collect::<BTreeSet<_>>(),
        [1].into(),
        "the job's own number"
    );
    assert!(!source.is_exhausted(&begin));
    source.assign(&begin).unwrap();
    cluster.send("t", 0, &["beyond", "farther"]);
    cluster.send("t", 2, &["new"]);
    assert_eq!((source.ends()[&at(1, 0)], source.ends()[&at(1, 2)]), (2, 0));
    let batch = fetch_while(&mut source, &begin, |source, builder| {
        !source.is_exhausted(&builder.end_positions())
    });
    assert_eq!(
        (
            batch.records(),
            batch.spans[&at(1, 0)].to,
            batch.spans[&at(1, 1)].to
        ),
        (3, 2, 1)
    );
    let mut more = BatchBuilder::open(&batch.end_positions(), BatchLimits::default());
    source.fetch(&mut more, Duration::from_millis(10)).unwrap();
    assert!(more.is_empty() && source.is_exhausted(&more.end_positions()));

    let mut again = cluster.source(&[other(), topic("t", false)]).until_end();
    again.assign(&batch.end_positions()).unwrap();
    assert!(
        !again.is_exhausted(&batch.end_positions()),
        "a new start notes new ends"
    );
}

#[test]
fn what_is_not_assigned_is_not_read_though_a_batch_has_it() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("stream", false), topic("table", true)]);
    cluster.send("stream", 0, &["s"]);
    cluster.send("table", 0, &["t", "u"]);
    let begin = source.start(StartPosition::Latest).unwrap();
    assert_eq!(
        (begin[&at(0, 0)], begin[&at(1, 0)]),
        (1, 0),
        "a table begins at its oldest record"
    );
    assert_eq!(
        source
            .high_watermarks()
            .unwrap()
            .into_iter()
            .filter(|(_, end)| *end > 0)
            .collect::<Vec<_>>(),
        [(at(1, 0), 2)]
    );

    let all: Positions = begin.keys().map(|&p| (p, 0)).collect();
    let tables: Positions = all
        .iter()
        .filter(|(p, _)| p.source == 1)
        .map(|(&p, &at)| (p, at))
        .collect();
    source.assign(&tables).unwrap();
    let batch = fetch_while(&mut source, &all, |_, builder| builder.records() < 2);
    assert_eq!(
        (batch.spans[&at(0, 0)].to, batch.spans[&at(1, 0)].to),
        (0, 2)
    );
    source.assign(&batch.end_positions()).unwrap();
    let batch = fetch_while(&mut source, &batch.end_positions(), |_, builder| {
        builder.records() < 1
    });
    assert_eq!(batch.spans[&at(0, 0)].to, 1);
    assert!(
        !source.is_exhausted(&batch.end_positions()),
        "a topic is read for ever"
    );
}

/// Waits until the client has brought so much that nobody read yet.
fn wait_for(source: &KafkaSource, messages: usize) {
    let deadline = Instant::now() + LONG;
    while source.queues.waiting() < messages {
        assert!(
            Instant::now() < deadline,
            "only {} messages came",
            source.queues.waiting()
        );
        std::thread::yield_now();
    }
}

#[test]
fn what_is_gone_in_two_partitions_is_gone_once() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    let begin: Positions = [(at(0, 0), 0), (at(0, 1), 0)].into();
    for id in [0, 1] {
        cluster.send("t", id, &["a", "b", "c"]);
    }
    cluster.forget("t", &[(at(0, 0), 2), (at(0, 1), 2)].into());
    source.assign(&begin).unwrap();
    let mut builder = BatchBuilder::open(&begin, BatchLimits::default());
    let error = loop {
        match source.read(&mut builder, LONG, 1) {
            Ok(read) => assert!(read.messages == 1, "it never said so"),
            Err(error) => break error,
        }
    };
    wait_for(&source, 1); // of the other partition it says so as well, and is not asked yet
    assert!(
        matches!(
            error,
            SourceError::Gone {
                offset: 0,
                reason: Loss::Before,
                ..
            }
        ),
        "{error}"
    );
    let first = source.start(StartPosition::Earliest).unwrap();
    assert_eq!([first[&at(0, 0)], first[&at(0, 1)]], [2, 2]);
    let rest = begin.keys().map(|p| (*p, first[p])).collect();
    source.assign(&rest).unwrap();
    let batch = fetch_while(&mut source, &rest, |_, builder| builder.records() < 2);
    assert_eq!(batch.end_positions(), [(at(0, 0), 3), (at(0, 1), 3)].into());
}

#[test]
fn what_lies_beyond_the_end_is_told_with_another_way_out() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    cluster.send("t", 0, &["a"]);
    let begin: Positions = [(at(0, 0), 5)].into();
    source.assign(&begin).unwrap();
    wait_for(&source, 1);
    let error = source
        .fetch(
            &mut BatchBuilder::open(&begin, BatchLimits::default()),
            LONG,
        )
        .unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Gone {
                offset: 5,
                reason: Loss::Beyond,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("go on at the end that is there now"),
        "{error}"
    );
}

#[test]
fn faults_of_a_partition_have_their_meanings() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    for (code, offset, want) in [
        (Code::AutoOffsetReset, 7, "gone"),
        (Code::AutoOffsetReset, -1001, "gone"),
        (Code::AutoOffsetReset, 3, "nothing"), // of an assignment before
        (Code::Unknown, 7, "away"),
        (Code::TopicAuthorizationFailed, 7, "refused"),
        (Code::UnknownTopicOrPartition, 7, "nothing"), // the broker knows better
    ] {
        source.next = [(at(0, 0), 7)].into();
        let found = match source.fault(at(0, 0), code, offset, "words".to_owned()) {
            Ok(()) => "nothing",
            Err(SourceError::Gone { offset: 7, .. }) => "gone",
            Err(SourceError::Away { reason, .. }) if reason == "topic `t` partition 0: words" => {
                "away"
            }
            Err(SourceError::Refused { .. }) => "refused",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, want, "{code:?} at {offset}");
        assert!(source.next.is_empty(), "it is assigned anew");
    }
}

#[test]
fn a_batch_that_is_run_again_does_not_wait_for_ever_for_a_short_partition_beside_a_busy_one() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    let (short, busy) = (at(0, 0), at(0, 1));
    cluster.send("t", 0, &["a"]);
    cluster.send("t", 1, &["b", "beyond"]);
    source.assign(&[(short, 0), (busy, 0)].into()).unwrap();
    let spans = [
        (
            short,
            Span {
                from: 0,
                to: 3,
                records: 3,
            },
        ),
        (
            busy,
            Span {
                from: 0,
                to: 1,
                records: 1,
            },
        ),
    ];
    let mut builder = BatchBuilder::exactly(&spans.into());
    let deadline = Instant::now() + LONG;
    while source.short_since.is_none() {
        assert!(Instant::now() < deadline, "{:?}", builder.end_positions());
        source.fetch(&mut builder, limits::FETCH_WAIT).unwrap();
    }
    assert_eq!(
        (builder.records(), &source.paused[..]),
        (2, &[busy][..]),
        "of the busy one there is enough"
    );
    for _ in 0..3 {
        source.short_since = Some(clock::monotonic());
        cluster.send("t", 1, &["more"]);
        source.fetch(&mut builder, limits::FETCH_WAIT).unwrap();
        assert!(
            source.short_since.is_some(),
            "records that nobody wants are no progress"
        );
    }
    source.short_since = clock::monotonic().checked_sub(limits::KAFKA_SHORT_TIME);
    let error = source.fetch(&mut builder, Duration::ZERO).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Gone {
                offset: 1,
                reason: Loss::Beyond,
                ..
            }
        ),
        "{error}"
    );

    let on: Positions = [(short, 1), (busy, 1)].into();
    source.assign(&on).unwrap();
    let batch = fetch_while(&mut source, &on, |_, builder| builder.records() < 4);
    assert_eq!(batch.spans[&busy].to, 5, "what was left out is read on");
}

#[test]
fn the_group_is_told_the_last_position_though_a_commit_is_under_way() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    let told = |to| Positions::from([(at(0, 0), to)]);
    source.commit_progress(&told(1));
    assert!(source.group.under_way);
    let deadline = Instant::now() + LONG;
    while source.group.under_way {
        assert!(Instant::now() < deadline, "nobody heard the outcome");
        source.commit_progress(&told(1)); // it fetches no more, as when it is over
    }
    source.commit_progress(&told(2));
    source.commit_progress(&told(3));
    assert!(source.group.under_way);
    drop(source);
    assert_eq!(
        cluster.source(&[topic("t", false)]).group().unwrap(),
        told(3)
    );
}

#[test]
fn a_fault_of_the_consumer_as_a_whole_amid_records_does_no_harm() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    cluster.send("t", 0, &["a", "b"]);
    let begin: Positions = [(at(0, 0), 0)].into();
    source.assign(&begin).unwrap();
    let from = fetch_while(&mut source, &begin, |source, _| {
        !source.ended.contains_key(&at(0, 0))
    })
    .end_positions();
    cluster.send("t", 0, &["c", "d"]);
    wait_for(&source, 2);
    source.queues.fail();
    let mut builder = BatchBuilder::open(&from, BatchLimits::default());
    let read = source.read(&mut builder, Duration::ZERO, 10).unwrap();
    assert!(
        builder.records() == 2 && read.messages > 2,
        "{} messages",
        read.messages
    );
    assert_eq!(builder.end_positions()[&at(0, 0)], 4);
}

#[test]
fn a_batch_has_no_more_records_than_it_may() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    cluster.send("t", 0, &["a", "b", "c", "d", "e"]);
    let mut begin: Positions = [(at(0, 0), 0)].into();
    source.assign(&begin).unwrap();
    wait_for(&source, 5);
    for want in [3, 2] {
        let mut builder = BatchBuilder::open(
            &begin,
            BatchLimits {
                records_max: 3,
                bytes_max: usize::MAX,
            },
        );
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        assert_eq!(builder.records(), want);
        begin = builder.close().end_positions();
    }
}

#[test]
fn assignments_may_follow_each_other_at_once() {
    let cluster = cluster();
    let mut source = cluster.source(&[topic("t", false)]);
    cluster.send("t", 0, &["a", "b"]);
    let all = source.start(StartPosition::Earliest).unwrap();
    for from in [0, 1].repeat(200) {
        let at = all
            .keys()
            .map(|&p| (p, if p.id == 0 { from } else { 0 }))
            .collect();
        source.assign(&at).unwrap();
    }
    assert_eq!(
        fetch_while(&mut source, &[(at(0, 0), 1)].into(), |_, builder| builder
            .records()
            < 1)
        .records(),
        1
    );
}
