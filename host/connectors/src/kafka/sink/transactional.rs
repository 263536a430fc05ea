//! One transaction a batch, with the sink's marker in it: what was written is written once,
//! whatever is delivered again.
//!
//! ```text
//! open:    init (fences whoever had our id) ─► read the marker
//! deliver: begin ─► rows, each acknowledged ─► marker, as offsets of the sources ─► commit
//! ```
//! Any of deliver's steps, and init itself, may be where it shows that our id was taken over. Then:
//! - the first time, it is taken back. If the marker is where we know it to be, the brokers had
//!   ended a transaction that lasted too long, and we go on; if not, somebody else wrote, and the
//!   job stops.
//! - the second time without a delivery in between, the job stops.

use super::marker::{self, Found, Target};
use super::transaction::{Broken, Prepared, SLICE, prepare, trial, until_clear};
use super::{BatchProducer, Failure, error};
use crate::kafka::settling::settled;
use crate::kafka::topic_ids::topic_ids;
use crate::kafka::{self, Asker, Fault, KafkaSettings, TopicConfig};
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::limits;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Partition, Span, TopicOffsets};
use streamhost_engine::sink::{CancelSignal, Delivery, SinkError};

/// A transactional producer and the group that holds its marker; both have the same name, for ever.
pub(in crate::kafka) struct Transactions {
    settings: KafkaSettings,
    topic: String,
    /// The topics of the sources, in the sources' order; none where a source is none of this
    /// cluster's, as no offset of it can lie in a group.
    sources: Vec<Option<String>>,
    id: String,
    cancel: CancelSignal,
    open: Option<Open>,
    /// What the sink is known to hold.
    held: Option<Marker>,
    /// What it may hold as well, since the outcome of a commit is not known.
    tried: Option<Marker>,
    /// Somebody took our id over since the last delivery that succeeded.
    fenced: bool,
    /// The source offsets beside the marker that was read last.
    reached: TopicOffsets,
    /// What a marker of another target says, as it was read then.
    elsewhere: Option<Marker>,
    /// Why the brokers give no transaction.
    unable: Option<String>,
    /// What it means that the topic is not there.
    missing: Fault,
    /// How many bytes may be sent at once, if the topic does not say so and took no more.
    learnt_bytes: Option<usize>,
}

struct Open {
    producer: BatchProducer,
    group: Arc<ConsumerGroupMetadata>,
    target: Target,
}

impl Transactions {
    pub(in crate::kafka) fn new(
        settings: &KafkaSettings,
        topic: &str,
        sources: Vec<Option<String>>,
        id: String,
        cancel: &CancelSignal,
    ) -> Self {
        Transactions {
            settings: settings.clone(),
            topic: topic.to_owned(),
            sources,
            id,
            cancel: cancel.clone(),
            open: None,
            held: None,
            tried: None,
            fenced: false,
            reached: TopicOffsets::new(),
            elsewhere: None,
            unable: None,
            missing: Fault::Missing,
            learnt_bytes: None,
        }
    }

    /// The same for a topic that its owner makes where it is missing: that passes.
    pub(in crate::kafka) fn made_where_missing(mut self) -> Self {
        self.missing = Fault::Away;
        self
    }

    fn error(&self, fault: Fault, reason: String) -> SinkError {
        let fault = match fault {
            Fault::Missing => self.missing,
            other => other,
        };
        error(&self.settings.brokers, &self.topic, fault, reason)
    }

    fn broken(&mut self, broken: Broken) -> SinkError {
        match broken {
            Broken::Client(e) => self.client_error(&e),
            Broken::Sink(e) => e,
        }
    }

    fn client_error(&mut self, e: &KafkaError) -> SinkError {
        match kafka::fault(e) {
            Fault::Fenced => self.on_fenced(),
            fault => self.error(fault, kafka::words(e)),
        }
    }

    fn called(&self) -> String {
        format!("the transactional id `{}`", self.id)
    }

    /// The brokers take our id away as well when a transaction of ours lasted too long (this host
    /// was halted): so the first time it is taken back, and [`Transactions::open`] looks whether
    /// somebody else wrote. The second time, it is somebody else, and the two must not fence each
    /// other back and forth.
    fn on_fenced(&mut self) -> SinkError {
        if std::mem::replace(&mut self.fenced, true) {
            return SinkError::Fenced { id: self.called() };
        }
        let reason = format!(
            "the transactional id `{}` was taken over, or its transaction ran out of time",
            self.id
        );
        self.error(Fault::Away, reason)
    }

    /// Fences, then reads the marker of this target.
    pub(in crate::kafka) fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        (self.open, self.unable) = (None, None);
        if self.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        let asker = self.asker()?;
        let target = self.target(&asker)?;
        let producer = BatchProducer::of_batches(
            &self.settings,
            &self.topic,
            Some(&self.id),
            &self.cancel,
            self.learnt_bytes,
        )?
        .where_missing(self.missing);
        let cancel = self.cancel.clone();
        let init = || producer.producer().init_transactions(SLICE);
        if let Err(broken) = until_clear(&cancel, limits::KAFKA_FENCE_TIME, init) {
            self.unable = why_unable(&broken, &asker);
            return Err(self.broken(broken));
        }

        // Only now nobody else can move it.
        let marker = self.read_marker(&asker, &target)?;
        if self.fenced && marker != self.held && (marker.is_none() || marker != self.tried) {
            return Err(SinkError::Fenced { id: self.called() });
        }
        let group = asker
            .group_metadata()
            .expect("a client with a group has its metadata");
        (self.held, self.tried) = (marker.clone(), None);
        self.open = Some(Open {
            producer,
            group: Arc::new(group),
            target,
        });
        Ok(marker)
    }

    /// Reads the marker, and takes nobody's id away. A topic that is not there holds nothing.
    pub(super) fn peek(&mut self) -> Result<Option<Marker>, SinkError> {
        let asker = self.asker()?;
        match kafka::partitions(&asker, &self.topic) {
            Err((Fault::Missing, _)) => self.read_marker(&asker, &Target::absent(&self.topic)),
            Err((fault, reason)) => Err(self.error(fault, reason)),
            Ok(_) => {
                let target = self.target(&asker)?;
                self.read_marker(&asker, &target)
            }
        }
    }

    fn asker(&mut self) -> Result<Asker, SinkError> {
        let asker = self.settings.asker(Some(&self.id));
        asker.map_err(|e| self.client_error(&e))
    }

    /// The topic as it is now: one that was made anew under its name is another. Brokers that answer
    /// and do not tell its id are no reason to wait: then its name alone counts.
    fn target(&self, asker: &Asker) -> Result<Target, SinkError> {
        kafka::partitions(asker, &self.topic)
            .map_err(|(fault, reason)| self.error(fault, reason))?;
        let topics = std::slice::from_ref(&self.topic);
        let ids = topic_ids(asker.client(), topics, limits::CONNECT_TIME);
        let mut ids = ids.unwrap_or_else(|(_, reason)| {
            tracing::debug!(topic = self.topic, reason, "its id is not told");
            BTreeMap::new()
        });
        Ok(Target::new(&self.topic, ids.remove(&self.topic)))
    }

    /// Where the marker may lie: at every partition of the sources' topics, or at the sink's own
    /// first one in a job without.
    fn marker_places(&self, asker: &Asker) -> Result<TopicPartitionList, SinkError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        for topic in self.sources.iter().flatten() {
            if self.cancel.is_cancelled() {
                return Err(SinkError::Cancelled);
            }
            match kafka::partitions(asker, topic) {
                Ok(count) => list.add_partition_range(topic, 0, count - 1),
                Err((Fault::Missing, _)) => {} // nothing can lie there
                Err((fault, reason)) => return Err(self.error(fault, reason)),
            }
        }
        Ok(list)
    }

    fn read_marker(&mut self, asker: &Asker, target: &Target) -> Result<Option<Marker>, SinkError> {
        let asked = self.marker_places(asker)?;
        let ask = || asker.committed_offsets(asked.clone(), limits::CONNECT_TIME);
        let find = || settled(ask); // brokers that were just started say that they cannot yet
        let listed = until_clear(&self.cancel.clone(), limits::KAFKA_FENCE_TIME, find);
        let listed = listed.map_err(|broken| {
            self.unable = why_unable(&broken, asker);
            self.broken(broken)
        })?;
        let elements = listed.elements();
        for element in &elements {
            element
                .error()
                .map_err(|e| self.error(kafka::fault(&e), kafka::words(&e)))?;
        }
        let there = elements
            .iter()
            .filter(|element| matches!(element.offset(), Offset::Offset(_)));
        let found = Found::read(there.map(|element| element.metadata()), target);
        let found = found.map_err(|reason| {
            let reason = format!(
                "the marker in consumer group `{}` cannot be read: {reason}; delete the group (a batch that was under way \
                 may be there twice then)",
                self.id
            );
            self.error(Fault::Refused, reason)
        })?;
        self.elsewhere = found.elsewhere;
        let reached = |marker: &Marker| self.offsets_with(marker, &listed, target);
        self.reached = found.own.as_ref().map_or_else(TopicOffsets::new, reached);
        Ok(found.own)
    }

    /// The source offsets beside the marker.
    pub(super) fn reached(&self) -> TopicOffsets {
        self.reached.clone()
    }

    /// The newest marker of another target.
    pub(super) fn elsewhere(&self) -> Option<Marker> {
        self.elsewhere.clone()
    }

    /// The offsets of the marker's epoch. An older marker of it, at a partition that was not read
    /// since, is still true there.
    fn offsets_with(
        &self,
        marker: &Marker,
        found: &TopicPartitionList,
        target: &Target,
    ) -> TopicOffsets {
        let is_of = |text: &str| {
            marker::read(text).is_some_and(|(there, of)| {
                there.epoch == marker.epoch && of.is_none_or(|of| of.is(target))
            })
        };
        let mut reached = TopicOffsets::new();
        for element in found.elements() {
            if let Offset::Offset(offset) = element.offset()
                && is_of(element.metadata())
                && self
                    .sources
                    .iter()
                    .flatten()
                    .any(|topic| topic == element.topic())
            {
                reached
                    .entry(element.topic().to_owned())
                    .or_default()
                    .insert(element.partition(), offset);
            }
        }
        reached
    }

    /// Delivers a batch in one transaction. `Ok` without failures: it is committed. With some: the
    /// topic refuses those records for what is in them, nothing of the batch is there, and it may be
    /// tried again at once without them. After an error [`Transactions::open`] comes first.
    pub(in crate::kafka) fn deliver<F>(
        &mut self,
        delivery: &Delivery<'_>,
        send: F,
    ) -> Result<Vec<Failure>, SinkError>
    where
        F: FnOnce(&mut BatchProducer) -> Result<(), SinkError>,
    {
        let mut open = self.take_open();
        let marker = Marker {
            epoch: delivery.epoch,
            batch: delivery.batch,
            digest: delivery.digest.to_owned(),
        };
        let offsets = self.offsets(delivery, &marker, &open.target)?;
        let Open {
            producer, group, ..
        } = &mut open;
        let committed = match prepare(producer, group, &self.cancel, offsets, send) {
            Ok(Prepared::Refused(refused)) => {
                drop(open);
                self.open()?; // which ends the transaction
                return Ok(refused);
            }
            Ok(Prepared::Ready) => {
                self.tried = Some(marker.clone());
                // An unclear outcome is asked again: the brokers hold it, and the same call finishes
                // it.
                let commit = || open.producer.producer().commit_transaction(SLICE);
                until_clear(&self.cancel, limits::KAFKA_DELIVERY_TIME, commit)
            }
            Err(broken) => Err(broken),
        };
        match committed {
            Ok(()) => {
                (self.held, self.tried, self.fenced) = (Some(marker), None, false);
                self.open = Some(open);
                Ok(Vec::new())
            }
            Err(broken) => Err(self.ended(&open, broken)),
        }
    }

    /// Which of these records the topic refuses for what is in them; nothing of them stays there.
    pub(in crate::kafka) fn trial<F>(&mut self, send: F) -> Result<Vec<Failure>, SinkError>
    where
        F: FnOnce(&mut BatchProducer) -> Result<(), SinkError>,
    {
        let mut open = self.take_open();
        match trial(&mut open.producer, &self.cancel, send) {
            Ok(refused) if refused.is_empty() => {
                self.open = Some(open);
                Ok(refused)
            }
            Ok(refused) => {
                drop(open);
                self.open()?; // which ends the transaction
                Ok(refused)
            }
            Err(broken) => Err(self.ended(&open, broken)),
        }
    }

    /// Records that the topic refuses together, and takes one by one: from now on fewer are sent at
    /// once. `Err`: it is no use, as there are few already.
    pub(in crate::kafka) fn send_less_at_once(&mut self) -> Result<(), SinkError> {
        let usual = self.takes().batch_bytes();
        let usual = usual.unwrap_or(limits::KAFKA_VALUE_BYTES_MAX);
        let bytes = self.learnt_bytes.unwrap_or(usual) / 2;
        if bytes < limits::KAFKA_BATCH_BYTES_MIN {
            let reason = "it takes its records one by one, and not together: raise the topic's \
                          `max.message.bytes`";
            return Err(self.error(Fault::Refused, reason.to_owned()));
        }
        self.learnt_bytes = Some(bytes);
        self.open().map(drop)
    }

    fn take_open(&mut self) -> Open {
        self.open
            .take()
            .expect("the pipeline opens a sink before it delivers, and after a failure")
    }

    fn ended(&mut self, open: &Open, broken: Broken) -> SinkError {
        match open.producer.is_fenced() {
            true => self.on_fenced(),
            false => self.broken(broken),
        }
    }

    /// What the topic says of the records that it takes, while it is open.
    pub(in crate::kafka) fn takes(&self) -> TopicConfig {
        self.open
            .as_ref()
            .map_or_else(TopicConfig::default, |open| open.producer.takes())
    }

    /// Why the brokers give nobody, or not this user, a transaction: said by the last
    /// [`Transactions::open`] that failed.
    pub(in crate::kafka) fn unable(&self) -> Option<&str> {
        self.unable.as_deref()
    }

    /// The marker as offsets of the sources' partitions.
    fn offsets(
        &self,
        delivery: &Delivery<'_>,
        marker: &Marker,
        target: &Target,
    ) -> Result<TopicPartitionList, SinkError> {
        let text = marker::write(marker, target);
        let place = |(partition, span): (&Partition, &Span)| {
            Some((
                self.sources[usize::from(partition.source)].as_ref()?,
                partition.id,
                span.to,
            ))
        };
        let mut places: Vec<_> = delivery.spans.iter().filter_map(place).collect();
        if places.is_empty() {
            places.push((
                &self.topic,
                0,
                i64::try_from(delivery.batch).unwrap_or(i64::MAX),
            ));
        }
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, id, to) in places {
            let mut element = list.add_partition(topic, id);
            element
                .set_offset(Offset::Offset(to))
                .map_err(|e| self.error(Fault::Refused, kafka::words(&e)))?;
            element.set_metadata(&text);
        }
        Ok(list)
    }
}

/// Why the brokers give no transaction, if it is that: they know none, or not for this user, or they
/// cannot make the topic that keeps them (its replicas are more than there are brokers). Anything
/// else may pass.
fn why_unable(broken: &Broken, asker: &Asker) -> Option<String> {
    let Broken::Client(error) = broken else {
        return None;
    };
    let code = error.rdkafka_error_code()?;
    let never_made =
        || kafka::partitions(asker, STATE_TOPIC).is_err_and(|(fault, _)| fault == Fault::Missing);
    match code {
        Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::NotImplemented
        | Code::TransactionalIdAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::GroupAuthorizationFailed => Some(kafka::words(error)),
        Code::OperationTimedOut if never_made() => Some(format!(
            "the brokers have no topic `{STATE_TOPIC}`, and made none when they were asked for a transaction"
        )),
        _ => None,
    }
}

/// Where brokers keep transactions.
const STATE_TOPIC: &str = "__transaction_state";
