//! Fetches records of the assigned partitions, and stops fetching when nobody asks.

use crate::batch::Gather;
use crate::record::{Offset, Partition, Positions};
use std::time::{Duration, SystemTime};

pub mod kafka;
pub mod memory;

/// Where a new job begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record there is.
    Earliest,
    /// After the newest record.
    Latest,
    /// The first record at or after this time.
    At(SystemTime),
}

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The server does not answer; it may come back.
    #[error("{server} at {address} is away: {reason}")]
    Away {
        /// Which server.
        server: &'static str,
        /// Its address as configured.
        address: String,
        /// What the client said.
        reason: String,
    },
    /// There is no such topic.
    #[error(
        "topic `{topic}` does not exist: create it, deploy with --create-tables, or name another with --set source.NAME=TOPIC"
    )]
    TopicMissing {
        /// Its name.
        topic: String,
    },
    /// Records that were to be read are no longer there.
    #[error(
        "topic `{topic}` partition {partition}: offset {offset} is gone (retention, or the topic was made anew): restore it, or deploy with --reset-state to begin anew at `start`"
    )]
    Gone {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The first offset that is missing.
        offset: Offset,
    },
    /// The client's settings, or the server's answer to them, make reading impossible.
    #[error("topic `{topic}` cannot be read: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the client said.
        reason: String,
    },
}

/// Reads a job's sources. The same span gives the same records in the same order, or [`SourceError::Gone`]. Offsets are
/// absolute; the consumer group is told, and never asked.
pub trait Source: Send {
    /// The partitions there are now.
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError>;

    /// Where each partition begins for a new job.
    fn start(&mut self, start: Start) -> Result<Positions, SourceError>;

    /// What the consumer group holds, for partitions that have an offset there. Asked only when a ledger is lost.
    fn group(&mut self) -> Result<Positions, SourceError>;

    /// Reads these partitions from these offsets on, and no others.
    fn assign(&mut self, at: &Positions) -> Result<(), SourceError>;

    /// Appends what has arrived to `gather` until it is full, or `wait` is over with nothing more to take. Returns early
    /// once something was appended and nothing more is at hand. An error leaves what was gathered good.
    fn fetch(&mut self, gather: &mut Gather, wait: Duration) -> Result<(), SourceError>;

    /// The end of each partition as last heard, without asking the server; for the lag.
    fn ends(&mut self) -> Positions;

    /// Tells the consumer group, for monitors only. Does not wait; a failure is logged and the next call mends it.
    fn tell_group(&mut self, reached: &Positions);
}
