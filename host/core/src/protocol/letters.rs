//! What is remembered of a job's dead letters: which were retried or dropped, and with what outcome.

use crate::types::{BatchNumber, Offset};
use serde::{Deserialize, Serialize};

/// Where a dead letter is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LetterPlace {
    /// The topic of dead letters.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
}

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterOutcome {
    /// It was given to a version again, which made so many rows of it.
    Delivered {
        /// Rows of its batch, all sinks together.
        rows: u64,
    },
    /// It was given to a version again, which filtered it away.
    Filtered,
    /// It was given to a version again, and was too late for its window or join.
    Late,
    /// It was given to a version again, which refused it: a new letter was written.
    DeadLetter {
        /// Why.
        reason: String,
    },
    /// The user dropped it.
    Dropped,
}

/// What is remembered of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterMark {
    /// When the letter was sent, in milliseconds since 1970: a topic that is made anew has other
    /// letters in the same places.
    pub sent_ms: i64,
    /// When it was retried or dropped, in milliseconds since 1970.
    pub at_ms: i64,
    /// The version that was active then.
    pub version: u64,
    /// The batch that retried it; 0: none did.
    pub batch: BatchNumber,
    /// What became of it.
    pub outcome: LetterOutcome,
}

/// A dead letter, and what is remembered of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedLetter {
    /// Where it is.
    pub place: LetterPlace,
    /// What is remembered.
    pub mark: LetterMark,
}
