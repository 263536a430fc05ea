//! History that is run through a version beside its job: what is asked of it, and what it came to.

use super::DeployRequest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;
use streamhost_core::clock;
use streamhost_core::job::settings::{self, StartPosition};
use streamhost_core::limits;
use streamhost_core::types::{Offset, Positions, by_topic};
use streamhost_engine::replay::{
    ExtraRows, PlaceReport, ReplayEnd, ReplayPhase, ReplayReport, ReplayedCell, ReplayedRow,
    RowKind,
};
use utoipa::ToSchema;

/// Where a replay begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayBound {
    /// At the oldest record there is.
    Earliest,
    /// Where the job is.
    Now,
    /// At the first record at or after this time.
    Time(SystemTime),
    /// At these offsets.
    Offsets(Vec<ReplayOffset>),
}

/// The offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOffset {
    /// The source's name; none where the job has one alone.
    pub source: Option<String>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
}

impl ReplayBound {
    /// Reads a bound. `Err`: what is wrong with it, and what it can be.
    pub fn parse(text: &str) -> Result<ReplayBound, String> {
        match text.trim() {
            "earliest" => Ok(ReplayBound::Earliest),
            "now" => Ok(ReplayBound::Now),
            text if text.contains('=') => {
                let all = text.split(',').map(ReplayOffset::parse);
                Ok(ReplayBound::Offsets(all.collect::<Result<_, _>>()?))
            }
            text => match settings::start(text) {
                Ok(StartPosition::At(time)) => Ok(ReplayBound::Time(time)),
                _ => Err(format!("`{text}`: {BOUND}")),
            },
        }
    }
}

const BOUND: &str = "it is earliest, now, a time such as 2026-11-21T08:00:00Z, or offsets such as \
                     0=100,1=250, of several sources orders:0=100,prices:0=7";

impl ReplayOffset {
    fn parse(text: &str) -> Result<ReplayOffset, String> {
        let wrong = || format!("`{text}`: {BOUND}");
        let (place, offset) = text.trim().split_once('=').ok_or_else(wrong)?;
        let (source, partition) = match place.rsplit_once(':') {
            Some((source, partition)) => (Some(source.trim().to_owned()), partition),
            None => (None, place),
        };
        let number = |text: &str| text.trim().parse::<Offset>().ok().filter(|n| *n >= 0);
        let partition = number(partition).and_then(|n| i32::try_from(n).ok());
        Ok(ReplayOffset {
            source,
            partition: partition.ok_or_else(wrong)?,
            offset: number(offset).ok_or_else(wrong)?,
        })
    }
}

/// What a user asks with `replay`, beside a component.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayRequest {
    /// Its name is the job's; settings are added to those of the version.
    pub deploy: DeployRequest,
    /// The version that is run, if there is no component; the active one without it.
    pub version: Option<u64>,
    /// Where it begins; at the oldest record there is, or at its savepoint, without it.
    pub from: Option<ReplayBound>,
    /// Where it ends.
    pub to: ReplayBound,
    /// So many records a second at most.
    pub rate: Option<u64>,
    /// For sinks by name, the place that their rows go to.
    pub sinks: BTreeMap<String, String>,
    /// The places of the other sinks are held against what is made.
    pub diff: bool,
    /// What differs is written.
    pub write: bool,
    /// What is there and was not made is deleted then.
    pub delete_extra: bool,
    /// Keyed stages may begin with an empty state, though records before `from` are left out.
    pub empty_state: bool,
}

impl Default for ReplayRequest {
    fn default() -> Self {
        ReplayRequest {
            deploy: DeployRequest::default(),
            version: None,
            from: None,
            to: ReplayBound::Now,
            rate: None,
            sinks: BTreeMap::new(),
            diff: false,
            write: false,
            delete_extra: false,
            empty_state: false,
        }
    }
}

impl ReplayRequest {
    /// Where it begins, if not at a savepoint.
    pub fn begins(&self) -> &ReplayBound {
        self.from.as_ref().unwrap_or(&ReplayBound::Earliest)
    }

    /// Reads a rate. `Err`: what it can be.
    pub fn rate(text: &str) -> Result<u64, String> {
        let most = limits::REPLAY_RATE_MAX;
        let rate = text.parse().ok().filter(|rate| (1..=most).contains(rate));
        rate.ok_or_else(|| format!("it is a number of records a second, from 1 to {most}"))
    }
}

/// Offsets by topic and partition.
type ReplayPositions = BTreeMap<String, BTreeMap<i32, i64>>;

/// History that is run through a version beside its job, or was last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayView {
    /// The job.
    pub job: String,
    /// The version that is run; of a component that is not deployed, the number that it would have.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// It runs; else it has ended.
    pub running: bool,
    /// How it ended: `done`, `failed` or `stopped`; null while it runs.
    pub outcome: Option<String>,
    /// Why it failed or was stopped.
    pub why: Option<String>,
    /// What it is at: `running` history through the version, `following` the job behind it,
    /// `comparing`, `writing`, `ended`.
    pub phase: String,
    /// What it waits for.
    pub waiting_for: Option<String>,
    /// When it began, RFC 3339.
    pub began: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
    /// The savepoint that it begins from; null: from none.
    pub savepoint: Option<ReplaySavepointView>,
    /// Its first offset of each partition.
    pub from: ReplayPositions,
    /// The offset behind its last one.
    pub to: ReplayPositions,
    /// How far it has come.
    pub at: ReplayPositions,
    /// Offsets that are passed and that there are, of all partitions.
    pub passed: u64,
    /// See `passed`.
    pub offsets: u64,
    /// So many records a second at most.
    pub rate: Option<u64>,
    /// What differs is written.
    pub writes: bool,
    /// Records that were run.
    pub records: u64,
    /// Batches of them.
    pub batches: u64,
    /// What a job counts of its records: `dead_letters`, `skipped`, `late`, `dropped`, `timeless`.
    pub counts: BTreeMap<String, u64>,
    /// Records that were run through the active version, to know what they write.
    pub followed: u64,
    /// Rows that went to other places, by sink.
    pub delivered: BTreeMap<String, u64>,
    /// Rows that are not as they were made, of all sinks.
    pub differing: u64,
    /// What was held against what was made, by sink.
    pub sinks: BTreeMap<String, ReplaySinkView>,
    /// Sinks whose places cannot be read back.
    pub not_compared: Vec<String>,
    /// Which rows that are there and were not made can be told: `place`, all of them; `active`, those
    /// that the active version makes of the same records; `none`.
    pub extra_rows: String,
    /// The time of the cells that were written, RFC 3339.
    pub mended_at: Option<String>,
    /// What the user should know: each a sentence.
    pub warnings: Vec<String>,
}

/// A replay in its job's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayStatus {
    /// The version that is run.
    pub version: u64,
    /// It runs; else it has ended.
    pub running: bool,
    /// How it ended: `done`, `failed` or `stopped`; null while it runs.
    pub outcome: Option<String>,
    /// What it is at.
    pub phase: String,
    /// Offsets that are passed, of all partitions.
    pub passed: u64,
    /// Offsets that there are, of all partitions.
    pub offsets: u64,
    /// Rows that are not as they were made, of all sinks.
    pub differing: u64,
}

impl ReplayStatus {
    /// What a replay is in short.
    pub fn of(view: &ReplayView) -> ReplayStatus {
        ReplayStatus {
            version: view.version,
            running: view.running,
            outcome: view.outcome.clone(),
            phase: view.phase.clone(),
            passed: view.passed,
            offsets: view.offsets,
            differing: view.differing,
        }
    }
}

/// The savepoint that a replay begins from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplaySavepoint)]
pub struct ReplaySavepointView {
    /// The last batch that is in it.
    pub batch: u64,
    /// When it was taken, RFC 3339.
    pub taken: String,
}

/// What a sink's place holds, held against what was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplaySink)]
pub struct ReplaySinkView {
    /// The table.
    pub place: String,
    /// Rows that are as they were made.
    pub alike: u64,
    /// Rows that are there, and some columns are otherwise.
    pub differing: u64,
    /// Rows that were made and are not there.
    pub missing: u64,
    /// Rows that are there and were not made.
    pub extra: u64,
    /// Rows that later records wrote again where they would differ.
    pub overtaken: u64,
    /// Rows that were written, and are there as they were written.
    pub mended: u64,
    /// Rows that were written and are not there as they were written.
    pub unmended: u64,
    /// In how many of the differing rows a column differs.
    pub columns: BTreeMap<String, u64>,
    /// Some of what is not alike.
    pub samples: Vec<ReplayRowView>,
}

/// A row that is not as it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayRow)]
pub struct ReplayRowView {
    /// `missing`, `differing` or `extra`.
    pub is: String,
    /// Its key.
    pub key: String,
    /// The columns that differ.
    pub columns: Vec<ReplayColumnView>,
}

/// One column of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayColumn)]
pub struct ReplayColumnView {
    /// Its name.
    pub column: String,
    /// What is there; null: nothing.
    pub held: Option<String>,
    /// What was made; null: nothing.
    pub made: Option<String>,
}

impl ReplayView {
    /// Takes what a replay has come to, given the topics of its sources.
    pub fn take(&mut self, report: ReplayReport, topics: &[String]) {
        let place = |positions: &Positions| by_topic(topics, positions);
        let sum = |of: &Positions| {
            let each = of.iter().map(|(partition, at)| {
                let from = report.from.get(partition).copied().unwrap_or(*at);
                u64::try_from(at - from).unwrap_or(0)
            });
            each.sum()
        };
        (self.passed, self.offsets) = (sum(&report.at), sum(&report.to));
        (self.from, self.to, self.at) = (place(&report.from), place(&report.to), place(&report.at));
        self.running = report.ended.is_none();
        self.began = clock::rfc3339(report.began_ms);
        self.differing = report.not_alike();
        self.mended_at = report.mended_ms.map(clock::rfc3339);
        self.phase = phase(report.phase).to_owned();
        self.extra_rows = extra(report.extra).to_owned();
        if let Some((at_ms, end)) = report.ended {
            self.ended = Some(clock::rfc3339(at_ms));
            let (outcome, why) = match end {
                ReplayEnd::Done => ("done", None),
                ReplayEnd::Broke(why) => ("failed", Some(why)),
                ReplayEnd::Told(why) => ("stopped", Some(why)),
            };
            (self.outcome, self.why) = (Some(outcome.to_owned()), why);
        }
        let counts = report.counts;
        self.records = counts.records_in;
        let all = [
            ("dead_letters", counts.dead_letters),
            ("skipped", counts.skipped),
            ("late", counts.late),
            ("dropped", counts.dropped),
            ("timeless", counts.timeless),
        ];
        self.counts = all.map(|(name, count)| (name.to_owned(), count)).into();
        self.batches = report.batches;
        self.followed = report.followed;
        self.waiting_for = report.waits;
        self.delivered = report.delivered;
        let sinks = report.places.into_iter();
        self.sinks = sinks.map(|(name, of)| (name, of.into())).collect();
    }
}

fn phase(phase: ReplayPhase) -> &'static str {
    match phase {
        ReplayPhase::Running => "running",
        ReplayPhase::Following => "following",
        ReplayPhase::Comparing => "comparing",
        ReplayPhase::Writing => "writing",
        ReplayPhase::Ended => "ended",
    }
}

fn extra(extra: ExtraRows) -> &'static str {
    match extra {
        ExtraRows::OfPlace => "place",
        ExtraRows::OfActive => "active",
        ExtraRows::Unknown => "none",
    }
}

impl From<PlaceReport> for ReplaySinkView {
    fn from(of: PlaceReport) -> Self {
        ReplaySinkView {
            place: of.target,
            alike: of.alike,
            differing: of.differing,
            missing: of.missing,
            extra: of.extra,
            overtaken: of.overtaken,
            mended: of.mended,
            unmended: of.unmended,
            columns: of.columns,
            samples: of.samples.into_iter().map(ReplayRowView::from).collect(),
        }
    }
}

impl From<ReplayedRow> for ReplayRowView {
    fn from(of: ReplayedRow) -> Self {
        let column = |of: ReplayedCell| ReplayColumnView {
            column: of.column,
            held: of.held,
            made: of.made,
        };
        let is = match of.kind {
            RowKind::Missing => "missing",
            RowKind::Differing => "differing",
            RowKind::Extra => "extra",
        };
        ReplayRowView {
            is: is.to_owned(),
            key: of.key,
            columns: of.columns.into_iter().map(column).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_times_or_offsets_or_say_what_is_wrong() {
        let at = |source: Option<&str>, partition, offset| ReplayOffset {
            source: source.map(str::to_owned),
            partition,
            offset,
        };
        let good = [
            ("earliest", ReplayBound::Earliest),
            ("now", ReplayBound::Now),
            (
                "0=100, 1=0",
                ReplayBound::Offsets(vec![at(None, 0, 100), at(None, 1, 0)]),
            ),
            ("a:b:2=7", ReplayBound::Offsets(vec![at(Some("a:b"), 2, 7)])),
        ];
        for (text, want) in good {
            assert_eq!(ReplayBound::parse(text), Ok(want), "{text}");
        }
        let time = ReplayBound::parse("2026-11-21T09:00:00+01:00");
        assert_eq!(time, ReplayBound::parse("2026-11-21T08:00:00Z"));
        assert!(matches!(time, Ok(ReplayBound::Time(_))));
        for text in [
            "",
            "latest",
            "yesterday",
            "0=",
            "=1",
            "0=-1",
            "x=1",
            "-1=1",
            "0=1,",
        ] {
            let wrong = ReplayBound::parse(text).unwrap_err();
            assert!(wrong.contains("0=100,1=250"), "{text}: {wrong}");
        }
        for text in ["0", "-1", "many", "99999999999"] {
            assert!(ReplayRequest::rate(text).is_err(), "{text}");
        }
        assert_eq!(ReplayRequest::rate("500"), Ok(500));
    }
}
