//! Where a job's dead letters go: a topic, or memory for tests.

use super::kafka::{Outbox, error};
use super::{DeadLetters, Delivery, SinkError};
use crate::job::SourcePlan;
use crate::kafka::{self, Fault, KafkaSettings};
use crate::limits;
use crate::record::{BatchNumber, DeadLetter};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, OwnedHeaders};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Headers of a dead letter, all of them text. The job's name.
pub const JOB: &str = "job";
/// The version that refused the record.
pub const VERSION: &str = "version";
/// The stage that refused it.
pub const STAGE: &str = "stage";
/// The record's topic. A group of a keyed stage, which comes from many records, has none of the three.
pub const TOPIC: &str = "topic";
/// Its partition.
pub const PARTITION: &str = "partition";
/// Its offset.
pub const OFFSET: &str = "offset";
/// The record's time, in milliseconds since 1970. The letter's own time is that of its sending: with the record's,
/// retention would delete the letters of an old topic as soon as they are there.
pub const TIME: &str = "time";
/// Why it was refused.
pub const REASON: &str = "reason";
/// The life of the job's ledger; with batch, topic, partition and offset it tells a doubled letter.
pub const INCARNATION: &str = "incarnation";
/// The batch.
pub const BATCH: &str = "batch";
/// Only where key and value are too long for the topic and left out: how many bytes they had.
pub const LEFT_OUT: &str = "left-out";

/// A topic of dead letters. A letter is the record as it was: its key, its value; what befell it, and its time, is in the
/// headers. The topic is created when the first letter comes, if it is not there.
pub struct KafkaDeadLetters {
    settings: KafkaSettings,
    topic: String,
    job: String,
    sources: Vec<String>,
    outbox: Option<Outbox>,
}

impl KafkaDeadLetters {
    /// A job's dead letters; `sources` are its own, in their order. Asks no server.
    pub fn new(settings: &KafkaSettings, topic: &str, job: &str, sources: &[SourcePlan]) -> Self {
        let sources = sources.iter().map(|source| source.place.clone()).collect();
        KafkaDeadLetters {
            settings: settings.clone(),
            topic: topic.to_owned(),
            job: job.to_owned(),
            sources,
            outbox: None,
        }
    }

    fn connect(&self) -> Result<Outbox, SinkError> {
        let words = |(fault, reason)| error(&self.settings.brokers, &self.topic, fault, reason);
        let asker = self.settings.asker(None).map_err(|e| words((kafka::fault(&e), kafka::words(&e))))?;
        match kafka::partitions(&asker, &self.topic) {
            Ok(_) => {}
            Err((Fault::Missing, _)) => {
                let bytes = limits::KAFKA_LETTER_BYTES_MAX.to_string();
                self.settings.create_topic(&self.topic, &[("max.message.bytes", &bytes)]).map_err(words)?;
            }
            Err(fault) => return Err(words(fault)),
        }
        Outbox::new(&self.settings, &self.topic, &[])
    }

    fn headers(&self, delivery: &Delivery<'_>, letter: &DeadLetter) -> OwnedHeaders {
        let mut texts = vec![
            (JOB, self.job.clone()),
            (VERSION, delivery.version.to_string()),
            (STAGE, letter.stage.clone()),
            (TIME, letter.time_ms.to_string()),
            (REASON, letter.reason.clone()),
            (INCARNATION, delivery.incarnation.to_string()),
            (BATCH, delivery.batch.to_string()),
        ];
        if let Some((partition, offset)) = letter.origin {
            let topic = self.sources.get(usize::from(partition.source)).cloned().unwrap_or_default();
            texts.extend([(TOPIC, topic), (PARTITION, partition.id.to_string()), (OFFSET, offset.to_string())]);
        }
        let headers = OwnedHeaders::new_with_capacity(texts.len() + 1);
        texts.iter().fold(headers, |headers, (key, text)| headers.insert(Header { key, value: Some(text.as_str()) }))
    }

    fn send(
        &self,
        outbox: &mut Outbox,
        delivery: &Delivery<'_>,
        letter: &DeadLetter,
        whole: bool,
    ) -> Result<(), SinkError> {
        let mut record = outbox.record();
        let mut headers = self.headers(delivery, letter);
        if whole {
            (record.key, record.payload) = (letter.key.as_deref(), letter.value.as_deref());
        } else {
            let bytes = [&letter.key, &letter.value].map(|part| part.as_ref().map_or(0, Vec::len));
            let text = (bytes[0] + bytes[1]).to_string();
            headers = headers.insert(Header { key: LEFT_OUT, value: Some(&text) });
        }
        record.headers = Some(headers);
        outbox.send_record(record)
    }

    fn send_all(&self, outbox: &mut Outbox, delivery: &Delivery<'_>, letters: &[DeadLetter]) -> Result<(), SinkError> {
        for letter in letters {
            self.send(outbox, delivery, letter, true)?;
        }
        let failures = outbox.settle()?;
        if let Some(failure) = failures.iter().find(|failure| failure.code != Code::MessageSizeTooLarge) {
            return Err(outbox.failed(failure.code, kafka::code_words(failure.code)));
        }
        // A record that its own topic takes and this one does not would stop the job for ever. The headers say where it is.
        for failure in failures {
            self.send(outbox, delivery, &letters[failure.position], false)?;
        }
        outbox.settle_all()
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn deliver(&mut self, delivery: &Delivery<'_>, letters: &[DeadLetter]) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut outbox = match self.outbox.take() {
            Some(outbox) => outbox,
            None => self.connect()?,
        };
        self.send_all(&mut outbox, delivery, letters)?;
        self.outbox = Some(outbox); // after an error it is dropped, and made anew
        Ok(())
    }
}

/// A dead letter that [`MemoryDeadLetters`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLetter {
    /// The life of the ledger in which it was sent.
    pub incarnation: u64,
    /// Its batch.
    pub batch: BatchNumber,
    /// The version that refused the record.
    pub version: u64,
    /// The letter.
    pub letter: DeadLetter,
}

#[derive(Debug, Default)]
struct Held {
    letters: Vec<HeldLetter>,
    failures: usize,
    lands: bool,
}

/// Dead letters in memory, for the host's own tests; a clone holds the same letters.
#[derive(Clone, Debug, Default)]
pub struct MemoryDeadLetters(Arc<Mutex<Held>>);

impl MemoryDeadLetters {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was delivered, in order.
    pub fn letters(&self) -> Vec<HeldLetter> {
        self.held().letters.clone()
    }

    /// The next `times` deliveries fail as [`SinkError::Away`]; with `lands` their letters are there all the same.
    pub fn fail(&self, times: usize, lands: bool) {
        let mut held = self.held();
        (held.failures, held.lands) = (times, lands);
    }
}

impl DeadLetters for MemoryDeadLetters {
    fn deliver(&mut self, delivery: &Delivery<'_>, letters: &[DeadLetter]) -> Result<(), SinkError> {
        let mut held = self.held();
        let fails = held.failures > 0;
        held.failures = held.failures.saturating_sub(1);
        if !fails || held.lands {
            let (incarnation, batch, version) = (delivery.incarnation, delivery.batch, delivery.version);
            let letter = |letter: &DeadLetter| HeldLetter { incarnation, batch, version, letter: letter.clone() };
            held.letters.extend(letters.iter().map(letter));
        }
        if fails {
            let (address, reason) = ("this process".to_owned(), "the test says so".to_owned());
            return Err(SinkError::Away { server: "memory", address, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Partition, Spans};
    use rdkafka::message::Headers;

    fn letter() -> DeadLetter {
        DeadLetter {
            origin: Some((Partition { source: 1, id: 3 }, 42)),
            stage: "clicks".into(),
            reason: "no comma".into(),
            time_ms: 7,
            key: None,
            value: Some(b"raw".to_vec()),
        }
    }

    fn delivery(spans: &Spans) -> Delivery<'_> {
        Delivery { incarnation: 2, batch: 9, time_ms: 0, digest: "", spans, version: 5 }
    }

    #[test]
    fn headers_say_what_befell_the_record() {
        let source = |place: &str| SourcePlan {
            kind: crate::job::SourceKind::Kafka,
            name: place.to_owned(),
            place: place.to_owned(),
            ..SourcePlan::default()
        };
        let letters =
            KafkaDeadLetters::new(&KafkaSettings::default(), "job.dead-letters", "job", &[source("a"), source("b")]);
        let spans = Spans::new();
        let headers = letters.headers(&delivery(&spans), &letter());
        let read: Vec<(&str, &str)> =
            headers.iter().map(|h| (h.key, std::str::from_utf8(h.value.unwrap()).unwrap())).collect();
        let expected = [
            ("job", "job"),
            ("version", "5"),
            ("stage", "clicks"),
            ("time", "7"),
            ("reason", "no comma"),
            ("incarnation", "2"),
            ("batch", "9"),
            ("topic", "b"),
            ("partition", "3"),
            ("offset", "42"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn letters_in_memory_are_there_even_after_a_failure_that_is_told_so() {
        let mut letters = MemoryDeadLetters::default();
        let spans = Spans::new();
        letters.fail(1, true);
        assert!(letters.deliver(&delivery(&spans), &[letter()]).is_err());
        letters.deliver(&delivery(&spans), &[letter()]).unwrap();
        letters.fail(1, false);
        assert!(letters.deliver(&delivery(&spans), &[letter()]).is_err());
        assert_eq!(letters.letters().len(), 2);
        assert_eq!(letters.letters()[0].batch, 9);
    }
}
