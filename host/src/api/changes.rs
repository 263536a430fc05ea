//! What differs between two versions of a job.

use super::{ActiveFacts, Checked};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use streamhost_core::job::{JobSpec, StageSpec};
use utoipa::ToSchema;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `component`, `source`, `stage`, `sink`, `column`, `setting` or `limit`.
    pub what: Cow<'static, str>,
    /// Which one.
    pub name: String,
    /// `added`, `changed` or `removed`.
    pub kind: Cow<'static, str>,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { what, name, .. } = self;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{what} {name}: {after}, was {before}"),
            (Some(before), None) => write!(f, "{what} {name}: removed, was {before}"),
            (None, Some(after)) => write!(f, "{what} {name}: {after}, new"),
            (None, None) => write!(f, "{what} {name}"),
        }
    }
}

type Parts = BTreeMap<String, String>;

/// What differs from the version that is active; nothing for a new job. `describe` says what a
/// stage is.
pub fn changes(checked: &Checked, describe: impl Fn(&StageSpec) -> String) -> Vec<Change> {
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
        let stages = |spec: &JobSpec| -> Parts {
            let stages = spec.stages.iter();
            stages
                .map(|stage| (stage.name.clone(), describe(stage)))
                .collect()
        };
        compare(&mut found, "source", &sources(before), &sources(after));
        compare(&mut found, "stage", &stages(before), &stages(after));
        compare(&mut found, "sink", &sinks(before), &sinks(after));
        compare(&mut found, "column", &columns(before), &columns(after));
    }
    compare_settings(&mut found, &active.set, &checked.set);
    found
}

/// What a deployment changed that its user may not have meant: places and settings.
pub fn changed_places(
    before: &ActiveFacts,
    spec: &JobSpec,
    set: &BTreeMap<String, String>,
) -> Vec<Change> {
    let mut found = Vec::new();
    if let Some(before) = before.spec.as_deref() {
        compare(&mut found, "source", &sources(before), &sources(spec));
        compare(&mut found, "sink", &sinks(before), &sinks(spec));
    }
    compare_settings(&mut found, &before.set, set);
    found
}

fn compare_settings(found: &mut Vec<Change>, before: &Parts, after: &Parts) {
    let is_limit = |key: &String| key.starts_with("limits.");
    let parted = |set: &Parts| -> (Parts, Parts) {
        set.clone().into_iter().partition(|(key, _)| is_limit(key))
    };
    let ((limits, others), (limits_after, others_after)) = (parted(before), parted(after));
    compare(found, "setting", &others, &others_after);
    compare(found, "limit", &limits, &limits_after);
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
            what: what.into(),
            name: name.clone(),
            kind: kind.into(),
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
