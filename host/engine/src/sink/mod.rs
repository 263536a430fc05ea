//! Makes rows durable.

use streamhost_core::job::SinkSpec;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{
    BatchNumber, DeadLetter, Guarantee, RefusedRow, RowLimits, Rows, Spans, TopicOffsets,
};

mod cancel;
mod held;
pub mod memory;

pub use cancel::CancelSignal;
pub use held::{HeldPlace, Mending, Passed, Written};

/// The part of a durable intent that a sink needs.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The epoch of the job's history.
    pub epoch: u64,
    /// The batch.
    pub batch: BatchNumber,
    /// HBase: deletes are written at this millisecond, puts at the next one. Rises by 2 or more a
    /// batch.
    pub time_ms: i64,
    /// The digest of this sink's rows.
    pub digest: &'a str,
    /// What the batch passed; a marker carries it.
    pub spans: &'a Spans,
    /// The deployed version that made the rows.
    pub version: u64,
}

/// What can go wrong with a sink. [`SinkError::remedy`] says what then.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The server does not answer, or says that it may later.
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
    /// There is no such table, whatever that is called there.
    #[error("{server} has no {what} `{table}`: {mend}")]
    TableMissing {
        /// Which server.
        server: &'static str,
        /// What tables are called there.
        what: &'static str,
        /// Its name.
        table: String,
        /// The command that creates it.
        mend: String,
    },
    /// The table lacks families.
    #[error("HBase table `{table}` has no family {families}: {mend}")]
    FamilyMissing {
        /// Its name.
        table: String,
        /// The families' names, joined.
        families: String,
        /// The command that adds them.
        mend: String,
    },
    /// The server refuses what it is given, and would again.
    #[error("{server} refuses what goes to `{name}`: {reason}")]
    Refused {
        /// Which server.
        server: &'static str,
        /// The sink's table or topic.
        name: String,
        /// What it said.
        reason: String,
    },
    /// So many rows are refused for what is in them that it is no matter of rows.
    #[error(
        "sink `{sink}`: its server refuses {refused} of {rows} rows for what is in them{why}; the first: {first}"
    )]
    TooManyRefused {
        /// The sink's name.
        sink: String,
        /// How many were found.
        refused: usize,
        /// Of how many.
        rows: usize,
        /// Why they are no dead letters.
        why: &'static str,
        /// What is said of the first.
        first: String,
    },
    /// What is refused could not be noted in the host's own store.
    #[error("the rows that its server refuses cannot be noted: {0}")]
    NotNoted(String),
    /// Its calls were ended by a [`CancelSignal`].
    #[error("the job is to stop")]
    Cancelled,
    /// Another producer took the transactional id over.
    #[error("another host runs this job: {id} was taken over; stop one of the two")]
    Fenced {
        /// What was taken over, such as the transactional id.
        id: String,
    },
}

/// What the pipeline does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Back off, open the sink again, deliver the same batch again.
    Retry,
    /// Stop the job, and say why.
    Stop,
}

impl SinkError {
    /// The error in the words for a job that stopped for it: with the way on.
    pub fn in_a_stopped_job(&self) -> String {
        format!(
            "{self}; once that is mended, `streamhost resume JOB` goes on; or deploy a mended version with --replan, which runs anew what is planned"
        )
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            SinkError::Away { .. } | SinkError::Denied { .. } | SinkError::Cancelled => {
                Remedy::Retry
            }
            SinkError::TableMissing { .. }
            | SinkError::FamilyMissing { .. }
            | SinkError::Refused { .. }
            | SinkError::TooManyRefused { .. }
            | SinkError::NotNoted(_)
            | SinkError::Fenced { .. } => Remedy::Stop,
        }
    }
}

/// Takes the rows of a delivery that a server refuses for what is in them.
pub trait Refusals {
    /// How many may be refused, before it is no matter of rows: a sink looks for no more than one
    /// above it.
    fn most(&self) -> usize;

    /// Takes those that are refused, ascending; what was told of an earlier try no longer counts. `Ok`: they
    /// will be dead letters, and are known after a crash where the sink is [`Guarantee::Marked`]. `Err`: the
    /// delivery ends with this error, and a marked sink commits nothing of it.
    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError>;
}

/// Where one of a job's outputs goes. Calls block; the pipeline gives each sink its own thread.
pub trait Sink: Send {
    /// What a second delivery does.
    fn guarantee(&self) -> Guarantee;

    /// A marker may be gone after a while, so that there is none means nothing then.
    fn marker_expires(&self) -> bool {
        true
    }

    /// What a row may be.
    fn limits(&self) -> RowLimits;

    /// Takes the columns of the version whose rows come next. Connector, name, target
    /// and options stay as they were.
    fn reshape(&mut self, spec: &SinkSpec);

    /// Connects, fences whoever held the sink before, and only then reads the marker (`None`: there
    /// is none, or this is no marked sink). Called before the first delivery and after every failed
    /// one.
    fn open(&mut self) -> Result<Option<Marker>, SinkError>;

    /// Reads the marker without taking the sink over: for what a deploy says beforehand. Whoever
    /// holds the sink may still move it.
    fn peek(&mut self) -> Result<Option<Marker>, SinkError> {
        Ok(None)
    }

    /// The source offsets that the marker carries which [`Sink::open`] or [`Sink::peek`] read;
    /// nothing where there is none.
    fn committed(&self) -> TopicOffsets {
        TopicOffsets::new()
    }

    /// The newest marker that names another target than this sink has now, as it was read then.
    fn elsewhere(&self) -> Option<Marker> {
        None
    }

    /// Delivers a batch's rows, in order. `Ok`: all of it is durable. `Err`: nothing is known, and
    /// the caller opens the sink and delivers the same batch again, unless its marker says that it
    /// is there.
    ///
    /// A sink whose server may refuse a row for what is in it, and not for how server or job are set
    /// up, delivers the rest, and tells `refusals` of such rows in each delivery, none too; a marked
    /// sink before it commits.
    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError>;
}

/// Where a job's dead letters go. Those of a batch are sent once all of its sinks have acknowledged
/// it, and before its checkpoint. Calls block.
pub trait DeadLetters: Send {
    /// Connects, fences whoever sent this job's letters before, and only then reads the marker: the
    /// last batch whose letters are there. `None`: there is none, or letters have no marker here.
    /// Called before the first letters of a pipeline and after every failure.
    fn open(&mut self) -> Result<Option<Marker>, SinkError>;

    /// What a second delivery does; asked once it is open.
    fn guarantee(&self) -> Guarantee;

    /// Sends all letters of a batch. `Ok`: all of them are durable, and where they are
    /// [`Guarantee::Marked`] the marker with them. `Err`: nothing is known; the caller opens it
    /// again, and sends them again unless the marker says that they are there.
    fn deliver(&mut self, delivery: &Delivery<'_>, letters: &[DeadLetter])
    -> Result<(), SinkError>;
}

/// Looks at the table or topic of a sink, and creates it. Asked at deploy, before anything changes.
pub trait Provision {
    /// Checks that the table or topic is there and fits the columns.
    fn inspect(&mut self, spec: &SinkSpec) -> Result<(), SinkError>;

    /// Creates what is missing, and checks the same.
    fn create(&mut self, spec: &SinkSpec) -> Result<(), SinkError>;
}
