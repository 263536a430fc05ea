//! Fetches records of the assigned partitions, and stops fetching when nobody asks.

use crate::batch::BatchBuilder;
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Marks, Offset, Partition, Positions};

pub mod mixed;
pub mod memory;

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
    /// The server does not let the host in: its credentials or certificates do not do. They may be
    /// mended while it is tried again.
    #[error("{server} at {address} does not let the host in: {reason}")]
    Denied {
        /// Which server.
        server: &'static str,
        /// Its address as configured.
        address: String,
        /// Why, and what to do.
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
    /// There is no such file or folder.
    #[error(
        "there is no file or folder `{path}`: create it, or name another with --set source.NAME=PATH"
    )]
    PathMissing {
        /// Its path.
        path: String,
    },
    /// Records that were to be read are no longer there.
    #[error("{what}: offset {offset} is gone ({reason}): {}", .reason.remedy())]
    Gone {
        /// The topic and partition, or the file.
        what: String,
        /// The first offset that is missing.
        offset: Offset,
        /// What may have happened.
        reason: Loss,
    },
    /// The settings, the data, or the server's answer make reading impossible.
    #[error("{what} `{target}` cannot be read: {reason}")]
    Refused {
        /// `topic`, `socket`, `file` or `folder`.
        what: &'static str,
        /// Which one.
        target: String,
        /// Why.
        reason: String,
    },
}

impl SourceError {
    /// Whether it may pass by itself, or is mended while it is tried again: so a job waits for it.
    pub fn may_pass(&self) -> bool {
        matches!(self, SourceError::Away { .. } | SourceError::Denied { .. })
    }
}

/// How records came to be gone, and so what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The partition's first record lies after them.
    #[error("retention, or the topic was made anew")]
    Before,
    /// The partition ends before them.
    #[error(
        "the partition ends before it: the topic was made anew, or a replica that had less took over"
    )]
    Beyond,
    /// The file ends before them.
    #[error("the file is shorter now")]
    FileShort,
    /// The file has another content than was read of it.
    #[error(
        "what stands before it in the file is not what was read there: it is another file, or was written anew"
    )]
    FileChanged,
    /// The file's name is another one's now.
    #[error("the file was replaced by another of its name before it was read to its end")]
    FileReplaced,
    /// There is no such file any more.
    #[error("the file is not there any more")]
    FileMissing,
}

impl Loss {
    /// What a user can do, in words.
    pub fn remedy(self) -> &'static str {
        match self {
            Loss::Before => {
                "restore it, go on without it by `streamhost resume JOB --skip-lost`, or deploy with --reset-state to begin anew at `start`"
            }
            Loss::Beyond => {
                "restore it, go on at the end that is there now by `streamhost resume JOB --skip-lost`, or deploy with --reset-state to begin anew at `start`"
            }
            Loss::FileShort | Loss::FileChanged => {
                "restore it, or read what is there now from its begin by `streamhost resume JOB --skip-lost`"
            }
            Loss::FileReplaced => {
                "give what is there now another name, and go on without the rest of the older one by `streamhost resume JOB`"
            }
            Loss::FileMissing => {
                "restore it, or go on without the rest of it by `streamhost resume JOB`"
            }
        }
    }
}

/// Reads a job's sources. The same span gives the same records in the same order, or
/// [`SourceError::Gone`]. Offsets are absolute; the consumer group is told, and never asked.
pub trait Source: Send {
    /// The partitions there are now.
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError>;

    /// Where each partition begins for a new job. A table's begin at their oldest record, whatever
    /// `start` says: a table that lacks its beginning would answer wrongly.
    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError>;

    /// Where the partitions of tables end now: until they are read to there, nothing is looked up
    /// in them.
    fn high_watermarks(&mut self) -> Result<Positions, SourceError>;

    /// What the consumer group holds, for partitions that have an offset there. It counts only when
    /// a checkpoint is lost.
    fn group(&mut self) -> Result<Positions, SourceError>;

    /// Whether partitions came that [`Source::partitions`] has not named yet, as far as is known
    /// without asking. Files of a followed folder do.
    fn has_new_partitions(&self) -> bool {
        false
    }

    /// The partitions of `at` that were read to their ends and are no longer there, as far as the
    /// last look at them told: nothing more comes of them. The job forgets their positions, so that
    /// one that comes again under the same number is new: [`Source::partitions`] may name it at
    /// once, and it is read from [`Source::start`]. Asked after [`Source::partitions`], before it
    /// is assigned for the first time too: a position may outlive its partition, as the host may
    /// die before it is forgotten. Files of a followed folder go.
    fn finished_partitions(&self, at: &Positions) -> Vec<Partition> {
        let _ = at;
        Vec::new()
    }

    /// Which partitions cannot be read on from `at`, as what was there is lost
    /// ([`SourceError::Gone`]), and where each of them goes on. Asked before anything is assigned,
    /// and only if the user wants to go on without what is lost.
    fn lost(&mut self, at: &Positions) -> Result<Positions, SourceError> {
        let first = self.start(StartPosition::Earliest)?;
        Ok(first
            .into_iter()
            .filter(|(partition, first)| at.get(partition).is_some_and(|at| at < first))
            .collect())
    }

    /// Takes what partitions were known by when they were read last, as
    /// [`BatchBuilder::mark`] was told: before [`Source::lost`] and [`Source::assign`]. What does not
    /// fit is [`SourceError::Gone`] when it is read.
    fn recognize(&mut self, marks: &Marks) {
        let _ = marks;
    }

    /// Reads these partitions from these offsets on, and no others.
    fn assign(&mut self, at: &Positions) -> Result<(), SourceError>;

    /// Appends what has arrived to `builder` until it is full, or `wait` is over with nothing more
    /// to take. Returns early once something was appended and nothing more is at hand. An error
    /// leaves what was gathered good.
    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError>;

    /// The end of each partition as last heard, without asking the server; for the lag.
    fn ends(&mut self) -> Positions;

    /// The ids of the topics, by name, where the servers know some: a topic that is made anew has
    /// another.
    fn topic_ids(&mut self) -> Result<BTreeMap<String, String>, SourceError> {
        Ok(BTreeMap::new())
    }

    /// Whether a source's records can be read again, and are the same then. Those of one that
    /// cannot are kept with the intent of their batch.
    fn is_replayable(&self, source: u16) -> bool {
        let _ = source;
        true
    }

    /// Whether a source is read from its beginning again where nothing is known of it here any more:
    /// it is replayable, and no consumer group holds where it was.
    fn rereads(&self, source: u16) -> bool {
        let _ = source;
        false
    }

    /// Whether [`Source::start`] says where a source ends now, if it is asked for the latest.
    fn knows_ends(&self, source: u16) -> bool {
        let _ = source;
        false
    }

    /// Whether every source has ended by itself, and nothing is left beyond these positions. Topics
    /// end only where the job was told to read them to their ends.
    fn is_exhausted(&self, at: &Positions) -> bool {
        let _ = at;
        false
    }

    /// Tells the consumer group, for monitors only. Does not wait; a failure is logged and the next
    /// call mends it.
    fn commit_progress(&mut self, reached: &Positions);
}
