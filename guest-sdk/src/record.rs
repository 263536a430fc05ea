//! What an author's first function is given.

use crate::headers::Headers;
use std::fmt;

/// One record, borrowed from its batch.
///
/// ```
/// # use streamhost::Record;
/// let record = Record::from("42,book");
/// assert_eq!(record.text(), Ok("42,book"));
/// assert_eq!(Record::without_value().text().unwrap_err().to_string(), "the record has no value");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// The key's bytes; empty where there is none (see [`Record::has_key`]).
    pub key: &'b [u8],
    /// The value's bytes; empty where there is none (see [`Record::has_value`]).
    pub value: &'b [u8],
    /// The record's own time, in milliseconds since 1970. Where its producer gave none, that of its
    /// batch.
    pub time_ms: i64,
    pub(crate) no_key: bool,
    pub(crate) no_value: bool,
    pub(crate) offset: i64,
    pub(crate) place: Place<'b>,
    pub(crate) headers: Headers<'b>,
}

/// Where a call's records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'b> {
    pub(crate) target: &'b str,
    pub(crate) partition: i32,
}

impl<'b> Record<'b> {
    /// A record of this value, without a key, at time 0: for tests.
    pub const fn new(value: &'b [u8]) -> Self {
        Record {
            key: b"",
            value,
            time_ms: 0,
            no_key: true,
            no_value: false,
            offset: 0,
            place: Place {
                target: "",
                partition: 0,
            },
            headers: Headers::own(&[]),
        }
    }

    /// A record without a value, as compacted topics hold for deleted keys: for tests.
    pub const fn without_value() -> Self {
        Record {
            no_value: true,
            ..Record::new(b"")
        }
    }

    /// The same record with this key: for tests.
    pub const fn with_key(self, key: &'b [u8]) -> Self {
        Record {
            key,
            no_key: false,
            ..self
        }
    }

    /// The same record at this time, in milliseconds since 1970: for tests.
    pub const fn at(self, time_ms: i64) -> Self {
        Record { time_ms, ..self }
    }

    /// The same record with these headers: for tests.
    pub const fn with_headers(self, headers: &'b [(&'b str, &'b [u8])]) -> Self {
        Record {
            headers: Headers::own(headers),
            ..self
        }
    }

    /// Its headers.
    #[inline]
    pub const fn headers(&self) -> Headers<'b> {
        self.headers
    }

    /// The topic that it was read from, as the deployment has it; of other sources the address, the
    /// path. Empty in tests.
    #[inline]
    pub const fn topic(&self) -> &'b str {
        self.place.target
    }

    /// Its partition of the topic; of a file a number that follows from its name.
    #[inline]
    pub const fn partition(&self) -> i32 {
        self.place.partition
    }

    /// Its offset in the partition.
    #[inline]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// It has a key, be it an empty one.
    pub const fn has_key(&self) -> bool {
        !self.no_key
    }

    /// It has a value, be it an empty one.
    pub const fn has_value(&self) -> bool {
        !self.no_value
    }

    /// The value as text. Errs where there is none, or where it is not UTF-8.
    #[inline]
    pub fn text(&self) -> Result<&'b str, RecordError> {
        if self.no_value {
            return Err(RecordError::NoValue);
        }
        std::str::from_utf8(self.value).map_err(|e| RecordError::ValueNotText {
            at: e.valid_up_to(),
        })
    }

    /// The key as text. Errs where there is none, or where it is not UTF-8.
    #[inline]
    pub fn key_text(&self) -> Result<&'b str, RecordError> {
        if self.no_key {
            return Err(RecordError::NoKey);
        }
        std::str::from_utf8(self.key).map_err(|e| RecordError::KeyNotText {
            at: e.valid_up_to(),
        })
    }

    /// The value read as JSON. Fields of type `&str` are borrowed from the batch, and err where the
    /// text has escapes: take `Cow<str>` with `#[serde(borrow)]` for those. Errs where there is no
    /// value, or it does not fit `T`.
    pub fn json<T: serde::Deserialize<'b>>(&self) -> Result<T, RecordError> {
        if self.no_value {
            return Err(RecordError::NoValue);
        }
        serde_json::from_slice(self.value).map_err(|e| RecordError::NotJson {
            reason: e.to_string(),
        })
    }
}

impl<'b> From<&'b str> for Record<'b> {
    fn from(value: &'b str) -> Self {
        Record::new(value.as_bytes())
    }
}

impl<'b> From<&'b String> for Record<'b> {
    fn from(value: &'b String) -> Self {
        Record::new(value.as_bytes())
    }
}

impl<'b> From<&'b [u8]> for Record<'b> {
    fn from(value: &'b [u8]) -> Self {
        Record::new(value)
    }
}

impl<'b, const N: usize> From<&'b [u8; N]> for Record<'b> {
    fn from(value: &'b [u8; N]) -> Self {
        Record::new(value)
    }
}

/// Key and value.
impl<'b> From<(&'b str, &'b str)> for Record<'b> {
    fn from((key, value): (&'b str, &'b str)) -> Self {
        Record::new(value.as_bytes()).with_key(key.as_bytes())
    }
}

/// Why a record is not what its reader takes it for. Becomes a `String` with `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// It has no key.
    NoKey,
    /// It has no value.
    NoValue,
    /// Its key is not UTF-8.
    KeyNotText {
        /// How many bytes are.
        at: usize,
    },
    /// Its value is not UTF-8.
    ValueNotText {
        /// How many bytes are.
        at: usize,
    },
    /// Its value is not JSON, or not of the type that was asked for.
    NotJson {
        /// What the parser says.
        reason: String,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::NoKey => write!(f, "the record has no key"),
            RecordError::NoValue => write!(f, "the record has no value"),
            RecordError::KeyNotText { at } => write!(f, "the key is not UTF-8 at byte {at}"),
            RecordError::ValueNotText { at } => write!(f, "the value is not UTF-8 at byte {at}"),
            RecordError::NotJson { reason } => {
                write!(f, "the value is not the JSON it should be: {reason}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

impl From<RecordError> for String {
    fn from(error: RecordError) -> String {
        error.to_string()
    }
}
