//! A job as its component describes it, checked.

use super::connector::Options;
use super::{Join, MetricSpec, ParameterSpec};
use crate::types::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A column of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// HBase: `family:qualifier`. Kafka, console: a field's name; empty: the whole value, raw.
    pub name: String,
    /// What its cells hold.
    pub kind: Kind,
    /// Some rows may lack it.
    pub optional: bool,
}

impl ColumnSpec {
    /// A key that has no name of its own.
    pub fn key() -> Self {
        ColumnSpec {
            name: "key".to_owned(),
            kind: Kind::Bytes,
            optional: false,
        }
    }
}

/// A source as its job calls it, and where it really is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The connector's name.
    #[serde(rename = "kind")]
    pub connector: String,
    /// Which instance of it; empty: the usual one.
    #[serde(default)]
    pub instance: String,
    /// The component's name for it.
    pub name: String,
    /// The topic, address or path: `name`, unless `--set source.NAME=…` names another.
    #[serde(rename = "place")]
    pub target: String,
    /// It feeds tables alone: it is read from its beginning to its end before the others begin.
    pub table: bool,
    /// Its records' event times move the job's watermark.
    pub timed: bool,
    /// What it is told.
    #[serde(default)]
    pub options: Options,
}

/// A keyed stage: what follows `key_by` in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSpec {
    /// State is kept under this name.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// The stages that feed it, each below its own number. Sources come first: stage `i` reads
    /// source `i`.
    pub inputs: Vec<u32>,
    /// What keys look like.
    pub key_shape: String,
    /// What accumulators, or a join's left items, look like.
    pub value_shape: String,
    /// What a join's right items, or a table's, look like; else empty.
    pub other_shape: String,
    /// The author's own count of changes to what the values mean.
    pub version: u32,
    /// The shape and version of accumulators that `migrate` takes.
    pub migrates: Option<(String, u32)>,
}

/// What a keyed stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    /// Merges what has one key in each batch.
    EachBatch,
    /// Merges what has one key for ever, or until it had no record for so many milliseconds.
    Running {
        /// How long a key is kept without a record.
        expire_ms: Option<u64>,
    },
    /// Merges what has one key in one window.
    Window(Window),
    /// Pairs what has one key and lies close enough in time.
    Join(Join),
    /// Pairs each item with what a table says of its key.
    Lookup,
    /// Gives each item to a function with a state and timers for its key.
    Process(Process),
}

/// A function with state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Process {
    /// How long a key is kept without an item.
    pub expire_ms: Option<u64>,
    /// It has timers of event time.
    pub event_time: bool,
}

/// A stage's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Window {
    /// Their form.
    pub form: WindowForm,
    /// How much later than a multiple of their hop windows begin. Sessions have 0.
    #[serde(default)]
    pub offset_ms: i64,
    /// How far a record may be behind the largest event time of its partition, beyond its pane's
    /// end.
    pub lateness_ms: i64,
    /// By the batches' time; else by event time.
    pub processing_time: bool,
    /// The last part of `lateness_ms`: a window is given so much before nothing can change it any
    /// more, and again after each batch that does. 0: it is given once.
    #[serde(default)]
    pub updates_ms: i64,
    /// Results are also given as they stand after each batch.
    pub early: bool,
}

/// How far a time is behind where its window begins, of windows that begin so far apart, and so much
/// later than multiples of that.
pub fn since_window_begin(time_ms: i64, hop_ms: i64, offset_ms: i64) -> i64 {
    // A plan's hops are over 0; this one is not to divide by 0 whatever comes.
    time_ms.saturating_sub(offset_ms).rem_euclid(hop_ms.max(1))
}

impl Window {
    /// Whether a pane may begin then.
    pub fn may_begin(&self, pane_ms: i64) -> bool {
        match self.form {
            WindowForm::Panes { hop_ms, .. } => {
                since_window_begin(pane_ms, hop_ms, self.offset_ms) == 0
            }
            WindowForm::Session { .. } => false,
        }
    }

    /// Whether a window that begins at one time has the pane which begins at another.
    pub fn has_pane(&self, window_ms: i64, pane_ms: i64) -> bool {
        match self.form {
            WindowForm::Panes { size_ms, hop_ms } => {
                self.may_begin(window_ms)
                    && window_ms <= pane_ms
                    && pane_ms.saturating_add(hop_ms) <= window_ms.saturating_add(size_ms)
            }
            WindowForm::Session { .. } => false,
        }
    }
}

/// The form of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowForm {
    /// Of one size, a new one every hop; the size is a multiple of the hop. Kept as panes of one
    /// hop.
    Panes {
        /// How long a window is.
        size_ms: i64,
        /// How far apart windows begin.
        hop_ms: i64,
    },
    /// From a first event to `gap` after the last; over when nothing came for longer than that.
    Session {
        /// The gap.
        gap_ms: i64,
    },
}

impl fmt::Display for WindowForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |ms: i64| {
            humantime::format_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
                .to_string()
        };
        match self {
            WindowForm::Panes { size_ms, hop_ms } if size_ms == hop_ms => {
                write!(f, "tumbling windows of {}", words(*size_ms))
            }
            WindowForm::Panes { size_ms, hop_ms } => {
                write!(
                    f,
                    "windows of {} hopping by {}",
                    words(*size_ms),
                    words(*hop_ms)
                )
            }
            WindowForm::Session { gap_ms } => {
                write!(f, "sessions with a gap of {}", words(*gap_ms))
            }
        }
    }
}

impl StageSpec {
    /// What kept state must match to be carried on: keys, values, their sense, and how they are
    /// kept.
    pub fn fingerprint(&self) -> String {
        let kept = match self.kind {
            StageKind::EachBatch => "each-batch".to_string(),
            StageKind::Running { .. } => "running".to_string(),
            StageKind::Window(window) => {
                let offset = match window.offset_ms {
                    0 => String::new(),
                    ms => format!(", begun {ms} ms later,"),
                };
                format!(
                    "{}{offset} by {} time",
                    window.form,
                    if window.processing_time {
                        "processing"
                    } else {
                        "event"
                    }
                )
            }
            StageKind::Join(join) => join.fingerprint(),
            StageKind::Lookup => "lookup".to_string(),
            StageKind::Process(_) => "process".to_string(),
        };
        let StageSpec {
            key_shape,
            value_shape,
            other_shape,
            version,
            ..
        } = self;
        let other = if other_shape.is_empty() {
            String::new()
        } else {
            format!(" and {other_shape}")
        };
        format!("{kept}, {key_shape} to {value_shape}{other}, version {version}")
    }

    /// It keeps something from batch to batch.
    pub fn keeps_state(&self) -> bool {
        self.kind != StageKind::EachBatch
    }

    /// It goes by event time, and so by the watermark.
    pub fn is_timed(&self) -> bool {
        match self.kind {
            StageKind::Window(window) => !window.processing_time,
            StageKind::Join(_) => true,
            StageKind::Process(process) => process.event_time,
            StageKind::EachBatch | StageKind::Running { .. } | StageKind::Lookup => false,
        }
    }

    /// How far behind its watermark its line stands: what is before the line is late.
    pub fn lateness_ms(&self) -> i64 {
        match self.kind {
            StageKind::Window(window) if !window.processing_time => window.lateness_ms,
            StageKind::Join(join) => join.lateness_ms,
            _ => 0,
        }
    }

    /// How far behind its line the event times of its results may lie.
    pub fn behind_ms(&self) -> i64 {
        match self.kind {
            // A session is over one millisecond later than a pane with the same end.
            StageKind::Window(Window {
                form: WindowForm::Session { .. },
                ..
            }) => 1,
            StageKind::Join(join) => join.partners.behind_ms(),
            StageKind::Window(_)
            | StageKind::EachBatch
            | StageKind::Running { .. }
            | StageKind::Lookup
            | StageKind::Process(_) => 0,
        }
    }
}

/// A sink as its job calls it, and where it really is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The connector's name.
    #[serde(rename = "kind")]
    pub connector: String,
    /// Which instance of it; empty: the usual one.
    #[serde(default)]
    pub instance: String,
    /// The component's name for it.
    pub name: String,
    /// The table or topic: `name`, unless `--set sink.NAME=…` names another.
    #[serde(rename = "place")]
    pub target: String,
    /// What names a row; none where rows have no key.
    pub keys: Vec<ColumnSpec>,
    /// Rows may have headers.
    #[serde(default)]
    pub headers: bool,
    /// Rows may have columns that are not declared.
    pub dynamic: bool,
    /// The declared columns, in the order of a row's cells.
    pub columns: Vec<ColumnSpec>,
    /// What it is told.
    #[serde(default)]
    pub options: Options,
}

impl SinkSpec {
    /// Rows have keys.
    pub fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// A job as its component describes it, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job's name.
    pub name: String,
    /// The batch interval; zero: as soon as the pipeline is free and something is there.
    pub every: Duration,
    /// Its sources; stage `i` reads source `i`.
    pub sources: Vec<SourceSpec>,
    /// Its keyed stages, each after those that feed it; stage `i` of them has the number `sources +
    /// i`.
    pub stages: Vec<StageSpec>,
    /// Its sinks.
    pub sinks: Vec<SinkSpec>,
    /// Its parameters, and what they are.
    #[serde(default)]
    pub parameters: Vec<ParameterSpec>,
    /// Metrics of its own.
    #[serde(default)]
    pub metrics: Vec<MetricSpec>,
}

impl JobSpec {
    /// The topics, addresses and paths that it reads, in the order of its sources.
    pub fn topics(&self) -> Vec<String> {
        self.sources
            .iter()
            .map(|source| source.target.clone())
            .collect()
    }
}
