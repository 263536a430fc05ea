//! Writes a log: in transactions that fence, or plainly.

use super::{LogError, parts};
use crate::kafka::sink::{BatchProducer, Broken, SLICE, until_clear};
use crate::kafka::{self, Fault, KafkaSettings};
use rdkafka::producer::Producer as _;
use std::sync::{Mutex, PoisonError};
use streamhost_core::state::{JournalEntry, JournalOffset};
use streamhost_core::{clock, limits};
use streamhost_engine::sink::CancelSignal;

/// The one that writes a log. It is for one thread at a time.
pub struct LogWriter {
    producer: BatchProducer,
    topic: String,
    cancel: CancelSignal,
    /// A write failed, and whether it is there is not known: the log has to be taken over anew, and
    /// read.
    ended: bool,
    stamp: u64,
}

impl LogWriter {
    /// Takes the log over: from here on no other writer of this id succeeds, and what one had begun
    /// is undone.
    pub fn open(
        settings: &KafkaSettings,
        topic: &str,
        id: &str,
        cancel: &CancelSignal,
    ) -> Result<Self, LogError> {
        let producer = BatchProducer::new(settings, topic, Some(id), cancel);
        let producer = producer.map_err(LogError::of_sink)?;
        let init = || producer.producer().init_transactions(SLICE);
        if let Err(broken) = until_clear(cancel, limits::KAFKA_FENCE_TIME, init) {
            return Err(of_broken(topic, &producer, broken));
        }
        Ok(LogWriter {
            producer,
            topic: topic.to_owned(),
            cancel: cancel.clone(),
            ended: false,
            // Later writers have greater ones, if clocks are not set back by years.
            stamp: u64::try_from(clock::now_ms()).unwrap_or(0) << 20,
        })
    }

    /// One transaction, durable at return. After an error it is not known whether it is there, and
    /// this writer is of no more use.
    pub fn write(&mut self, entries: &[JournalEntry]) -> Result<(), LogError> {
        if self.ended {
            return Err(LogError::Fenced);
        }
        let written = self.begin(entries).and_then(|()| self.commit());
        self.ended = written.is_err();
        written
    }

    fn begin(&mut self, entries: &[JournalEntry]) -> Result<(), LogError> {
        let begun = self.producer.producer().begin_transaction();
        begun.map_err(|e| of_broken(&self.topic, &self.producer, Broken::Client(e)))?;
        for entry in entries {
            self.stamp += 1;
            let value = entry.value.as_deref();
            let parts = parts::split(&entry.key, value, entry.before_bytes, self.stamp);
            let too_long =
                || LogError::Refused(format!("topic `{}`: a value is too long", self.topic));
            for part in parts.ok_or_else(too_long)? {
                let sent = self.producer.send(Some(&part.key), part.value.as_deref());
                sent.map_err(|e| of_sink(&self.producer, e))?;
            }
        }
        // Committing waits in steps of 100 ms where messages are under way.
        let settled = self.producer.settle_all();
        settled.map_err(|e| of_sink(&self.producer, e))
    }

    /// The brokers hold an unclear outcome, and the same call finishes it.
    fn commit(&mut self) -> Result<(), LogError> {
        let commit = || self.producer.producer().commit_transaction(SLICE);
        let done = until_clear(&self.cancel, limits::KAFKA_DELIVERY_TIME, commit);
        done.map_err(|broken| of_broken(&self.topic, &self.producer, broken))
    }

    /// The offset behind what was written last.
    pub fn end(&self) -> JournalOffset {
        self.producer.next_offset()
    }
}

fn of_sink(producer: &BatchProducer, error: streamhost_engine::sink::SinkError) -> LogError {
    match producer.is_fenced() {
        true => LogError::Fenced,
        false => LogError::of_sink(error),
    }
}

fn of_broken(topic: &str, producer: &BatchProducer, broken: Broken) -> LogError {
    match broken {
        _ if producer.is_fenced() => LogError::Fenced,
        Broken::Sink(error) => LogError::of_sink(error),
        Broken::Client(error) => {
            let fault = match kafka::fault(&error) {
                // The topic is made before it is written.
                Fault::Missing => Fault::Away,
                other => other,
            };
            LogError::of(topic, (fault, kafka::words(&error)))
        }
    }
}

/// Writes single entries to a log that many write, each its own keys.
pub struct PlainLog {
    settings: KafkaSettings,
    topic: String,
    cancel: CancelSignal,
    producer: Mutex<Option<BatchProducer>>,
}

impl PlainLog {
    /// Connects at the first write.
    pub fn new(settings: &KafkaSettings, topic: &str, cancel: &CancelSignal) -> Self {
        PlainLog {
            settings: settings.clone(),
            topic: topic.to_owned(),
            cancel: cancel.clone(),
            producer: Mutex::default(),
        }
    }

    /// Durable at return. A value is of one part.
    pub fn write(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), LogError> {
        let mut slot = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match slot.take() {
            Some(producer) => Ok(producer),
            None => BatchProducer::new(&self.settings, &self.topic, None, &self.cancel),
        };
        let mut producer = made.map_err(LogError::of_sink)?;
        let stamp = u64::try_from(clock::now_ms()).unwrap_or(0);
        for part in parts::split(key, value, 0, stamp).unwrap_or_default() {
            let sent = producer.send(Some(&part.key), part.value.as_deref());
            sent.map_err(LogError::of_sink)?;
        }
        producer.settle_all().map_err(LogError::of_sink)?;
        *slot = Some(producer); // one that failed is not used again
        Ok(())
    }
}
