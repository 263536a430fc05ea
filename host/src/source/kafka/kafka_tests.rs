use super::*;
use crate::batch::{BatchLimits, Cut};
use crate::dev::broker::{Broker, Listening, Settings};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const LONG: Duration = Duration::from_secs(60);

/// The embedded broker, which stands for Kafka here.
struct Place {
    _listening: Listening,
    _folder: tempfile::TempDir,
    settings: KafkaSettings,
    producer: BaseProducer,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(&fjall::Database::builder(folder.path()).open().unwrap(), Settings::default()).unwrap();
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let settings = KafkaSettings { brokers: listening.address().to_string(), ..KafkaSettings::default() };
    let producer = settings.client().create().unwrap();
    Place { _listening: listening, _folder: folder, settings, producer }
}

impl Place {
    fn send(&self, topic: &str, partition: i32, values: &[&str]) {
        for value in values {
            let record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(*value);
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(LONG).unwrap();
    }

    fn source(&self, plans: &[SourcePlan]) -> KafkaSource {
        for topic in plans.iter().filter(|plan| plan.kind == SourceKind::Kafka) {
            self.settings.create_topic(&topic.place, &[]).unwrap();
        }
        KafkaSource::new(&self.settings, plans, "g").unwrap()
    }
}

fn topic(name: &str, table: bool) -> SourcePlan {
    SourcePlan { name: name.to_owned(), place: name.to_owned(), table, ..SourcePlan::default() }
}

fn other() -> SourcePlan {
    SourcePlan { kind: SourceKind::Rate, ..topic("not a topic", false) }
}

fn at(source: u16, id: i32) -> Partition {
    Partition { source, id }
}

fn fetch_while(source: &mut KafkaSource, from: &Positions, goes_on: impl Fn(&KafkaSource, &Gather) -> bool) -> Cut {
    let mut gather = Gather::open(from, BatchLimits::default());
    let deadline = Instant::now() + LONG;
    while goes_on(source, &gather) {
        assert!(Instant::now() < deadline, "what was waited for did not come: {:?}", gather.reached());
        source.fetch(&mut gather, limits::FETCH_WAIT).unwrap();
    }
    gather.cut()
}

#[test]
fn until_its_end_a_topic_is_read_to_the_end_it_had_and_no_farther() {
    let place = place();
    let mut source = place.source(&[other(), topic("t", false)]).until_end();
    place.send("t", 0, &["a", "b"]);
    place.send("t", 1, &["c"]);
    let begin = source.start(Start::Earliest).unwrap();
    assert_eq!(begin.keys().map(|p| p.source).collect::<BTreeSet<_>>(), [1].into(), "the job's own number");
    assert!(!source.is_over(&begin));
    source.assign(&begin).unwrap();
    place.send("t", 0, &["beyond", "farther"]);
    place.send("t", 2, &["new"]);
    assert_eq!((source.ends()[&at(1, 0)], source.ends()[&at(1, 2)]), (2, 0));
    let cut = fetch_while(&mut source, &begin, |source, gather| !source.is_over(&gather.reached()));
    assert_eq!((cut.records(), cut.spans[&at(1, 0)].to, cut.spans[&at(1, 1)].to), (3, 2, 1));
    let mut more = Gather::open(&cut.reached(), BatchLimits::default());
    source.fetch(&mut more, Duration::from_millis(10)).unwrap();
    assert!(more.is_empty() && source.is_over(&more.reached()));

    let mut again = place.source(&[other(), topic("t", false)]).until_end();
    again.assign(&cut.reached()).unwrap();
    assert!(!again.is_over(&cut.reached()), "a new start notes new ends");
}

#[test]
fn what_is_not_assigned_is_not_read_though_a_batch_has_it() {
    let place = place();
    let mut source = place.source(&[topic("stream", false), topic("table", true)]);
    place.send("stream", 0, &["s"]);
    place.send("table", 0, &["t", "u"]);
    let begin = source.start(Start::Latest).unwrap();
    assert_eq!((begin[&at(0, 0)], begin[&at(1, 0)]), (1, 0), "a table begins at its oldest record");
    assert_eq!(
        source.table_ends().unwrap().into_iter().filter(|(_, end)| *end > 0).collect::<Vec<_>>(),
        [(at(1, 0), 2)]
    );

    let all: Positions = begin.keys().map(|&p| (p, 0)).collect();
    let tables: Positions = all.iter().filter(|(p, _)| p.source == 1).map(|(&p, &at)| (p, at)).collect();
    source.assign(&tables).unwrap();
    let cut = fetch_while(&mut source, &all, |_, gather| gather.records() < 2);
    assert_eq!((cut.spans[&at(0, 0)].to, cut.spans[&at(1, 0)].to), (0, 2));
    source.assign(&cut.reached()).unwrap();
    let cut = fetch_while(&mut source, &cut.reached(), |_, gather| gather.records() < 1);
    assert_eq!(cut.spans[&at(0, 0)].to, 1);
    assert!(!source.is_over(&cut.reached()), "a topic is read for ever");
}
