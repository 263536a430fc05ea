//! What goes wrong with a guest, and with a version.

use crate::{clock, limits};
use std::time::Duration;

/// What a guest did instead of answering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// It trapped: a panic, a wild pointer, an overflow of its stack.
    #[error("{0}")]
    Trap(String),
    /// It ran longer than it may.
    #[error("it ran longer than {limit:?} (limits.time){at}")]
    Time {
        /// What a call may take.
        limit: Duration,
        /// Where it was, in words; empty if that is not known.
        at: String,
    },
    /// It wanted more memory than it may have.
    #[error("it needs more than {limit} of memory (limits.memory){at}")]
    Memory {
        /// What an instance may have.
        limit: String,
        /// Where it wanted it, in words; empty if that is not known.
        at: String,
    },
    /// Its answer is longer than the host takes.
    #[error("it answered more than {} in one call: make less of it", bytesize::ByteSize(limits::GUEST_OUTPUT_BYTES_MAX as u64))]
    Output,
    /// It made a key that state cannot keep.
    #[error("a key of stage `{stage}` has {bytes} bytes, over {max}", max = limits::KEYED_KEY_BYTES_MAX)]
    Key {
        /// The stage's name.
        stage: String,
        /// The key's length.
        bytes: usize,
    },
    /// It gave a record an event time that lies too far ahead of the record's own. The guest
    /// itself is as good as before.
    #[error(
        "its event time, {}, is more than {} ahead of {}, {} (--set ahead=…)",
        clock::rfc3339(*event_ms),
        humantime::format_duration(Duration::from_millis(by_ms.unsigned_abs())),
        if *is_own { "the record's own" } else { "the batch's" },
        clock::rfc3339(*from_ms)
    )]
    Ahead {
        /// The event time.
        event_ms: i64,
        /// What it is held against.
        from_ms: i64,
        /// That is the record's own time. Else it is the batch's, as the record has none, or one
        /// that is yet to come.
        is_own: bool,
        /// How far ahead it may be.
        by_ms: i64,
    },
}

impl GuestFault {
    /// It is about what the records are, and not what the guest did with them.
    pub fn is_of_data(&self) -> bool {
        matches!(self, GuestFault::Ahead { .. })
    }
}

/// What makes a version unfit, beyond single records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionFault {
    /// An instance cannot be made.
    #[error("no instance can be made: {0}")]
    Start(GuestFault),
    /// It breaks though there is nothing to do.
    #[error("it breaks when `{call}` of stage `{stage}` is called with nothing: {fault}")]
    Warm {
        /// The export.
        call: &'static str,
        /// The stage's name.
        stage: String,
        /// What the guest did.
        fault: GuestFault,
    },
    /// An answer breaks the contract.
    #[error("an answer breaks the contract: {0}")]
    Contract(String),
    /// It broke on too many records of one batch.
    #[error(
        "it broke on more than {max} records or groups of one batch (one that runs out of time counts as {slow}), last with: {last}",
        max = limits::BROKEN_RECORDS_PER_BATCH_MAX,
        slow = limits::BROKEN_BY_TIME_COST
    )]
    TooManyBroken {
        /// What it did last.
        last: String,
    },
    /// A batch would outgrow the host.
    #[error(
        "one batch is too much: {what}; smaller batches (--set limits.batch-records=…), shorter windows or finer keys make it less"
    )]
    TooMuch {
        /// What there is too much of, with the stage and the bound.
        what: String,
    },
    /// State of the version before cannot be carried on.
    #[error("it cannot take over the state of stage `{stage}`: `migrate` broke with: {fault}")]
    Migrate {
        /// The stage's name.
        stage: String,
        /// What the guest did.
        fault: GuestFault,
    },
    /// A record failed, and the job's policy is to stop.
    #[error("{0}, and on-error=stop")]
    Stop(String),
    /// It is a canary's, and the job's own version is as good as before.
    #[error("the canary: {0}")]
    Canary(Box<VersionFault>),
    /// No fault at all: a stop came before the batch was run to its end.
    #[error("it was stopped")]
    Stopped,
}

impl VersionFault {
    /// The same of a canary. What is too much for a batch, and a stop, are about the batch.
    #[must_use]
    pub fn of_canary(self) -> VersionFault {
        match self {
            VersionFault::TooMuch { .. } | VersionFault::Stopped | VersionFault::Canary(_) => self,
            fault => VersionFault::Canary(Box::new(fault)),
        }
    }
}
