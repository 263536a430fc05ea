//! Names and targets of sources and sinks, and where they would run into each other.

use super::JobFault;
use crate::job::settings::Settings;
use crate::job::{SinkKind, SinkSpec, SourceKind, SourceSpec, names};
use std::collections::{BTreeMap, BTreeSet};

/// Where a source or sink is, and what may be said of that.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    name: &'a str,
    name_rule: fn(&str) -> Result<(), String>,
    /// What the place is called; empty where there is none.
    what: &'static str,
    target: &'a str,
    target_rule: fn(&str) -> Result<(), String>,
    /// What no other source, or no other sink, may have: a job's positions are kept by its sources'
    /// places alone.
    unique: (&'static str, &'a str),
}

impl<'a> Target<'a> {
    pub(super) fn of_source(source: &'a SourceSpec) -> Self {
        let (what, target_rule): (_, fn(&str) -> _) = match source.kind {
            SourceKind::Kafka => ("topic", names::topic),
            SourceKind::Socket => ("address", names::address),
            SourceKind::File => ("path", names::path),
            SourceKind::Rate => ("generator", names::target),
        };
        let name_rule = if source.kind == SourceKind::File {
            names::path
        } else {
            names::target
        };
        Target {
            name: &source.name,
            name_rule,
            what,
            target: &source.target,
            target_rule,
            unique: ("", &source.target),
        }
    }

    pub(super) fn of_sink(sink: &'a SinkSpec) -> Self {
        let (what, target_rule): (_, fn(&str) -> _) = match sink.kind {
            SinkKind::Hbase => ("table", names::table),
            SinkKind::Kafka => ("topic", names::topic),
            SinkKind::Console => ("", names::target),
        };
        let unique = (
            what,
            if what.is_empty() {
                &*sink.name
            } else {
                &*sink.target
            },
        );
        Target {
            name: &sink.name,
            name_rule: names::target,
            what,
            target: &sink.target,
            target_rule,
            unique,
        }
    }
}

/// Names and places of all sources or of all sinks.
pub(super) fn check_targets<'a>(
    role: &'static str,
    all: impl Iterator<Item = Target<'a>>,
    set: &BTreeMap<String, String>,
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
    check_set_names(role, &by_name, set, faults);
}

/// `--set` names sources and sinks of the job alone.
fn check_set_names(
    role: &'static str,
    by_name: &BTreeSet<&str>,
    set: &BTreeMap<String, String>,
    faults: &mut Vec<JobFault>,
) {
    for name in set.keys().filter(|name| !by_name.contains(name.as_str())) {
        let known = by_name
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        faults.push(JobFault::NoSuchPlace {
            role,
            name: name.clone(),
            known,
        });
    }
}

/// Where the job's topics and groups would run into each other.
pub(super) fn check_ways(
    job: &str,
    sources: &[SourceSpec],
    sinks: &[SinkSpec],
    settings: &Settings,
    faults: &mut Vec<JobFault>,
) {
    let topics = sources
        .iter()
        .filter(|source| source.kind == SourceKind::Kafka);
    let topics: BTreeSet<&str> = topics.map(|source| source.target.as_str()).collect();
    let reads = |topic: &str| topics.contains(topic);
    let letters = settings.dead_letter_topic(job);
    for sink in sinks.iter().filter(|sink| sink.kind == SinkKind::Kafka) {
        if reads(&sink.target) {
            let writer = format!("rows for sink `{}`", sink.name);
            faults.push(JobFault::Loop {
                topic: sink.target.clone(),
                writer,
            });
        }
        if sink.target == letters {
            faults.push(JobFault::DeadLettersInSink {
                topic: letters.clone(),
                sink: sink.name.clone(),
            });
        }
    }
    if reads(&letters) {
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
