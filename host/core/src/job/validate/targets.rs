//! Names and targets of sources and sinks, and where they would run into each other.

use super::JobFault;
use super::options::option_of;
use crate::job::connector::{LETTERS, NameRule, SinkRules, SourceRules};
use crate::job::settings::Settings;
use crate::job::{SinkSpec, SourceSpec, names};
use std::collections::{BTreeMap, BTreeSet};

/// Where a source or sink is, and what may be said of that.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    name: &'a str,
    name_rule: NameRule,
    /// What the place is called; empty where there is none.
    what: &'static str,
    target: &'a str,
    target_rule: NameRule,
    /// What no other source, or no other sink, may have: a job's positions are kept by its sources'
    /// places alone.
    unique: (&'static str, &'a str),
}

impl<'a> Target<'a> {
    pub(super) fn of_source(source: &'a SourceSpec, rules: &SourceRules) -> Self {
        Target {
            name: &source.name,
            name_rule: rules.name,
            what: rules.target.what,
            target: &source.target,
            target_rule: rules.target.rule,
            unique: ("", &source.target),
        }
    }

    pub(super) fn of_sink(sink: &'a SinkSpec, rules: &SinkRules) -> Self {
        let what = rules.target.what;
        let own = if what.is_empty() {
            &sink.name
        } else {
            &sink.target
        };
        Target {
            name: &sink.name,
            name_rule: names::target,
            what,
            target: &sink.target,
            target_rule: rules.target.rule,
            unique: (what, own),
        }
    }
}

/// Names and places of all sources or of all sinks.
pub(super) fn check_targets<'a>(
    role: &'static str,
    all: impl Iterator<Item = Target<'a>>,
    set: &BTreeMap<String, String>,
    names: &[String],
    faults: &mut Vec<JobFault>,
) {
    let mut by_name = BTreeSet::new();
    let mut by_place = BTreeMap::new();
    let mut count = 0;
    for Target {
        name,
        name_rule,
        what,
        target,
        target_rule,
        unique,
    } in all
    {
        count += 1;
        if let Err(reason) = name_rule(name) {
            faults.push(JobFault::PlaceName {
                role,
                name: name.to_owned(),
                reason,
            });
            continue; // its place is judged once its name can be said
        }
        if !by_name.insert(name) {
            faults.push(JobFault::NameTwice {
                role,
                name: name.to_owned(),
            });
            continue;
        }
        if let Err(reason) =
            target_rule(target).or_else(|reason| if what.is_empty() { Ok(()) } else { Err(reason) })
        {
            let (name, target) = (name.to_owned(), target.to_owned());
            faults.push(JobFault::Target {
                role,
                name,
                what,
                target,
                reason,
            });
        } else if let Some(first) = by_place.insert(unique, name) {
            let (first, second, target) = (first.to_owned(), name.to_owned(), target.to_owned());
            faults.push(JobFault::PlaceTwice {
                role,
                first,
                second,
                target,
            });
        }
    }
    if count == 0 {
        faults.push(JobFault::NoPlace { role });
    }
    check_set_names(role, names, set, faults);
}

/// `--set` names sources and sinks of the job alone.
fn check_set_names(
    role: &'static str,
    names: &[String],
    set: &BTreeMap<String, String>,
    faults: &mut Vec<JobFault>,
) {
    let is_said =
        |key: &str| names.iter().any(|name| name == key) || option_of(key, names).is_some();
    for key in set.keys().filter(|key| !is_said(key)) {
        let known: BTreeSet<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.into_iter().collect::<Vec<_>>().join(", ")
        };
        faults.push(JobFault::NoSuchPlace {
            role,
            name: key.clone(),
            known,
        });
    }
}

/// Where the job would read what it writes, and where its groups would run into others.
pub(super) fn check_loops(
    job: &str,
    sources: &[SourceSpec],
    sinks: &[SinkSpec],
    settings: &Settings,
    faults: &mut Vec<JobFault>,
) {
    let reads = |connector: &str, instance: &str, target: &str| {
        sources.iter().any(|source| {
            (source.connector.as_str(), source.instance.as_str()) == (connector, instance)
                && source.target == target
        })
    };
    let letters = settings.dead_letter_topic(job);
    for sink in sinks {
        if reads(&sink.connector, &sink.instance, &sink.target) {
            let writer = format!("rows for sink `{}`", sink.name);
            faults.push(JobFault::Loop {
                topic: sink.target.clone(),
                writer,
            });
        }
        if sink.connector == LETTERS && sink.instance.is_empty() && sink.target == letters {
            faults.push(JobFault::DeadLettersInSink {
                topic: letters.clone(),
                sink: sink.name.clone(),
            });
        }
    }
    if reads(LETTERS, "", &letters) {
        faults.push(JobFault::Loop {
            topic: letters,
            writer: "dead letters".to_owned(),
        });
    }
    let group = settings.group_of(job);
    let is_ours = group.starts_with("streamhost.") || group.starts_with("streamhost-run.");
    if settings.group.is_some() && is_ours && group != format!("streamhost.{job}") {
        faults.push(JobFault::Group { group });
    }
}
