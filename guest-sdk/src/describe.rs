//! What a job is, and what is wrong with it: the first thing that the host asks a component for.

use crate::job::{Job, StageKind};
use crate::row::RowShape;
use crate::sink::{Sink, SinkKind};
use std::collections::HashSet;
use std::time::Duration;

/// A job as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The interval of its batches; none: a batch is made as soon as records are there.
    pub every: Option<Duration>,
    /// The topics that it reads.
    pub sources: Vec<String>,
    /// Where its rows go.
    pub sinks: Vec<SinkDef>,
}

/// A sink and its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDef {
    /// What it is.
    pub kind: SinkKind,
    /// Its table or topic.
    pub name: String,
    /// One transaction a batch.
    pub exactly_once: bool,
    /// The rows' columns.
    pub shape: RowShape,
}

const JOB_NAME_CHARS_MAX: usize = 64;

impl Job<'_> {
    /// Err: the author's mistake in words, the first one found.
    pub(crate) fn describe(self) -> Result<Description, String> {
        check_name(self.name)?;
        if let Some(mistake) = self.plan.mistakes.into_iter().next() {
            return Err(mistake);
        }
        let (mut sources, mut interval) = (Vec::new(), None);
        for stage in self.plan.stages {
            let StageKind::Source { name, every } = stage.kind else {
                return Err("a chain in `.also(…)` was given to another chain: end it where it begins".into());
            };
            check_interval(&mut interval, every)?;
            sources.push(name);
        }
        for (_, sink, shape) in &self.plan.sinks {
            check_sink(sink, shape)?;
        }
        check_unique(&sources, |topic| {
            format!("the job reads topic `{topic}` twice: read it once, and branch with `.also(|records| …)`")
        })?;
        let name = |(_, sink, _): &(_, Sink, _)| sink.name.clone();
        check_unique(&self.plan.sinks.iter().map(name).collect::<Vec<_>>(), |name| {
            format!(
                "two chains end in `{name}`: make its rows in one chain (`.flat_map(…)` makes several of one item), or \
                 give one of them another sink"
            )
        })?;
        let sink =
            |(_, s, shape): (_, Sink, _)| SinkDef { kind: s.kind, name: s.name, exactly_once: s.exactly_once, shape };
        let sinks = self.plan.sinks.into_iter().map(sink).collect();
        Ok(Description { name: self.name.into(), every: interval, sources, sinks })
    }
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

fn check_interval(known: &mut Option<Duration>, every: Option<Duration>) -> Result<(), String> {
    let Some(every) = every else { return Ok(()) };
    if every.as_millis() == 0 && !every.is_zero() {
        return Err(format!("`.every({every:?})` is below a millisecond: leave it out for batches as quick as can be"));
    }
    match known.replace(every) {
        Some(other) if other != every => Err(format!(
            "one source says `.every({other:?})` and another `.every({every:?})`: a job's batches have one interval"
        )),
        _ => Ok(()),
    }
}

fn check_sink(sink: &Sink, shape: &RowShape) -> Result<(), String> {
    let Sink { kind, name, .. } = sink;
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

fn check_unique(names: &[String], twice: impl Fn(&str) -> String) -> Result<(), String> {
    let mut seen = HashSet::new();
    if names.iter().any(String::is_empty) {
        return Err("a source or sink has an empty name: say which topic or table it is".into());
    }
    names.iter().find(|name| !seen.insert(*name)).map_or(Ok(()), |name| Err(twice(name)))
}
