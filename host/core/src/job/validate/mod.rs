//! From what a component says of itself to a spec that cannot be wrong; all faults are told at
//! once. Pure.

pub mod stages;
mod fault;
mod targets;

use super::settings::Settings;
use super::{ColumnSpec, JobSpec, SinkKind, SinkSpec, SourceKind, SourceSpec, StageSpec, names};
use crate::limits;
use crate::types::Kind;
use std::collections::BTreeSet;
use std::time::Duration;
use targets::{Target, check_targets, check_ways};

pub use fault::JobFault;

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

/// Proves a described job under the settings of its deployment. `name_override` is what `--name`
/// says.
pub fn check(
    raw: JobDescription,
    name_override: Option<&str>,
    settings: &Settings,
) -> Result<JobSpec, Vec<JobFault>> {
    let mut faults = Vec::new();
    let name = name_override.unwrap_or(&raw.name).to_owned();
    if let Err(reason) = names::job(&name) {
        faults.push(JobFault::Name {
            name: name.clone(),
            reason,
        });
    }
    let every = settings
        .every
        .unwrap_or(Duration::from_millis(raw.every_ms.unwrap_or(0)));
    if every > limits::EVERY_MAX {
        faults.push(JobFault::Every {
            every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
        });
    }
    let count = raw.sources.len() + raw.sinks.len();
    if count > limits::PLACES_MAX {
        return Err(vec![JobFault::TooManyPlaces { count }]); // the rest could fill pages
    }
    let sources = raw
        .sources
        .into_iter()
        .map(|source| source_spec(source, settings, &mut faults))
        .collect::<Vec<_>>();
    let (stages, stage_faults) = stages::check(raw.stages, &sources);
    faults.extend(stage_faults.into_iter().map(JobFault::Stage));
    let sinks = raw
        .sinks
        .into_iter()
        .map(|sink| sink_spec(sink, settings, &mut faults))
        .collect::<Vec<_>>();
    check_targets(
        "source",
        sources.iter().map(Target::of_source),
        &settings.sources,
        &mut faults,
    );
    check_targets(
        "sink",
        sinks.iter().map(Target::of_sink),
        &settings.sinks,
        &mut faults,
    );
    for sink in &sinks {
        if sink.kind == SinkKind::Console && settings.sinks.contains_key(&sink.name) {
            faults.push(JobFault::NoPlaceToSet {
                name: sink.name.clone(),
            });
        }
    }
    check_ways(&name, &sources, &sinks, settings, &mut faults);
    if faults.is_empty() {
        Ok(JobSpec {
            name,
            every,
            sources,
            stages,
            sinks,
        })
    } else {
        Err(faults)
    }
}

fn source_spec(
    raw: SourceDescription,
    settings: &Settings,
    faults: &mut Vec<JobFault>,
) -> SourceSpec {
    let set = settings.sources.get(&raw.name);
    let source_name = || raw.name.clone();
    // What is set of a generator is its rate; where it stands is its name, or another rate would
    // begin it anew.
    let (target, rate) = match (raw.kind, set) {
        (SourceKind::Rate, Some(rate)) => (&raw.name, rate.clone()),
        (SourceKind::Rate, None) => (&raw.name, raw.rate.to_string()),
        (_, set) => (set.unwrap_or(&raw.name), String::new()),
    };
    let target = target.clone();
    let per_second = rate
        .parse()
        .ok()
        .filter(|rate| (1..=limits::RATE_MAX).contains(rate));
    if raw.kind == SourceKind::Rate && per_second.is_none() {
        faults.push(JobFault::Rate {
            source_name: source_name(),
            rate,
        });
    }
    if raw.kind != SourceKind::File && raw.follow {
        faults.push(JobFault::Follow {
            source_name: source_name(),
        });
    }
    if matches!(raw.kind, SourceKind::Rate | SourceKind::Socket) && raw.table {
        faults.push(JobFault::Endless {
            source_name: source_name(),
            wanted: "read as a table",
        });
    }
    if raw.kind == SourceKind::Rate && settings.until_end {
        faults.push(JobFault::Endless {
            source_name: source_name(),
            wanted: "read until its end (until=end)",
        });
    }
    SourceSpec {
        kind: raw.kind,
        target,
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
    let spec = |c: RawColumn| ColumnSpec {
        name: c.name,
        kind: c.kind,
        optional: c.optional,
    };
    SinkSpec {
        kind: raw.kind,
        name: raw.name,
        target,
        keyed: raw.keyed,
        dynamic: raw.dynamic,
        columns: raw.columns.into_iter().map(spec).collect(),
        exactly_once: raw.exactly_once,
    }
}

fn check_columns(raw: &SinkDescription, faults: &mut Vec<JobFault>) {
    let sink = &raw.name;
    if raw.columns.len() > limits::COLUMNS_MAX {
        faults.push(JobFault::TooManyColumns {
            sink: sink.clone(),
            count: raw.columns.len(),
        });
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
            faults.push(JobFault::Column {
                sink: sink.clone(),
                column: column.name.clone(),
                reason,
            });
        }
        if !seen.insert(&column.name) {
            faults.push(JobFault::ColumnTwice {
                sink: sink.clone(),
                column: column.name.clone(),
            });
        }
    }
}

/// All of them in one line, which is bounded though what they repeat of a component is not.
pub fn in_words<F: std::fmt::Display>(faults: &[F]) -> String {
    let (told, more) = faults.split_at(faults.len().min(limits::FAULTS_SHOWN_MAX));
    let told = told
        .iter()
        .map(|fault| names::shown(&fault.to_string(), limits::FAULT_SHOWN_CHARS_MAX));
    let more = (!more.is_empty()).then(|| format!("and {} more", more.len()));
    told.chain(more).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
