//! Jobs that compile and cannot be, in words: what `describe` refuses.

use crate::describe::{Scope, SourceDef, SourceKind, StageDef, StageKind, WindowDef, WindowForm};
use crate::job::{Chain, Job, Plan};
use crate::row::RowShape;
use crate::sink::{Sink, SinkKind};
use std::collections::HashSet;
use std::time::Duration;

const JOB_NAME_CHARS_MAX: usize = 64;
/// Keyed stages of a job.
const STAGES_MAX: usize = 32;
/// No window, gap or lateness is longer.
const DURATION_MAX_MS: u64 = DURATION_DAYS_MAX * 24 * 3_600_000;
const DURATION_DAYS_MAX: u64 = 366;
/// Panes that one window is cut into.
const PANES_MAX: u64 = 10_000;

type Checked = (Option<Duration>, Vec<SourceDef>, Vec<StageDef>);

/// Err: the first mistake that is found.
pub(crate) fn check(job: &Job<'_>) -> Result<Checked, String> {
    check_name(job.name)?;
    let plan = &job.plan;
    if let Some(mistake) = plan.mistakes.first() {
        return Err(mistake.clone());
    }
    if plan.chains.iter().any(|chain| chain.start.number().is_none()) {
        return Err("a chain in `.also(…)` was given to another chain: end it where it begins".into());
    }
    plan.number();
    let every = interval(plan)?;
    for (_, sink, shape) in &plan.sinks {
        check_sink(sink, shape)?;
    }
    check_names(plan)?;
    let stages = stages(plan)?;
    let sources = sources(plan, &stages)?;
    Ok((every, sources, stages))
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() {
        return Err("the job has no name: put `#[job]` on the function that makes it".into());
    }
    if name.len() > JOB_NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(format!(
            "a job cannot be called `{name}`: 1 to {JOB_NAME_CHARS_MAX} lower-case letters, digits, `-` and `_`"
        ));
    }
    Ok(())
}

fn check_names(plan: &Plan<'_>) -> Result<(), String> {
    let sources: Vec<&str> = plan.sources.iter().map(|source| source.def.name.as_str()).collect();
    let sinks: Vec<&str> = plan.sinks.iter().map(|(_, sink, _)| sink.name.as_str()).collect();
    if sources.iter().chain(&sinks).any(|name| name.is_empty()) {
        return Err("a source or sink has an empty name: say which topic or table it is".into());
    }
    if let Some(name) = twice(&sources) {
        let kind = plan.sources.iter().find(|source| source.def.name == name).map(|source| source.def.kind);
        let kind = kind.map_or("source", word);
        return Err(format!("the job reads {kind} `{name}` twice: read it once, and branch with `.also(|records| …)`"));
    }
    if let Some(name) = twice(&sinks) {
        return Err(format!(
            "two chains end in `{name}`: make its rows in one chain (`.flat_map(…)` makes several of one item), or \
             give one of them another sink"
        ));
    }
    let stages: Vec<&str> = plan.stages.iter().map(|stage| stage.def.name.as_str()).collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(name) =
        stages.iter().find(|name| !(1..=JOB_NAME_CHARS_MAX).contains(&name.len()) || !name.chars().all(fits))
    {
        return Err(format!(
            "a stage cannot be called `{name}`: 1 to {JOB_NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`"
        ));
    }
    if let Some(name) = twice(&stages) {
        return Err(format!(
            "two stages are called `{name}`, and state is kept by name: give one of them another, as in \
             `.key_by(…).named(\"{name}-2\")`"
        ));
    }
    match stages.iter().find(|name| sources.contains(name)) {
        Some(name) => Err(format!(
            "a source and a keyed stage are both called `{name}`, and dead letters name them: give the stage another \
             name, as in `.key_by(…).named(\"{name}-2\")`"
        )),
        None => Ok(()),
    }
}

fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(**name)).copied()
}

fn word(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Kafka => "topic",
        SourceKind::Socket => "socket",
        SourceKind::File => "file",
        SourceKind::Rate => "the generator",
    }
}

fn interval(plan: &Plan<'_>) -> Result<Option<Duration>, String> {
    let mut known: Option<Duration> = None;
    for every in plan.sources.iter().filter_map(|source| source.every) {
        if every.as_millis() == 0 && !every.is_zero() {
            return Err(format!(
                "`.every({every:?})` is below a millisecond: leave it out for batches as quick as can be"
            ));
        }
        match known.replace(every) {
            Some(other) if other != every => {
                return Err(format!(
                    "one source says `.every({other:?})` and another `.every({every:?})`: a job's batches have one \
                     interval"
                ));
            }
            _ => {}
        }
    }
    Ok(known)
}

fn check_sink(sink: &Sink, shape: &RowShape) -> Result<(), String> {
    let Sink { kind, name, .. } = sink;
    if let Some(kind) = sink.only_source {
        return Err(format!("`{name}` is a {}, which can be read and not written", word(kind)));
    }
    if sink.exactly_once && *kind != SinkKind::Kafka {
        return Err(match kind {
            SinkKind::Hbase => format!(
                "`exactly_once` is for topics: the table `{name}` is right after any crash without it, as writing a row \
                 again changes nothing"
            ),
            _ => format!("`exactly_once` is for topics: what `{name}` shows cannot be taken back"),
        });
    }
    if sink.has_interval {
        return Err(format!("`.every(…)` belongs to a source, not to the sink `{name}`"));
    }
    if *kind == SinkKind::Hbase {
        if !shape.keyed {
            return Err(format!("rows for table `{name}` have no key: mark a field with `#[row(key)]`"));
        }
        if shape.columns.iter().any(|column| column.name.is_empty()) {
            return Err(format!(
                "table `{name}` has no place for a raw value: give it rows with columns, by `.map(…)`"
            ));
        }
        if let Some(column) = shape.columns.iter().find(|c| !has_family(c.name)) {
            return Err(format!(
                "column `{}` for table `{name}` has no family: name it with `#[row(\"family:qualifier\")]`",
                column.name
            ));
        }
    }
    Ok(())
}

fn has_family(column: &str) -> bool {
    column.split_once(':').is_some_and(|(family, _)| !family.is_empty())
}

/// The keyed stages with their inputs.
fn stages(plan: &Plan<'_>) -> Result<Vec<StageDef>, String> {
    let first = plan.sources.len();
    if plan.stages.len() > STAGES_MAX {
        return Err(format!(
            "the job has {} keyed stages, and {STAGES_MAX} is the most that a job can have: make two of it",
            plan.stages.len()
        ));
    }
    let mut stages: Vec<StageDef> = plan.stages.iter().map(|stage| stage.def.clone()).collect();
    let mut feeds: Vec<_> = plan
        .chains
        .iter()
        .flat_map(|chain| chain.trail.feeds.iter().map(|feed| (feed.to.get(), feed.side, number(chain), feed.table)))
        .collect();
    feeds.sort_unstable();
    for (to, _, from, _) in &feeds {
        stages[to - first].inputs.push(*from as u32);
    }
    for stage in &stages {
        check_stage(stage)?;
    }
    for (to, _, from, table) in feeds {
        let to = &stages[to - first];
        let Some(from) = from.checked_sub(first).map(|i| &stages[i]) else { continue };
        if early(from.kind) {
            return Err(format!(
                "`{}` gives early results, which it takes back later, and `{}` would keep them: leave \
                 `.early_results()` out, or end the chain in a sink",
                from.name, to.name
            ));
        }
        if to.kind.is_timed() && !table && !brings_time(plan, &stages, from) {
            return Err(format!(
                "`{}` goes by event time, and what comes out of `{}` has none: reduce by windows of event time there, \
                 or write `.processing_time()` on the windows here",
                to.name, from.name
            ));
        }
    }
    Ok(stages)
}

/// A chain's stage; branches were refused.
fn number(chain: &Chain<'_>) -> usize {
    chain.start.number().unwrap_or_default()
}

fn early(kind: StageKind) -> bool {
    matches!(kind, StageKind::Reduce(Scope::Window(WindowDef { early: true, .. })))
}

/// What comes out of a stage has event times: those of its windows, or those that came in.
fn brings_time(plan: &Plan<'_>, stages: &[StageDef], stage: &StageDef) -> bool {
    match (stage.kind, stage.inputs.first()) {
        (StageKind::Lookup, Some(&left)) => match (left as usize).checked_sub(plan.sources.len()) {
            Some(left) => brings_time(plan, stages, &stages[left]),
            None => true,
        },
        (kind, _) => kind.is_timed(),
    }
}

fn check_stage(stage: &StageDef) -> Result<(), String> {
    let StageDef { name, .. } = stage;
    let span = |what: &str, ms: u64| match ms {
        0 => Err(format!("stage `{name}`: {what} is 0, or below a millisecond")),
        _ if ms > DURATION_MAX_MS => Err(format!("stage `{name}`: {what} is longer than {DURATION_DAYS_MAX} days")),
        _ => Ok(()),
    };
    let lateness = |ms: u64| if ms == 0 { Ok(()) } else { span("the allowed lateness", ms) };
    for (what, shape) in [("accumulators", &stage.value_shape), ("the other side's items", &stage.other_shape)] {
        if shape.contains('?') {
            return Err(format!(
                "stage `{name}`: {what} have a part whose type only the data knows (`serde_json::Value`, \
                 `#[serde(untagged)]`, `#[serde(flatten)]`), which is kept without that: give it a type"
            ));
        }
    }
    if stage.migrates.as_ref().is_some_and(|(shape, version)| (shape, version) == (&stage.value_shape, &stage.version))
    {
        return Err(format!(
            "stage `{name}` migrates from what it is already: count its version up, `.key_by(…).version({})`",
            stage.version + 1
        ));
    }
    match stage.kind {
        StageKind::Lookup | StageKind::Reduce(Scope::EachBatch | Scope::Running { expire_ms: None }) => Ok(()),
        StageKind::Reduce(Scope::Running { expire_ms: Some(ms) }) => span("the time after which keys expire", ms),
        StageKind::Join { within_ms, lateness_ms, .. } => {
            if within_ms > 0 {
                span("`within`", within_ms)?;
            }
            lateness(lateness_ms)
        }
        StageKind::Reduce(Scope::Window(window)) => {
            if window.processing_time && window.lateness_ms > 0 {
                return Err(format!(
                    "stage `{name}`: windows of processing time have no late records: leave `.allowed_lateness(…)` out"
                ));
            }
            lateness(window.lateness_ms)?;
            match window.form {
                WindowForm::Session { gap_ms } => span("the gap", gap_ms),
                WindowForm::Panes { size_ms, hop_ms } => {
                    span("the windows' size", size_ms)?;
                    span("the windows' hop", hop_ms)?;
                    check_panes(name, size_ms, hop_ms)
                }
            }
        }
    }
}

fn check_panes(name: &str, size_ms: u64, hop_ms: u64) -> Result<(), String> {
    if !size_ms.is_multiple_of(hop_ms) {
        return Err(format!(
            "stage `{name}`: a window of {size_ms} ms is no multiple of its hop of {hop_ms} ms: windows are kept in \
             panes of one hop"
        ));
    }
    if size_ms / hop_ms > PANES_MAX {
        return Err(format!(
            "stage `{name}`: a window of {size_ms} ms has {} hops of {hop_ms} ms, and {PANES_MAX} is the most: hop \
             further",
            size_ms / hop_ms
        ));
    }
    Ok(())
}

/// The sources, with what their chains make of them.
fn sources(plan: &Plan<'_>, stages: &[StageDef]) -> Result<Vec<SourceDef>, String> {
    let mut defs: Vec<SourceDef> = plan.sources.iter().map(|source| source.def.clone()).collect();
    let first = defs.len();
    let timed = timed(plan, stages);
    for chain in &plan.chains {
        let trail = &chain.trail;
        let Some(def) = defs.get_mut(number(chain)) else {
            if trail.timed_bys > 0 {
                let name = &stages[number(chain) - first].name;
                return Err(format!(
                    "`.timed_by(…)` stands after the keyed stage `{name}`: what comes from it has its window's time, \
                     or that of what it was joined from"
                ));
            }
            continue;
        };
        let name = &def.name;
        if trail.feeds.iter().any(|feed| feed.table) && !trail.is_table() {
            return Err(format!(
                "source `{name}` feeds the table of a lookup and something else as well: a table is read to its end \
                 before anything else begins, so it must be a source of its own"
            ));
        }
        let untimed = |feed: &crate::job::Feed| !feed.timed_by && stages[feed.to.get() - first].kind.is_timed();
        if trail.timed_bys > 1 || trail.timed_bys == 1 && trail.feeds.iter().any(untimed) {
            return Err(format!(
                "a source has one event time, and `{name}` is given several: write one `.timed_by(…)`, before its \
                 branches"
            ));
        }
        if def.kind == SourceKind::Rate && def.rate == 0 {
            return Err("`rate(0)` makes no records: say how many a second".into());
        }
        def.table = trail.is_table();
        def.timed = !def.table && timed[number(chain)];
    }
    Ok(defs)
}

/// For each stage, sources included: something behind it goes by its items' event times.
fn timed(plan: &Plan<'_>, stages: &[StageDef]) -> Vec<bool> {
    let first = plan.sources.len();
    let mut timed = vec![false; first + stages.len()];
    // A stage stands after its inputs, so one pass from the last one is enough.
    let mut chains: Vec<&Chain<'_>> = plan.chains.iter().collect();
    chains.sort_by_key(|chain| std::cmp::Reverse(number(chain)));
    for chain in chains {
        let behind = |feed: &crate::job::Feed| {
            let to = feed.to.get();
            !feed.table && (stages[to - first].kind.is_timed() || timed[to])
        };
        timed[number(chain)] = chain.trail.feeds.iter().any(behind);
    }
    timed
}
