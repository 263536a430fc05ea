//! What a deployment sets of sources and sinks, and what their connectors take of that.

use super::JobFault;
use crate::job::connector::{ConnectorRules, INSTANCE, OptionRules, Options};
use crate::job::names;
use crate::limits;
use std::collections::BTreeMap;

/// What `--set` says of one source or sink.
#[derive(Debug, Default)]
pub(super) struct Given<'a> {
    /// `--set ROLE.NAME=VALUE`.
    pub(super) whole: Option<&'a str>,
    /// `--set ROLE.NAME.OPTION=VALUE`.
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Given<'a> {
    /// What is said of the one of this name. A name may have dots in it, so a key that is a name
    /// means that, and of several names that a key begins with the longest is meant.
    pub(super) fn of(name: &str, names: &[String], set: &'a BTreeMap<String, String>) -> Given<'a> {
        let mut given = Given {
            whole: set.get(name).map(String::as_str),
            ..Given::default()
        };
        for (key, value) in set {
            if let Some((whose, option)) = option_of(key, names)
                && whose == name
            {
                given.options.insert(option, value);
            }
        }
        given
    }

    /// Which instance of the connector is meant, if the deployment says so.
    pub(super) fn instance(&self) -> Option<&'a str> {
        self.options.get(INSTANCE).copied()
    }
}

/// The name and the option that a key says, if it says an option of one of these.
pub(super) fn option_of<'k>(key: &'k str, names: &[String]) -> Option<(&'k str, &'k str)> {
    if names.iter().any(|name| name == key) {
        return None;
    }
    let fits = |name: &String| {
        let option = key.strip_prefix(name.as_str())?.strip_prefix('.')?;
        Some((&key[..name.len()], option))
    };
    names
        .iter()
        .filter_map(fits)
        .max_by_key(|(name, _)| name.len())
}

/// Whose options they are.
pub(super) struct Owner<'a> {
    pub(super) role: &'static str,
    pub(super) name: &'a str,
    pub(super) rules: &'static ConnectorRules,
}

/// The options as the component describes them, with what the deployment sets in their place, and
/// defaults for the rest.
pub(super) fn check_options(
    owner: &Owner<'_>,
    known: &[OptionRules],
    described: &[(String, String)],
    given: &Given<'_>,
    set: Option<(&'static str, &str)>,
    faults: &mut Vec<JobFault>,
) -> Options {
    let (role, name) = (owner.role, owner.name);
    let said = described.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let told = given.options.iter().map(|(k, v)| (*k, *v));
    let told = told.filter(|(option, _)| *option != INSTANCE);
    let mut values = BTreeMap::new();
    for (option, value) in said.chain(told).chain(set) {
        values.insert(option, value);
    }
    if values.len() > limits::OPTIONS_MAX {
        faults.push(JobFault::TooManyOptions {
            role,
            name: name.to_owned(),
            count: values.len(),
        });
        return Options::default();
    }
    let mut options = Options::default();
    for rules in known {
        options.set(rules.name, rules.default.to_owned());
    }
    for (option, value) in values {
        let Some(rules) = known.iter().find(|rules| rules.name == option) else {
            faults.push(JobFault::UnknownOption {
                role,
                name: name.to_owned(),
                connector: owner.rules.name,
                option: option.to_owned(),
                known: names_of(option, known),
            });
            continue;
        };
        match rules.kind.check(value) {
            Ok(()) => options.set(option, value.to_owned()),
            Err(reason) => faults.push(JobFault::OptionValue {
                role,
                name: name.to_owned(),
                option: option.to_owned(),
                value: value.to_owned(),
                reason,
            }),
        }
    }
    options
}

/// What was probably meant, or what there is.
fn names_of(option: &str, known: &[OptionRules]) -> String {
    let all = || known.iter().map(|rules| rules.name);
    match names::nearest(option, all()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it has none".to_owned(),
        None => format!("it has `{}`", all().collect::<Vec<_>>().join("`, `")),
    }
}
