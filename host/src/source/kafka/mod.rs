//! Reads the topics of a job. One client reads them all, with an assignment of our own making: the consumer group's
//! members and rebalances play no part.

mod queue;

use super::{Source, SourceError, Start};
use crate::batch::Gather;
use crate::job::{SourceKind, SourcePlan};
use crate::kafka::{self, Fault, KafkaSettings, Quiet, SERVER};
use crate::limits;
use crate::record::{Offset, Partition, Positions};
use queue::{Event, Message, Queues, list};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Reads a job's topics.
pub struct KafkaSource {
    queues: Queues,
    brokers: String,
    /// The topics of the sources, in the sources' order; empty where a source is none of Kafka's.
    topics: Vec<String>,
    /// The sources that are tables.
    tables: BTreeSet<u16>,
    assigned: BTreeSet<Partition>,
    /// Where each partition ends for this job, if it is to be read to its end.
    last: Option<Positions>,
    /// The next offset that the client will bring, of each assigned partition.
    next: Positions,
    /// Where partitions were seen to end.
    ended: Positions,
    /// What the brokers said when they went away. None: they answer, as far as is known.
    away: Option<String>,
    /// What the client last said of a broker.
    last_words: Option<String>,
    probing: bool,
    group: Told,
    /// Since when a batch that is run again has found partitions that end before it does.
    short_since: Option<Instant>,
    /// Bytes of a record, as of the last read.
    record_bytes: usize,
}

/// What the consumer group was told. One commit is under way at most, so that nothing piles up while the brokers are away.
#[derive(Default)]
struct Told {
    sent: Positions,
    owed: Option<Positions>,
    under_way: bool,
}

impl KafkaSource {
    /// A reader of those of these sources that are Kafka's; its partitions have their numbers among all of them. Connects
    /// in the background; settings or names that cannot be are [`SourceError::Refused`].
    pub fn new(settings: &KafkaSettings, sources: &[SourcePlan], group: &str) -> Result<Self, SourceError> {
        let topic =
            |source: &SourcePlan| if source.kind == SourceKind::Kafka { source.place.clone() } else { String::new() };
        let topics: Vec<String> = sources.iter().map(topic).collect();
        for (i, topic) in topics.iter().enumerate().filter(|(i, _)| sources[*i].kind == SourceKind::Kafka) {
            let twice = || "two sources of one job cannot read the same topic".to_owned();
            let once = if topics[..i].contains(topic) { Err(twice()) } else { Ok(()) };
            crate::job::names::topic(topic).and(once).map_err(|reason| refused(topic.clone(), reason))?;
        }
        let consumer = settings.reader(group).create_with_context(Quiet);
        let consumer = consumer.map_err(|error| refused(names(&topics), kafka::words(&error)))?;
        let tables = (0..).zip(sources).filter(|(_, source)| source.table).map(|(i, _)| i).collect();
        Ok(KafkaSource {
            queues: Queues::new(consumer, limits::KAFKA_READ_RECORDS_MAX),
            brokers: settings.brokers.clone(),
            topics,
            tables,
            assigned: BTreeSet::new(),
            last: None,
            next: Positions::new(),
            ended: Positions::new(),
            away: None,
            last_words: None,
            probing: false,
            group: Told::default(),
            short_since: None,
            record_bytes: 1,
        })
    }

    /// Reads each partition to the end that it has when it is first assigned, and is over then.
    #[must_use]
    pub fn until_end(self) -> Self {
        KafkaSource { last: Some(Positions::new()), ..self }
    }

    fn away(&self, reason: String) -> SourceError {
        SourceError::Away { server: SERVER, address: self.brokers.clone(), reason }
    }

    fn error(&self, topic: &str, fault: Fault, reason: String) -> SourceError {
        match fault {
            Fault::Missing => SourceError::TopicMissing { topic: topic.to_owned() },
            Fault::Refused => refused(topic.to_owned(), reason),
            Fault::Away | Fault::Gone | Fault::Fenced => self.away(reason),
        }
    }

    fn client_error(&self, error: &KafkaError) -> SourceError {
        self.error(&names(&self.topics), kafka::fault(error), kafka::words(error))
    }

    fn topic(&self, partition: Partition) -> &str {
        &self.topics[usize::from(partition.source)]
    }

    fn list(&self, at: impl Iterator<Item = (Partition, ClientOffset)>) -> Result<TopicPartitionList, SourceError> {
        list(at.map(|(p, offset)| (self.topic(p), p.id, offset))).map_err(|error| self.client_error(&error))
    }

    /// The positions in a client's list, of those partitions that have one.
    fn positions(&self, list: &TopicPartitionList) -> Result<Positions, SourceError> {
        let mut positions = Positions::new();
        for element in list.elements() {
            if let Err(error) = element.error() {
                return Err(self.error(element.topic(), kafka::fault(&error), kafka::words(&error)));
            }
            let source = self.topics.iter().position(|topic| topic == element.topic());
            if let (Some(source), ClientOffset::Offset(offset)) = (source, element.offset()) {
                positions.insert(Partition { source: source as u16, id: element.partition() }, offset);
            }
        }
        Ok(positions)
    }

    /// Asks the brokers which offsets belong to a time in milliseconds, or to the oldest or newest record.
    fn offsets(&self, partitions: &[Partition], at: ClientOffset) -> Result<Positions, SourceError> {
        if partitions.is_empty() {
            return Ok(Positions::new());
        }
        let times = self.list(partitions.iter().map(|&p| (p, at)))?;
        let found = self.queues.consumer().offsets_for_times(times, limits::CONNECT_TIME);
        self.positions(&found.map_err(|error| self.client_error(&error))?)
    }

    /// Serves what the client says beside messages.
    fn serve_events(&mut self) -> Result<(), SourceError> {
        let mut complaint = false;
        while let Some(event) = self.queues.event() {
            match event {
                Event::Error(code, words) => {
                    tracing::debug!(target: "librdkafka", %code, "{words}");
                    match kafka::classify(code) {
                        Fault::Refused => {
                            return Err(refused(names(&self.topics), words));
                        }
                        // One broker of several may be away without harm, but its words tell most when all are.
                        _ if code == Code::AllBrokersDown => {
                            self.away.get_or_insert(self.last_words.clone().unwrap_or(kafka::code_words(code)));
                        }
                        _ => self.last_words = Some(words),
                    }
                }
                Event::Probed(outcome) => {
                    self.probing = false;
                    if outcome.is_ok() {
                        self.away = None;
                    }
                }
                Event::Complaint => complaint = true,
                Event::Committed(outcome) => self.committed(outcome),
                Event::Other => {}
            }
        }
        if self.away.is_some() && !self.probing {
            self.probing = true;
            self.queues.probe();
        }
        // A topic that was deleted, or that we may not read any more. Rare, so the brokers may be asked about all of them.
        if complaint && self.away.is_none() { self.partitions().map(|_| ()) } else { Ok(()) }
    }

    fn committed(&mut self, outcome: Result<(), Code>) {
        self.group.under_way = false;
        if let Err(code) = outcome {
            tracing::warn!(%code, "the consumer group was not told the job's progress; it is told again with the next batch");
            self.group.sent.clear();
        }
        if let Some(owed) = self.group.owed.take() {
            self.tell_group(&owed);
        }
    }

    fn is_mine(&self, partition: Partition) -> bool {
        self.topics.get(usize::from(partition.source)).is_some_and(|topic| !topic.is_empty())
    }

    /// What a batch wants of what is assigned.
    fn wanted(&self, gather: &Gather) -> impl Iterator<Item = (Partition, Offset)> {
        let wanted = gather.wanted().filter(|(partition, ..)| self.assigned.contains(partition));
        wanted.map(|(partition, at, _)| (partition, at))
    }

    /// Has the client bring what `gather` goes on with, where it would bring something else. A partition that was read to
    /// its end, and grows all the same, is left alone.
    fn follow(&mut self, gather: &Gather) -> Result<(), SourceError> {
        let wanted: Positions = self.wanted(gather).collect();
        if wanted.iter().any(|(partition, at)| self.next.get(partition) != Some(at))
            || (self.last.is_some() && wanted.len() < self.next.len())
        {
            self.read_at(&wanted)?;
        }
        Ok(())
    }

    fn read_at(&mut self, at: &Positions) -> Result<(), SourceError> {
        let list = self.list(at.iter().map(|(&p, &offset)| (p, ClientOffset::Offset(offset))))?;
        self.queues.consumer().assign(&list).map_err(|error| self.client_error(&error))?;
        self.next = at.clone();
        self.ended.clear();
        self.short_since = None;
        Ok(())
    }

    /// Reads once and hands it to `gather`.
    fn read(&mut self, gather: &mut Gather, wait: Duration, at_most: usize) -> Result<Read, SourceError> {
        let KafkaSource { queues, topics, next, ended, .. } = self;
        let mut read = Read::default();
        let (mut records, mut bytes): (usize, usize) = (0, 0);
        let mut run: Option<(Partition, Offset)> = None; // where the records of one partition in a row have come to
        let mut fault = None;
        read.messages = queues.read(topics, wait, at_most, |partition, message| {
            match message {
                Message::Record(record) => {
                    records += 1;
                    bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                    gather.push(partition, record);
                    if let Some((before, to)) = run.replace((partition, record.offset + 1))
                        && before != partition
                    {
                        next.insert(before, to);
                    }
                }
                Message::End(offset) => {
                    if let Some((partition, to)) = run.take() {
                        next.insert(partition, to);
                    }
                    read.moved |= next.insert(partition, offset).is_some_and(|before| before < offset);
                    gather.passed(partition, offset);
                    ended.insert(partition, offset);
                }
                Message::Fault(code, offset, words) => fault = Some((partition, code, offset, words)),
            }
            fault.is_none()
        });
        if let Some((partition, to)) = run {
            next.insert(partition, to);
        }
        if let Some(record_bytes) = bytes.checked_div(records) {
            read.moved = true;
            self.record_bytes = record_bytes.max(1);
        }
        match fault {
            Some((partition, code, offset, words)) => self.fault(partition, code, offset, words).map(|()| read),
            None => Ok(read),
        }
    }

    /// The client says that a partition cannot be read on. What it brought after that is lost, so the next fetch begins
    /// anew where its batch stands.
    fn fault(&mut self, at: Partition, code: Code, offset: Offset, words: String) -> Result<(), SourceError> {
        let stands = self.next.get(&at).copied().unwrap_or(0);
        self.next.clear();
        let topic = self.topic(at).to_owned();
        match kafka::classify(code) {
            Fault::Gone => {
                let offset = if offset >= 0 { offset } else { stands };
                Err(gone(&topic, at, offset))
            }
            Fault::Refused => Err(refused(topic, words)),
            // A broker that has just started may not know its topics yet: only the cluster's answer counts.
            Fault::Missing => match kafka::partitions(self.queues.consumer(), &topic) {
                Ok(count) if at.id < count => Ok(()),
                Ok(_) => Err(SourceError::TopicMissing { topic }),
                Err((fault, reason)) => Err(self.error(&topic, fault, reason)),
            },
            Fault::Away | Fault::Fenced => {
                tracing::debug!(target: "librdkafka", %code, topic, partition = at.id, "{words}");
                Ok(())
            }
        }
    }

    /// A batch that is run again waits for records that were there once: if its partitions end before it does and stay
    /// so, they are gone (the topic was made anew, or a replica that had less took over).
    fn check_short(&mut self, gather: &Gather, moved: bool) -> Result<(), SourceError> {
        let at_end =
            |&(p, at, until): &(Partition, Offset, Option<Offset>)| until.is_some() && self.ended.get(&p) == Some(&at);
        let short = gather.wanted().find(at_end);
        let Some((partition, offset, _)) = short.filter(|_| !moved && self.away.is_none()) else {
            self.short_since = None;
            return Ok(());
        };
        if self.short_since.get_or_insert_with(Instant::now).elapsed() < limits::KAFKA_SHORT_TIME {
            return Ok(());
        }
        Err(gone(self.topic(partition), partition, offset))
    }
}

fn names(topics: &[String]) -> String {
    topics.iter().filter(|topic| !topic.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn refused(place: String, reason: String) -> SourceError {
    SourceError::Refused { what: "topic", place, reason }
}

fn gone(topic: &str, partition: Partition, offset: Offset) -> SourceError {
    let what = format!("topic `{topic}` partition {}", partition.id);
    SourceError::Gone { what, offset, reason: "retention, or the topic was made anew" }
}

/// What one read brought.
#[derive(Default)]
struct Read {
    messages: usize,
    /// A partition came further.
    moved: bool,
}

impl Source for KafkaSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        let mut all = Vec::new();
        for (source, topic) in self.topics.iter().enumerate().filter(|(_, topic)| !topic.is_empty()) {
            let count = kafka::partitions(self.queues.consumer(), topic);
            let count = count.map_err(|(fault, reason)| self.error(topic, fault, reason))?;
            all.extend((0..count).map(|id| Partition { source: source as u16, id }));
        }
        Ok(all)
    }

    fn start(&mut self, start: Start) -> Result<Positions, SourceError> {
        let partitions = self.partitions()?;
        let is_early = |p: &Partition| start == Start::Earliest || self.tables.contains(&p.source);
        let (early, others): (Vec<_>, Vec<_>) = partitions.into_iter().partition(is_early);
        let mut positions = self.offsets(&early, ClientOffset::Beginning)?;
        // The ends first: a record that comes in between is after them, and after the time.
        positions.extend(self.offsets(&others, ClientOffset::End)?);
        if let Start::At(time) = start {
            let time = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
            let time_ms = i64::try_from(time).unwrap_or(i64::MAX);
            positions.extend(self.offsets(&others, ClientOffset::Offset(time_ms))?);
        }
        Ok(positions)
    }

    fn topic_ids(&mut self) -> Result<BTreeMap<String, String>, SourceError> {
        let topics: Vec<String> = self.topics.iter().filter(|topic| !topic.is_empty()).cloned().collect();
        let ids = kafka::topic_ids::topic_ids(self.queues.consumer().client(), &topics, limits::CONNECT_TIME);
        ids.map_err(|(fault, reason)| self.error(&topics.join(", "), fault, reason))
    }

    fn table_ends(&mut self) -> Result<Positions, SourceError> {
        if self.tables.is_empty() {
            return Ok(Positions::new());
        }
        let partitions = self.partitions()?;
        let tables: Vec<_> = partitions.into_iter().filter(|p| self.tables.contains(&p.source)).collect();
        self.offsets(&tables, ClientOffset::End)
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        let partitions = self.partitions()?;
        let asked = self.list(partitions.iter().map(|&p| (p, ClientOffset::Invalid)))?;
        let found = self.queues.consumer().committed_offsets(asked, limits::CONNECT_TIME);
        self.positions(&found.map_err(|error| self.client_error(&error))?)
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        let mine: Positions = at.iter().filter(|(p, _)| self.is_mine(**p)).map(|(&p, &offset)| (p, offset)).collect();
        if let Some(last) = &self.last {
            let new: Vec<_> = mine.keys().filter(|p| !last.contains_key(p)).copied().collect();
            let ends = self.offsets(&new, ClientOffset::End)?;
            self.last.get_or_insert_default().extend(ends);
        }
        self.read_at(&mine)?;
        self.assigned = mine.into_keys().collect();
        Ok(())
    }

    fn fetch(&mut self, gather: &mut Gather, wait: Duration) -> Result<(), SourceError> {
        self.serve_events()?;
        if let Some(last) = &self.last {
            gather.bound(last);
        }
        let deadline = Instant::now() + wait;
        let mut moved = false;
        while !gather.is_full() {
            self.follow(gather)?;
            if self.wanted(gather).next().is_none() {
                std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                break;
            }
            let at_most = (limits::KAFKA_READ_BYTES / self.record_bytes).clamp(1, limits::KAFKA_READ_RECORDS_MAX);
            let mut read = self.read(gather, Duration::ZERO, at_most)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if read.messages == 0 && !moved && !left.is_zero() {
                read = self.read(gather, left, 1)?; // the client waits until it has all that it was asked for
            }
            moved |= read.moved;
            if read.messages == 0 || (left.is_zero() && !read.moved) {
                break;
            }
        }
        self.serve_events()?;
        self.check_short(gather, moved)?;
        match &self.away {
            Some(reason) if !moved => Err(self.away(reason.clone())),
            _ => Ok(()),
        }
    }

    fn ends(&mut self) -> Positions {
        if let Some(last) = &self.last {
            return last.iter().filter(|(p, _)| self.assigned.contains(p)).map(|(&p, &end)| (p, end)).collect();
        }
        let ends = self.next.keys().map(|&p| (p, self.queues.end(self.topic(p), p.id)));
        ends.filter_map(|(p, end)| Some((p, end?))).collect()
    }

    fn is_over(&self, at: &Positions) -> bool {
        let Some(last) = &self.last else { return false };
        let mut mine = at.iter().filter(|(p, _)| self.is_mine(**p)).peekable();
        mine.peek().is_some() && mine.all(|(p, at)| last.get(p).is_some_and(|end| end <= at))
    }

    fn tell_group(&mut self, reached: &Positions) {
        if self.group.under_way {
            self.group.owed = Some(reached.clone());
            return;
        }
        let sent = &self.group.sent;
        let new: Positions = reached
            .iter()
            .filter(|&(p, to)| self.is_mine(*p) && sent.get(p) != Some(to))
            .map(|(&p, &to)| (p, to))
            .collect();
        if new.is_empty() {
            return;
        }
        let list = self.list(new.iter().map(|(&p, &to)| (p, ClientOffset::Offset(to))));
        match list.map(|list| self.queues.commit(&list)) {
            Ok(Ok(())) => {
                self.group.under_way = true;
                self.group.sent.extend(new);
            }
            Ok(Err(code)) => self.committed(Err(code)),
            Err(error) => tracing::warn!(%error, "the consumer group was not told the job's progress"),
        }
    }
}

#[cfg(test)]
#[path = "kafka_tests.rs"]
mod tests;
