//! Reads the queues of the client into the batch, and notices what is gone.

use super::KafkaSource;
use super::ask::{gone, refused};
use super::queue::Message;
use crate::kafka::{self, Fault};
use rdkafka::Offset as ClientOffset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::time::Duration;
use streamhost_core::types::{Offset, Partition, Positions};
use streamhost_core::{clock, limits};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Loss, SourceError};

impl KafkaSource {
    pub(super) fn is_mine(&self, partition: Partition) -> bool {
        self.topics
            .get(usize::from(partition.source))
            .is_some_and(|topic| !topic.is_empty())
    }

    /// What a batch wants of what is assigned.
    pub(super) fn wanted(
        &self,
        builder: &BatchBuilder,
    ) -> impl Iterator<Item = (Partition, Offset)> {
        let wanted = builder
            .wanted()
            .filter(|(partition, ..)| self.assigned.contains(partition));
        wanted.map(|(partition, at, _)| (partition, at))
    }

    /// Has the client bring what `builder` goes on with, where it would bring something else; and
    /// no more of what `builder` has all of.
    pub(super) fn follow(&mut self, builder: &BatchBuilder) -> Result<(), SourceError> {
        let wanted: Positions = self.wanted(builder).collect();
        if wanted
            .iter()
            .any(|(partition, at)| self.next.get(partition) != Some(at))
        {
            return self.read_at(&wanted);
        }
        if wanted.len() < self.next.len() {
            // Not by another assignment: what was fetched ahead of the others would be lost.
            let done: Vec<_> = self
                .next
                .keys()
                .filter(|p| !wanted.contains_key(p))
                .copied()
                .collect();
            let list = self.list(done.iter().map(|&p| (p, ClientOffset::Invalid)))?;
            self.queues
                .consumer()
                .pause(&list)
                .map_err(|error| self.client_error(&error))?;
            self.next = wanted;
            self.paused.extend(done);
        }
        Ok(())
    }

    pub(super) fn read_at(&mut self, at: &Positions) -> Result<(), SourceError> {
        if !self.paused.is_empty() {
            let list = self.list(self.paused.iter().map(|&p| (p, ClientOffset::Invalid)))?;
            self.queues
                .consumer()
                .resume(&list)
                .map_err(|error| self.client_error(&error))?;
            self.paused.clear();
        }
        let list = self.list(
            at.iter()
                .map(|(&p, &offset)| (p, ClientOffset::Offset(offset))),
        )?;
        self.queues
            .consumer()
            .assign(&list)
            .map_err(|error| self.client_error(&error))?;
        self.queues.settle();
        self.next = at.clone();
        self.ended.clear();
        self.short_since = None;
        Ok(())
    }

    /// Reads once and hands it to `builder`.
    pub(super) fn read(
        &mut self,
        builder: &mut BatchBuilder,
        wait: Duration,
        at_most: usize,
    ) -> Result<Read, SourceError> {
        let KafkaSource {
            queues,
            topics,
            next,
            ended,
            ..
        } = self;
        let mut read = Read::default();
        let steps = builder.steps();
        let (mut records, mut bytes): (usize, usize) = (0, 0);
        // Where the records of one partition in a row have come to.
        let mut run: Option<(Partition, Offset)> = None;
        let mut fault = None;
        read.messages = queues.read(topics, wait, at_most, |partition, message| {
            match message {
                Message::Record(record) => {
                    records += 1;
                    bytes +=
                        record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                    builder.push(partition, record);
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
                    next.insert(partition, offset);
                    builder.passed(partition, offset);
                    ended.insert(partition, offset);
                }
                Message::Fault(code, offset, words) => {
                    fault = Some((partition, code, offset, words))
                }
            }
            fault.is_none()
        });
        if let Some((partition, to)) = run {
            next.insert(partition, to);
        }
        read.moved = builder.steps() > steps; // what the batch does not want is no progress
        if let Some(record_bytes) = bytes.checked_div(records) {
            self.record_bytes = record_bytes.max(1);
        }
        match fault {
            Some((partition, code, offset, words)) => {
                self.fault(partition, code, offset, words).map(|()| read)
            }
            None => Ok(read),
        }
    }

    /// The client says that a partition cannot be read on. What it brought after that is lost, so
    /// the next fetch begins anew where its batch stands.
    pub(super) fn fault(
        &mut self,
        at: Partition,
        code: Code,
        offset: Offset,
        words: String,
    ) -> Result<(), SourceError> {
        let stands = self.next.get(&at).copied();
        self.next.clear();
        let topic = self.topic(at).to_owned();
        match kafka::classify(code) {
            // Of an assignment before this one: such an error outlives it in the client's queue. If
            // it is true of this one too, the client says so again, with the very offset that it
            // begins at.
            Fault::Gone if stands.is_none_or(|stands| offset >= 0 && offset != stands) => Ok(()),
            Fault::Gone => {
                let offset = stands.unwrap_or(offset);
                // Asked only now, as it is rare; if nobody answers, the likelier is told.
                let first = self
                    .offsets(&[at], ClientOffset::Beginning)
                    .ok()
                    .and_then(|first| first.get(&at).copied());
                let reason = if first.is_some_and(|first| first <= offset) {
                    Loss::Beyond
                } else {
                    Loss::Before
                };
                Err(gone(&topic, at, offset, reason))
            }
            Fault::Refused => Err(refused(topic, words)),
            Fault::Denied => Err(self.denied(words)),
            // A broker that has just started may not know its topics yet: only the cluster's answer
            // counts.
            Fault::Missing => match self.partitions_of(&topic) {
                Ok(count) if at.id < count => Ok(()),
                Ok(_) => Err(SourceError::TopicMissing { topic }),
                Err((fault, reason)) => Err(self.error(&topic, fault, reason)),
            },
            Fault::Away | Fault::Fenced => {
                tracing::debug!(target: "librdkafka", %code, topic, partition = at.id, "{words}");
                Err(self.away(format!("topic `{topic}` partition {}: {words}", at.id)))
            }
        }
    }

    /// A batch that is run again waits for records that were there once: if its partitions end
    /// before it does and stay so, they are gone (the topic was made anew, or a replica that had
    /// less took over).
    pub(super) fn check_short(
        &mut self,
        builder: &BatchBuilder,
        moved: bool,
    ) -> Result<(), SourceError> {
        let at_end = |&(p, at, until): &(Partition, Offset, Option<Offset>)| {
            until.is_some() && self.ended.get(&p) == Some(&at)
        };
        let short = builder.wanted().find(at_end);
        let Some((partition, offset, _)) = short.filter(|_| !moved && self.away.is_none()) else {
            self.short_since = None;
            return Ok(());
        };
        let now = clock::monotonic();
        if now.duration_since(*self.short_since.get_or_insert(now)) < limits::KAFKA_SHORT_TIME {
            return Ok(());
        }
        Err(gone(self.topic(partition), partition, offset, Loss::Beyond))
    }
}

/// What one read brought.
#[derive(Default)]
pub(super) struct Read {
    pub(super) messages: usize,
    /// The batch came further.
    pub(super) moved: bool,
}
