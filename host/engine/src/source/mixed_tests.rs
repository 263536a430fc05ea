use super::*;
use crate::source::memory::{MemorySource, MemoryTopics, Trouble};
use streamhost_core::job::SourceSpec;
use streamhost_core::job::connector::Options;
use streamhost_core::job::settings::BatchLimits;

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

/// Two sets of topics in memory behind one source, as parts of different kinds are.
fn two(intents: [SourceSpec; 2]) -> (MemoryTopics, MemoryTopics, MixedSource) {
    let parts = [MemoryTopics::default(), MemoryTopics::default()];
    let part = |i: usize| {
        parts[i].create("a", 1);
        parts[i].create("b", 1);
        Part::new(
            [i as u16].into(),
            Box::new(OnlyOne(
                MemorySource::new(&parts[i], &intents, "g"),
                i as u16,
            )),
        )
    };
    let source = MixedSource::new(vec![part(0), part(1)]);
    let [first, second] = parts;
    (first, second, source)
}

/// One of the sources of a memory source.
struct OnlyOne(MemorySource, u16);

impl Source for OnlyOne {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        Ok(self
            .0
            .partitions()?
            .into_iter()
            .filter(|p| p.source == self.1)
            .collect())
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        Ok(self
            .0
            .start(start)?
            .into_iter()
            .filter(|(p, _)| p.source == self.1)
            .collect())
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        Ok(self
            .0
            .high_watermarks()?
            .into_iter()
            .filter(|(p, _)| p.source == self.1)
            .collect())
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        self.0.group()
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.0.assign(at)
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        self.0.fetch(builder, wait)
    }

    fn ends(&mut self) -> Positions {
        self.0.ends()
    }

    fn commit_progress(&mut self, reached: &Positions) {
        self.0.commit_progress(reached);
    }
}

const A: Partition = Partition { source: 0, id: 0 };
const B: Partition = Partition { source: 1, id: 0 };

fn topics() -> [SourceSpec; 2] {
    [spec("kafka", "a"), spec("kafka", "b")]
}

#[test]
fn one_that_always_has_more_leaves_the_others_room() {
    let (a, b, mut source) = two(topics());
    for _ in 0..100 {
        a.append("a", 0, 0, None, Some(b"much"));
    }
    b.append("b", 0, 0, None, Some(b"little"));
    let mut at: Positions = [(A, 0), (B, 0)].into();
    source.assign(&at).unwrap();
    for _ in 0..2 {
        let mut builder = BatchBuilder::open(
            &at,
            BatchLimits {
                records_max: 10,
                bytes_max: 1000,
            },
        );
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        at = builder.close().end_positions();
    }
    assert_eq!(
        at[&B], 1,
        "after as many batches as there are parts, each was first"
    );
}

#[test]
fn what_is_away_is_told_and_the_others_go_on() {
    let (a, b, mut source) = two(topics());
    let at: Positions = [(A, 0), (B, 0)].into();
    source.assign(&at).unwrap();
    a.trouble(Some(Trouble::Away("gone fishing".to_owned())));
    b.append("b", 0, 0, None, Some(b"here"));
    let mut builder = BatchBuilder::open(&at, BatchLimits::default());
    for _ in 0..2 {
        let error = source.fetch(&mut builder, LONG).unwrap_err();
        assert!(matches!(error, SourceError::Away { .. }), "{error}");
    }
    assert_eq!(builder.end_positions()[&B], 1);
    a.trouble(Some(Trouble::Refused("no".to_owned())));
    assert!(matches!(
        source.fetch(&mut builder, LONG),
        Err(SourceError::Refused { .. })
    ));
}

#[test]
fn a_record_that_comes_late_is_not_kept_waiting_by_another_part() {
    let (_a, b, mut source) = two(topics());
    let at: Positions = [(A, 0), (B, 0)].into();
    source.assign(&at).unwrap();
    let mut builder = BatchBuilder::open(&at, BatchLimits::default());
    let writer = std::thread::spawn(move || b.append("b", 0, 0, None, Some(b"x")));
    source.fetch(&mut builder, LONG).unwrap();
    writer.join().unwrap();
    assert_eq!(
        builder.records(),
        1,
        "it came long before the wait was over"
    );
}

#[test]
fn parts_that_are_not_assigned_are_left_alone_and_tables_begin_early() {
    let [first, second] = topics();
    let (a, b, mut source) = two([
        first,
        SourceSpec {
            table: true,
            ..second
        },
    ]);
    a.append("a", 0, 0, None, Some(b"x"));
    b.append("b", 0, 0, None, Some(b"y"));
    assert_eq!(
        source.start(StartPosition::Latest).unwrap(),
        [(A, 1), (B, 0)].into()
    );
    assert_eq!(source.high_watermarks().unwrap(), [(B, 1)].into());
    a.trouble(Some(Trouble::Away("not asked".to_owned())));
    source.assign(&[(B, 0)].into()).unwrap();
    let mut builder = BatchBuilder::open(&[(A, 0), (B, 0)].into(), BatchLimits::default());
    source.fetch(&mut builder, LONG).unwrap();
    assert_eq!(builder.end_positions(), [(A, 0), (B, 1)].into());
}
