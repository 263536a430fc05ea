//! Parameters: what an author lets a deployment say, by a name, a kind and a default.

use super::names;
use super::validate::JobFault;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a parameter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// An `i64`.
    Int,
    /// A `u64`.
    Uint,
    /// A finite `f64`.
    Float,
    /// `true` or `false`.
    Bool,
    /// A duration in whole milliseconds, written as `90s` or `5m`.
    Duration,
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParameterKind::Text => "text",
            ParameterKind::Int => "int",
            ParameterKind::Uint => "uint",
            ParameterKind::Float => "float",
            ParameterKind::Bool => "bool",
            ParameterKind::Duration => "duration",
        })
    }
}

impl ParameterKind {
    /// By its number in the contract. Err: there is none, in words.
    pub fn of_number(number: u8) -> Result<Self, String> {
        use ParameterKind::{Bool, Duration, Float, Int, Text, Uint};
        let all = [Text, Int, Uint, Float, Bool, Duration];
        let kind = all.get(usize::from(number)).copied();
        kind.ok_or_else(|| format!("of kind {number}, which this host does not know"))
    }

    /// A value as it was set, as the component reads it: durations are milliseconds. Err: what may
    /// be set.
    pub fn for_component(self, value: &str) -> Result<String, String> {
        let of = |what: &str| format!("{what} belongs here");
        let known = match self {
            ParameterKind::Text => Ok(value.to_owned()),
            ParameterKind::Int => value.parse::<i64>().map(|n| n.to_string()).map_err(|_| ()),
            ParameterKind::Uint => value.parse::<u64>().map(|n| n.to_string()).map_err(|_| ()),
            ParameterKind::Float => match value.parse::<f64>() {
                Ok(n) if n.is_finite() => Ok(n.to_string()),
                _ => Err(()),
            },
            ParameterKind::Bool => value.parse::<bool>().map(|b| b.to_string()).map_err(|_| ()),
            ParameterKind::Duration => match humantime::parse_duration(value) {
                Ok(duration) => milliseconds(duration).map(|ms| ms.to_string()).ok_or(()),
                Err(_) => Err(()),
            },
        };
        known.map_err(|()| {
            of(match self {
                ParameterKind::Text => "text",
                ParameterKind::Int => "a whole number of 64 bits, such as -5,",
                ParameterKind::Uint => "a whole number from 0 on, of 64 bits,",
                ParameterKind::Float => "a number, such as 0.5,",
                ParameterKind::Bool => "`true` or `false`",
                ParameterKind::Duration => {
                    "a duration of whole milliseconds, such as `90s` or `5m`,"
                }
            })
        })
    }

    /// A value as the component has it, as people write it.
    fn for_people(self, value: &str) -> String {
        match (self, value.parse()) {
            (ParameterKind::Duration, Ok(ms)) => {
                humantime::format_duration(Duration::from_millis(ms)).to_string()
            }
            _ => value.to_owned(),
        }
    }
}

/// None: it is no whole number of them.
fn milliseconds(duration: Duration) -> Option<u64> {
    let whole = duration.subsec_nanos().is_multiple_of(1_000_000);
    u64::try_from(duration.as_millis()).ok().filter(|_| whole)
}

/// A parameter as its component asks for it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterDescription {
    /// Its name.
    pub name: String,
    /// The number of its kind in the contract.
    pub kind: u8,
    /// What it is where nothing is set, as the component reads it.
    pub default: String,
}

/// A parameter of a job, and what it is in a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSpec {
    /// Its name, as in `--set param.NAME=…`.
    pub name: String,
    /// What its value is.
    pub kind: ParameterKind,
    /// What it is where nothing is set.
    pub default: String,
    /// What it is.
    pub value: String,
}

/// Proves the parameters that a component asks for, under those that are set.
pub(super) fn check(
    asked: Vec<ParameterDescription>,
    set: &BTreeMap<String, String>,
    faults: &mut Vec<JobFault>,
) -> Vec<ParameterSpec> {
    if asked.len() > limits::PARAMETERS_MAX {
        faults.push(JobFault::TooManyParameters);
        return Vec::new();
    }
    // What cannot be a name is no word for an error either.
    let names = asked.iter().map(|one| one.name.clone());
    let names: Vec<String> = names
        .filter(|name| names::parameter(name).is_ok())
        .collect();
    let mut specs: Vec<ParameterSpec> = Vec::new();
    for parameter in asked {
        match one(parameter, set, &specs) {
            Ok(spec) => specs.push(spec),
            Err(fault) => faults.push(fault),
        }
    }
    let unknown = set.keys().filter(|name| !names.contains(name));
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    faults.extend(unknown.map(|name| JobFault::NoSuchParameter {
        name: name.clone(),
        known: known_words(name, &known),
    }));
    specs
}

fn known_words(name: &str, known: &[&str]) -> String {
    match known {
        [] => "it has none".to_owned(),
        known => names::meant(name, known),
    }
}

fn one(
    parameter: ParameterDescription,
    set: &BTreeMap<String, String>,
    before: &[ParameterSpec],
) -> Result<ParameterSpec, JobFault> {
    let ParameterDescription {
        name,
        kind,
        default,
    } = parameter;
    let shown = names::shown(&name, limits::NAME_SHOWN_CHARS_MAX);
    let fault = |reason: String| JobFault::Parameter {
        name: shown.clone(),
        reason,
    };
    names::parameter(&name).map_err(fault)?;
    let kind = ParameterKind::of_number(kind).map_err(|what| fault(format!("it is {what}")))?;
    if default.len() > limits::PARAMETER_BYTES_MAX {
        let most = limits::PARAMETER_BYTES_MAX;
        return Err(fault(format!("its default is longer than {most} bytes")));
    }
    if before.iter().any(|spec| spec.name == name) {
        return Err(fault(
            "it is asked for twice, with two kinds or defaults: ask once, and keep the value"
                .to_owned(),
        ));
    }
    let default = kind.for_people(&default);
    let value = match set.get(&name) {
        None => default.clone(),
        Some(value) => {
            kind.for_component(value)
                .map_err(|reason| JobFault::ParameterValue {
                    name: shown.clone(),
                    value: names::shown(value, limits::NAME_SHOWN_CHARS_MAX),
                    reason,
                })?;
            value.clone()
        }
    };
    Ok(ParameterSpec {
        name,
        kind,
        default,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, kind: u8, default: &str) -> ParameterDescription {
        ParameterDescription {
            name: name.to_owned(),
            kind,
            default: default.to_owned(),
        }
    }

    fn checked(
        asked: Vec<ParameterDescription>,
        set: &[(&str, &str)],
    ) -> (Vec<ParameterSpec>, Vec<String>) {
        let set = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let mut faults = Vec::new();
        let specs = check(asked, &set.collect(), &mut faults);
        (specs, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_value_is_what_is_set_or_the_default() {
        let all = || vec![asked("least", 2, "5"), asked("gap", 5, "90000")];
        let (specs, faults) = checked(all(), &[("least", "7")]);
        assert_eq!(faults, [""; 0]);
        let values: Vec<_> = specs
            .iter()
            .map(|p| (p.default.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(values, [("5", "7"), ("1m 30s", "1m 30s")]);
    }

    #[test]
    fn what_cannot_be_set_is_told_with_what_can() {
        let all = || vec![asked("least", 2, "5"), asked("gap", 5, "90000")];
        let (_, faults) = checked(all(), &[("lest", "7"), ("least", "-7"), ("gap", "soon")]);
        assert_eq!(
            faults,
            [
                "`param.least=-7`: a whole number from 0 on, of 64 bits, belongs here",
                "`param.gap=soon`: a duration of whole milliseconds, such as `90s` or `5m`, belongs here",
                "`param.lest` names no parameter of this job: did you mean `least`?",
            ]
        );
        let (_, faults) = checked(Vec::new(), &[("least", "7")]);
        assert_eq!(
            faults,
            ["`param.least` names no parameter of this job: it has none"]
        );
    }

    #[test]
    fn what_a_component_asks_for_is_held_to_the_rules() {
        let (_, faults) = checked(
            vec![
                asked("a b", 0, ""),
                asked("a", 9, ""),
                asked("b", 1, "1"),
                asked("b", 1, "2"),
            ],
            &[],
        );
        let words = ["`a b`", "kind 9", "asked for twice"];
        assert_eq!(faults.len(), words.len(), "{faults:?}");
        for (fault, word) in faults.iter().zip(words) {
            assert!(fault.contains(word), "{fault}");
        }
    }

    #[test]
    fn values_reach_a_component_in_one_form() {
        for (kind, value, want) in [
            (ParameterKind::Int, "+5", Some("5")),
            (ParameterKind::Uint, "-5", None),
            (ParameterKind::Float, "1e3", Some("1000")),
            (ParameterKind::Float, "inf", None),
            (ParameterKind::Bool, "yes", None),
            (ParameterKind::Duration, "1m 30s", Some("90000")),
            (ParameterKind::Duration, "5us", None),
            (ParameterKind::Text, " a ", Some(" a ")),
        ] {
            let got = kind.for_component(value).ok();
            assert_eq!(got.as_deref(), want, "{kind} {value}");
        }
    }
}
