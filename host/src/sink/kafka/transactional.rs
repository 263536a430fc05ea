//! One transaction a batch, with the sink's marker in it: what was written is written once, whatever is delivered again.

use super::{Outbox, error, marker};
use crate::checkpoint::TopicOffsets;
use crate::job::SourcePlan;
use crate::kafka::{self, Fault, KafkaSettings};
use crate::limits;
use crate::record::Partition;
use crate::sink::{Delivery, Marker, SinkError};
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Instant;

/// A transactional producer and the group that holds its marker; both have the same name, for ever.
pub(super) struct Transactions {
    settings: KafkaSettings,
    topic: String,
    sources: Vec<String>,
    id: String,
    open: Option<Open>,
    /// What the sink is known to hold.
    held: Option<Marker>,
    /// What it may hold as well, since the last delivery failed.
    tried: Option<Marker>,
    /// Somebody took our id over since the last delivery that succeeded.
    fenced: bool,
    /// The source offsets beside the marker that was read last.
    reached: TopicOffsets,
}

struct Open {
    outbox: Outbox,
    group: ConsumerGroupMetadata,
}

impl Transactions {
    pub(super) fn new(settings: &KafkaSettings, topic: &str, sources: &[SourcePlan], id: String) -> Self {
        Transactions {
            settings: settings.clone(),
            topic: topic.to_owned(),
            sources: sources.iter().map(|source| source.place.clone()).collect(),
            id,
            open: None,
            held: None,
            tried: None,
            fenced: false,
            reached: TopicOffsets::new(),
        }
    }

    fn error(&self, fault: Fault, reason: String) -> SinkError {
        error(&self.settings.brokers, &self.topic, fault, reason)
    }

    fn client_error(&mut self, e: &KafkaError) -> SinkError {
        match kafka::fault(e) {
            Fault::Fenced => self.on_fenced(),
            fault => self.error(fault, kafka::words(e)),
        }
    }

    /// The brokers take our id away as well when a transaction of ours lasted too long (this host was halted): so the first
    /// time it is taken back, and [`Transactions::open`] looks whether somebody else wrote. The second time, it is somebody
    /// else, and the two must not fence each other back and forth.
    fn on_fenced(&mut self) -> SinkError {
        if std::mem::replace(&mut self.fenced, true) {
            return SinkError::Fenced { id: self.id.clone() };
        }
        let reason = format!("the transactional id `{}` was taken over, or its transaction ran out of time", self.id);
        self.error(Fault::Away, reason)
    }

    /// Fences, then reads the marker.
    pub(super) fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        self.open = None;
        let asker = self.settings.asker(Some(&self.id)).map_err(|e| self.client_error(&e))?;
        kafka::partitions(&asker, &self.topic).map_err(|(fault, reason)| self.error(fault, reason))?;
        let time_ms = limits::KAFKA_DELIVERY_TIME.as_millis().to_string();
        let more = [("transactional.id", &self.id[..]), ("transaction.timeout.ms", &time_ms[..])];
        let outbox = Outbox::new(&self.settings, &self.topic, &more)?;
        outbox.producer().init_transactions(limits::KAFKA_FENCE_TIME).map_err(|e| self.client_error(&e))?;

        // Only now nobody else can move it.
        let asked = self.marker_places(&asker)?;
        let found = asker.committed_offsets(asked, limits::KAFKA_FENCE_TIME).map_err(|e| self.client_error(&e))?;
        let marker = self.read_marker(&found)?;
        if self.fenced && marker != self.held && marker != self.tried {
            return Err(SinkError::Fenced { id: self.id.clone() });
        }
        let group = asker.group_metadata().expect("a client with a group has its metadata");
        (self.held, self.tried) = (marker.clone(), None);
        self.reached = marker.as_ref().map_or_else(TopicOffsets::new, |marker| self.offsets_with(marker, &found));
        self.open = Some(Open { outbox, group });
        Ok(marker)
    }

    /// Where the marker may lie: at every partition of the sources, or at the sink's own first one in a job without.
    fn marker_places(
        &self,
        asker: &rdkafka::consumer::BaseConsumer<crate::kafka::Quiet>,
    ) -> Result<TopicPartitionList, SinkError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        for topic in &self.sources {
            match kafka::partitions(asker, topic) {
                Ok(count) => list.add_partition_range(topic, 0, count - 1),
                Err((Fault::Missing, _)) => {} // nothing can lie there
                Err((fault, reason)) => return Err(self.error(fault, reason)),
            }
        }
        Ok(list)
    }

    fn read_marker(&self, found: &TopicPartitionList) -> Result<Option<Marker>, SinkError> {
        let elements = found.elements();
        for element in &elements {
            element.error().map_err(|e| self.error(kafka::fault(&e), kafka::words(&e)))?;
        }
        let there = elements.iter().filter(|element| matches!(element.offset(), Offset::Offset(_)));
        marker::newest(there.map(|element| element.metadata())).map_err(|reason| {
            let reason =
                format!("the marker in consumer group `{}` cannot be read: {reason}; delete the group", self.id);
            self.error(Fault::Refused, reason)
        })
    }

    /// The source offsets beside the marker.
    pub(super) fn reached(&self) -> TopicOffsets {
        self.reached.clone()
    }

    /// The offsets of the marker's incarnation. An older marker of it, at a partition that was not read since, is still true
    /// there.
    fn offsets_with(&self, marker: &Marker, found: &TopicPartitionList) -> TopicOffsets {
        let mut reached = TopicOffsets::new();
        for element in found.elements() {
            if let Offset::Offset(offset) = element.offset()
                && marker::read(element.metadata()).is_some_and(|there| there.incarnation == marker.incarnation)
                && self.sources.iter().any(|topic| topic == element.topic())
            {
                reached.entry(element.topic().to_owned()).or_default().insert(element.partition(), offset);
            }
        }
        reached
    }

    /// Delivers a batch in one transaction. `Ok`: it is committed. After an error [`Transactions::open`] comes first.
    pub(super) fn deliver<F>(&mut self, delivery: &Delivery<'_>, send: F) -> Result<(), SinkError>
    where
        F: FnOnce(&mut Outbox) -> Result<(), SinkError>,
    {
        let mut open = self.open.take().expect("the pipeline opens a sink before it delivers, and after a failure");
        let marker =
            Marker { incarnation: delivery.incarnation, batch: delivery.batch, digest: delivery.digest.to_owned() };
        let offsets = self.offsets(delivery, &marker)?;
        self.tried = Some(marker.clone());
        match transact(&mut open, &offsets, send) {
            Ok(()) => {
                (self.held, self.tried, self.fenced) = (Some(marker), None, false);
                self.open = Some(open);
                Ok(())
            }
            Err(Broken::Client(e)) => {
                let fatal = open.outbox.fatal();
                match fatal {
                    Some((code, _)) if kafka::classify(code) == Fault::Fenced => Err(self.on_fenced()),
                    _ => Err(self.client_error(&e)),
                }
            }
            Err(Broken::Sink(e)) => {
                let fenced = open.outbox.fatal().is_some_and(|(code, _)| kafka::classify(code) == Fault::Fenced);
                Err(if fenced { self.on_fenced() } else { e })
            }
        }
    }

    /// The marker as offsets of the sources' partitions.
    fn offsets(&self, delivery: &Delivery<'_>, marker: &Marker) -> Result<TopicPartitionList, SinkError> {
        let text = marker::write(marker);
        let place = |(partition, span): (&Partition, &crate::record::Span)| {
            (&self.sources[usize::from(partition.source)], partition.id, span.to)
        };
        let mut places: Vec<_> = delivery.spans.iter().map(place).collect();
        if places.is_empty() {
            places.push((&self.topic, 0, i64::try_from(delivery.batch).unwrap_or(i64::MAX)));
        }
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, id, to) in places {
            let mut element = list.add_partition(topic, id);
            element.set_offset(Offset::Offset(to)).map_err(|e| self.error(Fault::Refused, kafka::words(&e)))?;
            element.set_metadata(&text);
        }
        Ok(list)
    }
}

/// What broke a transaction.
enum Broken {
    Client(KafkaError),
    Sink(SinkError),
}

/// Begins, sends, marks and commits. After an error the producer is not used again: the next one ends what is open.
fn transact<F>(open: &mut Open, offsets: &TopicPartitionList, send: F) -> Result<(), Broken>
where
    F: FnOnce(&mut Outbox) -> Result<(), SinkError>,
{
    let Open { outbox, group } = open;
    let since = Instant::now();
    outbox.producer().begin_transaction().map_err(Broken::Client)?;
    let sent = send(outbox).and_then(|()| outbox.settle_all()).map_err(Broken::Sink);
    let marked = sent.and_then(|()| {
        let marked = || outbox.producer().send_offsets_to_transaction(offsets, group, limits::KAFKA_AWAY_TIME);
        until_clear(since, marked).map_err(Broken::Client)
    });
    if let Err(broken) = marked {
        // Readers of committed records wait behind an open transaction. The next open ends it, but after some errors the
        // job stops, and while the brokers are away there is nobody to tell.
        let away = matches!(broken, Broken::Sink(SinkError::Away { .. }));
        if !away && let Err(error) = outbox.producer().abort_transaction(limits::CONNECT_TIME) {
            tracing::debug!(%error, "a transaction is left to be ended by the next one");
        }
        return Err(broken);
    }
    // An unclear outcome is asked again: the brokers hold it, and the same call finishes it.
    until_clear(since, || outbox.producer().commit_transaction(limits::KAFKA_AWAY_TIME)).map_err(Broken::Client)
}

/// Calls again while the client says that this may be done, and the time of a delivery is not over.
fn until_clear(since: Instant, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        let error = match call() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let again = match &error {
            KafkaError::Transaction(inner) => inner.is_retriable() && !inner.is_fatal() && !inner.txn_requires_abort(),
            KafkaError::Flush(code) => *code == Code::OperationTimedOut,
            _ => false,
        };
        if !again || since.elapsed() > limits::KAFKA_DELIVERY_TIME {
            return Err(error);
        }
        tracing::debug!(%error, "a step of a transaction is unclear, and called again");
    }
}
