//! What of a dead letter is left out where its topic does not take all of it. A letter never stops a
//! job for what is in its record.

use rdkafka::error::RDKafkaErrorCode as Code;
use streamhost_core::limits;
use streamhost_core::types::DeadLetter;

/// Only where the topic is compacted and the record has no key: the key of the letter is the host's.
pub(crate) const KEYLESS: &str = "keyless";

/// What is left out of a letter. By default nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// The record's key and value.
    pub(super) record: bool,
    /// The record's headers too, and most of the reason.
    pub(super) bare: bool,
    /// It has a key whatever happens.
    pub(super) keyed: bool,
}

impl Cut {
    /// Nothing is left out, and a key is given to it.
    pub(super) fn keyed() -> Cut {
        Cut {
            keyed: true,
            ..Cut::default()
        }
    }

    /// What more to leave out of a letter that the topic refuses so. None: nothing more can be.
    pub(super) fn more(self, code: Code, letter: &DeadLetter) -> Option<Cut> {
        match code {
            Code::InvalidRecord | Code::InvalidDifferentRecord => {
                let is_keyless = self.key(letter).is_none() && !self.keyed;
                is_keyless.then_some(Cut {
                    keyed: true,
                    ..self
                })
            }
            _ if !self.record => Some(Cut {
                record: true,
                ..self
            }),
            _ if !self.bare => Some(Cut { bare: true, ..self }),
            _ => None,
        }
    }

    /// The record's key, if it has one and it is not left out.
    pub(super) fn key(self, letter: &DeadLetter) -> Option<&[u8]> {
        letter.key.as_deref().filter(|_| !self.record)
    }

    /// The same of its value.
    pub(super) fn value(self, letter: &DeadLetter) -> Option<&[u8]> {
        letter.value.as_deref().filter(|_| !self.record)
    }

    /// The reason, as far as it is not left out.
    pub(super) fn reason(self, letter: &DeadLetter) -> String {
        match self.bare {
            true => letter
                .reason
                .chars()
                .take(limits::LETTER_REASON_CHARS_MIN)
                .collect(),
            false => letter.reason.clone(),
        }
    }

    /// How many bytes the record's key and value have.
    pub(super) fn bytes_of(letter: &DeadLetter) -> usize {
        let parts = [&letter.key, &letter.value];
        parts
            .map(|part| part.as_ref().map_or(0, Vec::len))
            .iter()
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_and_more_is_left_out_until_nothing_more_can_be() {
        let letter = |key: Option<&[u8]>| DeadLetter {
            origin: None,
            stage: "s".to_owned(),
            sink: None,
            reason: "r".repeat(500),
            time_ms: 0,
            key: key.map(<[u8]>::to_vec),
            value: Some(b"value".to_vec()),
            headers: Vec::new(),
            version: None,
        };
        let (keyed, keyless) = (letter(Some(b"key")), letter(None));
        let whole = Cut::default();
        assert_eq!(whole.more(Code::InvalidRecord, &keyed), None);
        let given = whole.more(Code::InvalidRecord, &keyless);
        assert_eq!(given, Some(Cut::keyed()));
        assert_eq!(Cut::keyed().more(Code::InvalidRecord, &keyless), None);

        let cut = whole.more(Code::MessageSizeTooLarge, &keyed).unwrap();
        assert_eq!((cut.key(&keyed), cut.value(&keyed)), (None, None));
        assert_eq!(Cut::bytes_of(&keyed), 8);
        assert_eq!(cut.reason(&keyed).len(), 500);
        // A compacted topic does not take it without the key that was left out.
        let given = cut.more(Code::InvalidRecord, &keyed).unwrap();
        assert!(given.keyed && given.record);
        let bare = given.more(Code::MessageSizeTooLarge, &keyed).unwrap();
        assert_eq!(bare.reason(&keyed).len(), limits::LETTER_REASON_CHARS_MIN);
        assert_eq!(bare.more(Code::MessageSizeTooLarge, &keyed), None);
    }
}
