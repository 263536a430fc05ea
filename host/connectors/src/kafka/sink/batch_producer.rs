//! Sends records and waits until each of them is acknowledged: what the plain sink, the
//! transactional one and the dead letters share.

use crate::kafka::access::meaning;
use crate::kafka::background::Client;
use crate::kafka::properties::BATCH_BYTES;
use crate::kafka::token::Tokens;
use crate::kafka::{self, Fault, KafkaSettings, SERVER, TopicConfig};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};
use streamhost_engine::sink::{CancelSignal, SinkError};

/// How long one look at the client's reports takes. Its own `poll` does not return earlier.
const LOOK: Duration = Duration::from_millis(1);
/// Records between two looks while sending.
const SENDS_PER_LOOK: u64 = 500;

/// A record that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its position among those sent since [`BatchProducer::settle`].
    pub(crate) position: usize,
    /// Why.
    pub(crate) code: Code,
}

#[derive(Default)]
struct Tally {
    taken: u64,
    /// The greatest offset that one of them was given.
    offset: i64,
    /// Bounded by the records of one batch; after the first one little more is sent.
    failures: Vec<Failure>,
    /// All brokers are away, and nothing was taken since.
    away: Option<(Fault, String)>,
    /// What the client last said of a broker.
    last_words: Option<(Fault, String)>,
    /// The producer cannot be used any more.
    fatal: Option<(Code, String)>,
    /// A record was not taken since another producer has our transactional id.
    fenced: bool,
}

/// Counts what the client reports.
pub(crate) struct Reports {
    tally: Mutex<Tally>,
    tokens: Tokens,
}

impl Reports {
    fn of(settings: &KafkaSettings) -> Reports {
        Reports {
            tally: Mutex::default(),
            tokens: settings.tokens(),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(self.tokens.read()?)
    }

    fn log(&self, _level: RDKafkaLogLevel, place: &str, line: &str) {
        tracing::debug!(target: "librdkafka", place, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let mut tally = self.tally();
        match code {
            Code::AllBrokersDown => {
                tally.away = Some(
                    tally
                        .last_words
                        .clone()
                        .unwrap_or_else(|| (Fault::Away, kafka::code_words(code))),
                );
            }
            // A broker that is restarted says so as well, and another one may let the host in.
            _ if kafka::classify(code) == Fault::Denied => {
                tally.last_words = Some(meaning(code, reason));
            }
            _ if matches!(kafka::classify(code), Fault::Refused | Fault::Fenced)
                || code == Code::Fatal =>
            {
                tally.fatal.get_or_insert_with(|| (code, reason.to_owned()));
            }
            _ => tally.last_words = Some(meaning(code, reason)),
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let mut tally = self.tally();
        match result {
            Ok(message) => {
                tally.taken += 1;
                tally.offset = tally.offset.max(message.offset());
                tally.away = None;
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                tracing::debug!(topic = message.topic(), %code, "a record was not taken");
                tally.fenced |= kafka::classify(code) == Fault::Fenced;
                tally.failures.push(Failure { position, code });
            }
        }
    }
}

/// A producer to one topic.
pub(crate) struct BatchProducer {
    /// A call that goes on in the background holds it too.
    producer: Arc<Client<BaseProducer<Reports>>>,
    brokers: String,
    topic: String,
    cancel: CancelSignal,
    sent: u64,
    takes: TopicConfig,
    /// One record that is not taken ends its transaction: what waits behind it is never sent.
    in_transactions: bool,
    /// What it means that the topic is not there.
    missing: Fault,
}

impl BatchProducer {
    /// Makes a producer, which writes in transactions if it is given an id for them. The topic is
    /// asked how much it takes at once; where its broker does not say so, its default counts.
    pub(crate) fn new(
        settings: &KafkaSettings,
        topic: &str,
        transactional_id: Option<&str>,
        cancel: &CancelSignal,
    ) -> Result<Self, SinkError> {
        BatchProducer::of_batches(settings, topic, transactional_id, cancel, None)
    }

    /// The same that sends no more than so many bytes at once, if it was learnt that the topic takes
    /// no more.
    pub(crate) fn of_batches(
        settings: &KafkaSettings,
        topic: &str,
        transactional_id: Option<&str>,
        cancel: &CancelSignal,
        learnt_bytes: Option<usize>,
    ) -> Result<Self, SinkError> {
        let config = settings.topic_config(topic).unwrap_or_else(|(_, reason)| {
            tracing::debug!(topic, reason, "its configuration is not told");
            TopicConfig::default()
        });
        let make = || {
            let mut config = settings.writer(config.batch_bytes(), transactional_id)?;
            if let Some(bytes) = learnt_bytes {
                config.set(BATCH_BYTES, bytes.to_string()); // above what the user set
            }
            let producer: BaseProducer<_> = config.create_with_context(Reports::of(settings))?;
            settings.tokens().begin(producer.client())?;
            Ok(producer)
        };
        let made: Result<_, KafkaError> = make();
        let producer =
            made.map_err(|e| error(&settings.brokers, topic, kafka::fault(&e), kafka::words(&e)))?;
        let (brokers, topic) = (settings.brokers.clone(), topic.to_owned());
        Ok(BatchProducer {
            producer: Arc::new(Client::new(producer)),
            brokers,
            topic,
            cancel: cancel.clone(),
            sent: 0,
            takes: config,
            in_transactions: transactional_id.is_some(),
            missing: Fault::Missing,
        })
    }

    /// The same for a topic that is there, or is made anew, whenever it is asked for again.
    pub(crate) fn where_missing(mut self, means: Fault) -> Self {
        self.missing = means;
        self
    }

    /// What the topic says of the records that it takes, as it said when this was made.
    pub(crate) fn takes(&self) -> TopicConfig {
        self.takes
    }

    /// The client itself, for transactions.
    pub(crate) fn producer(&self) -> &Arc<Client<BaseProducer<Reports>>> {
        &self.producer
    }

    /// Sends a record. It waits where the queue is full, for as long as [`BatchProducer::settle`]
    /// would.
    pub(crate) fn send(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), SinkError> {
        let mut record = self.record();
        (record.key, record.payload) = (key, value);
        self.send_record(record)
    }

    /// A record to the topic, to be filled in for [`BatchProducer::send_record`]. Its position is
    /// the number sent before.
    pub(crate) fn record<'a>(&self) -> BaseRecord<'a, [u8], [u8], usize> {
        BaseRecord::with_opaque_to("", self.sent as usize)
    }

    /// Sends a record made by [`BatchProducer::record`].
    pub(crate) fn send_record(
        &mut self,
        record: BaseRecord<'_, [u8], [u8], usize>,
    ) -> Result<(), SinkError> {
        let position = self.sent as usize;
        let mut record = BaseRecord {
            topic: &self.topic,
            ..record
        };
        self.sent += 1;
        if self.sent.is_multiple_of(SENDS_PER_LOOK) {
            self.producer.poll(Duration::ZERO);
        }
        let mut patience = None; // for a full queue alone
        loop {
            let (code, back) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) => (error.rdkafka_error_code().unwrap_or(Code::Unknown), back),
            };
            if code != Code::QueueFull {
                self.producer
                    .context()
                    .tally()
                    .failures
                    .push(Failure { position, code });
                return Ok(()); // it counts as reported
            }
            record = back;
            self.producer.poll(LOOK);
            patience.get_or_insert_with(Patience::new).check(self)?;
        }
    }

    /// Waits until everything that was sent is acknowledged by all replicas in sync, or has failed;
    /// then the failures, by position. `Err`: nothing is known of what was sent, and this outbox
    /// must not be used again. In a transaction the first failure ends the waiting, and the
    /// transaction must be ended: what became of the rest is of no matter.
    pub(crate) fn settle(&mut self) -> Result<Vec<Failure>, SinkError> {
        let mut patience = Patience::new();
        loop {
            {
                let mut tally = self.producer.context().tally();
                let is_cause = |failure: &Failure| !is_of_another(failure.code);
                if self.in_transactions && tally.failures.iter().any(is_cause) {
                    return Ok(sorted(tally.failures.clone())); // they stay until it is ended
                }
                if tally.taken + tally.failures.len() as u64 == self.sent {
                    tally.taken = 0;
                    self.sent = 0;
                    return Ok(sorted(std::mem::take(&mut tally.failures)));
                }
            }
            patience.check(self)?;
            self.producer.poll(LOOK);
        }
    }

    /// As [`BatchProducer::settle`], of those that the topic refuses for what is in them. Any other
    /// failure is an error.
    pub(crate) fn settle_by_content(&mut self) -> Result<Vec<Failure>, SinkError> {
        let (refused, others): (Vec<_>, Vec<_>) = self
            .settle()?
            .into_iter()
            .partition(|failure| is_of_content(failure.code));
        match others.first() {
            // What stood behind a refused record of a transaction was not sent for it.
            Some(_) if self.in_transactions && !refused.is_empty() => Ok(refused),
            Some(failure) => Err(self.failed(failure.code, kafka::code_words(failure.code))),
            None => Ok(refused),
        }
    }

    /// The offset behind the last record that was acknowledged, in a topic of one partition.
    pub(crate) fn next_offset(&self) -> i64 {
        self.producer.context().tally().offset + 1
    }

    /// One look at what the client reports.
    pub(crate) fn look(&self) {
        self.producer.poll(LOOK);
    }

    /// Hears the reports of a transaction that was ended, which are of no matter, and counts anew.
    pub(crate) fn forget(&mut self) -> Result<(), SinkError> {
        let mut patience = Patience::new();
        loop {
            {
                let mut tally = self.producer.context().tally();
                if tally.taken + tally.failures.len() as u64 == self.sent {
                    (tally.taken, self.sent) = (0, 0);
                    tally.failures.clear();
                    return Ok(());
                }
            }
            patience.check(self)?;
            self.look();
        }
    }

    /// As [`BatchProducer::settle`], where any failure is an error.
    pub(crate) fn settle_all(&mut self) -> Result<(), SinkError> {
        match self.settle()?.first() {
            None => Ok(()),
            Some(failure) => Err(self.failed(failure.code, kafka::code_words(failure.code))),
        }
    }

    /// The error for a code of the client, in its own or better words.
    pub(crate) fn failed(&self, code: Code, words: String) -> SinkError {
        let (code, words) = self.fatal().unwrap_or((code, words));
        let words = match is_of_content(code) {
            true => content_words(code),
            false => words,
        };
        self.error(kafka::classify(code), words)
    }

    /// Why this producer cannot be used again, if so. The client tells its handler only that there
    /// is a fatal error, and what it is when it is asked.
    fn fatal(&self) -> Option<(Code, String)> {
        self.producer
            .client()
            .fatal_error()
            .or_else(|| self.producer.context().tally().fatal.clone())
    }

    /// The error for what passes where a producer is made anew.
    pub(crate) fn away(&self, reason: String) -> SinkError {
        self.error(Fault::Away, reason)
    }

    /// Whether another producer has our transactional id, as far as this one was told.
    pub(crate) fn is_fenced(&self) -> bool {
        let fatal = self
            .fatal()
            .is_some_and(|(code, _)| kafka::classify(code) == Fault::Fenced);
        fatal || self.producer.context().tally().fenced
    }

    fn error(&self, fault: Fault, reason: String) -> SinkError {
        let fault = match fault {
            Fault::Missing => self.missing,
            other => other,
        };
        error(&self.brokers, &self.topic, fault, reason)
    }
}

/// Whether a topic refuses a record for what is in it, or in another one of its batch: for its length,
/// or as it has no key, or a time that the topic does not take.
pub(crate) fn is_of_content(code: Code) -> bool {
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidTimestamp
    )
}

/// Whether a record of a transaction was not sent since another one of it has failed.
fn is_of_another(code: Code) -> bool {
    matches!(code, Code::State | Code::PurgeQueue | Code::PurgeInflight)
}

/// Why a topic refuses a record for what is in it, and what may be done.
pub(crate) fn content_words(code: Code) -> String {
    let words = kafka::code_words(code);
    match code {
        Code::MessageSizeTooLarge => format!("{words}: raise the topic's `max.message.bytes`"),
        Code::InvalidRecord => format!("{words} (a compacted topic takes none without a key)"),
        _ => words,
    }
}

/// The sink's error for a fault of the client.
pub(crate) fn error(brokers: &str, topic: &str, fault: Fault, reason: String) -> SinkError {
    let refused = |reason| SinkError::Refused {
        server: SERVER,
        name: topic.to_owned(),
        reason,
    };
    match fault {
        Fault::Missing => {
            refused("there is no such topic: create it, or deploy with --create-tables".to_owned())
        }
        Fault::Refused => refused(reason),
        Fault::Denied => SinkError::Denied {
            server: SERVER,
            address: brokers.to_owned(),
            reason,
        },
        Fault::Away | Fault::Gone | Fault::Fenced => SinkError::Away {
            server: SERVER,
            address: brokers.to_owned(),
            reason,
        },
    }
}

fn sorted(mut failures: Vec<Failure>) -> Vec<Failure> {
    failures.sort_by_key(|failure| failure.position);
    failures
}

/// How long one waits for brokers.
struct Patience {
    since: Instant,
    taken: u64,
    progress: Instant,
    said: bool,
}

impl Patience {
    fn new() -> Self {
        let now = clock::monotonic();
        Patience {
            since: now,
            taken: 0,
            progress: now,
            said: false,
        }
    }

    /// An error once it is no use to wait on: the job is to stop, the producer is broken, the
    /// brokers were away too long, or the time of a delivery is over.
    fn check(&mut self, producer: &BatchProducer) -> Result<(), SinkError> {
        if producer.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        let (taken, away) = {
            let tally = producer.producer.context().tally();
            (tally.taken, tally.away.clone())
        };
        if let Some((code, words)) = producer.fatal() {
            return Err(producer.failed(code, words));
        }
        if taken > self.taken || away.is_none() {
            (self.taken, self.progress) = (taken, clock::monotonic());
        }
        if let Some((fault, reason)) = away {
            if !self.said {
                tracing::debug!(
                    topic = producer.topic,
                    reason,
                    "waiting for the brokers with a batch half sent"
                );
                self.said = true;
            }
            if clock::since(self.progress) > limits::KAFKA_AWAY_TIME {
                return Err(producer.error(fault, reason));
            }
        }
        if clock::since(self.since) > limits::KAFKA_DELIVERY_TIME + limits::CONNECT_TIME {
            return Err(producer.error(
                Fault::Away,
                "a batch was not acknowledged in time".to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_engine::sink::Remedy;

    #[test]
    fn faults_have_remedies() {
        let cases = [
            (Fault::Away, Remedy::Retry, "brokers:1"),
            (Fault::Fenced, Remedy::Retry, "brokers:1"),
            (Fault::Missing, Remedy::Stop, "--create-tables"),
            (Fault::Refused, Remedy::Stop, "why"),
        ];
        for (fault, remedy, part) in cases {
            let error = error("brokers:1", "t", fault, "why".into());
            assert_eq!(error.remedy(), remedy, "{fault:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
