//! `deploy --dry-run`: what a deploy would do, before it does.

use super::output::plain;
use crate::api::Change;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// What the daemon says of a component. What is not printed is passed on as it is.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct DryRun {
    job: String,
    /// What a deploy would be refused with.
    errors: Vec<String>,
    warnings: Vec<String>,
    active: Option<Active>,
    changes: Vec<Change>,
    state: String,
    starts: String,
    creates: Vec<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Active {
    version: u64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A deploy would be refused, for what is said above.
#[derive(Debug, thiserror::Error)]
#[error("a deploy would be refused; nothing was changed")]
pub struct WouldBeRefused;

impl DryRun {
    /// `Err`: the deploy would be.
    pub(super) fn refused(&self) -> Result<(), WouldBeRefused> {
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(WouldBeRefused),
        }
    }

    /// A line for each thing that it would do.
    pub(super) fn said(out: &mut dyn Write, told: &DryRun) -> io::Result<()> {
        let job = plain(&told.job);
        match &told.active {
            Some(Active { version, .. }) => {
                writeln!(out, "{job} would take over from version {version}")?;
            }
            None => writeln!(out, "{job} would be a new job")?,
        }
        writeln!(out, "reads: {}", plain(&told.starts))?;
        let state = match told.state.as_str() {
            "none" => "it keeps none",
            "kept" => "carried on",
            "migrated" => "migrated with the first batch",
            "needs-reset" => "does not fit",
            other => other,
        };
        writeln!(out, "state: {}", plain(state))?;
        let lines = |out: &mut dyn Write, word: &str, all: &[String]| {
            all.iter()
                .try_for_each(|one| writeln!(out, "{word}: {}", plain(one)))
        };
        let changes: Vec<String> = told.changes.iter().map(Change::to_string).collect();
        lines(out, "changes", &changes)?;
        lines(out, "creates", &told.creates)?;
        lines(out, "warning", &told.warnings)?;
        lines(out, "refused", &told.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(errors: &[&str]) -> DryRun {
        let told = json!({
            "job": "clicks", "digest": "9f2c", "errors": errors, "warnings": ["look"],
            "active": { "version": 7, "digest": "515e" }, "state": "kept",
            "changes": [{ "what": "sink", "name": "out", "kind": "changed", "before": "a", "after": "b" }],
            "starts": "where the job is", "creates": ["topic `b`"],
        });
        serde_json::from_value(told).expect("an answer")
    }

    #[test]
    fn each_thing_that_would_happen_has_its_line() {
        let (mut out, told) = (Vec::new(), told(&["no table"]));
        DryRun::said(&mut out, &told).expect("it is memory");
        let text = String::from_utf8(out).expect("text");
        for line in [
            "clicks would take over from version 7\n",
            "reads: where the job is\n",
            "state: carried on\n",
            "creates: topic `b`\n",
            "warning: look\n",
            "refused: no table\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(text.contains("changes: "), "{text}");
        assert!(told.refused().is_err());
        let json = serde_json::to_value(&told).expect("JSON");
        assert_eq!(json["digest"], "9f2c", "what is not printed is passed on");
    }

    #[test]
    fn what_would_be_done_is_no_failure() {
        assert!(told(&[]).refused().is_ok());
    }
}
