//! A version that runs beside the active one: what is asked of it, and how it differs.

use super::{DeployRequest, PromoteIf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::compare::{
    ColumnDifference, LetterDifference, Pair, RowSample, Side, SinkDifference,
};
use streamhost_engine::pipeline::BatchDifference;
use utoipa::ToSchema;

/// What a user asks with `deploy --shadow`, beside the component itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowRequest {
    /// As of a deploy that makes it active.
    pub deploy: DeployRequest,
    /// How long it runs at most.
    pub time: Duration,
    /// How many batches it runs at most.
    pub batches: Option<u64>,
    /// It becomes active by itself at its end, if this is so then.
    pub promote_if: Option<PromoteIf>,
}

/// A version that runs beside the active one, or did so last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Shadow)]
pub struct ShadowView {
    /// The job.
    pub job: String,
    /// The version number that it would have.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// The version that it is compared with.
    pub beside: u64,
    /// It runs; else it has ended.
    pub running: bool,
    /// When it began, RFC 3339.
    pub began: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
    /// Why it ended, and what became of it.
    pub why: Option<String>,
    /// Until when it runs at most, RFC 3339.
    pub until: String,
    /// How many batches it runs at most.
    pub batches_max: Option<u64>,
    /// What must be so for it to become active by itself at its end.
    pub promote_if: Option<String>,
    /// Batches that both versions ran.
    pub batches: u64,
    /// Batches that it left out, as it could not keep up.
    pub skipped: u64,
    /// How often it began as the active version was: at first, behind batches that it left out, and
    /// after it broke.
    pub forks: u64,
    /// Whole batches that it broke on.
    pub faults: u64,
    /// What it broke on last.
    pub last_fault: Option<String>,
    /// Records of those batches.
    pub records: u64,
    /// Rows that are alike.
    pub alike: u64,
    /// Rows and dead letters that are not alike.
    pub differing: u64,
    /// Rows by sink.
    pub sinks: BTreeMap<String, SinkView>,
    /// Dead letters.
    pub dead_letters: LettersView,
    /// What is counted of each version: `dead_letters`, `skipped`, `late`, `dropped`, `broken`
    /// (records), `cpu_us`, `memory_bytes`.
    pub counts: BTreeMap<String, PairView>,
    /// Memory that its own state takes.
    pub state_bytes: u64,
    /// The last batches.
    pub recent: Vec<BatchView>,
}

/// A figure of both versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowPair)]
pub struct PairView {
    /// The active version's.
    pub active: u64,
    /// The shadow's.
    pub shadow: u64,
}

/// How rows of one sink differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowSink)]
pub struct SinkView {
    /// Rows that are alike.
    pub alike: u64,
    /// Rows of the same key that differ.
    pub differing: u64,
    /// Rows that are alike, but not in the same order among those of their key.
    pub reordered: u64,
    /// Rows that the active version alone made.
    pub only_active: u64,
    /// Rows that the shadow alone made.
    pub only_shadow: u64,
    /// In how many of the differing rows a column differs.
    pub columns: BTreeMap<String, u64>,
    /// Some of what is not alike.
    pub samples: Vec<RowView>,
}

/// A row that is not alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowRow)]
pub struct RowView {
    /// Which version made it: `both`, `active` or `shadow`.
    pub of: String,
    /// Its key; empty where rows have none.
    pub key: Vec<String>,
    /// The columns that differ; of a row of one version, all that it has.
    pub columns: Vec<ColumnView>,
}

/// One column of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowColumn)]
pub struct ColumnView {
    /// Its name.
    pub column: String,
    /// What the active version has there; none: nothing.
    pub active: Option<String>,
    /// What the shadow has there; none: nothing.
    pub shadow: Option<String>,
}

/// How dead letters differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowLetters)]
pub struct LettersView {
    /// Of the same record or group, for the same reason.
    pub alike: u64,
    /// Of the same record or group, for another reason.
    pub differing: u64,
    /// Of the active version alone.
    pub only_active: u64,
    /// Of the shadow alone.
    pub only_shadow: u64,
    /// Some of those that are not alike.
    pub samples: Vec<LetterView>,
}

/// A dead letter that is not alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowLetter)]
pub struct LetterView {
    /// Which version has it: `both`, `active` or `shadow`.
    pub of: String,
    /// `PARTITION-OFFSET` of its record; none for a group.
    pub record: Option<String>,
    /// The stage that refused it.
    pub stage: String,
    /// The key.
    pub key: Option<String>,
    /// Why the active version refused it.
    pub active: Option<String>,
    /// Why the shadow refused it.
    pub shadow: Option<String>,
}

/// One batch that both versions ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowBatch)]
pub struct BatchView {
    /// Its number.
    pub batch: u64,
    /// Its records.
    pub records: u64,
    /// Rows that are alike.
    pub alike: u64,
    /// Rows and dead letters that are not.
    pub differing: u64,
    /// Its dead letters.
    pub dead_letters: PairView,
}

/// A shadow in a job's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowStatus {
    /// The version number that it would have.
    pub version: u64,
    /// It runs; else it has ended.
    pub running: bool,
    /// Batches that both versions ran.
    pub batches: u64,
    /// Batches that it left out.
    pub skipped: u64,
    /// Rows that are alike.
    pub alike: u64,
    /// Rows and dead letters that are not.
    pub differing: u64,
    /// Memory that its own state takes.
    pub state_bytes: u64,
    /// Why it ended, and what became of it.
    pub why: Option<String>,
}

impl From<Pair> for PairView {
    fn from(Pair { active, shadow }: Pair) -> Self {
        PairView { active, shadow }
    }
}

impl From<BatchDifference> for BatchView {
    fn from(of: BatchDifference) -> Self {
        BatchView {
            batch: of.batch,
            records: of.records,
            alike: of.alike,
            differing: of.differing,
            dead_letters: of.dead_letters.into(),
        }
    }
}

fn side(side: Side) -> String {
    match side {
        Side::Both => "both",
        Side::Active => "active",
        Side::Shadow => "shadow",
    }
    .to_owned()
}

impl From<SinkDifference> for SinkView {
    fn from(of: SinkDifference) -> Self {
        SinkView {
            alike: of.alike,
            differing: of.differing,
            reordered: of.reordered,
            only_active: of.only_active,
            only_shadow: of.only_shadow,
            columns: of.columns,
            samples: of.samples.into_iter().map(RowView::from).collect(),
        }
    }
}

impl From<RowSample> for RowView {
    fn from(of: RowSample) -> Self {
        let column = |of: ColumnDifference| ColumnView {
            column: of.column,
            active: of.active,
            shadow: of.shadow,
        };
        RowView {
            of: side(of.side),
            key: of.key,
            columns: of.columns.into_iter().map(column).collect(),
        }
    }
}

impl From<LetterDifference> for LettersView {
    fn from(of: LetterDifference) -> Self {
        let samples = of.samples.into_iter().map(|of| LetterView {
            of: side(of.side),
            record: of
                .record
                .map(|(partition, offset)| format!("{partition}-{offset}")),
            stage: of.stage,
            key: of.key,
            active: of.active,
            shadow: of.shadow,
        });
        LettersView {
            alike: of.alike,
            differing: of.differing,
            only_active: of.only_active,
            only_shadow: of.only_shadow,
            samples: samples.collect(),
        }
    }
}
