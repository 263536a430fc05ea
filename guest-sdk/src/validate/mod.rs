//! Jobs that compile and cannot be, in words: what `describe` refuses.

use crate::describe::{SourceDef, StageDef};
use crate::job::{Edge, Job, Plan, Strand};
use crate::limits::{
    COLUMN_NAME_BYTES_MAX, COLUMNS_MAX, EVERY_MAX, PLACE_BYTES_MAX, PLACES_MAX, RATE_MAX,
};
use crate::row::RowShape;
use crate::sink::{Known, Sink};
use std::collections::HashSet;
use std::time::Duration;

mod stages;

/// The name of a job or stage.
const NAME_CHARS_MAX: usize = 64;
/// The name of a source or sink, but for a path.
const PLACE_NAME_BYTES_MAX: usize = 255;

type Checked = (Option<Duration>, Vec<SourceDef>, Vec<StageDef>);

/// Err: the first mistake that is found.
pub(crate) fn check(job: &Job<'_>) -> Result<Checked, String> {
    check_name(job.name)?;
    let plan = &job.plan;
    if let Some(mistake) = plan.mistakes.first() {
        return Err(mistake.clone());
    }
    if plan
        .chains
        .iter()
        .flat_map(|chain| &chain.strands)
        .any(|strand| strand.start.number().is_none())
    {
        return Err(
            "a chain in `.also(…)` was given to another chain: end it where it begins".into(),
        );
    }
    plan.number();
    let every = interval(plan)?;
    for (_, sink, shape) in &plan.sinks {
        check_sink(sink, shape)?;
    }
    check_names(plan)?;
    let stages = stages::stages(plan)?;
    let sources = sources(plan, &stages)?;
    Ok((every, sources, stages))
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() {
        return Err("the job has no name: put `#[job]` on the function that makes it".into());
    }
    if name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(format!(
            "a job cannot be called `{name}`: 1 to {NAME_CHARS_MAX} lower-case letters, digits, `-` and `_`"
        ));
    }
    if name.starts_with(['-', '_']) {
        return Err(format!(
            "a job cannot be called `{name}`: its name begins with a letter or a digit"
        ));
    }
    Ok(())
}

fn check_names(plan: &Plan<'_>) -> Result<(), String> {
    let sources: Vec<&str> = plan
        .sources
        .iter()
        .map(|source| source.def.name.as_str())
        .collect();
    let sinks: Vec<&str> = plan
        .sinks
        .iter()
        .map(|(_, sink, _)| sink.name.as_str())
        .collect();
    if sources.iter().chain(&sinks).any(|name| name.is_empty()) {
        return Err("a source or sink has an empty name: say which topic or table it is".into());
    }
    let count = sources.len() + sinks.len();
    if count > PLACES_MAX {
        return Err(format!(
            "the job has {count} sources and sinks, and {PLACES_MAX} is the most: make two of it"
        ));
    }
    let paths = plan.sources.iter().filter(|source| source.known.is_path);
    let paths: HashSet<&str> = paths.map(|source| source.def.name.as_str()).collect();
    for name in sources.iter().chain(&sinks) {
        check_place(name, paths.contains(name))?;
    }
    if let Some(name) = twice(&sources) {
        let kind = plan
            .sources
            .iter()
            .find(|source| source.def.name == name)
            .map(|source| source.known.what);
        let kind = kind.unwrap_or("source");
        return Err(format!(
            "the job reads {kind} `{name}` twice: read it once, and branch with `.also(|records| …)`"
        ));
    }
    if let Some(name) = twice(&sinks) {
        return Err(format!(
            "two chains end in `{name}`: make its rows in one chain (`.flat_map(…)` makes several of one item), or \
             give one of them another sink"
        ));
    }
    check_stage_names(plan, &sources)
}

fn check_stage_names(plan: &Plan<'_>, sources: &[&str]) -> Result<(), String> {
    let stages: Vec<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.def.name.as_str())
        .collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(name) = stages
        .iter()
        .find(|name| !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.chars().all(fits))
    {
        return Err(format!(
            "a stage cannot be called `{name}`: 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`"
        ));
    }
    if let Some(name) = twice(&stages) {
        return Err(format!(
            "two stages are called `{name}`, and state is kept by name: give one of them another, as in \
             `.key_by(…).named(\"{name}-2\")` (or `.top(…).named(\"{name}-2\")`)"
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

/// A source or sink must have a name that `--set source.NAME=…` can say.
fn check_place(name: &str, is_path: bool) -> Result<(), String> {
    let most = if is_path {
        PLACE_BYTES_MAX
    } else {
        PLACE_NAME_BYTES_MAX
    };
    if name.len() > most {
        return Err(format!(
            "a source or sink has a name of {} bytes, and {most} is the most",
            name.len()
        ));
    }
    let fits = |c: char| !c.is_control() && (is_path || c != '=' && !c.is_whitespace());
    if name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "a source or sink cannot be called `{name}`: spaces, control characters and `=` may not be in its name"
    ))
}

fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(**name)).copied()
}

fn interval(plan: &Plan<'_>) -> Result<Option<Duration>, String> {
    let mut known: Option<Duration> = None;
    for every in plan.sources.iter().filter_map(|source| source.every) {
        if every.as_millis() == 0 && !every.is_zero() {
            return Err(format!(
                "`.every({every:?})` is below a millisecond: leave it out for batches as quick as can be"
            ));
        }
        if every > EVERY_MAX {
            let hours = EVERY_MAX.as_secs() / 3600;
            return Err(format!(
                "`.every({every:?})` is longer than {hours} hours, which is the most"
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

/// Where `exactly_once` says nothing, it is not to be said.
fn check_exactly_once(sink: &Sink) -> Result<(), String> {
    let Sink { known, name, .. } = sink;
    match known {
        Known::Table if sink.exactly_once => Err(format!(
            "`exactly_once` is for topics: the table `{name}` is right after any crash without it, as writing a row \
                 again changes nothing"
        )),
        Known::Shown if sink.exactly_once => Err(format!(
            "`exactly_once` is for topics: what `{name}` shows cannot be taken back"
        )),
        Known::Rows if sink.exactly_once => Err(format!(
            "`exactly_once` is for topics: each row is once in `{name}` without it"
        )),
        Known::Table | Known::Rows | Known::Shown | Known::Topic | Known::Nothing => Ok(()),
    }
}

fn check_sink(sink: &Sink, shape: &RowShape) -> Result<(), String> {
    let Sink { known, name, .. } = sink;
    if let Some(what) = sink.only_source {
        return Err(format!(
            "`{name}` is a {what}, which can be read and not written"
        ));
    }
    check_exactly_once(sink)?;
    if sink.has_interval {
        return Err(format!(
            "`.every(…)` belongs to a source, not to the sink `{name}`"
        ));
    }
    if shape.columns.len() > COLUMNS_MAX {
        return Err(format!(
            "`{name}` has {} columns, and {COLUMNS_MAX} is the most",
            shape.columns.len()
        ));
    }
    if let Some(column) = shape
        .columns
        .iter()
        .find(|c| c.name.len() > COLUMN_NAME_BYTES_MAX || has_control(c.name))
    {
        return Err(format!(
            "column `{}` for `{name}` has control characters in its name, or more than {COLUMN_NAME_BYTES_MAX} bytes",
            column.name
        ));
    }
    if matches!(known, Known::Table | Known::Topic | Known::Shown) && shape.keys.len() > 1 {
        return Err(format!(
            "rows for `{name}` have {} keys, and it takes one: say how they are joined, with \
             `#[row(separator = \"…\")]` on the struct",
            shape.keys.len()
        ));
    }
    if *known == Known::Table {
        if shape.keys.is_empty() {
            return Err(format!(
                "rows for table `{name}` have no key: mark a field with `#[row(key)]`"
            ));
        }
        if shape.columns.iter().any(|column| column.name.is_empty()) {
            return Err(format!(
                "table `{name}` has no place for a raw value: give it rows with columns, by `.map(…)`"
            ));
        }
        if let Some(column) = shape.columns.iter().find(|c| !is_column(c.name)) {
            return Err(format!(
                "column `{}` for table `{name}` has no family and qualifier: name it with `#[row(\"family:qualifier\")]`",
                column.name
            ));
        }
    }
    Ok(())
}

/// `family:qualifier`, as a table's columns are called.
pub(crate) fn is_column(name: &str) -> bool {
    name.split_once(':')
        .is_some_and(|(family, qualifier)| !family.is_empty() && !qualifier.is_empty())
}

fn has_control(name: &str) -> bool {
    name.chars().any(char::is_control)
}

/// Where a strand's items come from; branches were refused.
fn number(strand: &Strand) -> usize {
    strand.start.number().unwrap_or_default()
}

/// All strands of all chains: each source and keyed stage is where one begins.
fn strands<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = &'p Strand> {
    plan.chains.iter().flat_map(|chain| &chain.strands)
}

/// The sources, with what their chains make of them.
fn sources(plan: &Plan<'_>, stages: &[StageDef]) -> Result<Vec<SourceDef>, String> {
    let mut defs: Vec<SourceDef> = plan
        .sources
        .iter()
        .map(|source| source.def.clone())
        .collect();
    let first = defs.len();
    let timed = stages::timed(plan, stages);
    for strand in strands(plan) {
        let trail = &strand.trail;
        let Some(def) = defs.get_mut(number(strand)) else {
            if trail.timed_bys > 0 {
                let name = &stages[number(strand) - first].name;
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
        // Through a lookup time passes: what stands behind one may go by it.
        let by_time =
            |feed: &Edge| stages[feed.to.get() - first].kind.is_timed() || timed[feed.to.get()];
        let untimed = |feed: &Edge| !feed.timed_by && !feed.table && by_time(feed);
        if trail.timed_bys > 1 || trail.timed_bys == 1 && trail.feeds.iter().any(untimed) {
            return Err(format!(
                "a source has one event time, and `{name}` is given several: write one `.timed_by(…)`, before its \
                 branches"
            ));
        }
        let rate = def.options.iter().find(|(name, _)| name == "rate");
        match rate.map(|(_, value)| value.parse::<u32>()) {
            Some(Ok(0)) => {
                return Err("`rate(0)` makes no records: say how many a second".into());
            }
            Some(Ok(rate)) if rate > RATE_MAX => {
                return Err(format!(
                    "`rate({rate})` makes more records a second than {RATE_MAX}, which is the most"
                ));
            }
            _ => {}
        }
        def.table = trail.is_table();
        if def.table && !plan.sources[number(strand)].known.ends {
            return Err(format!(
                "source `{name}` feeds the table of a lookup, which is read to its end before anything else begins, and \
                 it has none: take a topic or a file"
            ));
        }
        def.timed = !def.table && timed[number(strand)];
    }
    Ok(defs)
}
