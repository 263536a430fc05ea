//! Reads a log, from an offset to its end and on.

use super::LogError;
use super::parts::{Joiner, Whole};
use crate::kafka::background::Client;
use crate::kafka::{self, KafkaSettings, Quiet};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;
use streamhost_core::state::JournalOffset;
use streamhost_core::{clock, limits};

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub enum LogRead {
    /// An entry; without a value: it was removed.
    Entry(Vec<u8>, Option<Vec<u8>>),
    /// All that was committed has been read.
    End,
    /// Nothing came in the time that was given.
    Nothing,
}

/// A log that is read.
pub struct LogReader {
    consumer: Client<BaseConsumer<Quiet>>,
    topic: String,
    joiner: Joiner,
    first: JournalOffset,
    end: JournalOffset,
}

impl LogReader {
    /// Reads from an offset; none: from the beginning. `Err(Refused)`: what stood there is gone.
    pub fn open(
        settings: &KafkaSettings,
        topic: &str,
        from: Option<JournalOffset>,
    ) -> Result<Self, LogError> {
        let failed = |e: KafkaError| LogError::of(topic, (kafka::fault(&e), kafka::words(&e)));
        // It has a group by name alone, as every reader must.
        let consumer = settings.consumer("streamhost-log").map_err(failed)?;
        let ends = consumer.fetch_watermarks(topic, 0, limits::CONNECT_TIME);
        let (first, end) = ends.map_err(failed)?;
        let at = from.unwrap_or(first);
        if !(first..=end).contains(&at) {
            return Err(LogError::Refused(format!(
                "topic `{topic}` holds the offsets {first} to {end}, and {at} was to be read"
            )));
        }
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(topic, 0, Offset::Offset(at));
        added
            .and_then(|()| consumer.assign(&list))
            .map_err(failed)?;
        Ok(LogReader {
            consumer: Client::new(consumer),
            topic: topic.to_owned(),
            joiner: Joiner::default(),
            first,
            end,
        })
    }

    /// The offsets that the topic had when it was opened: the first one, and that of what was to
    /// come.
    pub fn ends(&self) -> (JournalOffset, JournalOffset) {
        (self.first, self.end)
    }

    /// What comes next, within this time.
    pub fn next(&mut self, wait: Duration) -> Result<LogRead, LogError> {
        let since = clock::monotonic();
        loop {
            let left = wait.saturating_sub(clock::since(since));
            match self.consumer.poll(left) {
                None => return Ok(LogRead::Nothing),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(LogRead::End),
                Some(Err(error)) => {
                    let fault = kafka::fault(&error);
                    // The client goes on by itself, and says here what it meets.
                    if fault != kafka::Fault::Away {
                        return Err(LogError::of(&self.topic, (fault, kafka::words(&error))));
                    }
                    if left.is_zero() {
                        return Ok(LogRead::Nothing);
                    }
                }
                Some(Ok(message)) => {
                    let key = message.key().unwrap_or_default();
                    let whole = self.joiner.take(key, message.payload());
                    let refused =
                        |reason| LogError::Refused(format!("topic `{}`: {reason}", self.topic));
                    if let Some((key, value)) = whole.map_err(refused)? {
                        return Ok(LogRead::Entry(key, value));
                    }
                }
            }
        }
    }

    /// Hands over all up to the end, in portions of about these many bytes. Nobody may have begun a
    /// transaction there. `going_on`: whether it is still wanted.
    pub fn to_end<E: From<LogError>>(
        &mut self,
        portion_bytes: usize,
        going_on: impl Fn() -> bool,
        mut take: impl FnMut(Vec<Whole>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut portion, mut bytes) = (Vec::new(), 0);
        let mut silent = clock::monotonic();
        loop {
            match self.next(limits::LOG_READ_LOOK)? {
                LogRead::Entry(key, value) => {
                    silent = clock::monotonic();
                    bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                    portion.push((key, value));
                    if bytes >= portion_bytes {
                        bytes = 0;
                        take(std::mem::take(&mut portion))?;
                    }
                }
                LogRead::End if self.joiner.is_amid() => {
                    let reason = format!("topic `{}`: a value in it is not whole", self.topic);
                    return Err(LogError::Refused(reason).into());
                }
                LogRead::End => return take(portion),
                LogRead::Nothing => {}
            }
            if !going_on() || clock::since(silent) > limits::LOG_SILENCE_TIME {
                let reason = format!("topic `{}`: the brokers give nothing of it", self.topic);
                return Err(LogError::Away(reason).into());
            }
        }
    }
}
