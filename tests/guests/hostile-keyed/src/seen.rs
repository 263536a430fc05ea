//! Items, accumulators, rows.

use crate::deeds::harm;
use serde::{Deserialize, Serialize};
use streamhost::{Group, Record, Row, Time, fields};

/// A record: `key,word`.
pub(crate) struct Said<'a> {
    pub(crate) key: &'a str,
    word: &'a str,
}

impl<'a> Said<'a> {
    pub(crate) fn parse(record: Record<'a>) -> Result<Self, String> {
        let [key, word] = fields(record.text()?, ',')?;
        Ok(Said { key, word })
    }
}

/// What a key has said so far.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) words: u64,
    /// Depends on how merges were grouped, and in which order: a merge that breaks the rules.
    pub(crate) disorder: i64,
    /// The last word.
    pub(crate) said: String,
    /// Each `grow MB` adds so many megabytes.
    hoard: Vec<u8>,
}

impl Seen {
    pub(crate) fn add(&mut self, said: Said<'_>) {
        self.words += 1;
        self.disorder = said.word.len() as i64 - 2 * self.disorder;
        said.word.clone_into(&mut self.said);
    }

    /// Does what the other one's last word is called.
    pub(crate) fn merge(&mut self, other: Seen) {
        harm("merge", &other.said);
        if let Some(megabytes) = other
            .said
            .strip_prefix("grow ")
            .and_then(|n| n.parse::<usize>().ok())
        {
            self.hoard.resize(self.hoard.len() + (megabytes << 20), 1);
        }
        self.words += other.words;
        self.disorder = other.disorder - 3 * self.disorder;
        self.said = other.said;
    }
}

/// Another accumulator.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Weighed {
    pub(crate) words: u64,
    bytes: u64,
}

impl Weighed {
    pub(crate) fn add(&mut self, said: Said<'_>) {
        self.words += 1;
        self.bytes += said.word.len() as u64;
    }

    pub(crate) fn merge(&mut self, other: Weighed) {
        self.words += other.words;
        self.bytes += other.bytes;
    }

    /// What was kept before.
    pub(crate) fn of(seen: Seen) -> Self {
        Weighed {
            words: seen.words,
            bytes: 0,
        }
    }
}

/// What a key has said, after a batch.
#[derive(Row)]
pub(crate) struct SeenSoFar<'a> {
    #[row(key)]
    pub(crate) key: &'a str,
    #[row("seen:words")]
    pub(crate) words: u64,
    #[row("seen:disorder")]
    pub(crate) disorder: i64,
}

impl<'a> SeenSoFar<'a> {
    pub(crate) fn new(key: &'a str, words: u64) -> Self {
        SeenSoFar {
            key,
            words,
            disorder: 0,
        }
    }
}

/// What a key has said in a window.
#[derive(Row)]
#[row(separator = "/")]
pub(crate) struct SeenIn<'a> {
    #[row(key)]
    key: &'a str,
    #[row(key)]
    from: Time,
    #[row("seen:words")]
    words: u64,
}

impl<'a> SeenIn<'a> {
    pub(crate) fn of(group: Group<&'a str, Seen>) -> Self {
        harm("finish", &group.value.said);
        SeenIn {
            key: group.key,
            from: group.window.start,
            words: group.value.words,
        }
    }
}
