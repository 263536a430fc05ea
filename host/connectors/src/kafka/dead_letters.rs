//! The topic where a job's dead letters go.

use super::sink::{BatchProducer, Failure, error, own_headers};
use crate::kafka::{self, Fault, KafkaSettings};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, OwnedHeaders};
use streamhost_core::job::JobSpec;
use streamhost_core::limits;
use streamhost_core::types::{DeadLetter, borrowed};
use streamhost_engine::sink::{CancelSignal, DeadLetters, Delivery, SinkError};

/// Headers of a dead letter, all of them text, behind those that its record had. The job's name,
/// the first of them.
pub(crate) const JOB: &str = "job";
/// The version that refused the record.
pub(crate) const VERSION: &str = "version";
/// The stage that refused it.
pub(crate) const STAGE: &str = "stage";
/// The record's topic. A group of a keyed stage, which comes from many records, has none of the
/// three.
pub(crate) const TOPIC: &str = "topic";
/// Its partition.
pub(crate) const PARTITION: &str = "partition";
/// Its offset.
pub(crate) const OFFSET: &str = "offset";
/// The record's time, in milliseconds since 1970. The letter's own time is that of its sending:
/// with the record's, retention would delete the letters of an old topic as soon as they are there.
pub(crate) const TIME: &str = "time";
/// Why it was refused.
pub(crate) const REASON: &str = "reason";
/// The life of the job's checkpoint; with batch, topic, partition and offset it tells a doubled
/// letter.
pub(crate) const EPOCH: &str = "incarnation";
/// The batch.
pub(crate) const BATCH: &str = "batch";
/// Only where key and value are too long for the topic and left out: how many bytes they had.
pub(crate) const LEFT_OUT: &str = "left-out";

/// A topic of dead letters. A letter is the record as it was: its key, its value, its headers; what
/// befell it, and its time, is in headers behind those. The topic is created when the first letter comes, if it is not
/// there.
pub struct KafkaDeadLetters {
    settings: KafkaSettings,
    topic: String,
    job: String,
    sources: Vec<String>,
    cancel: CancelSignal,
    producer: Option<BatchProducer>,
}

impl KafkaDeadLetters {
    /// A job's dead letters. Asks no server, and waits for none once `cut` says that it is over.
    pub fn new(
        settings: &KafkaSettings,
        topic: &str,
        job: &JobSpec,
        cancel: &CancelSignal,
    ) -> Self {
        KafkaDeadLetters {
            settings: settings.clone(),
            topic: topic.to_owned(),
            job: job.name.clone(),
            sources: job
                .sources
                .iter()
                .map(|source| source.target.clone())
                .collect(),
            cancel: cancel.clone(),
            producer: None,
        }
    }

    fn connect(&self) -> Result<BatchProducer, SinkError> {
        if self.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        // One that is missing, even now, is created at the next try.
        let lasting = |fault| {
            if fault == Fault::Missing {
                Fault::Away
            } else {
                fault
            }
        };
        let words =
            |(fault, reason)| error(&self.settings.brokers, &self.topic, lasting(fault), reason);
        let asker = self
            .settings
            .asker(None)
            .map_err(|e| words((kafka::fault(&e), kafka::words(&e))))?;
        match kafka::partitions(&asker, &self.topic) {
            Ok(_) => {}
            Err((Fault::Missing, _)) => {
                let bytes = limits::KAFKA_LETTER_BYTES_MAX.to_string();
                self.settings
                    .create_topic(&self.topic, &[("max.message.bytes", &bytes)])
                    .map_err(words)?;
            }
            Err(fault) => return Err(words(fault)),
        }
        BatchProducer::new(&self.settings, &self.topic, None, &self.cancel)
    }

    fn headers(&self, delivery: &Delivery<'_>, letter: &DeadLetter) -> OwnedHeaders {
        let mut texts = vec![
            (JOB, self.job.clone()),
            (VERSION, delivery.version.to_string()),
            (STAGE, letter.stage.clone()),
            (TIME, letter.time_ms.to_string()),
            (REASON, letter.reason.clone()),
            (EPOCH, delivery.epoch.to_string()),
            (BATCH, delivery.batch.to_string()),
        ];
        if let Some((partition, offset)) = letter.origin {
            let topic = self
                .sources
                .get(usize::from(partition.source))
                .cloned()
                .unwrap_or_default();
            texts.extend([
                (TOPIC, topic),
                (PARTITION, partition.id.to_string()),
                (OFFSET, offset.to_string()),
            ]);
        }
        // The record's own come first: what is behind the last `job` is the host's.
        let own = own_headers(borrowed(&letter.headers).into_iter());
        let headers = own.unwrap_or_else(|| OwnedHeaders::new_with_capacity(texts.len() + 1));
        texts.iter().fold(headers, |headers, (key, text)| {
            headers.insert(Header {
                key,
                value: Some(text.as_str()),
            })
        })
    }

    fn send(
        &self,
        producer: &mut BatchProducer,
        delivery: &Delivery<'_>,
        letter: &DeadLetter,
        whole: bool,
    ) -> Result<(), SinkError> {
        let mut record = producer.record();
        let mut headers = self.headers(delivery, letter);
        if whole {
            (record.key, record.payload) = (letter.key.as_deref(), letter.value.as_deref());
        } else {
            let bytes = [&letter.key, &letter.value].map(|part| part.as_ref().map_or(0, Vec::len));
            let text = (bytes[0] + bytes[1]).to_string();
            headers = headers.insert(Header {
                key: LEFT_OUT,
                value: Some(&text),
            });
        }
        record.headers = Some(headers);
        producer.send_record(record)
    }

    fn send_all(
        &self,
        producer: &mut BatchProducer,
        delivery: &Delivery<'_>,
        letters: &[DeadLetter],
    ) -> Result<(), SinkError> {
        for letter in letters {
            self.send(producer, delivery, letter, true)?;
        }
        // A batch that is too long for the topic fails with all its letters, so each is tried by
        // itself before it is left out.
        for failure in settle(producer)? {
            let letter = &letters[failure.position];
            self.send(producer, delivery, letter, true)?;
            // A record that its own topic takes and this one does not would stop the job for ever.
            // The headers say where it is.
            if !settle(producer)?.is_empty() {
                self.send(producer, delivery, letter, false)?;
                producer.settle_all()?;
            }
        }
        Ok(())
    }
}

/// Waits for what was sent: those that the topic found too long. Any other failure is an error.
fn settle(producer: &mut BatchProducer) -> Result<Vec<Failure>, SinkError> {
    let failures = producer.settle()?;
    match failures
        .iter()
        .find(|failure| failure.code != Code::MessageSizeTooLarge)
    {
        // The next try makes it anew.
        Some(failure) if kafka::classify(failure.code) == Fault::Missing => {
            Err(producer.away("its topic is gone"))
        }
        Some(failure) => Err(producer.failed(failure.code, kafka::code_words(failure.code))),
        None => Ok(failures),
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        letters: &[DeadLetter],
    ) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.connect()?,
        };
        self.send_all(&mut producer, delivery, letters)?;
        self.producer = Some(producer); // after an error it is dropped, and made anew
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::Headers;
    use streamhost_core::job::SourceSpec;
    use streamhost_core::types::{Partition, Spans};

    fn letter() -> DeadLetter {
        DeadLetter {
            origin: Some((Partition { source: 1, id: 3 }, 42)),
            stage: "clicks".into(),
            reason: "no comma".into(),
            time_ms: 7,
            key: None,
            value: Some(b"raw".to_vec()),
            headers: Vec::new(),
        }
    }

    fn delivery(spans: &Spans) -> Delivery<'_> {
        Delivery {
            epoch: 2,
            batch: 9,
            time_ms: 0,
            digest: "",
            spans,
            version: 5,
        }
    }

    #[test]
    fn headers_say_what_befell_the_record() {
        let source = |place: &str| SourceSpec {
            target: place.to_owned(),
            ..SourceSpec::default()
        };
        let job = JobSpec {
            name: "job".to_owned(),
            every: std::time::Duration::ZERO,
            sources: vec![source("a"), source("b")],
            stages: Vec::new(),
            sinks: Vec::new(),
        };
        let letters = KafkaDeadLetters::new(
            &KafkaSettings::default(),
            "job.dead-letters",
            &job,
            &CancelSignal::default(),
        );
        let spans = Spans::new();
        let headers = letters.headers(&delivery(&spans), &letter());
        let read: Vec<(&str, &str)> = headers
            .iter()
            .map(|h| (h.key, std::str::from_utf8(h.value.unwrap()).unwrap()))
            .collect();
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
}
