//! What a job is, and what is wrong with it: the first thing that the host asks a component for.

use crate::job::Job;
use crate::row::{ColumnDef, RowShape};
use std::time::Duration;

/// A job as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The interval of its batches; none: a batch is made as soon as records are there.
    pub every: Option<Duration>,
    /// What it reads. Stage `i` reads source `i`.
    pub sources: Vec<SourceDef>,
    /// Its keyed stages, each after those that feed it; stage `i` of them has the number `sources +
    /// i`.
    pub stages: Vec<StageDef>,
    /// Where its rows go.
    pub sinks: Vec<SinkDef>,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDef {
    /// The connector's name.
    pub connector: String,
    /// The topic, the address, the path.
    pub name: String,
    /// It feeds tables alone: it is read from its beginning to its end before the others begin.
    pub table: bool,
    /// Its records' event times move the job's watermark.
    pub timed: bool,
    /// What the connector is told.
    pub options: Vec<(String, String)>,
}

/// A keyed stage: what follows a `key_by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDef {
    /// State is kept under this name.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// The numbers of the stages that feed it, each below its own; of two sides the left one first.
    pub inputs: Vec<u32>,
    /// What its keys look like.
    pub key_shape: String,
    /// What its accumulators look like, or a join's left items.
    pub value_shape: String,
    /// What a join's right items, or a table's, look like; else empty.
    pub other_shape: String,
    /// The author's own count of changes to what the values mean.
    pub version: u32,
    /// The shape and version of the accumulators that it can migrate.
    pub migrates: Option<(String, u32)>,
}

/// What a keyed stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// Merges what has one key.
    Reduce(Scope),
    /// Pairs what has one key and lies close enough in time.
    Join {
        /// Which items are partners.
        partners: Partners,
        /// How late a record may be, in milliseconds.
        lateness_ms: u64,
        /// Lefts without a partner are given too.
        left: bool,
        /// Rights without a partner likewise.
        right: bool,
    },
    /// Pairs each item with what a table says of its key.
    Lookup,
    /// Gives each item to a function with a state and timers for its key.
    Process {
        /// A key is forgotten when it had no item for so many milliseconds; none: never.
        expire_ms: Option<u64>,
        /// It has timers of event time.
        event_time: bool,
    },
}

/// Which items of one key a join pairs, by their event times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partners {
    /// A left and a right that is at most so far before it, or so far after it.
    Between {
        /// How far before, in milliseconds.
        before_ms: u64,
        /// How far after.
        after_ms: u64,
    },
    /// Two that are in one window.
    Window {
        /// How long windows are, in milliseconds.
        size_ms: u64,
    },
}

/// Over what is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The batch alone.
    EachBatch,
    /// All time, or until a key had no record for so many milliseconds.
    Running {
        /// None: for ever.
        expire_ms: Option<u64>,
    },
    /// Windows.
    Window(WindowDef),
}

/// A stage's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowDef {
    /// Their form.
    pub form: WindowForm,
    /// How much later than a multiple of their hop they begin, in milliseconds.
    pub offset_ms: u64,
    /// How late a record may be, in milliseconds.
    pub lateness_ms: u64,
    /// The last part of it, in which late records change what was given, in milliseconds.
    pub updates_ms: u64,
    /// By the batches' time; else by event time.
    pub processing_time: bool,
    /// Results are also given as they stand after each batch.
    pub early: bool,
}

/// The form of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowForm {
    /// Of one size, a new one every hop.
    Panes {
        /// How long a window is, in milliseconds.
        size_ms: u64,
        /// How far apart windows begin, in milliseconds; the size is a multiple of it.
        hop_ms: u64,
    },
    /// Over when nothing came for longer than the gap.
    Session {
        /// The gap, in milliseconds.
        gap_ms: u64,
    },
}

impl StageKind {
    /// It goes by event time, and so by the watermark.
    pub(crate) fn is_timed(self) -> bool {
        match self {
            StageKind::Reduce(Scope::Window(window)) => !window.processing_time,
            StageKind::Join { .. } => true,
            StageKind::Process { event_time, .. } => event_time,
            StageKind::Reduce(_) | StageKind::Lookup => false,
        }
    }
}

/// A sink and its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDef {
    /// The connector's name.
    pub connector: String,
    /// Its table or topic.
    pub name: String,
    /// What the connector is told.
    pub options: Vec<(String, String)>,
    /// The rows' columns.
    pub shape: RowShape,
    /// Each part of a row's key is a column of its own.
    pub apart: bool,
}

impl SinkDef {
    /// What names a row of this sink.
    pub fn keys(&self) -> &'static [ColumnDef] {
        match self.apart {
            true => self.shape.key_columns,
            false => self.shape.keys,
        }
    }
}

impl Job<'_> {
    /// Err: the author's mistake in words, the first one found.
    pub(crate) fn describe(self) -> Result<Description, String> {
        let (every, sources, stages) = crate::validate::check(&self)?;
        let sink = |(_, s, shape): (_, crate::Sink, _)| SinkDef {
            apart: s.is_apart(&shape),
            connector: s.connector,
            name: s.name,
            options: s.options,
            shape,
        };
        let sinks = self.plan.sinks.into_iter().map(sink).collect();
        Ok(Description {
            name: self.name.into(),
            every,
            sources,
            stages,
            sinks,
        })
    }
}
