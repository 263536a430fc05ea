//! What differs between two versions of a job.

use super::stages::describe;
use crate::api::Checked;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::job::JobSpec;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    what: &'static str,
    name: String,
    kind: &'static str,
    before: Option<String>,
    after: Option<String>,
}

type Parts = BTreeMap<String, String>;

/// What differs from the version that is active; nothing for a new job.
pub fn changes(checked: &Checked) -> Vec<Change> {
    let Some(active) = &checked.active else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let digest = |digest: &str| Parts::from([("component".to_owned(), short(digest))]);
    compare(
        &mut found,
        "component",
        &digest(&active.digest),
        &digest(&checked.digest),
    );
    let (before, after) = (active.spec.as_deref(), checked.spec.as_deref());
    if let (Some(before), Some(after)) = (before, after) {
        for (what, parts) in [
            ("source", sources as fn(&JobSpec) -> Parts),
            ("stage", stages),
            ("sink", sinks),
            ("column", columns),
        ] {
            compare(&mut found, what, &parts(before), &parts(after));
        }
    }
    let limits = |set: &Parts| -> Parts {
        let limits = set.iter().filter(|(key, _)| key.starts_with("limits."));
        limits
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let others = |set: &Parts| -> Parts {
        let others = set.iter().filter(|(key, _)| !key.starts_with("limits."));
        others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let (before, after) = (&active.set, &checked.set);
    compare(&mut found, "setting", &others(before), &others(after));
    compare(&mut found, "limit", &limits(before), &limits(after));
    found
}

fn short(digest: &str) -> String {
    digest.chars().take(8).collect()
}

fn compare(found: &mut Vec<Change>, what: &'static str, before: &Parts, after: &Parts) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        let kind = match (was, is) {
            (was, is) if was == is => continue,
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        found.push(Change {
            what,
            name: name.clone(),
            kind,
            before: was.cloned(),
            after: is.cloned(),
        });
    }
}

fn sources(spec: &JobSpec) -> Parts {
    let parts = spec.sources.iter();
    parts
        .map(|source| (source.name.clone(), source.target.clone()))
        .collect()
}

fn stages(spec: &JobSpec) -> Parts {
    let parts = spec.stages.iter();
    parts
        .map(|stage| (stage.name.clone(), describe(stage)))
        .collect()
}

fn sinks(spec: &JobSpec) -> Parts {
    let parts = spec.sinks.iter();
    parts
        .map(|sink| (sink.name.clone(), sink.target.clone()))
        .collect()
}

fn columns(spec: &JobSpec) -> Parts {
    let several = spec.sinks.len() > 1;
    let named = spec.sinks.iter().flat_map(|sink| {
        sink.columns.iter().map(move |column| {
            let name = match several {
                true => format!("{}: {}", sink.name, column.name),
                false => column.name.clone(),
            };
            (name, format!("{:?}", column.kind).to_lowercase())
        })
    });
    named.collect()
}
