//! Topics in memory, for the host's own tests: shared with the test, which appends to them and
//! takes them away.

use super::{Loss, Source, SourceError};
use crate::batch::BatchBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use streamhost_core::clock;
use streamhost_core::job::SourceSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Offset, Partition, Positions, Record};

/// What a source of these topics answers from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server is away: [`SourceError::Away`] with this reason.
    Away(String),
    /// Reading is refused: [`SourceError::Refused`] with this reason.
    Refused(String),
}

#[derive(Clone, Debug)]
struct Stored {
    time_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Log {
    /// The oldest offset that is there.
    from: Offset,
    /// By offset, from 0; none: an offset without a record.
    records: Vec<Option<Stored>>,
    /// It is not there any more, as a file that was removed.
    is_over: bool,
}

impl Log {
    fn end(&self) -> Offset {
        self.records.len() as Offset
    }
}

#[derive(Debug, Default)]
struct Held {
    topics: BTreeMap<String, Vec<Log>>,
    groups: BTreeMap<String, BTreeMap<(String, i32), Offset>>,
    trouble: Option<Trouble>,
    /// Nothing more will come.
    has_ended: bool,
    /// Topics that stand for what cannot be read twice.
    fleeting: BTreeSet<String>,
    /// How many times each topic was made.
    made: BTreeMap<String, usize>,
    /// Partitions came or went since a source looked.
    has_news: bool,
    /// Records of the batch that was fetched into last.
    gathered: usize,
}

/// Topics that tests and sources share; a clone is the same topics.
#[derive(Clone, Debug, Default)]
pub struct MemoryTopics {
    held: Arc<(Mutex<Held>, Condvar)>,
}

impl MemoryTopics {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let changed = change(&mut self.held());
        self.held.1.notify_all();
        changed
    }

    /// Makes a topic, or gives one more partitions.
    pub fn create(&self, topic: &str, partitions: usize) {
        self.change(|held| {
            if !held.topics.contains_key(topic) {
                *held.made.entry(topic.to_owned()).or_default() += 1;
            }
            let logs = held.topics.entry(topic.to_owned()).or_default();
            logs.resize_with(partitions.max(logs.len()), Log::default);
        });
    }

    /// Takes a topic away with all it holds.
    pub fn delete(&self, topic: &str) {
        self.change(|held| held.topics.remove(topic));
    }

    /// Appends a record and says its offset. Panics if there is no such partition.
    pub fn append(
        &self,
        topic: &str,
        id: i32,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Offset {
        let stored = Stored {
            time_ms,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
        };
        self.put(topic, id, Some(stored))
    }

    /// Appends an offset without a record, as the mark of a transaction is one.
    pub fn append_mark(&self, topic: &str, id: i32) -> Offset {
        self.put(topic, id, None)
    }

    fn put(&self, topic: &str, id: i32, stored: Option<Stored>) -> Offset {
        self.change(|held| {
            let log = log(held, topic, id).expect("the test appends to a partition that it made");
            log.records.push(stored);
            log.end() - 1
        })
    }

    /// Removes all records before `from`, as retention does.
    pub fn forget(&self, topic: &str, id: i32, from: Offset) {
        self.change(|held| {
            if let Some(log) = log(held, topic, id) {
                log.from = log.from.max(from.min(log.end()));
            }
        });
    }

    /// Removes all records from `end` on, as an unclean change of leaders does.
    pub fn truncate(&self, topic: &str, id: i32, end: Offset) {
        self.change(|held| {
            if let Some(log) = log(held, topic, id) {
                log.records.truncate(usize::try_from(end).unwrap_or(0));
            }
        });
    }

    /// Removes a partition, as a file of a followed folder is.
    pub fn remove(&self, topic: &str, id: i32) {
        self.change(|held| {
            log(held, topic, id)
                .expect("the test removes what it made")
                .is_over = true;
            held.has_news = true;
        });
    }

    /// Another partition comes in the place of one that was removed.
    pub fn replace(&self, topic: &str, id: i32) {
        self.change(|held| {
            *log(held, topic, id).expect("the test replaces what it made") = Log::default();
            held.has_news = true;
        });
    }

    /// How many records the batch has that was fetched into last.
    pub fn gathered(&self) -> usize {
        self.held().gathered
    }

    /// What the sources answer from now on; `None`: all is well again.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.change(|held| held.trouble = trouble);
    }

    /// Says that nothing more will come: the sources are over once they have what is there.
    pub fn end(&self) {
        self.change(|held| held.has_ended = true);
    }

    /// Whether a topic's records can be read again; if not, a batch that is run again is refused
    /// them.
    pub fn is_replayable(&self, topic: &str, can: bool) {
        self.change(|held| match can {
            true => drop(held.fleeting.remove(topic)),
            false => drop(held.fleeting.insert(topic.to_owned())),
        });
    }

    /// What a consumer group was told, by topic and partition.
    pub fn group(&self, group: &str) -> BTreeMap<(String, i32), Offset> {
        self.held().groups.get(group).cloned().unwrap_or_default()
    }
}

fn log<'a>(held: &'a mut Held, topic: &str, id: i32) -> Option<&'a mut Log> {
    held.topics
        .get_mut(topic)?
        .get_mut(usize::try_from(id).ok()?)
}

/// Reads topics in memory.
pub struct MemorySource {
    topics: MemoryTopics,
    places: Vec<String>,
    tables: Vec<bool>,
    group: String,
    assigned: Vec<Partition>,
}

impl MemorySource {
    /// A reader of these sources, in their order.
    pub fn new(topics: &MemoryTopics, sources: &[SourceSpec], group: &str) -> Self {
        let places = sources.iter().map(|source| source.target.clone()).collect();
        let tables = sources.iter().map(|source| source.table).collect();
        MemorySource {
            topics: topics.clone(),
            places,
            tables,
            group: group.to_owned(),
            assigned: Vec::new(),
        }
    }

    fn well(&self, held: &Held) -> Result<(), SourceError> {
        match held.trouble.clone() {
            None => Ok(()),
            Some(Trouble::Away(reason)) => Err(SourceError::Away {
                server: "memory",
                address: "this process".to_owned(),
                reason,
            }),
            Some(Trouble::Refused(reason)) => Err(SourceError::Refused {
                what: "topic",
                target: self.places.join(", "),
                reason,
            }),
        }
    }

    fn place(&self, partition: Partition) -> &str {
        &self.places[usize::from(partition.source)]
    }

    /// Appends what is there. Says whether a partition came further.
    fn take(&self, held: &mut Held, builder: &mut BatchBuilder) -> Result<bool, SourceError> {
        let mut moved = false;
        let wanted: Vec<_> = builder
            .wanted()
            .filter(|(partition, ..)| self.assigned.contains(partition))
            .collect();
        for (partition, at, until) in wanted {
            let topic = self.place(partition);
            if until.is_some() && held.fleeting.contains(topic) {
                let reason = "its records cannot be read a second time".to_owned();
                return Err(SourceError::Refused {
                    what: "topic",
                    target: topic.to_owned(),
                    reason,
                });
            }
            let Some(log) = log(held, topic, partition.id) else {
                return Err(SourceError::TopicMissing {
                    topic: topic.to_owned(),
                });
            };
            if at < log.from || at > log.end() || until.is_some_and(|until| until > log.end()) {
                let what = format!("topic `{topic}` partition {}", partition.id);
                let reason = if at < log.from {
                    Loss::Before
                } else {
                    Loss::Beyond
                };
                return Err(SourceError::Gone {
                    what,
                    offset: at.max(0),
                    reason,
                });
            }
            let to = until.unwrap_or(log.end());
            for offset in at..to {
                if let Some(stored) = &log.records[offset as usize] {
                    let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
                    builder.push(
                        partition,
                        Record {
                            offset,
                            time_ms: stored.time_ms,
                            key,
                            value,
                            headers: &[],
                        },
                    );
                }
                if builder.is_full() && until.is_none() {
                    return Ok(true);
                }
            }
            builder.passed(partition, to);
            moved |= to > at;
        }
        Ok(moved)
    }
}

impl Source for MemorySource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        let mut held = self.topics.held();
        self.well(&held)?;
        held.has_news = false;
        let mut all = Vec::new();
        for (source, topic) in self.places.iter().enumerate() {
            let Some(logs) = held.topics.get(topic) else {
                return Err(SourceError::TopicMissing {
                    topic: topic.clone(),
                });
            };
            let there = logs.iter().enumerate().filter(|(_, log)| !log.is_over);
            all.extend(there.map(|(id, _)| Partition {
                source: source as u16,
                id: id as i32,
            }));
        }
        Ok(all)
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        let partitions = self.partitions()?;
        let mut held = self.topics.held();
        let mut at = Positions::new();
        for partition in partitions {
            let log = log(&mut held, self.place(partition), partition.id)
                .expect("it was listed just now, under one lock or by a test that made it");
            let offset = match start {
                _ if self.tables[usize::from(partition.source)] => log.from,
                StartPosition::Earliest => log.from,
                StartPosition::Latest => log.end(),
                StartPosition::At(time) => {
                    let time_ms =
                        time.duration_since(UNIX_EPOCH)
                            .map_or(0, |since| since.as_millis()) as i64;
                    let late = |&offset: &Offset| {
                        log.records[offset as usize]
                            .as_ref()
                            .is_some_and(|r| r.time_ms >= time_ms)
                    };
                    (log.from..log.end()).find(late).unwrap_or(log.end())
                }
            };
            at.insert(partition, offset);
        }
        Ok(at)
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        let tables = self
            .partitions()?
            .into_iter()
            .filter(|p| self.tables[usize::from(p.source)]);
        let mut held = self.topics.held();
        let end = |p: Partition| Some((p, log(&mut held, self.place(p), p.id)?.end()));
        Ok(tables.filter_map(end).collect())
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        let held = self.topics.held();
        self.well(&held)?;
        let told = held.groups.get(&self.group).into_iter().flatten();
        let position = |((topic, id), &offset): (&(String, i32), &Offset)| {
            let source = self.places.iter().position(|place| place == topic)?;
            Some((
                Partition {
                    source: source as u16,
                    id: *id,
                },
                offset,
            ))
        };
        Ok(told.filter_map(position).collect())
    }

    fn has_new_partitions(&self) -> bool {
        self.topics.held().has_news
    }

    fn finished_partitions(&self, at: &Positions) -> Vec<Partition> {
        let mut held = self.topics.held();
        let is_over = |(p, at): &(&Partition, &Offset)| {
            log(&mut held, self.place(**p), p.id)
                .is_some_and(|log| log.is_over && log.end() <= **at)
        };
        at.iter()
            .filter(is_over)
            .map(|(partition, _)| *partition)
            .collect()
    }

    fn lost(&mut self, at: &Positions) -> Result<Positions, SourceError> {
        let mut held = self.topics.held();
        self.well(&held)?;
        let goes_on = |(&p, &at): (&Partition, &Offset)| {
            let log = log(&mut held, self.place(p), p.id)?;
            (at < log.from || at > log.end()).then(|| (p, at.clamp(log.from, log.end())))
        };
        Ok(at.iter().filter_map(goes_on).collect())
    }

    fn topic_ids(&mut self) -> Result<BTreeMap<String, String>, SourceError> {
        let held = self.topics.held();
        self.well(&held)?;
        let there = self
            .places
            .iter()
            .filter(|topic| held.topics.contains_key(*topic));
        Ok(there
            .map(|topic| (topic.clone(), held.made[topic].to_string()))
            .collect())
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.assigned = at.keys().copied().collect();
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        let deadline = clock::monotonic() + wait;
        let mut held = self.topics.held();
        loop {
            self.well(&held)?;
            let left = deadline.saturating_duration_since(clock::monotonic());
            let moved = self.take(&mut held, builder)?;
            held.gathered = builder.records();
            if moved || builder.is_full() || left.is_zero() {
                return Ok(());
            }
            held = self
                .topics
                .held
                .1
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn ends(&mut self) -> Positions {
        let mut held = self.topics.held();
        let end = |&partition: &Partition| {
            Some((
                partition,
                log(&mut held, self.place(partition), partition.id)?.end(),
            ))
        };
        self.assigned.iter().filter_map(end).collect()
    }

    fn is_replayable(&self, source: u16) -> bool {
        self.places
            .get(usize::from(source))
            .is_none_or(|topic| !self.topics.held().fleeting.contains(topic))
    }

    fn knows_ends(&self, _source: u16) -> bool {
        true
    }

    fn is_exhausted(&self, at: &Positions) -> bool {
        let held = self.topics.held();
        let mut logs = self.places.iter().enumerate().flat_map(|(source, topic)| {
            let logs = held.topics.get(topic).into_iter().flatten().enumerate();
            logs.map(move |(id, log)| {
                (
                    Partition {
                        source: source as u16,
                        id: id as i32,
                    },
                    log.end(),
                )
            })
        });
        held.has_ended
            && logs.all(|(partition, end)| at.get(&partition).is_some_and(|at| *at >= end))
    }

    fn commit_progress(&mut self, reached: &Positions) {
        let told = reached
            .iter()
            .map(|(&partition, &to)| ((self.place(partition).to_owned(), partition.id), to));
        self.topics
            .held()
            .groups
            .entry(self.group.clone())
            .or_default()
            .extend(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::job::settings::BatchLimits;

    const P: Partition = Partition { source: 0, id: 0 };

    fn topics() -> (MemoryTopics, MemorySource) {
        let topics = MemoryTopics::default();
        topics.create("t", 1);
        for time_ms in [10, 20, 30] {
            topics.append("t", 0, time_ms, None, Some(b"v"));
        }
        topics.append_mark("t", 0);
        let spec = SourceSpec {
            name: "t".into(),
            target: "t".into(),
            ..SourceSpec::default()
        };
        let source = MemorySource::new(&topics, &[spec], "g");
        (topics, source)
    }

    fn at(source: &mut MemorySource, start: StartPosition) -> Offset {
        source.start(start).unwrap()[&P]
    }

    #[test]
    fn starts_where_it_is_told() {
        let (topics, mut source) = topics();
        let time = |ms| StartPosition::At(UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(&mut source, StartPosition::Earliest), 0);
        assert_eq!(at(&mut source, StartPosition::Latest), 4);
        assert_eq!(at(&mut source, time(20)), 1);
        assert_eq!(at(&mut source, time(31)), 4);
        topics.forget("t", 0, 2);
        assert_eq!(at(&mut source, StartPosition::Earliest), 2);
    }

    #[test]
    fn fetches_open_and_exact_batches_and_tells_what_is_gone() {
        let (topics, mut source) = topics();
        let begin: Positions = [(P, 0)].into();
        source.assign(&begin).unwrap();
        let mut builder = BatchBuilder::open(
            &begin,
            BatchLimits {
                records_max: 2,
                bytes_max: 100,
            },
        );
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        let batch = builder.close();
        assert_eq!((batch.records(), batch.spans[&P].to), (2, 2));

        let mut builder = BatchBuilder::open(&batch.end_positions(), BatchLimits::default());
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        assert_eq!(builder.end_positions()[&P], 4);

        let mut again = BatchBuilder::exactly(&batch.spans);
        source.fetch(&mut again, Duration::ZERO).unwrap();
        assert_eq!(again.close().chunks, batch.chunks);

        topics.forget("t", 0, 1);
        let error = source
            .fetch(&mut BatchBuilder::exactly(&batch.spans), Duration::ZERO)
            .unwrap_err();
        assert!(
            matches!(error, SourceError::Gone { offset: 0, .. }),
            "{error}"
        );
        source.commit_progress(&[(P, 4)].into());
        assert_eq!(source.group().unwrap(), [(P, 4)].into());
    }

    #[test]
    fn it_ends_when_the_test_says_so_and_what_is_fleeting_is_not_read_twice() {
        let (topics, mut source) = topics();
        assert!(!source.is_exhausted(&[(P, 4)].into()));
        topics.end();
        assert!(source.is_exhausted(&[(P, 4)].into()) && !source.is_exhausted(&[(P, 3)].into()));
        assert!(!source.is_exhausted(&Positions::new()));

        source.assign(&[(P, 0)].into()).unwrap();
        let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
        topics.is_replayable("t", false);
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        let batch = builder.close();
        assert!(!source.is_replayable(0) && batch.records() == 3);
        let error = source
            .fetch(&mut BatchBuilder::exactly(&batch.spans), Duration::ZERO)
            .unwrap_err();
        assert!(matches!(error, SourceError::Refused { .. }), "{error}");
        topics.is_replayable("t", true);
        assert!(source.is_replayable(0));
    }

    #[test]
    fn a_table_is_read_from_its_beginning_whatever_the_start() {
        let (topics, _) = topics();
        let spec = SourceSpec {
            name: "t".into(),
            target: "t".into(),
            table: true,
            ..SourceSpec::default()
        };
        let mut source = MemorySource::new(&topics, &[spec], "g");
        assert_eq!(at(&mut source, StartPosition::Latest), 0);
        assert_eq!(source.high_watermarks().unwrap(), [(P, 4)].into());
    }

    #[test]
    fn trouble_comes_and_goes_and_a_waiting_fetch_wakes() {
        let (topics, mut source) = topics();
        source.assign(&[(P, 4)].into()).unwrap();
        let mut builder = BatchBuilder::open(&[(P, 4)].into(), BatchLimits::default());
        topics.trouble(Some(Trouble::Away("gone fishing".into())));
        assert!(matches!(
            source.fetch(&mut builder, Duration::ZERO),
            Err(SourceError::Away { .. })
        ));
        topics.trouble(None);
        let writer = std::thread::spawn(move || topics.append("t", 0, 40, Some(b""), None));
        source.fetch(&mut builder, Duration::from_secs(60)).unwrap();
        assert_eq!((writer.join().unwrap(), builder.records()), (4, 1));
    }
}
