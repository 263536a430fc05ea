//! What a component describes, and what is proven of it.

use crate::record::Kind;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A topic.
    Kafka,
}

/// Which kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkKind {
    /// A table.
    Hbase,
    /// A topic.
    Kafka,
    /// Standard output.
    Console,
}

/// A column of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnPlan {
    /// HBase: `family:qualifier`. Kafka, console: a field's name; empty: the whole value, raw.
    pub name: String,
    /// What its cells hold.
    pub kind: Kind,
    /// Some rows may lack it.
    pub optional: bool,
}

/// A source as its job calls it, and where it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// Its kind.
    pub kind: SourceKind,
    /// The component's name for it.
    pub name: String,
    /// The topic: `name`, unless `--set source.NAME=…` names another.
    pub place: String,
}

/// A sink as its job calls it, and where it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkPlan {
    /// Its kind.
    pub kind: SinkKind,
    /// The component's name for it.
    pub name: String,
    /// The table or topic: `name`, unless `--set sink.NAME=…` names another.
    pub place: String,
    /// Rows have keys.
    pub keyed: bool,
    /// Rows may have columns that are not declared.
    pub dynamic: bool,
    /// The declared columns, in the order of a row's cells.
    pub columns: Vec<ColumnPlan>,
    /// One transaction a batch.
    pub exactly_once: bool,
}

/// A job as its component describes it, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// The job's name.
    pub name: String,
    /// The batch interval; zero: as soon as the pipeline is free and something is there.
    pub every: Duration,
    /// Its sources; stage `i` reads source `i`.
    pub sources: Vec<SourcePlan>,
    /// Its sinks.
    pub sinks: Vec<SinkPlan>,
}

pub mod names;
pub mod check;
pub mod settings;
pub mod status;
