//! Reads dead letters back from their topic, the newest first.

use super::dead_letters::{JOB, TOPIC};
use super::letter_cut::KEYLESS;
use super::{Fault, KafkaSettings, Quiet, fault, is_of_group, partitions, words};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streamhost_core::types::{Offset, OwnedHeader, OwnedHeaders};
use streamhost_core::{clock, limits};

/// A dead letter as it lies in its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its partition of the topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
    /// When it was sent, in milliseconds since 1970.
    pub at_ms: i64,
    /// The record's key, if it had one.
    pub key: Option<Vec<u8>>,
    /// The record's value, if it had one.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order: the record's own, and behind them what the host says of it.
    pub headers: OwnedHeaders,
}

impl StoredLetter {
    /// A header of the host's as text; none where there is no such header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, own) = self.parts();
        let (_, value) = own.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The headers that the record had.
    pub fn record_headers(&self) -> &[OwnedHeader] {
        self.parts().0
    }

    /// The record's headers, and the host's.
    fn parts(&self) -> (&[OwnedHeader], &[OwnedHeader]) {
        let first = self.headers.iter().rposition(|(name, _)| name == JOB);
        self.headers.split_at(first.unwrap_or(0))
    }

    /// Bytes of its key and value.
    fn bytes(&self) -> usize {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value)
    }

    /// The topic, partition and offset of its record; none of a group of a keyed stage.
    pub fn origin(&self) -> Option<(&str, i32, Offset)> {
        let number = |name| self.header(name)?.parse::<i64>().ok();
        let partition = i32::try_from(number(super::dead_letters::PARTITION)?).ok()?;
        Some((
            self.header(TOPIC)?,
            partition,
            number(super::dead_letters::OFFSET)?,
        ))
    }
}

/// Why letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// The brokers do not answer.
    #[error("Kafka at {brokers} is away: {reason}")]
    Away {
        /// Their addresses.
        brokers: String,
        /// What the client said.
        reason: String,
    },
    /// The brokers do not let the host in.
    #[error("Kafka at {brokers} does not let the host in: {reason}")]
    Denied {
        /// Their addresses.
        brokers: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The topic cannot be read.
    #[error("the dead letters in topic `{topic}` cannot be read: {reason}")]
    Refused {
        /// Its name.
        topic: String,
        /// What the client said.
        reason: String,
    },
}

/// Positions in a topic of dead letters: of each partition the letters below this offset.
pub type LetterPositions = BTreeMap<i32, Offset>;

/// Letters that were read, and what is left below them.
#[derive(Debug, Default)]
pub struct ReadLetters {
    /// The newest first.
    pub letters: Vec<StoredLetter>,
    /// Of each partition where the oldest letter of it was read that could be; nothing below it was
    /// looked at.
    pub down_to: LetterPositions,
    /// Of each partition its first offset.
    pub first: LetterPositions,
}

/// Reads the newest letters of a topic below these positions, or from its end; so many at most, and
/// for no longer than [`limits::LETTERS_READ_TIME`]. A topic that is not there has none.
pub fn read_letters(
    settings: &KafkaSettings,
    topic: &str,
    below: &LetterPositions,
    most: usize,
) -> Result<ReadLetters, LettersError> {
    let until = clock::monotonic() + limits::LETTERS_READ_TIME;
    let said = |error: KafkaError| refused(settings, topic, fault(&error), words(&error));
    // A consumer must have a group, though nothing is said to it.
    let consumer = settings.consumer("streamhost-letters").map_err(said)?;
    let count = match partitions(&consumer, topic) {
        Ok(count) => count,
        Err((Fault::Missing, _)) => return Ok(ReadLetters::default()),
        Err((fault, reason)) => return Err(refused(settings, topic, fault, reason)),
    };
    let share = i64::try_from(most / usize::try_from(count).unwrap_or(1).max(1)).unwrap_or(1);
    let mut read = ReadLetters::default();
    let (mut ends, mut assigned) = (LetterPositions::new(), TopicPartitionList::new());
    for id in 0..count {
        let (low, high) = consumer
            .fetch_watermarks(topic, id, limits::CONNECT_TIME)
            .map_err(said)?;
        let end = below.get(&id).map_or(high, |below| high.min(*below));
        let from = (end - share.max(1)).max(low);
        read.first.insert(id, low);
        read.down_to.insert(id, from.min(end.max(low)));
        if from < end {
            let at = ClientOffset::Offset(from);
            assigned.add_partition_offset(topic, id, at).map_err(said)?;
            ends.insert(id, end);
        }
    }
    if !ends.is_empty() {
        consumer.assign(&assigned).map_err(said)?;
        let mut give = |letter| read.letters.push(letter);
        take(&consumer, &mut ends, until, &mut give).map_err(said)?;
    }
    let newest = |a: &StoredLetter, b: &StoredLetter| {
        (b.at_ms, b.partition, b.offset).cmp(&(a.at_ms, a.partition, a.offset))
    };
    read.letters.sort_by(newest);
    Ok(read)
}

/// Reads one letter; none where there is none at this place.
pub fn read_letter(
    settings: &KafkaSettings,
    topic: &str,
    partition: i32,
    offset: Offset,
) -> Result<Option<StoredLetter>, LettersError> {
    let read = read_letters_at(settings, topic, &[(partition, offset)])?;
    Ok(read.letters.into_iter().next())
}

/// Letters that were read at given places.
#[derive(Debug, Default)]
pub struct LettersAt {
    /// Those that are there, by partition and offset.
    pub letters: Vec<StoredLetter>,
    /// How many of the places were looked at, in order of partition and offset: those behind them
    /// would be too many bytes.
    pub looked: usize,
}

/// Reads letters at these places, which stand in order of partition and offset.
pub fn read_letters_at(
    settings: &KafkaSettings,
    topic: &str,
    places: &[(i32, Offset)],
) -> Result<LettersAt, LettersError> {
    let until = clock::monotonic() + limits::LETTERS_READ_TIME;
    let said = |error: KafkaError| refused(settings, topic, fault(&error), words(&error));
    let consumer = settings.consumer("streamhost-letters").map_err(said)?;
    let mut read = LettersAt::default();
    let count = match partitions(&consumer, topic) {
        Ok(count) => count,
        Err((Fault::Missing, _)) => 0,
        Err((fault, reason)) => return Err(refused(settings, topic, fault, reason)),
    };
    let mut ranges = BTreeMap::new();
    for stretch in places.chunk_by(is_near) {
        let partition = stretch[0].0;
        if !(0..count).contains(&partition) {
            read.looked += stretch.len();
            continue;
        }
        let range = match ranges.get(&partition) {
            Some(range) => *range,
            None => consumer
                .fetch_watermarks(topic, partition, limits::CONNECT_TIME)
                .map_err(said)?,
        };
        ranges.insert(partition, range);
        let is_all = read
            .stretch(&consumer, topic, stretch, range, until)
            .map_err(said)?;
        match is_all {
            Stretch::Whole => {}
            Stretch::Full => break,
            Stretch::Silent => {
                let reason = format!("it gave no letter within {:?}", limits::LETTERS_READ_TIME);
                return Err(refused(settings, topic, Fault::Away, reason));
            }
        }
    }
    Ok(read)
}

/// How the reading of a stretch of letters ended.
enum Stretch {
    /// All of it was looked at.
    Whole,
    /// There are as many bytes as there may be.
    Full,
    /// The time was over.
    Silent,
}

impl LettersAt {
    /// Reads letters that stand near each other.
    fn stretch(
        &mut self,
        consumer: &BaseConsumer<Quiet>,
        topic: &str,
        places: &[(i32, Offset)],
        (low, high): (Offset, Offset),
        until: Instant,
    ) -> Result<Stretch, KafkaError> {
        let (partition, first, last) = (places[0].0, places[0].1, places[places.len() - 1].1);
        let (from, end) = (first.max(low), (last + 1).min(high));
        let mut left_out = None;
        if from < end {
            let mut assigned = TopicPartitionList::new();
            assigned.add_partition_offset(topic, partition, ClientOffset::Offset(from))?;
            consumer.assign(&assigned)?;
            let mut ends = [(partition, end)].into();
            let mut bytes: usize = self.letters.iter().map(StoredLetter::bytes).sum();
            let mut give = |letter: StoredLetter| {
                let is_wanted = places.binary_search(&(partition, letter.offset)).is_ok();
                if is_wanted && left_out.is_none() && bytes < limits::LETTERS_PORTION_BYTES_MAX {
                    bytes += letter.bytes();
                    self.letters.push(letter);
                } else if is_wanted {
                    left_out.get_or_insert(letter.offset);
                }
            };
            take(consumer, &mut ends, until, &mut give)?;
            if !ends.is_empty() {
                return Ok(Stretch::Silent);
            }
        }
        let is_looked_at = |(_, offset): &(i32, Offset)| left_out.is_none_or(|out| *offset < out);
        self.looked += places.partition_point(is_looked_at);
        Ok(match left_out {
            None => Stretch::Whole,
            Some(_) => Stretch::Full,
        })
    }
}

/// Whether a letter is read on to from another one: else it is sought.
fn is_near(one: &(i32, Offset), next: &(i32, Offset)) -> bool {
    one.0 == next.0 && next.1 - one.1 <= limits::LETTERS_GAP_MAX
}

/// Takes what comes until each partition is at its end, or the time is over.
fn take(
    consumer: &BaseConsumer<Quiet>,
    ends: &mut LetterPositions,
    until: Instant,
    give: &mut dyn FnMut(StoredLetter),
) -> Result<(), KafkaError> {
    while !ends.is_empty() && clock::monotonic() < until {
        let message = match consumer.poll(Duration::from_millis(50)) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(id))) => {
                ends.remove(&id); // what was before its end is not there any more
                continue;
            }
            Some(Err(error)) if is_of_group(&error) => continue,
            Some(message) => message?,
        };
        let (id, offset) = (message.partition(), message.offset());
        let Some(&end) = ends.get(&id) else { continue };
        if offset < end {
            give(stored(&message));
        }
        if offset + 1 >= end {
            ends.remove(&id);
        }
    }
    Ok(())
}

fn stored(message: &BorrowedMessage<'_>) -> StoredLetter {
    let headers = message.headers().into_iter().flat_map(|headers| {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
        };
        headers.iter().map(header).collect::<Vec<_>>()
    });
    let mut letter = StoredLetter {
        partition: message.partition(),
        offset: message.offset(),
        at_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.collect(),
    };
    if letter.header(KEYLESS).is_some() {
        letter.key = None; // the host gave it one
    }
    letter
}

fn refused(settings: &KafkaSettings, topic: &str, fault: Fault, reason: String) -> LettersError {
    match fault {
        Fault::Away => LettersError::Away {
            brokers: settings.brokers.clone(),
            reason,
        },
        Fault::Denied => LettersError::Denied {
            brokers: settings.brokers.clone(),
            reason,
        },
        _ => LettersError::Refused {
            topic: topic.to_owned(),
            reason,
        },
    }
}
