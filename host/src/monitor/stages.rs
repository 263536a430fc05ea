//! A job's keyed stages.

use super::history::History;
use crate::api::JobFacts;
use serde::Serialize;
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::job::{
    JobSpec, Partners, Process, StageKind, StageSpec, WindowForm, since_window_begin,
};
use streamhost_core::types::{END_OF_TIME_MS, NO_TIME_MS};
use utoipa::ToSchema;

/// One keyed stage.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stage {
    name: String,
    kind: &'static str,
    description: String,
    inputs: Vec<String>,
    keys: u64,
    bytes: u64,
    /// None where the host does not count it, as it has several stages.
    results: Option<u64>,
    late: Option<u64>,
    dead_letters: Option<u64>,
    watermark: Option<String>,
    last_fired: Option<String>,
    open_windows: Option<u64>,
    key_schema: String,
    value_schema: String,
}

pub(super) fn of(facts: &JobFacts, _history: &History) -> Vec<Stage> {
    let Some(spec) = &facts.spec else {
        return Vec::new();
    };
    spec.stages
        .iter()
        .map(|stage| one(facts, spec, stage))
        .collect()
}

fn one(facts: &JobFacts, spec: &JobSpec, stage: &StageSpec) -> Stage {
    let kept = facts.snapshot.stages.get(&stage.name);
    let alone = spec.stages.len() == 1;
    let watermark_ms = facts.snapshot.times.watermark_ms;
    let passed = stage.is_timed() && watermark_ms > NO_TIME_MS && watermark_ms < END_OF_TIME_MS;
    let rows = facts.meter.totals().rows;
    let made = rows
        .values()
        .map(|rows| rows.all.saturating_sub(rows.transform));
    Stage {
        name: stage.name.clone(),
        kind: kind(stage),
        description: describe(stage),
        inputs: inputs(spec, stage),
        keys: kept.map_or(0, |kept| kept.keys),
        bytes: kept.map_or(0, |kept| kept.bytes),
        results: alone.then(|| made.sum()),
        late: (alone || !stage.is_timed()).then_some(match stage.is_timed() {
            true => facts.status.late,
            false => 0,
        }),
        dead_letters: None,
        watermark: passed.then(|| clock::rfc3339(watermark_ms)),
        last_fired: hop_ms(stage).filter(|_| passed).map(|(hop_ms, offset_ms)| {
            let since_ms = since_window_begin(watermark_ms, hop_ms, offset_ms);
            clock::rfc3339(watermark_ms.saturating_sub(since_ms))
        }),
        open_windows: None,
        key_schema: stage.key_shape.clone(),
        value_schema: stage.value_shape.clone(),
    }
}

/// How far apart windows end, and how far behind multiples of that; none where they end by their
/// records.
fn hop_ms(stage: &StageSpec) -> Option<(i64, i64)> {
    match stage.kind {
        StageKind::Window(window) => match window.form {
            WindowForm::Panes { hop_ms, .. } => Some((hop_ms, window.offset_ms)),
            WindowForm::Session { .. } => None,
        },
        _ => None,
    }
}

fn kind(stage: &StageSpec) -> &'static str {
    match stage.kind {
        StageKind::EachBatch => "each-batch",
        StageKind::Running { .. } => "running",
        StageKind::Window(window) => match window.form {
            WindowForm::Panes { .. } => "window",
            WindowForm::Session { .. } => "session",
        },
        StageKind::Join(_) => "join",
        StageKind::Lookup => "lookup",
        StageKind::Process(_) => "process",
    }
}

/// What feeds a stage.
fn inputs(spec: &JobSpec, stage: &StageSpec) -> Vec<String> {
    let name = |input: &u32| {
        let input = *input as usize;
        match input.checked_sub(spec.sources.len()) {
            Some(before) => spec.stages.get(before).map(|stage| stage.name.clone()),
            None => spec
                .sources
                .get(input)
                .map(|source| format!("source/{}", source.name)),
        }
    };
    stage.inputs.iter().filter_map(name).collect()
}

/// A time in words.
fn time(ms: i64) -> String {
    let time = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_duration(time).to_string()
}

/// How long a stage waits for what is late.
fn describe_lateness(stage: &StageSpec) -> String {
    let updates_ms = match stage.kind {
        StageKind::Window(window) => window.updates_ms,
        _ => 0,
    };
    match stage.lateness_ms() {
        ms if updates_ms > 0 => format!(
            ", watermark {}, allowed lateness {}",
            time(ms - updates_ms),
            time(updates_ms)
        ),
        0 => String::new(),
        ms => format!(", watermark {}", time(ms)),
    }
}

/// A stage in words.
pub(crate) fn describe(stage: &StageSpec) -> String {
    let late = describe_lateness(stage);
    match stage.kind {
        StageKind::EachBatch => "what has one key in a batch is merged".to_owned(),
        StageKind::Running { expire_ms: None } => "what has one key is merged for ever".to_owned(),
        StageKind::Running {
            expire_ms: Some(ms),
        } => {
            let ms = i64::try_from(ms).unwrap_or(i64::MAX);
            format!(
                "what has one key is merged until it was silent for {}",
                time(ms)
            )
        }
        StageKind::Window(window) => {
            let by = if window.processing_time {
                "processing"
            } else {
                "event"
            };
            let early = if window.early {
                ", with early results"
            } else {
                ""
            };
            let offset = match window.offset_ms {
                0 => String::new(),
                ms => format!(", begun {} later,", time(ms)),
            };
            format!("{}{offset} by {by} time{late}{early}", window.form)
        }
        StageKind::Join(join) => {
            let partners = match join.partners {
                Partners::Between {
                    before_ms,
                    after_ms,
                } if before_ms == after_ms => format!("within {}", time(after_ms)),
                Partners::Between {
                    before_ms,
                    after_ms,
                } => {
                    format!(
                        "from {} before to {} after",
                        time(before_ms),
                        time(after_ms)
                    )
                }
                Partners::Window { size_ms } => format!("in one window of {}", time(size_ms)),
            };
            format!("{} of what is {partners}{late}", join.name())
        }
        StageKind::Lookup => "each item with what a table says of its key".to_owned(),
        StageKind::Process(process) => describe_process(process),
    }
}

/// A function with state in words.
fn describe_process(process: Process) -> String {
    let timers = match process.event_time {
        true => ", with timers of event time",
        false => "",
    };
    let kept = match process.expire_ms {
        Some(ms) => {
            let time = humantime::format_duration(Duration::from_millis(ms));
            format!("until it was silent for {time}")
        }
        None => "for ever".to_owned(),
    };
    format!("each item to a function with a state for its key, kept {kept}{timers}")
}
