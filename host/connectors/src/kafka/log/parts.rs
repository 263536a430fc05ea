//! Values in parts.

use std::collections::VecDeque;

/// Bytes of a part, so that a record with it fits into what brokers take by their defaults.
const PART_BYTES: usize = 900_000;
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 2 + 8;
/// Bytes that the part's number has behind the key.
const NUMBER_BYTES: usize = 2;

/// A record of a log's topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

fn key_of(key: &[u8], number: usize) -> Vec<u8> {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    [key, &number.to_be_bytes()].concat()
}

/// How many parts a value of so many bytes has.
fn count(bytes: usize) -> usize {
    bytes.div_ceil(PART_BYTES).max(1)
}

/// The records of an entry. `None`: the value is too long for a log.
pub(super) fn split(
    key: &[u8],
    value: Option<&[u8]>,
    before_bytes: usize,
    stamp: u64,
) -> Option<Vec<Part>> {
    let Some(value) = value else {
        let removed = (0..count(before_bytes)).map(|number| Part {
            key: key_of(key, number),
            value: None,
        });
        return Some(removed.collect());
    };
    let parts = u16::try_from(count(value.len())).ok()?;
    let mut pieces: VecDeque<&[u8]> = value.chunks(PART_BYTES).collect();
    if pieces.is_empty() {
        pieces.push_back(&[]);
    }
    let record = |(number, piece): (usize, &[u8])| {
        let head = [&[FORMAT], &parts.to_be_bytes()[..], &stamp.to_be_bytes()].concat();
        Part {
            key: key_of(key, number),
            value: Some([&head, piece].concat()),
        }
    };
    Some(pieces.into_iter().enumerate().map(record).collect())
}

/// A key, and its value; none: it was removed.
pub(super) type Whole = (Vec<u8>, Option<Vec<u8>>);

/// Puts values together from the records of a log, in its order.
#[derive(Default)]
pub(super) struct Joiner {
    /// The value of which parts were read.
    begun: Option<Begun>,
}

struct Begun {
    key: Vec<u8>,
    stamp: u64,
    count: u16,
    next: u16,
    value: Vec<u8>,
}

impl Joiner {
    /// Takes a record; gives what is whole with it. `Err`: it is none of a log's, or a newer
    /// release's.
    pub(super) fn take(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Whole>, String> {
        let (key, number) = key
            .split_last_chunk::<NUMBER_BYTES>()
            .ok_or("a record has no key of a log's")?;
        let number = u16::from_be_bytes(*number);
        let Some(value) = value else {
            // The first part says it for all of them.
            return Ok((number == 0).then(|| (key.to_vec(), None)));
        };
        let (head, piece) = value
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or("a record is cut off")?;
        let [format, count_high, count_low, stamp @ ..] = *head;
        if format > FORMAT {
            return Err(format!(
                "a record has format {format}, and this streamhost reads format {FORMAT} at most: run the newer release that wrote it"
            ));
        }
        let count = u16::from_be_bytes([count_high, count_low]);
        let stamp = u64::from_be_bytes(stamp);
        if number == 0 {
            self.begun = Some(Begun {
                key: key.to_vec(),
                stamp,
                count,
                next: 0,
                value: Vec::new(),
            });
        }
        let Some(begun) = &mut self.begun else {
            return Ok(None);
        };
        // What compaction has left of an older value.
        if begun.key != key || begun.stamp != stamp || begun.next != number {
            return Ok(None);
        }
        begun.value.extend_from_slice(piece);
        begun.next += 1;
        if begun.next < begun.count {
            return Ok(None);
        }
        let whole = self.begun.take();
        Ok(whole.map(|begun| (begun.key, Some(begun.value))))
    }

    /// Whether a value has begun and is not whole: its other parts are missing, if nothing more
    /// comes.
    pub(super) fn is_amid(&self) -> bool {
        self.begun.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parts: &[Part]) -> Vec<Whole> {
        let mut joiner = Joiner::default();
        let take = |part: &Part| joiner.take(&part.key, part.value.as_deref()).unwrap();
        parts.iter().filter_map(take).collect()
    }

    #[test]
    fn values_of_any_length_come_back() {
        for bytes in [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES - 1] {
            let value: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
            let parts = split(b"k", Some(&value), 0, 7).unwrap();
            assert_eq!(parts.len(), count(bytes));
            assert_eq!(all(&parts), [(b"k".to_vec(), Some(value))]);
        }
        let too_long = vec![0; PART_BYTES * (usize::from(u16::MAX) / 64)];
        assert!(split(b"k", Some(&too_long), 0, 7).is_some());
    }

    #[test]
    fn what_compaction_leaves_of_an_older_value_is_passed_over() {
        let long = |byte| vec![byte; 2 * PART_BYTES + 5];
        let old = split(b"k", Some(&long(1)), 0, 1).unwrap();
        let new = split(b"k", Some(&[2]), 0, 2).unwrap();
        let left: Vec<Part> = old.into_iter().skip(1).chain(new).collect();
        assert_eq!(all(&left), [(b"k".to_vec(), Some(vec![2]))]);
        // A removal names all parts, so that none of them stays.
        let removed = split(b"k", None, long(1).len(), 3).unwrap();
        assert_eq!(removed.len(), 3);
        assert!(removed.iter().all(|part| part.value.is_none()));
        assert_eq!(all(&removed), [(b"k".to_vec(), None)]);
    }

    #[test]
    fn what_is_no_record_of_a_log_is_refused_in_words() {
        let mut joiner = Joiner::default();
        for (key, value) in [(&b"k"[..], &b""[..]), (b"k\0\0", b"\x01\0\x01")] {
            assert!(joiner.take(key, Some(value)).is_err(), "{key:?}");
        }
        let newer = [&[FORMAT + 1][..], &[0; 10]].concat();
        let refused = joiner.take(b"k\0\0", Some(&newer)).unwrap_err();
        assert!(refused.contains("format 2"), "{refused}");
        assert!(!joiner.is_amid());
        let begun = split(b"k", Some(&vec![0; PART_BYTES + 1]), 0, 1).unwrap();
        joiner
            .take(&begun[0].key, begun[0].value.as_deref())
            .unwrap();
        assert!(joiner.is_amid());
    }
}
