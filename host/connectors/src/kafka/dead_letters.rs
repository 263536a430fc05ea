//! The topic where a job's dead letters go.

use super::letter_cut::{Cut, KEYLESS};
use super::sink::{BatchProducer, Failure, Transactions, content_words, error, own_headers};
use crate::halves::{Failed, refused_alone};
use crate::kafka::{self, Fault, KafkaSettings, TopicConfig};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, OwnedHeaders};
use std::collections::BTreeMap;
use streamhost_core::job::JobSpec;
use streamhost_core::limits;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{DeadLetter, Guarantee, borrowed};
use streamhost_engine::sink::{CancelSignal, DeadLetters, Delivery, SinkError};

/// Headers of a dead letter, all of them text, behind those that its record had. The job's name,
/// the first of them.
pub(crate) const JOB: &str = "job";
/// The version that refused the record.
pub(crate) const VERSION: &str = "version";
/// The stage that refused it.
pub(crate) const STAGE: &str = "stage";
/// The sink whose server refused a row of the record for what is in it; else there is none.
pub(crate) const SINK: &str = "sink";
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
///
/// The letters of a batch are one transaction, with a marker of the batch in it, so that each is
/// there once. Where the brokers give no transaction they are sent as plain records.
pub struct KafkaDeadLetters {
    settings: KafkaSettings,
    topic: String,
    job: String,
    sources: Vec<String>,
    cancel: CancelSignal,
    way: Way,
}

/// How letters are sent.
enum Way {
    /// In transactions with a marker.
    Marked(Box<Transactions>),
    /// As plain records. None: not open.
    Plain(Option<BatchProducer>),
}

/// What letters are, and what of each is left out, by its position.
struct Letters<'a> {
    sources: &'a [String],
    job: &'a str,
    delivery: &'a Delivery<'a>,
    letters: &'a [DeadLetter],
    cuts: BTreeMap<usize, Cut>,
}

impl KafkaDeadLetters {
    /// A job's dead letters, whose transactional id is that of `owner`, such as `streamhost.JOB`.
    /// Asks no server, and waits for none once `cut` says that it is over.
    pub fn new(
        settings: &KafkaSettings,
        topic: &str,
        job: &JobSpec,
        owner: &str,
        cancel: &CancelSignal,
    ) -> Self {
        // No sink's name has a colon, so that the id is no sink's. The marker lies at the topic's
        // own first partition: letters may come of any source.
        let sources = vec![None; job.sources.len()];
        let id = format!("{owner}:dead-letters");
        let transactions = Transactions::new(settings, topic, sources, id, cancel);
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
            way: Way::Marked(Box::new(transactions.made_where_missing())),
        }
    }

    fn error(&self, fault: Fault, reason: String) -> SinkError {
        // One that is missing, even now, is created at the next try.
        let fault = match fault {
            Fault::Missing => Fault::Away,
            other => other,
        };
        error(&self.settings.brokers, &self.topic, fault, reason)
    }

    /// Creates the topic if it is not there.
    fn make_topic(&self) -> Result<(), SinkError> {
        let asker = self
            .settings
            .asker(None)
            .map_err(|e| self.error(kafka::fault(&e), kafka::words(&e)))?;
        match kafka::partitions(&asker, &self.topic) {
            Ok(_) => Ok(()),
            Err((Fault::Missing, _)) => {
                let bytes = limits::KAFKA_LETTER_BYTES_MAX.to_string();
                let made = self
                    .settings
                    .create_topic(&self.topic, &[("max.message.bytes", &bytes)]);
                made.map_err(|(fault, reason)| self.error(fault, reason))
            }
            Err((fault, reason)) => Err(self.error(fault, reason)),
        }
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        if self.cancel.is_cancelled() {
            return Err(SinkError::Cancelled);
        }
        self.make_topic()?;
        if let Way::Marked(transactions) = &mut self.way {
            let error = match transactions.open() {
                Ok(marker) => return Ok(marker),
                Err(error) => error,
            };
            let Some(reason) = transactions.unable() else {
                return Err(error);
            };
            tracing::warn!(
                job = self.job,
                topic = self.topic,
                reason,
                "dead letters are sent without transactions"
            );
        }
        let producer = BatchProducer::new(&self.settings, &self.topic, None, &self.cancel)?;
        self.way = Way::Plain(Some(producer.where_missing(Fault::Away)));
        Ok(None)
    }

    fn guarantee(&self) -> Guarantee {
        match self.way {
            Way::Marked(_) => Guarantee::Marked,
            Way::Plain(_) => Guarantee::AtLeastOnce,
        }
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        letters: &[DeadLetter],
    ) -> Result<(), SinkError> {
        // It is compared by number alone, and so has no digest of what may differ the next time.
        let digest = "letters";
        let delivery = &Delivery {
            digest,
            ..delivery.clone()
        };
        let mut all = Letters {
            sources: &self.sources,
            job: &self.job,
            delivery,
            letters,
            cuts: BTreeMap::new(),
        };
        let refused = match &mut self.way {
            Way::Marked(transactions) => all.send_marked(transactions)?,
            Way::Plain(open) => {
                let mut producer = open
                    .take()
                    .expect("the pipeline opens it before it delivers, and after a failure");
                let refused = all.send_plainly(&mut producer)?;
                *open = Some(producer);
                refused
            }
        };
        match refused {
            None => Ok(()),
            // The least that says what befell a record: its topic is not fit for letters.
            Some(code) => {
                let words = content_words(code);
                Err(self.error(
                    Fault::Refused,
                    format!("a dead letter, though all of its record was left out: {words}"),
                ))
            }
        }
    }
}

impl Letters<'_> {
    /// All in one transaction. `Ok` with a failure: the topic does not take the least of a letter.
    fn send_marked(&mut self, transactions: &mut Transactions) -> Result<Option<Code>, SinkError> {
        self.cut_by(transactions.takes());
        let all: Vec<usize> = (0..self.letters.len()).collect();
        loop {
            let send = |producer: &mut BatchProducer| self.send(producer, &all);
            let failed = transactions.deliver(self.delivery, send)?;
            if failed.is_empty() {
                return Ok(None);
            }
            let alone = refused_alone(&positions(&failed), self.letters.len(), |some| {
                let send = |producer: &mut BatchProducer| self.send(producer, some);
                transactions.trial(send).map(|failed| placed(failed, some))
            })?;
            if alone.is_empty() {
                transactions.send_less_at_once()?;
            }
            if let Some(code) = self.cut_more(&alone) {
                return Ok(Some(code));
            }
        }
    }

    /// Each by itself: what the topic takes is there, and is not sent again.
    fn send_plainly(&mut self, producer: &mut BatchProducer) -> Result<Option<Code>, SinkError> {
        self.cut_by(producer.takes());
        let mut rest: Vec<usize> = (0..self.letters.len()).collect();
        while !rest.is_empty() {
            let mut send = |some: &[usize]| {
                self.send(producer, some)?;
                let failed = producer.settle_by_content();
                failed.map(|failed| placed(failed, some))
            };
            let failed: Vec<usize> = send(&rest)?.into_iter().map(|(at, _)| at).collect();
            let alone = refused_alone(&failed, self.letters.len(), send)?;
            if let Some(code) = self.cut_more(&alone) {
                return Ok(Some(code));
            }
            rest = alone.iter().map(|(at, _)| *at).collect();
        }
        Ok(None)
    }

    /// Leaves out what the topic is known not to take.
    fn cut_by(&mut self, takes: TopicConfig) {
        if takes.compacted {
            let keyless = self.letters.iter().enumerate();
            let keyless = keyless.filter(|(_, letter)| letter.key.is_none());
            self.cuts.extend(keyless.map(|(at, _)| (at, Cut::keyed())));
        }
    }

    /// Leaves more of these letters out. Gives why one is refused of which nothing more can be.
    fn cut_more(&mut self, refused: &[(usize, Code)]) -> Option<Code> {
        for &(at, code) in refused {
            let cut = self.cuts.entry(at).or_default();
            match cut.more(code, &self.letters[at]) {
                Some(more) => *cut = more,
                None => return Some(code),
            }
        }
        None
    }

    fn send(&self, producer: &mut BatchProducer, some: &[usize]) -> Result<(), SinkError> {
        for &at in some {
            let (letter, cut) = (
                &self.letters[at],
                self.cuts.get(&at).copied().unwrap_or_default(),
            );
            let own_key = cut.key(letter);
            let stand_in = (cut.keyed && own_key.is_none()).then(|| self.place(at));
            let mut record = producer.record();
            record.key = own_key.or(stand_in.as_deref().map(str::as_bytes));
            record.payload = cut.value(letter);
            record.headers = Some(self.headers(letter, cut, stand_in.is_some()));
            producer.send_record(record)?;
        }
        Ok(())
    }

    /// What tells a letter from all others, for a topic that takes none without a key.
    fn place(&self, at: usize) -> String {
        let Delivery { epoch, batch, .. } = self.delivery;
        format!("{epoch}/{batch}/{at}")
    }

    fn headers(&self, letter: &DeadLetter, cut: Cut, keyless: bool) -> OwnedHeaders {
        let delivery = self.delivery;
        let mut texts = vec![
            (JOB, self.job.to_owned()),
            (
                VERSION,
                letter.version.unwrap_or(delivery.version).to_string(),
            ),
            (STAGE, letter.stage.clone()),
            (TIME, letter.time_ms.to_string()),
            (REASON, cut.reason(letter)),
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
        if let Some(sink) = &letter.sink {
            texts.push((SINK, sink.clone()));
        }
        if cut.record {
            texts.push((LEFT_OUT, Cut::bytes_of(letter).to_string()));
        }
        if keyless {
            texts.push((KEYLESS, "true".to_owned()));
        }
        // The record's own come first: what is behind the last `job` is the host's.
        let own = match cut.bare {
            true => None,
            false => own_headers(borrowed(&letter.headers).into_iter()),
        };
        let headers = own.unwrap_or_else(|| OwnedHeaders::new_with_capacity(texts.len()));
        texts.iter().fold(headers, |headers, (key, text)| {
            headers.insert(Header {
                key,
                value: Some(text.as_str()),
            })
        })
    }
}

/// Failures of some letters that were sent, by their places among all.
fn placed(failed: Vec<Failure>, some: &[usize]) -> Failed<Code> {
    let placed = |failure: Failure| (some[failure.position], failure.code);
    failed.into_iter().map(placed).collect()
}

fn positions(failed: &[Failure]) -> Vec<usize> {
    failed.iter().map(|failure| failure.position).collect()
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
            sink: None,
            reason: "no comma".into(),
            time_ms: 7,
            key: None,
            value: Some(b"raw".to_vec()),
            headers: Vec::new(),
            version: None,
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
            parameters: Vec::new(),
            metrics: Vec::new(),
            name: "job".to_owned(),
            every: std::time::Duration::ZERO,
            sources: vec![source("a"), source("b")],
            stages: Vec::new(),
            sinks: Vec::new(),
        };
        let sources: Vec<String> = job.sources.iter().map(|s| s.target.clone()).collect();
        let spans = Spans::new();
        let letters = Letters {
            sources: &sources,
            job: &job.name,
            delivery: &delivery(&spans),
            letters: &[],
            cuts: BTreeMap::new(),
        };
        let headers = letters.headers(&letter(), Cut::default(), false);
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
