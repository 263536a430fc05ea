//! Dead letters that are retried or dropped, as it is asked for and answered.

use streamhost_core::protocol::LetterOutcome;
use streamhost_core::types::Offset;

/// A letter's partition and offset in its topic.
pub type LetterId = (i32, Offset);

/// What is asked of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LettersAsk {
    /// Give their records to the active version.
    Retry {
        /// Those that were retried before too.
        again: bool,
    },
    /// Remember that nobody wants them.
    Drop,
}

/// What became of a letter that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterEnd {
    /// The letter.
    pub id: LetterId,
    /// Its outcome; or why nothing was done.
    pub outcome: Result<LetterOutcome, String>,
}
