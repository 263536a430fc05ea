//! From what a component says of itself to a spec that cannot be wrong; all faults are told at
//! once. Pure.

pub mod stages;
mod fault;
mod options;
mod ends;
mod targets;

use super::connector::Connectors;
use super::settings::Settings;
use super::{
    JobSpec, MetricDescription, ParameterDescription, StageSpec, metrics, names, parameters,
};
use crate::limits;
use crate::types::Kind;
use std::time::Duration;
use targets::check_loops;

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
    /// What it has asked for while it said so.
    pub parameters: Vec<ParameterDescription>,
    /// Metrics of its own that it has declared meanwhile.
    pub metrics: Vec<MetricDescription>,
}

/// A source as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDescription {
    /// The connector's name.
    pub connector: String,
    /// The topic, address or path.
    pub name: String,
    /// It feeds tables alone.
    pub table: bool,
    /// Its records' event times move the job's watermark.
    pub timed: bool,
    /// What it is told.
    pub options: Vec<(String, String)>,
}

/// A sink as its component describes it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDescription {
    /// The connector's name.
    pub connector: String,
    /// The table or topic.
    pub name: String,
    /// What names a row; none where rows have no key.
    pub keys: Vec<RawColumn>,
    /// Rows may have columns that are not declared.
    pub dynamic: bool,
    /// The declared columns.
    pub columns: Vec<RawColumn>,
    /// Rows may have headers.
    pub headers: bool,
    /// What it is told.
    pub options: Vec<(String, String)>,
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
/// says, `connectors` what the host has.
pub fn check(
    raw: JobDescription,
    name_override: Option<&str>,
    settings: &Settings,
    connectors: &dyn Connectors,
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
    let unknown = ends::unknown(&raw, connectors);
    if !unknown.is_empty() {
        faults.extend(unknown); // what they take is not known either
        return Err(faults);
    }
    let sources = ends::sources(raw.sources, settings, connectors, &mut faults);
    let (stages, stage_faults) = stages::check(raw.stages, &sources);
    faults.extend(stage_faults.into_iter().map(JobFault::Stage));
    let sinks = ends::sinks(raw.sinks, settings, connectors, &mut faults);
    let parameters = parameters::check(raw.parameters, &settings.parameters, &mut faults);
    let metrics = metrics::check(raw.metrics, &mut faults);
    check_loops(&name, &sources, &sinks, settings, &mut faults);
    if faults.is_empty() {
        Ok(JobSpec {
            name,
            every,
            sources,
            stages,
            sinks,
            parameters,
            metrics,
        })
    } else {
        Err(faults)
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
