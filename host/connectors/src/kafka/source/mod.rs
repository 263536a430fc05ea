//! Reads the topics of a job. One client reads them all, with an assignment of our own making: the
//! consumer group's members and rebalances play no part.

mod ask;
mod queue;
mod reading;

use crate::kafka::access::meaning;
use crate::kafka::settling::settled;
use crate::kafka::{self, Fault, KafkaSettings};
use ask::{denied, names, refused};
use queue::{Event, Queues};
use rdkafka::Offset as ClientOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, UNIX_EPOCH};
use streamhost_core::job::SourceSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Partition, Positions};
use streamhost_core::{clock, limits};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Source, SourceError};

/// Reads a job's topics.
pub struct KafkaSource {
    queues: Queues,
    settings: KafkaSettings,
    /// The consumer group.
    group_id: String,
    /// Since when there is this client.
    made: Instant,
    /// The topics of the sources, in the sources' order; empty where a source is none of Kafka's.
    topics: Vec<String>,
    /// The sources that are tables.
    tables: BTreeSet<u16>,
    assigned: BTreeSet<Partition>,
    /// Where each partition ends for this job, if it is to be read to its end.
    last: Option<Positions>,
    /// The next offset that the client will bring, of each partition that it is to bring. Empty: it
    /// must be told anew.
    next: Positions,
    /// Partitions that it was told to bring no more, as the batch has all that it wants of them.
    paused: Vec<Partition>,
    /// Where partitions were seen to end.
    ended: Positions,
    /// What the brokers said when they went away. None: they answer, as far as is known.
    away: Option<(Fault, String)>,
    /// Why the brokers will not have us.
    refused: Option<String>,
    /// The client complained about a topic or partition.
    complaint: bool,
    /// What the client last said of a broker.
    last_words: Option<(Fault, String)>,
    probing: bool,
    group: Told,
    /// Since when a batch that is run again has found partitions that end before it does.
    short_since: Option<Instant>,
    /// Bytes of a record, as of the last read.
    record_bytes: usize,
}

/// What the consumer group was told. One commit is under way at most, so that nothing piles up
/// while the brokers are away.
#[derive(Default)]
struct Told {
    sent: Positions,
    owed: Option<Positions>,
    under_way: bool,
}

impl KafkaSource {
    /// A reader of its own ones of a job's sources; its partitions have their numbers among all of
    /// them. Connects in the background; settings or names that cannot be are
    /// [`SourceError::Refused`].
    pub fn new(
        settings: &KafkaSettings,
        sources: &[SourceSpec],
        own: &BTreeSet<u16>,
        group: &str,
    ) -> Result<Self, SourceError> {
        let is_own = |i: usize| u16::try_from(i).is_ok_and(|i| own.contains(&i));
        let topic = |(i, source): (usize, &SourceSpec)| match is_own(i) {
            true => source.target.clone(),
            false => String::new(),
        };
        let topics: Vec<String> = sources.iter().enumerate().map(topic).collect();
        for (i, topic) in topics.iter().enumerate().filter(|(i, _)| is_own(*i)) {
            let twice = || "two sources of one job cannot read the same topic".to_owned();
            let once = if topics[..i].contains(topic) {
                Err(twice())
            } else {
                Ok(())
            };
            streamhost_core::job::names::topic(topic)
                .and(once)
                .map_err(|reason| refused(topic.clone(), reason))?;
        }
        let consumer = settings.consumer(group);
        let consumer = consumer.map_err(|error| match kafka::fault(&error) {
            Fault::Denied => denied(&settings.brokers, kafka::words(&error)),
            _ => refused(names(&topics), kafka::words(&error)),
        })?;
        let tables = (0..)
            .zip(sources)
            .filter(|(_, source)| source.table)
            .map(|(i, _)| i)
            .collect();
        Ok(KafkaSource {
            queues: Queues::new(consumer, limits::KAFKA_READ_RECORDS_MAX),
            settings: settings.clone(),
            group_id: group.to_owned(),
            made: clock::monotonic(),
            topics,
            tables,
            assigned: BTreeSet::new(),
            last: None,
            next: Positions::new(),
            paused: Vec::new(),
            ended: Positions::new(),
            away: None,
            refused: None,
            complaint: false,
            last_words: None,
            probing: false,
            group: Told::default(),
            short_since: None,
            record_bytes: 1,
        })
    }

    /// Reads each partition to the end that it has when it is first assigned, and is over then.
    #[must_use]
    pub fn until_end(mut self) -> Self {
        self.last = Some(Positions::new());
        self
    }

    /// Takes in what the client says beside messages.
    fn hear(&mut self) {
        while let Some(event) = self.queues.event() {
            match event {
                Event::Error(code, words) => {
                    tracing::debug!(target: "librdkafka", %code, "{words}");
                    match meaning(code, &words) {
                        (Fault::Refused, words) => self.refused = Some(words),
                        // One broker of several may be away without harm, but its words tell most
                        // when all are.
                        _ if code == Code::AllBrokersDown => {
                            let silence = || (Fault::Away, kafka::code_words(code));
                            let words = self.last_words.clone().unwrap_or_else(silence);
                            if self.away.is_none() || words.0 == Fault::Denied {
                                self.away = Some(words);
                            }
                        }
                        said => self.last_words = Some(said),
                    }
                }
                Event::Probed(outcome) => {
                    self.probing = false;
                    if outcome.is_ok() {
                        self.away = None;
                    }
                }
                Event::Hint(words) => {
                    if !matches!(self.last_words, Some((Fault::Denied, _))) {
                        self.last_words = Some((Fault::Away, words));
                    }
                }
                Event::Token => {
                    let client = self.queues.consumer().client();
                    if let Err(error) = self.settings.tokens().begin(client) {
                        self.last_words = Some((Fault::Denied, kafka::words(&error)));
                    }
                }
                Event::Complaint => self.complaint = true,
                Event::Committed(outcome) => self.committed(outcome),
                Event::Other => {}
            }
        }
    }

    /// Serves what the client says beside messages.
    fn serve_events(&mut self) -> Result<(), SourceError> {
        self.log_in()?;
        if let Some(words) = self.refused.take() {
            return Err(refused(names(&self.topics), words));
        }
        if self.away.is_some() && !self.probing {
            self.probing = true;
            self.queues.probe();
        }
        // A topic that was deleted, or that we may not read any more. Rare, so the brokers may be
        // asked about all of them.
        let complaint = std::mem::take(&mut self.complaint);
        if complaint && self.away.is_none() {
            self.partitions().map(|_| ())
        } else {
            Ok(())
        }
    }

    fn is_denied(&self) -> bool {
        matches!(self.away, Some((Fault::Denied, _)))
    }

    /// Takes in what the client says. Where no broker lets it in, it is made anew from time to time,
    /// as its secrets and certificates may be others by then.
    fn log_in(&mut self) -> Result<(), SourceError> {
        self.hear();
        if !self.is_denied() || clock::since(self.made) < limits::KAFKA_LOGIN_TIME {
            return Ok(());
        }
        self.made = clock::monotonic();
        let consumer = self.settings.consumer(&self.group_id);
        let consumer = consumer.map_err(|error| self.client_error(&error))?;
        self.queues = Queues::new(consumer, limits::KAFKA_READ_RECORDS_MAX);
        self.last_words = None;
        self.next.clear();
        self.paused.clear();
        self.probing = false;
        self.group.under_way = false;
        self.group.sent.clear();
        Ok(())
    }

    fn committed(&mut self, outcome: Result<(), Code>) {
        self.group.under_way = false;
        if let Err(code) = outcome {
            tracing::warn!(%code, "the consumer group was not told the job's progress; it is told again with the next batch");
            self.group.sent.clear();
        }
        if let Some(owed) = self.group.owed.take() {
            self.commit_progress(&owed);
        }
    }
}

impl Source for KafkaSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        self.log_in()?;
        let mut all = Vec::new();
        for (source, topic) in self
            .topics
            .iter()
            .enumerate()
            .filter(|(_, topic)| !topic.is_empty())
        {
            let count = self.partitions_of(topic);
            let count = count.map_err(|(fault, reason)| self.error(topic, fault, reason))?;
            all.extend((0..count).map(|id| Partition {
                source: source as u16,
                id,
            }));
        }
        if self.is_denied() {
            self.away = None; // a broker has answered
        }
        Ok(all)
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        let partitions = self.partitions()?;
        let is_early =
            |p: &Partition| start == StartPosition::Earliest || self.tables.contains(&p.source);
        let (early, others): (Vec<_>, Vec<_>) = partitions.into_iter().partition(is_early);
        let mut positions = self.offsets(&early, ClientOffset::Beginning)?;
        // The ends first: a record that comes in between is after them, and after the time.
        positions.extend(self.offsets(&others, ClientOffset::End)?);
        if let StartPosition::At(time) = start {
            let time = time
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis());
            let time_ms = i64::try_from(time).unwrap_or(i64::MAX);
            positions.extend(self.offsets(&others, ClientOffset::Offset(time_ms))?);
        }
        Ok(positions)
    }

    fn topic_ids(&mut self) -> Result<BTreeMap<String, String>, SourceError> {
        self.log_in()?;
        let topics: Vec<String> = self
            .topics
            .iter()
            .filter(|topic| !topic.is_empty())
            .cloned()
            .collect();
        let ids = kafka::topic_ids::topic_ids(
            self.queues.consumer().client(),
            &topics,
            limits::CONNECT_TIME,
        );
        ids.map_err(|(fault, reason)| self.error(&topics.join(", "), fault, reason))
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        if self.tables.is_empty() {
            return Ok(Positions::new());
        }
        let partitions = self.partitions()?;
        let tables: Vec<_> = partitions
            .into_iter()
            .filter(|p| self.tables.contains(&p.source))
            .collect();
        self.offsets(&tables, ClientOffset::End)
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        let partitions = self.partitions()?;
        let asked = self.list(partitions.iter().map(|&p| (p, ClientOffset::Invalid)))?;
        let consumer = self.queues.consumer();
        let ask = || consumer.committed_offsets(asked.clone(), limits::CONNECT_TIME);
        let found = settled(ask);
        self.positions(&found.map_err(|error| self.client_error(&error))?)
    }

    fn lost(&mut self, at: &Positions) -> Result<Positions, SourceError> {
        self.log_in()?;
        let mine: Vec<_> = at.keys().filter(|p| self.is_mine(**p)).copied().collect();
        let ends = self.offsets(&mine, ClientOffset::End)?;
        let first = self.offsets(&mine, ClientOffset::Beginning)?;
        // A log that lost its tail goes on at its end: from its first record all would be doubled.
        let goes_on = |p: Partition| {
            let (at, first, end) = (*at.get(&p)?, *first.get(&p)?, *ends.get(&p)?);
            (at < first || at > end).then_some((p, at.clamp(first, end.max(first))))
        };
        Ok(mine.into_iter().filter_map(goes_on).collect())
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        let mine: Positions = at
            .iter()
            .filter(|(p, _)| self.is_mine(**p))
            .map(|(&p, &offset)| (p, offset))
            .collect();
        if let Some(last) = &self.last {
            let new: Vec<_> = mine
                .keys()
                .filter(|p| !last.contains_key(p))
                .copied()
                .collect();
            let ends = self.offsets(&new, ClientOffset::End)?;
            self.last.get_or_insert_default().extend(ends);
        }
        self.read_at(&mine)?;
        self.assigned = mine.into_keys().collect();
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        self.serve_events()?;
        if let Some(last) = &self.last {
            builder.bound(last);
        }
        let deadline = clock::monotonic() + wait;
        let mut moved = false;
        while !builder.is_full() {
            self.follow(builder)?;
            if self.wanted(builder).next().is_none() {
                std::thread::sleep(deadline.saturating_duration_since(clock::monotonic()));
                break;
            }
            let at_most =
                (limits::KAFKA_READ_BYTES / self.record_bytes).min(limits::KAFKA_READ_RECORDS_MAX);
            let at_most = at_most.min(builder.room()).max(1);
            let mut read = self.read(builder, Duration::ZERO, at_most)?;
            let left = deadline.saturating_duration_since(clock::monotonic());
            if read.messages == 0 && !moved && !left.is_zero() {
                // The client waits until it has all that it was asked for.
                read = self.read(builder, left, 1)?;
            }
            moved |= read.moved;
            if read.messages == 0 || (left.is_zero() && !read.moved) {
                break;
            }
        }
        self.serve_events()?;
        self.check_short(builder, moved)?;
        match &self.away {
            Some((fault, reason)) if !moved => {
                Err(self.error(&names(&self.topics), *fault, reason.clone()))
            }
            _ => Ok(()),
        }
    }

    fn ends(&mut self) -> Positions {
        if let Some(last) = &self.last {
            return last
                .iter()
                .filter(|(p, _)| self.assigned.contains(p))
                .map(|(&p, &end)| (p, end))
                .collect();
        }
        let ends = self
            .next
            .keys()
            .map(|&p| (p, self.queues.end(self.topic(p), p.id)));
        ends.filter_map(|(p, end)| Some((p, end?))).collect()
    }

    fn knows_ends(&self, _source: u16) -> bool {
        true
    }

    fn is_exhausted(&self, at: &Positions) -> bool {
        let Some(last) = &self.last else { return false };
        let mut mine = at.iter().filter(|(p, _)| self.is_mine(**p)).peekable();
        mine.peek().is_some() && mine.all(|(p, at)| last.get(p).is_some_and(|end| end <= at))
    }

    fn commit_progress(&mut self, reached: &Positions) {
        self.group.owed = None; // these are newer
        self.hear(); // nobody else does where there is nothing to fetch any more
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
            Err(error) => {
                tracing::warn!(%error, "the consumer group was not told the job's progress")
            }
        }
    }
}

impl Drop for KafkaSource {
    /// What the group is owed is sent all the same, though a commit is under way: its outcome comes
    /// too late for us.
    fn drop(&mut self) {
        if let Some(owed) = self.group.owed.take() {
            self.group.under_way = false;
            self.commit_progress(&owed);
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
