//! The sequence numbers of one producer in one partition: what is next, what is a repetition, what
//! is a gap. Pure.

use bytes::{Buf, BufMut};
use kafka_protocol::ResponseError;
use std::collections::VecDeque;

/// Batches that a producer may have under way; so a repetition is one of the last that many.
const BATCHES_REMEMBERED: usize = 5;

/// What a partition knows of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    /// When it last wrote, in milliseconds since 1970, to forget the longest silent one first.
    pub(super) last_ms: i64,
    recent: VecDeque<Sent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It is here already, at this offset.
    Repetition {
        base_offset: i64,
    },
}

/// Judges a batch of a producer that the partition may know.
pub(super) fn judge(
    known: Option<&Producer>,
    epoch: i16,
    first: i32,
    delta: i32,
) -> Result<Verdict, ResponseError> {
    let Some(known) = known else {
        return Ok(Verdict::Append);
    };
    if epoch < known.epoch {
        return Err(ResponseError::InvalidProducerEpoch);
    }
    let last = match known.recent.back() {
        Some(last) if epoch == known.epoch => last,
        // A new epoch begins at 0; after a marker or a forgotten past any number is a beginning.
        _ if epoch > known.epoch && first != 0 => {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        _ => return Ok(Verdict::Append),
    };
    let end = advance(first, delta);
    if let Some(sent) = known
        .recent
        .iter()
        .find(|sent| sent.first_sequence == first && sent.last_sequence == end)
    {
        return Ok(Verdict::Repetition {
            base_offset: sent.base_offset,
        });
    }
    match first == advance(last.last_sequence, 1) {
        true => Ok(Verdict::Append),
        false => Err(ResponseError::OutOfOrderSequenceNumber),
    }
}

/// Sequence numbers go on at 0 after the largest one.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

impl Producer {
    /// What is known after a batch of `epoch` at `base_offset`.
    pub(super) fn after(
        known: Option<&Producer>,
        epoch: i16,
        first: i32,
        delta: i32,
        base_offset: i64,
        now_ms: i64,
    ) -> Producer {
        let mut producer = Producer::fenced(known, epoch, now_ms);
        if producer.recent.len() == BATCHES_REMEMBERED {
            producer.recent.pop_front();
        }
        producer.recent.push_back(Sent {
            first_sequence: first,
            last_sequence: advance(first, delta),
            base_offset,
        });
        producer
    }

    /// What is known after a transaction marker of `epoch`: older epochs are refused from here on.
    pub(super) fn fenced(known: Option<&Producer>, epoch: i16, now_ms: i64) -> Producer {
        match known {
            Some(known) if known.epoch == epoch => Producer {
                last_ms: now_ms,
                ..known.clone()
            },
            _ => Producer {
                epoch,
                last_ms: now_ms,
                recent: VecDeque::new(),
            },
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + 16 * self.recent.len());
        bytes.put_i16(self.epoch);
        bytes.put_i64(self.last_ms);
        for sent in &self.recent {
            bytes.put_i32(sent.first_sequence);
            bytes.put_i32(sent.last_sequence);
            bytes.put_i64(sent.base_offset);
        }
        bytes
    }

    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Producer> {
        let mut producer = Producer {
            epoch: bytes.try_get_i16().ok()?,
            last_ms: bytes.try_get_i64().ok()?,
            recent: VecDeque::new(),
        };
        while bytes.has_remaining() {
            producer.recent.push_back(Sent {
                first_sequence: bytes.try_get_i32().ok()?,
                last_sequence: bytes.try_get_i32().ok()?,
                base_offset: bytes.try_get_i64().ok()?,
            });
        }
        Some(producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(batches: &[(i32, i32)]) -> Producer {
        let mut known = None;
        for (index, &(first, delta)) in batches.iter().enumerate() {
            assert_eq!(judge(known.as_ref(), 3, first, delta), Ok(Verdict::Append));
            known = Some(Producer::after(
                known.as_ref(),
                3,
                first,
                delta,
                100 + index as i64,
                7,
            ));
        }
        known.unwrap()
    }

    #[test]
    fn repetitions_gaps_and_old_epochs() {
        let known = producer(&[(0, 9), (10, 0), (11, 4)]);
        assert_eq!(
            judge(Some(&known), 3, 0, 9),
            Ok(Verdict::Repetition { base_offset: 100 })
        );
        assert_eq!(
            judge(Some(&known), 3, 11, 4),
            Ok(Verdict::Repetition { base_offset: 102 })
        );
        assert_eq!(judge(Some(&known), 3, 16, 0), Ok(Verdict::Append));
        assert_eq!(
            judge(Some(&known), 3, 17, 0),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
        assert_eq!(
            judge(Some(&known), 2, 16, 0),
            Err(ResponseError::InvalidProducerEpoch)
        );
        assert_eq!(
            judge(Some(&known), 4, 16, 0),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
        assert_eq!(judge(Some(&known), 4, 0, 0), Ok(Verdict::Append));
        assert_eq!(judge(None, 4, 99, 0), Ok(Verdict::Append));
    }

    #[test]
    fn only_the_last_five_are_known_again() {
        let known = producer(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
        assert_eq!(
            judge(Some(&known), 3, 0, 0),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
        assert_eq!(
            judge(Some(&known), 3, 1, 0),
            Ok(Verdict::Repetition { base_offset: 101 })
        );
    }

    #[test]
    fn numbers_wrap_to_zero() {
        let known = producer(&[(i32::MAX - 1, 1)]);
        assert_eq!(judge(Some(&known), 3, 0, 0), Ok(Verdict::Append));
        assert_eq!(advance(i32::MAX, 2), 1);
    }

    #[test]
    fn bytes_round_trip() {
        let known = producer(&[(0, 9), (10, 0)]);
        assert_eq!(Producer::from_bytes(&known.to_bytes()), Some(known.clone()));
        assert_eq!(Producer::from_bytes(&known.to_bytes()[..11]), None);
        assert_eq!(
            judge(Some(&Producer::fenced(Some(&known), 4, 8)), 3, 11, 0),
            Err(ResponseError::InvalidProducerEpoch)
        );
    }
}
