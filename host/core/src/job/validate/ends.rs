//! Sources and sinks, held to what their connectors take.

use super::options::{Given, Owner, check_options};
use super::targets::{Target, check_targets};
use super::{JobDescription, JobFault, RawColumn, SinkDescription, SourceDescription};
use crate::job::connector::{ConnectorRules, Connectors, Ends, SetMeans, SinkRules, SourceRules};
use crate::job::settings::Settings;
use crate::job::{ColumnSpec, SinkSpec, SourceSpec, names};
use crate::limits;
use crate::types::{ColumnNames, Kind};
use std::collections::BTreeSet;

/// Sources and sinks whose connectors the host does not have.
pub(super) fn unknown(raw: &JobDescription, connectors: &dyn Connectors) -> Vec<JobFault> {
    let sources = raw.sources.iter().map(|source| {
        let known = source_rules(connectors, &source.connector).is_some();
        ("source", &source.name, &source.connector, known)
    });
    let sinks = raw.sinks.iter().map(|sink| {
        let known = sink_rules(connectors, &sink.connector).is_some();
        ("sink", &sink.name, &sink.connector, known)
    });
    let fits = |role, name: &&str| match role {
        "source" => source_rules(connectors, name).is_some(),
        _ => sink_rules(connectors, name).is_some(),
    };
    sources
        .chain(sinks)
        .filter(|(.., known)| !known)
        .map(|(role, name, connector, _)| {
            let there = connectors.names();
            let there: Vec<&str> = there.into_iter().filter(|name| fits(role, name)).collect();
            JobFault::UnknownConnector {
                role,
                name: name.clone(),
                connector: connector.clone(),
                known: names::meant(connector, &there),
            }
        })
        .collect()
}

type Known<T> = Option<(&'static ConnectorRules, &'static T)>;

fn source_rules(connectors: &dyn Connectors, name: &str) -> Known<SourceRules> {
    let rules = connectors.rules(name)?;
    Some((rules, rules.source.as_ref()?))
}

fn sink_rules(connectors: &dyn Connectors, name: &str) -> Known<SinkRules> {
    let rules = connectors.rules(name)?;
    Some((rules, rules.sink.as_ref()?))
}

/// The sources that are described, in their order.
pub(super) fn sources(
    raw: Vec<SourceDescription>,
    settings: &Settings,
    connectors: &dyn Connectors,
    faults: &mut Vec<JobFault>,
) -> Vec<SourceSpec> {
    let all: Vec<String> = raw.iter().map(|source| source.name.clone()).collect();
    let mut specs = Vec::with_capacity(raw.len());
    for source in raw {
        let Some((connector, rules)) = source_rules(connectors, &source.connector) else {
            continue; // it is told already
        };
        let owner = Owner {
            role: "source",
            name: &source.name.clone(),
            rules: connector,
        };
        let given = Given::of(&source.name, &all, &settings.sources);
        check_end(rules, &source, settings, faults);
        let (target, set) = owner.target(rules.target.set, &given, faults);
        let instance = owner.instance(&given, connectors, faults);
        let options = check_options(&owner, rules.options, &source.options, &given, set, faults);
        specs.push((
            rules,
            SourceSpec {
                connector: source.connector,
                instance,
                target,
                table: source.table,
                timed: source.timed && !source.table, // a table at rest would hold the watermark back
                options,
                name: source.name,
            },
        ));
    }
    let targets = specs
        .iter()
        .map(|(rules, spec)| Target::of_source(spec, rules));
    check_targets("source", targets, &settings.sources, &all, faults);
    specs.into_iter().map(|(_, spec)| spec).collect()
}

/// What is asked to end must have an end.
fn check_end(
    rules: &SourceRules,
    source: &SourceDescription,
    settings: &Settings,
    faults: &mut Vec<JobFault>,
) {
    let mut endless = |wanted| {
        faults.push(JobFault::Endless {
            source_name: source.name.clone(),
            wanted,
        });
    };
    if source.table && rules.ends != Ends::Known {
        endless("read as a table");
    }
    if settings.until_end && rules.ends == Ends::Never {
        endless("read until its end (until=end)");
    }
}

/// The sinks that are described, in their order.
pub(super) fn sinks(
    raw: Vec<SinkDescription>,
    settings: &Settings,
    connectors: &dyn Connectors,
    faults: &mut Vec<JobFault>,
) -> Vec<SinkSpec> {
    let all: Vec<String> = raw.iter().map(|sink| sink.name.clone()).collect();
    let mut specs = Vec::with_capacity(raw.len());
    for sink in raw {
        let Some((connector, rules)) = sink_rules(connectors, &sink.connector) else {
            continue; // it is told already
        };
        let owner = Owner {
            role: "sink",
            name: &sink.name.clone(),
            rules: connector,
        };
        let given = Given::of(&sink.name, &all, &settings.sinks);
        check_keys(&owner, rules, &sink, faults);
        check_columns(rules, &sink, faults);
        let (target, set) = owner.target(rules.target.set, &given, faults);
        let instance = owner.instance(&given, connectors, faults);
        let options = check_options(&owner, rules.options, &sink.options, &given, set, faults);
        specs.push((
            rules,
            SinkSpec {
                connector: sink.connector,
                instance,
                target,
                keys: sink.keys.into_iter().map(column).collect(),
                headers: sink.headers,
                dynamic: sink.dynamic,
                columns: sink.columns.into_iter().map(column).collect(),
                options,
                name: sink.name,
            },
        ));
    }
    let targets = specs
        .iter()
        .map(|(rules, spec)| Target::of_sink(spec, rules));
    check_targets("sink", targets, &settings.sinks, &all, faults);
    specs.into_iter().map(|(_, spec)| spec).collect()
}

fn column(raw: RawColumn) -> ColumnSpec {
    ColumnSpec {
        name: raw.name,
        kind: raw.kind,
        optional: raw.optional,
    }
}

fn check_keys(
    owner: &Owner<'_>,
    rules: &SinkRules,
    raw: &SinkDescription,
    faults: &mut Vec<JobFault>,
) {
    let (sink, count) = (raw.name.clone(), raw.keys.len());
    if count == 0 && *rules.keys.start() > 0 {
        let what = rules.target.what;
        faults.push(JobFault::Keyless { sink, what });
        return;
    }
    if count > *rules.keys.end() {
        faults.push(JobFault::TooManyKeys {
            sink,
            count,
            connector: owner.rules.name,
            most: *rules.keys.end(),
        });
        return;
    }
    for key in &raw.keys {
        let kind = match rules.key_kinds.contains(&key.kind) {
            true => names::field(&key.name),
            false => Err(format!(
                "`{}` takes keys of {}, and this one is {}",
                owner.rules.name,
                words(rules.key_kinds),
                key.kind.word()
            )),
        };
        if let Err(reason) = kind {
            faults.push(JobFault::Key {
                sink: sink.clone(),
                key: key.name.clone(),
                reason,
            });
        }
    }
}

fn words(kinds: &[Kind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
    words.join(" or ")
}

fn check_columns(rules: &SinkRules, raw: &SinkDescription, faults: &mut Vec<JobFault>) {
    let sink = &raw.name;
    if raw.columns.len() > limits::COLUMNS_MAX {
        faults.push(JobFault::TooManyColumns {
            sink: sink.clone(),
            count: raw.columns.len(),
        });
        return;
    }
    if raw.dynamic && !rules.dynamic {
        faults.push(JobFault::Dynamic {
            sink: sink.clone(),
            what: rules.target.what,
        });
    }
    let mut seen = BTreeSet::new();
    for column in &raw.columns {
        let judged = match rules.columns {
            _ if column.name.is_empty() && rules.raw => {
                if raw.columns.len() > 1 || raw.dynamic {
                    faults.push(JobFault::RawNotAlone { sink: sink.clone() });
                    return;
                }
                Ok(())
            }
            ColumnNames::Fields => names::field(&column.name),
            ColumnNames::FamilyAndQualifier => names::hbase_column(&column.name),
        };
        if let Err(reason) = judged {
            faults.push(JobFault::Column {
                sink: sink.clone(),
                column: column.name.clone(),
                reason,
            });
        }
        if !seen.insert(&column.name) {
            faults.push(JobFault::ColumnTwice {
                sink: sink.clone(),
                column: column.name.clone(),
            });
        }
    }
}

impl Owner<'_> {
    /// What it reads or writes, and the option that the deployment sets beside that.
    fn target<'g>(
        &self,
        set: SetMeans,
        given: &Given<'g>,
        faults: &mut Vec<JobFault>,
    ) -> (String, Option<(&'static str, &'g str)>) {
        let own = self.name.to_owned();
        match (set, given.whole) {
            (SetMeans::Target, Some(target)) => (target.to_owned(), None),
            (SetMeans::Option(option), Some(value)) => (own, Some((option, value))),
            (SetMeans::Nothing { target }, Some(_)) => {
                faults.push(JobFault::NoPlaceToSet {
                    role: self.role,
                    name: own.clone(),
                    target,
                });
                (own, None)
            }
            (_, None) => (own, None),
        }
    }

    /// Which of the configured instances of its connector is meant.
    fn instance(
        &self,
        given: &Given<'_>,
        connectors: &dyn Connectors,
        faults: &mut Vec<JobFault>,
    ) -> String {
        let instance = given.instance().unwrap_or_default();
        let there = connectors.instances(self.rules.name);
        if !instance.is_empty() && !there.iter().any(|there| there == instance) {
            faults.push(JobFault::NoInstance {
                role: self.role,
                name: self.name.to_owned(),
                connector: self.rules.name,
                instance: instance.to_owned(),
                there: match there.is_empty() {
                    true => "there is none beside the usual one".to_owned(),
                    false => format!("there are {}", there.join(", ")),
                },
            });
        }
        instance.to_owned()
    }
}
