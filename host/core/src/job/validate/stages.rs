//! What is proven of a job's keyed stages. Pure.

use crate::job::{Partners, Process, SourceSpec, StageKind, StageSpec, Window, WindowForm, names};
use crate::limits;
use std::collections::BTreeSet;

/// What is wrong with the keyed stages as a component describes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageFault {
    /// Too many of them.
    #[error(
        "the job has {count} keyed stages, of {} at most: split it",
        limits::STAGES_MAX
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A stage's name cannot be.
    #[error("the stage name `{name}` cannot be: {reason}; give it another with .named(\"…\")")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Two stages have one name.
    #[error(
        "two stages are called `{name}`: give one of them another name with .named(\"…\"), as state is kept under it"
    )]
    NameTwice {
        /// The name.
        name: String,
    },
    /// A stage has a source's name.
    #[error(
        "a source and a keyed stage are both called `{name}`, and dead letters name them: give the stage another name with .named(\"…\")"
    )]
    SourceName {
        /// The name.
        name: String,
    },
    /// Something of one stage cannot be.
    #[error("stage `{stage}`: {reason}")]
    Stage {
        /// The stage.
        stage: String,
        /// What cannot be, and why.
        reason: String,
    },
    /// A source is a table for what is no lookup, or for nothing.
    #[error("source `{source_name}` is said to feed tables alone, but {reason}")]
    Table {
        /// The source.
        source_name: String,
        /// What it feeds.
        reason: String,
    },
}

/// Proves stages, and gives them as they are run. Those that are not proven are left out of it.
pub fn check(raw: Vec<StageSpec>, sources: &[SourceSpec]) -> (Vec<StageSpec>, Vec<StageFault>) {
    let count = raw.len();
    if count > limits::STAGES_MAX {
        return (Vec::new(), vec![StageFault::TooMany { count }]); // the rest could fill pages
    }
    let mut faults = Vec::new();
    let mut names_seen = BTreeSet::new();
    for stage in &raw {
        if let Err(reason) = names::stage(&stage.name) {
            faults.push(StageFault::Name {
                name: stage.name.clone(),
                reason,
            });
        } else if !names_seen.insert(&stage.name) {
            faults.push(StageFault::NameTwice {
                name: stage.name.clone(),
            });
        } else if sources.iter().any(|source| source.name == stage.name) {
            faults.push(StageFault::SourceName {
                name: stage.name.clone(),
            });
        }
    }
    for (i, stage) in raw.iter().enumerate() {
        let reasons = alone(stage).into_iter().chain(fed(i, &raw, sources));
        faults.extend(reasons.map(|reason| StageFault::Stage {
            stage: stage.name.clone(),
            reason,
        }));
    }
    faults.extend(
        (0..)
            .zip(sources)
            .filter(|(_, source)| source.table)
            .filter_map(|(i, source)| {
                let reason = table(i, &raw)?;
                Some(StageFault::Table {
                    source_name: source.name.clone(),
                    reason,
                })
            }),
    );
    (raw.into_iter().map(as_run).collect(), faults)
}

/// Windows by the batches' time have no late records.
fn as_run(mut stage: StageSpec) -> StageSpec {
    if let StageKind::Window(window) = &mut stage.kind
        && window.processing_time
    {
        window.lateness_ms = 0;
    }
    stage
}

/// What is wrong with a stage, whatever the others are.
fn alone(stage: &StageSpec) -> Vec<String> {
    let mut faults = Vec::new();
    match stage.kind {
        StageKind::EachBatch | StageKind::Lookup => {}
        StageKind::Running { expire_ms } | StageKind::Process(Process { expire_ms, .. }) => {
            faults.extend(expire_ms.and_then(|ms| {
                time(
                    "the time after which a silent key is forgotten",
                    saturated(ms),
                    1,
                )
            }));
        }
        StageKind::Window(window) => {
            faults.extend(form(window.form));
            faults.extend(offset(window));
            faults.extend(early(window));
            faults.extend(time(LATENESS, window.lateness_ms, 0));
            faults.extend(updates(window));
        }
        StageKind::Join(join) => {
            match join.partners {
                Partners::Between {
                    before_ms,
                    after_ms,
                } => faults.extend(
                    time("the distance of two partners", before_ms, 0)
                        .or_else(|| time("the distance of two partners", after_ms, 0)),
                ),
                Partners::Window { size_ms } => faults.extend(time("a window", size_ms, 1)),
            }
            faults.extend(time(LATENESS, join.lateness_ms, 0));
        }
    }
    let pairs = matches!(stage.kind, StageKind::Join(_) | StageKind::Lookup);
    if pairs == stage.other_shape.is_empty() {
        faults.push(match pairs {
            true => "it has one side only: a join or lookup has two".to_owned(),
            false => "it has two sides, which only a join or lookup has".to_owned(),
        });
    }
    if pairs && stage.migrates.is_some() {
        faults.push("only accumulators and states can be migrated".to_owned());
    }
    if stage
        .migrates
        .as_ref()
        .is_some_and(|(shape, version)| (shape, version) == (&stage.value_shape, &stage.version))
    {
        faults.push(format!(
            "it migrates from what it is: count its version up, `.key_by(…).version({})`",
            stage.version.saturating_add(1)
        ));
    }
    let old = stage.migrates.iter().map(|(shape, _)| shape);
    let shapes = [&stage.key_shape, &stage.value_shape, &stage.other_shape]
        .into_iter()
        .chain(old);
    if let Some(bytes) = shapes
        .map(String::len)
        .max()
        .filter(|bytes| *bytes > limits::STAGE_SHAPE_BYTES_MAX)
    {
        let most = limits::STAGE_SHAPE_BYTES_MAX;
        faults.push(format!(
            "the shape of its keys or values takes {bytes} bytes to say, of {most} at most: simplify it"
        ));
    }
    faults
}

fn form(form: WindowForm) -> Vec<String> {
    let (size, hop) = match form {
        WindowForm::Session { gap_ms } => {
            return time("a session's gap", gap_ms, 1).into_iter().collect();
        }
        WindowForm::Panes { size_ms, hop_ms } => (size_ms, hop_ms),
    };
    let mut faults: Vec<String> = time("a window's length", size, 1)
        .into_iter()
        .chain(time("its hop", hop, 1))
        .collect();
    if faults.is_empty() && size % hop != 0 {
        faults.push(format!(
            "a window of {} is no multiple of its hop, {}",
            shown(size),
            shown(hop)
        ));
    } else if faults.is_empty() && size / hop > limits::WINDOW_PANES_MAX {
        let (panes, most) = (size / hop, limits::WINDOW_PANES_MAX);
        faults.push(format!(
            "a window of {} has {panes} hops, of {most} at most: hop farther",
            shown(size)
        ));
    }
    faults
}

/// What is wrong with where windows begin.
fn offset(window: Window) -> Option<String> {
    let offset_ms = window.offset_ms;
    match window.form {
        WindowForm::Panes { hop_ms, .. } if !(0..hop_ms.max(1)).contains(&offset_ms) => {
            Some(format!(
                "its windows begin {offset_ms} ms later, of 0 to less than its hop, {hop_ms} ms"
            ))
        }
        WindowForm::Session { .. } if offset_ms != 0 => {
            Some("sessions begin with an item: leave `.offset(…)` out".to_owned())
        }
        _ => None,
    }
}

/// What is wrong with results that are given before their window is over.
fn early(window: Window) -> Option<String> {
    let WindowForm::Panes { size_ms, hop_ms } = window.form else {
        return None;
    };
    let (hops, most) = (size_ms.checked_div(hop_ms)?, limits::EARLY_WINDOW_HOPS_MAX);
    let what = match (window.early, window.updates_ms > 0) {
        (true, _) => "early results",
        (false, true) => "updates by late records",
        (false, false) => return None,
    };
    (hops > most).then(|| {
        format!(
            "{what} of a window of {hops} hops, of {most} at most: each record would give as many; hop farther"
        )
    })
}

/// What is wrong with results that late records change.
fn updates(window: Window) -> Option<String> {
    let Window {
        form,
        lateness_ms,
        updates_ms,
        processing_time,
        ..
    } = window;
    match form {
        _ if !(0..=lateness_ms.max(0)).contains(&updates_ms) => Some(format!(
            "late records update results for {updates_ms} ms, of 0 to {lateness_ms} ms"
        )),
        WindowForm::Session { .. } if updates_ms > 0 => Some(
            "late records cannot update sessions: leave `.allowed_lateness(…)` out, and let them wait by `.watermark(…)`"
                .to_owned(),
        ),
        _ if processing_time && updates_ms > 0 => {
            Some("windows of processing time have no late records that update them".to_owned())
        }
        _ => None,
    }
}

/// What `.watermark(…)` and `.allowed_lateness(…)` come to.
const LATENESS: &str = "the lateness";

/// What is wrong with a number of milliseconds.
fn time(what: &str, ms: i64, least: i64) -> Option<String> {
    let most = i64::try_from(limits::STAGE_TIME_MAX.as_millis()).unwrap_or(i64::MAX);
    let days = limits::STAGE_TIME_MAX.as_secs() / (24 * 60 * 60);
    match ms {
        _ if ms < least => Some(format!("{what} is {ms} ms, of {least} ms at least")),
        _ if ms > most => Some(format!("{what} is {ms} ms, of {days} days at most")),
        _ => None,
    }
}

fn saturated(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn shown(ms: i64) -> String {
    let duration = std::time::Duration::from_millis(ms.unsigned_abs());
    humantime::format_duration(duration).to_string()
}

/// What is wrong with what feeds stage `i`.
fn fed(i: usize, raw: &[StageSpec], sources: &[SourceSpec]) -> Vec<String> {
    let stage = &raw[i];
    let own = sources.len() + i;
    let mut faults = Vec::new();
    if stage.inputs.len() > limits::STAGE_INPUTS_MAX {
        return vec![format!(
            "{} chains feed it, of {} at most",
            stage.inputs.len(),
            limits::STAGE_INPUTS_MAX
        )];
    }
    if stage.inputs.is_empty() {
        faults.push("nothing feeds it".to_owned());
    }
    if let Some(input) = stage.inputs.iter().find(|input| **input as usize >= own) {
        faults.push(format!(
            "stage number {input} is said to feed it, which does not stand before it ({own})"
        ));
        return faults; // the rest would follow it
    }
    let inputs: Vec<usize> = stage.inputs.iter().map(|input| *input as usize).collect();
    let before = |input: &usize| input.checked_sub(sources.len()).map(|i| &raw[i]);
    for stage in inputs.iter().filter_map(before) {
        let StageKind::Window(window) = stage.kind else {
            continue;
        };
        let (what, verb) = match (window.early, window.updates_ms > 0) {
            (true, _) => ("early results", ".early_results()"),
            (false, true) => ("updates by late records", ".allowed_lateness(…)"),
            (false, false) => continue,
        };
        faults.push(format!(
            "stage `{}` feeds it, whose {what} would be counted again and again: leave `{verb}` out there, or end its chain in a sink",
            stage.name
        ));
    }
    let is_table = |input: &usize| sources.get(*input).is_some_and(|source| source.table);
    if stage.kind == StageKind::Lookup && !inputs.is_empty() && inputs.iter().all(is_table) {
        faults.push("only tables feed it: nothing is looked up in them".to_owned());
    }
    if stage.is_timed() && !inputs.is_empty() {
        faults.extend(timed(&inputs, raw, sources));
    }
    faults
}

/// What is wrong with the times of what feeds a stage that goes by event time.
fn timed(inputs: &[usize], raw: &[StageSpec], sources: &[SourceSpec]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut is_timed = false;
    let mut seen = BTreeSet::new();
    let mut open = inputs.to_vec();
    while let Some(input) = open
        .pop()
        .filter(|input| *input < sources.len() + raw.len())
    {
        if !seen.insert(input) {
            continue;
        }
        let Some(stage) = input.checked_sub(sources.len()).map(|i| &raw[i]) else {
            is_timed |= sources[input].timed;
            continue;
        };
        let without = match stage.kind {
            StageKind::EachBatch => Some("each batch"),
            StageKind::Running { .. } => Some("a running value"),
            StageKind::Window(window) if window.processing_time => Some("the batches' time"),
            StageKind::Window(_)
            | StageKind::Join(_)
            | StageKind::Lookup
            | StageKind::Process(_) => None,
        };
        match without {
            Some(what) => faults.push(format!(
                "it goes by event time, but what stage `{}` gives out ({what}) has none: reduce by windows of event time there, or write `.processing_time()` on the windows here",
                stage.name
            )),
            None => open.extend(stage.inputs.iter().map(|input| *input as usize).filter(|i| *i < input)),
        }
    }
    if faults.is_empty() && !is_timed {
        faults.push(
            "it goes by event time, but no source that feeds it has any: nothing would ever end"
                .to_owned(),
        );
    }
    faults
}

/// What is wrong with a table, the source of this number.
fn table(source: u32, raw: &[StageSpec]) -> Option<String> {
    let mut fed = raw
        .iter()
        .filter(|stage| stage.inputs.contains(&source))
        .peekable();
    if fed.peek().is_none() {
        return Some("feeds none".to_owned());
    }
    let other = fed.find(|stage| stage.kind != StageKind::Lookup)?;
    Some(format!("feeds stage `{}`, which is no lookup", other.name))
}

#[cfg(test)]
#[path = "stages_tests.rs"]
mod tests;
