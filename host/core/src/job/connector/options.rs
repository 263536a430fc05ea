//! What sources and sinks can be told, as pairs of text.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An option of a source or sink.
#[derive(Debug)]
pub struct OptionRules {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: OptionKind,
    /// Its value where nothing is said.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// What an option's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl OptionKind {
    /// Whether a value may be, and why not.
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            OptionKind::Flag if ["true", "false"].contains(&value) => Ok(()),
            OptionKind::Number { least, most }
                if value.parse().is_ok_and(|n| (least..=most).contains(&n)) =>
            {
                Ok(())
            }
            OptionKind::OneOf(words) if words.contains(&value) => Ok(()),
            kind => Err(format!("it may be {kind}")),
        }
    }
}

impl fmt::Display for OptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionKind::Flag => write!(f, "true or false"),
            OptionKind::Number { least, most } => {
                write!(f, "a whole number from {least} to {most}")
            }
            OptionKind::OneOf(words) => write!(f, "{}", words.join(" or ")),
        }
    }
}

/// The options of a source or sink, checked: all that its connector has, with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// An option and its value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.set(name, value.to_string());
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Those that are said, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Whether an option is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "true")
    }

    /// Whether an option has this value.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|said| said == value)
    }

    /// An option's value, or this one where none is said.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// A number; 0 where none is said.
    pub fn number(&self, name: &str) -> u64 {
        self.0
            .get(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_held_to_their_kinds() {
        let number = OptionKind::Number { least: 1, most: 10 };
        let word = OptionKind::OneOf(&["false", "wait_for"]);
        let cases = [
            (word, "wait_for", ""),
            (word, "true", "false or wait_for"),
            (OptionKind::Flag, "true", ""),
            (OptionKind::Flag, "yes", "true or false"),
            (number, "1", ""),
            (number, "10", ""),
            (number, "0", "from 1 to 10"),
            (number, "11", "from 1 to 10"),
            (number, "-1", "from 1 to 10"),
            (number, "ten", "from 1 to 10"),
        ];
        for (kind, value, want) in cases {
            let found = kind.check(value).err().unwrap_or_default();
            assert!(
                found.is_empty() == want.is_empty() && found.contains(want),
                "{value}: {found}"
            );
        }
    }
}
