//! From what a component says of itself to a spec that cannot be wrong; all faults are told at once. Pure.

pub mod stages;

use super::settings::Settings;
use super::{ColumnSpec, JobSpec, SinkKind, SinkSpec, SourceKind, SourceSpec, StageSpec, names};
use crate::limits;
use crate::types::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A job as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDescription {
    /// Its name.
    pub name: String,
    /// The interval of its batches in milliseconds.
    pub every_ms: Option<u64>,
    /// Its sources.
    pub sources: Vec<SourceDescription>,
    /// Its keyed stages.
    pub stages: Vec<StageSpec>,
    /// Its sinks.
    pub sinks: Vec<SinkDescription>,
}

/// A source as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDescription {
    /// Its kind.
    pub kind: SourceKind,
    /// The topic, address or path.
    pub name: String,
    /// It feeds tables alone.
    pub table: bool,
    /// Its records' event times move the job's watermark.
    pub timed: bool,
    /// A file or folder that is read on as it grows.
    pub follow: bool,
    /// Records a second of a rate generator.
    pub rate: u32,
}

/// A sink as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDescription {
    /// Its kind.
    pub kind: SinkKind,
    /// The table or topic.
    pub name: String,
    /// Rows have keys.
    pub keyed: bool,
    /// Rows may have columns that are not declared.
    pub dynamic: bool,
    /// The declared columns.
    pub columns: Vec<RawColumn>,
    /// One transaction a batch.
    pub exactly_once: bool,
}

/// A column as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawColumn {
    /// HBase: `family:qualifier`; else a field, or empty for the whole value.
    pub name: String,
    /// What its cells hold.
    pub kind: Kind,
    /// Some rows may lack it.
    pub optional: bool,
}

/// What is wrong with a job or with how it is to be deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFault {
    /// The job's name cannot be.
    #[error("the job's name `{name}` cannot be: {reason}; give it another with --name")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The batch interval is too long.
    #[error("batches every {every_ms} ms: an interval is {} at most", humantime::format_duration(limits::EVERY_MAX))]
    Every {
        /// What the job says.
        every_ms: u64,
    },
    /// Nothing to read, or nothing to write.
    #[error("the job has no {role}: it needs one at least")]
    NoPlace {
        /// `source` or `sink`.
        role: &'static str,
    },
    /// Too many sources and sinks.
    #[error("the job has {count} sources and sinks, of {} at most: split it", limits::PLACES_MAX)]
    TooManyPlaces {
        /// How many.
        count: usize,
    },
    /// A source's or sink's name cannot be.
    #[error("the {role} name `{name}` cannot be: {reason}")]
    PlaceName {
        /// `source` or `sink`.
        role: &'static str,
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Two sources or two sinks have one name.
    #[error(
        "two {role}s are called `{name}`: give each its own name, so that --set {role}.NAME=… knows which is meant"
    )]
    NameTwice {
        /// `source` or `sink`.
        role: &'static str,
        /// The name.
        name: String,
    },
    /// Where a source reads or a sink writes cannot be.
    #[error("{role} `{name}`: there is no {what} `{target}`: {reason}; name another with --set {role}.{name}=…")]
    Target {
        /// `source` or `sink`.
        role: &'static str,
        /// What the job calls it.
        name: String,
        /// `topic`, `address`, `path` or `table`.
        what: &'static str,
        /// Which one.
        target: String,
        /// Why it cannot be.
        reason: String,
    },
    /// Two sources read, or two sinks write, the same.
    #[error("{role}s `{first}` and `{second}` both are `{target}`: one of the two must go, or be set to another place")]
    PlaceTwice {
        /// `source` or `sink`.
        role: &'static str,
        /// The first one's name.
        first: String,
        /// The second one's name.
        second: String,
        /// The topic, address, path or table.
        target: String,
    },
    /// A generator's rate cannot be.
    #[error(
        "source `{source_name}` makes `{rate}` records a second: it may be a number from 1 to {}",
        limits::RATE_MAX
    )]
    Rate {
        /// The source.
        source_name: String,
        /// Its rate, as it was said.
        rate: String,
    },
    /// Only files are followed.
    #[error("source `{source_name}` cannot be followed: only files can")]
    Follow {
        /// The source.
        source_name: String,
    },
    /// It never ends, but must.
    #[error("source `{source_name}` never ends, so that it cannot be {wanted}")]
    Endless {
        /// The source.
        source_name: String,
        /// What asks for an end.
        wanted: &'static str,
    },
    /// What is wrong with the keyed stages.
    #[error(transparent)]
    Stage(#[from] stages::StageFault),
    /// A topic is read and written.
    #[error(
        "the job reads topic `{topic}`, and its {writer} go there too, which would never end: set one of them to another topic"
    )]
    Loop {
        /// The topic.
        topic: String,
        /// What goes there, in the plural.
        writer: String,
    },
    /// Dead letters and rows would be mixed.
    #[error("topic `{topic}` is sink `{sink}`'s and the dead letters' too: set one of them to another topic")]
    DeadLettersInSink {
        /// The topic.
        topic: String,
        /// The sink.
        sink: String,
    },
    /// A setting names a source or sink that the job does not have.
    #[error("`{role}.{name}` names no {role} of this job: it has {known}")]
    NoSuchPlace {
        /// `source` or `sink`.
        role: &'static str,
        /// The name in the setting.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A place was set for a sink that has none.
    #[error("`sink.{name}` cannot be set: sink `{name}` writes to standard output")]
    NoPlaceToSet {
        /// The sink.
        name: String,
    },
    /// The consumer group is one of the host's own.
    #[error(
        "`group={group}`: groups that begin with `streamhost.` or `streamhost-run.` are the host's own; take another name"
    )]
    Group {
        /// The group.
        group: String,
    },
    /// Too many columns.
    #[error("sink `{sink}` has {count} columns, of {} at most", limits::COLUMNS_MAX)]
    TooManyColumns {
        /// The sink.
        sink: String,
        /// How many.
        count: usize,
    },
    /// A column's name cannot be.
    #[error("sink `{sink}`, column `{column}`: {reason}")]
    Column {
        /// The sink.
        sink: String,
        /// The column.
        column: String,
        /// Why.
        reason: String,
    },
    /// Two columns have one name.
    #[error("sink `{sink}` has two columns `{column}`")]
    ColumnTwice {
        /// The sink.
        sink: String,
        /// The column.
        column: String,
    },
    /// A raw column is not alone.
    #[error("sink `{sink}` has a column without a name, which is the whole value: then it can have no other columns")]
    RawNotAlone {
        /// The sink.
        sink: String,
    },
    /// Rows of a table need keys.
    #[error("sink `{sink}`: rows of an HBase table need a key: mark one field with #[row(key)]")]
    Keyless {
        /// The sink.
        sink: String,
    },
    /// Exactly-once where it cannot be.
    #[error("sink `{sink}` asks for exactly-once transactions, which Kafka alone has: HBase rows need none")]
    ExactlyOnce {
        /// The sink.
        sink: String,
    },
}

/// Proves a described job under the settings of its deployment. `name_override` is what `--name` says.
pub fn check(raw: JobDescription, name_override: Option<&str>, settings: &Settings) -> Result<JobSpec, Vec<JobFault>> {
    let mut faults = Vec::new();
    let name = name_override.unwrap_or(&raw.name).to_owned();
    if let Err(reason) = names::job(&name) {
        faults.push(JobFault::Name { name: name.clone(), reason });
    }
    let every = settings.every.unwrap_or(Duration::from_millis(raw.every_ms.unwrap_or(0)));
    if every > limits::EVERY_MAX {
        faults.push(JobFault::Every { every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX) });
    }
    let count = raw.sources.len() + raw.sinks.len();
    if count > limits::PLACES_MAX {
        return Err(vec![JobFault::TooManyPlaces { count }]); // the rest could fill pages
    }
    let sources = raw.sources.into_iter().map(|source| source_spec(source, settings, &mut faults)).collect::<Vec<_>>();
    let (stages, stage_faults) = stages::check(raw.stages, &sources);
    faults.extend(stage_faults.into_iter().map(JobFault::Stage));
    let sinks = raw.sinks.into_iter().map(|sink| sink_spec(sink, settings, &mut faults)).collect::<Vec<_>>();
    check_targets("source", sources.iter().map(Target::of_source), &settings.sources, &mut faults);
    check_targets("sink", sinks.iter().map(Target::of_sink), &settings.sinks, &mut faults);
    for sink in &sinks {
        if sink.kind == SinkKind::Console && settings.sinks.contains_key(&sink.name) {
            faults.push(JobFault::NoPlaceToSet { name: sink.name.clone() });
        }
    }
    check_ways(&name, &sources, &sinks, settings, &mut faults);
    if faults.is_empty() { Ok(JobSpec { name, every, sources, stages, sinks }) } else { Err(faults) }
}

fn source_spec(raw: SourceDescription, settings: &Settings, faults: &mut Vec<JobFault>) -> SourceSpec {
    let set = settings.sources.get(&raw.name);
    let source_name = || raw.name.clone();
    // What is set of a generator is its rate; where it stands is its name, or another rate would begin it anew.
    let (target, rate) = match (raw.kind, set) {
        (SourceKind::Rate, Some(rate)) => (&raw.name, rate.clone()),
        (SourceKind::Rate, None) => (&raw.name, raw.rate.to_string()),
        (_, set) => (set.unwrap_or(&raw.name), String::new()),
    };
    let target = target.clone();
    let per_second = rate.parse().ok().filter(|rate| (1..=limits::RATE_MAX).contains(rate));
    if raw.kind == SourceKind::Rate && per_second.is_none() {
        faults.push(JobFault::Rate { source_name: source_name(), rate });
    }
    if raw.kind != SourceKind::File && raw.follow {
        faults.push(JobFault::Follow { source_name: source_name() });
    }
    if matches!(raw.kind, SourceKind::Rate | SourceKind::Socket) && raw.table {
        faults.push(JobFault::Endless { source_name: source_name(), wanted: "read as a table" });
    }
    if raw.kind == SourceKind::Rate && settings.until_end {
        faults.push(JobFault::Endless { source_name: source_name(), wanted: "read until its end (until=end)" });
    }
    SourceSpec {
        kind: raw.kind,
        target: target,
        table: raw.table,
        timed: raw.timed && !raw.table, // a table at rest would hold the watermark back
        follow: raw.follow,
        rate: per_second.unwrap_or(0),
        name: raw.name,
    }
}

fn sink_spec(raw: SinkDescription, settings: &Settings, faults: &mut Vec<JobFault>) -> SinkSpec {
    let sink = &raw.name;
    if raw.kind == SinkKind::Hbase && !raw.keyed {
        faults.push(JobFault::Keyless { sink: sink.clone() });
    }
    if raw.kind != SinkKind::Kafka && raw.exactly_once {
        faults.push(JobFault::ExactlyOnce { sink: sink.clone() });
    }
    check_columns(&raw, faults);
    let target = settings.sinks.get(sink).unwrap_or(sink).clone();
    let spec = |c: RawColumn| ColumnSpec { name: c.name, kind: c.kind, optional: c.optional };
    SinkSpec {
        kind: raw.kind,
        name: raw.name,
        target: target,
        keyed: raw.keyed,
        dynamic: raw.dynamic,
        columns: raw.columns.into_iter().map(spec).collect(),
        exactly_once: raw.exactly_once,
    }
}

fn check_columns(raw: &SinkDescription, faults: &mut Vec<JobFault>) {
    let sink = &raw.name;
    if raw.columns.len() > limits::COLUMNS_MAX {
        faults.push(JobFault::TooManyColumns { sink: sink.clone(), count: raw.columns.len() });
        return;
    }
    let mut seen = BTreeSet::new();
    for column in &raw.columns {
        let judged = match raw.kind {
            SinkKind::Hbase => names::hbase_column(&column.name),
            SinkKind::Kafka | SinkKind::Console if column.name.is_empty() => {
                if raw.columns.len() > 1 || raw.dynamic {
                    faults.push(JobFault::RawNotAlone { sink: sink.clone() });
                    return;
                }
                Ok(())
            }
            SinkKind::Kafka | SinkKind::Console => names::field(&column.name),
        };
        if let Err(reason) = judged {
            faults.push(JobFault::Column { sink: sink.clone(), column: column.name.clone(), reason });
        }
        if !seen.insert(&column.name) {
            faults.push(JobFault::ColumnTwice { sink: sink.clone(), column: column.name.clone() });
        }
    }
}

/// Where a source or sink is, and what may be said of that.
#[derive(Clone, Copy)]
struct Target<'a> {
    name: &'a str,
    name_rule: fn(&str) -> Result<(), String>,
    /// What the place is called; empty where there is none.
    what: &'static str,
    target: &'a str,
    target_rule: fn(&str) -> Result<(), String>,
    /// What no other source, or no other sink, may have: a job's positions are kept by its sources' places alone.
    unique: (&'static str, &'a str),
}

impl<'a> Target<'a> {
    fn of_source(source: &'a SourceSpec) -> Self {
        let (what, target_rule): (_, fn(&str) -> _) = match source.kind {
            SourceKind::Kafka => ("topic", names::topic),
            SourceKind::Socket => ("address", names::address),
            SourceKind::File => ("path", names::path),
            SourceKind::Rate => ("generator", names::target),
        };
        let name_rule = if source.kind == SourceKind::File { names::path } else { names::target };
        Target {
            name: &source.name,
            name_rule,
            what,
            target: &source.target,
            target_rule,
            unique: ("", &source.target),
        }
    }

    fn of_sink(sink: &'a SinkSpec) -> Self {
        let (what, target_rule): (_, fn(&str) -> _) = match sink.kind {
            SinkKind::Hbase => ("table", names::table),
            SinkKind::Kafka => ("topic", names::topic),
            SinkKind::Console => ("", names::target),
        };
        let unique = (what, if what.is_empty() { &*sink.name } else { &*sink.target });
        Target { name: &sink.name, name_rule: names::target, what, target: &sink.target, target_rule, unique }
    }
}

/// Names and places of all sources or of all sinks.
fn check_targets<'a>(
    role: &'static str,
    all: impl Iterator<Item = Target<'a>>,
    set: &BTreeMap<String, String>,
    faults: &mut Vec<JobFault>,
) {
    let mut by_name = BTreeSet::new();
    let mut by_place = BTreeMap::new();
    let mut count = 0;
    for Target { name, name_rule, what, target, target_rule, unique } in all {
        count += 1;
        if let Err(reason) = name_rule(name) {
            faults.push(JobFault::PlaceName { role, name: name.to_owned(), reason });
            continue; // its place is judged once its name can be said
        }
        if !by_name.insert(name) {
            faults.push(JobFault::NameTwice { role, name: name.to_owned() });
            continue;
        }
        if let Err(reason) = target_rule(target).or_else(|reason| if what.is_empty() { Ok(()) } else { Err(reason) }) {
            let (name, target) = (name.to_owned(), target.to_owned());
            faults.push(JobFault::Target { role, name, what, target, reason });
        } else if let Some(first) = by_place.insert(unique, name) {
            let (first, second, target) = (first.to_owned(), name.to_owned(), target.to_owned());
            faults.push(JobFault::PlaceTwice { role, first, second, target });
        }
    }
    if count == 0 {
        faults.push(JobFault::NoPlace { role });
    }
    for name in set.keys().filter(|name| !by_name.contains(name.as_str())) {
        let known = by_name.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        faults.push(JobFault::NoSuchPlace { role, name: name.clone(), known });
    }
}

/// Where the job's topics and groups would run into each other.
fn check_ways(job: &str, sources: &[SourceSpec], sinks: &[SinkSpec], settings: &Settings, faults: &mut Vec<JobFault>) {
    let topics = sources.iter().filter(|source| source.kind == SourceKind::Kafka);
    let topics: BTreeSet<&str> = topics.map(|source| source.target.as_str()).collect();
    let reads = |topic: &str| topics.contains(topic);
    let letters = settings.dead_letter_topic(job);
    for sink in sinks.iter().filter(|sink| sink.kind == SinkKind::Kafka) {
        if reads(&sink.target) {
            let writer = format!("rows for sink `{}`", sink.name);
            faults.push(JobFault::Loop { topic: sink.target.clone(), writer });
        }
        if sink.target == letters {
            faults.push(JobFault::DeadLettersInSink { topic: letters.clone(), sink: sink.name.clone() });
        }
    }
    if reads(&letters) {
        faults.push(JobFault::Loop { topic: letters, writer: "dead letters".to_owned() });
    }
    let group = settings.group_of(job);
    let is_ours = group.starts_with("streamhost.") || group.starts_with("streamhost-run.");
    if settings.group.is_some() && is_ours && group != format!("streamhost.{job}") {
        faults.push(JobFault::Group { group });
    }
}

/// All of them in one line, which is bounded though what they repeat of a component is not.
pub fn in_words<F: std::fmt::Display>(faults: &[F]) -> String {
    let (told, more) = faults.split_at(faults.len().min(limits::FAULTS_SHOWN_MAX));
    let told = told.iter().map(|fault| names::shown(&fault.to_string(), limits::FAULT_SHOWN_CHARS_MAX));
    let more = (!more.is_empty()).then(|| format!("and {} more", more.len()));
    told.chain(more).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
