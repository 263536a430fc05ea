//! The audit log: who changed what, and when.

use super::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::job::names;
use streamhost_core::limits;
use utoipa::ToSchema;

/// How a change went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It is being made.
    #[default]
    UnderWay,
    /// It is durable.
    Done,
    /// It was not made: `status` and `reason` say why.
    Refused,
    /// The host broke while it made it.
    Failed,
    /// The host ended before it was noted how it went: `history` says what became of it.
    Unknown,
}

/// A setting that a change made another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditSetting {
    /// Its name, as in `--set`.
    pub name: String,
    /// What it was set to; null: it was not set.
    pub before: Option<String>,
    /// What it is set to; null: it is not set any more.
    pub after: Option<String>,
}

/// A change that was asked for by the API, or that the host made by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Rises with each entry, from 1.
    pub number: u64,
    /// When it was asked for, RFC 3339.
    pub at: String,
    /// The name of the token; null where the host wants no token, and of what it does by itself.
    #[serde(default)]
    pub who: Option<String>,
    /// The role of the token: `read`, `operate` or `deploy`; null where the host wants no token;
    /// `host`: it did it by itself.
    #[serde(default)]
    pub role: Option<String>,
    /// The address that asked.
    #[serde(default)]
    pub peer: Option<String>,
    /// The request's id, as in `X-Request-Id`.
    #[serde(default)]
    pub request: Option<String>,
    /// `deploy`, `rollback`, `pause`, `resume`, `undeploy`, `retry` or `drop`; of what the host does
    /// by itself `automatic-rollback`, or `limits` where a job follows the host's new ones.
    pub verb: String,
    /// The job; null where a deploy was refused before its name was known.
    #[serde(default)]
    pub job: Option<String>,
    /// What else was asked for, such as `reset-state`.
    #[serde(default)]
    pub options: Vec<String>,
    /// The deployment that is active then; after an undeploy the one that was.
    #[serde(default)]
    pub deployment: Option<u64>,
    /// Its version.
    #[serde(default)]
    pub version: Option<u64>,
    /// Its component, SHA-256 in hex.
    #[serde(default)]
    pub digest: Option<String>,
    /// The trusted key that has signed it; null where the host asked for no signature.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The settings that are others than before.
    #[serde(default)]
    pub settings: Vec<AuditSetting>,
    /// How it went.
    #[serde(default)]
    pub outcome: AuditOutcome,
    /// The HTTP status of what was refused.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why it was refused, or made by the host; what else is to be said of it.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long it took; null of what was refused before it began, and while it is not over.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

impl AuditEntry {
    /// A text as the log keeps it.
    pub fn shortened(text: &str) -> String {
        names::shown(text, limits::AUDIT_TEXT_CHARS_MAX)
    }

    /// The settings that are others than before, so many at most; the last one tells of the rest.
    pub fn settings_between(
        before: Option<&BTreeMap<String, String>>,
        after: &BTreeMap<String, String>,
    ) -> Vec<AuditSetting> {
        let none = BTreeMap::new();
        let before = before.unwrap_or(&none);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let of = |set: &BTreeMap<String, String>, name| -> Option<String> {
            set.get(name).map(|value| AuditEntry::shortened(value))
        };
        let others = names
            .into_iter()
            .filter(|n| before.get(*n) != after.get(*n));
        let others: Vec<AuditSetting> = others
            .map(|name| AuditSetting {
                name: name.clone(),
                before: of(before, name),
                after: of(after, name),
            })
            .collect();
        let rest = others.len().saturating_sub(limits::AUDIT_SETTINGS_MAX);
        let mut told: Vec<_> = others
            .into_iter()
            .take(limits::AUDIT_SETTINGS_MAX)
            .collect();
        if rest > 0 {
            told.push(AuditSetting {
                name: format!("… {rest} more"),
                before: None,
                after: None,
            });
        }
        told
    }
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditAsk {
    /// Of this job alone.
    pub job: Option<String>,
    /// With smaller numbers alone.
    pub before: Option<u64>,
    /// Not older than this, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// How many at most.
    pub limit: usize,
}

impl AuditAsk {
    /// Whether this one is wanted.
    pub fn fits(&self, entry: &AuditEntry) -> bool {
        let since = self.since_ms.map(streamhost_core::clock::rfc3339);
        self.before.is_none_or(|before| entry.number < before)
            && (self.job.is_none() || self.job == entry.job)
            && since.is_none_or(|since| entry.at >= since) // both have one form
    }
}

/// A page of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, as `before`; null: there are no older ones.
    pub next: Option<u64>,
}

/// Where changes are noted.
pub trait Audit: Send + Sync {
    /// Notes an entry. One without a number is new: it is given its number and its time, and if it
    /// is [`AuditOutcome::UnderWay`], it is noted once more when it is over.
    /// `Ok`: it survives a crash of the host and of its machine. `Err`: nothing is known, and what
    /// has not begun must not.
    fn note(&self, entry: &mut AuditEntry) -> Result<(), Refusal>;
    /// The newest entries that are wanted.
    fn page(&self, ask: &AuditAsk) -> Result<AuditPage, Refusal>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn settings_that_are_others_are_told_and_long_or_many_ones_cut() {
        let before = set(&[("gone", "1"), ("kept", "2"), ("other", "3")]);
        let after = set(&[("kept", "2"), ("new", "4"), ("other", "5")]);
        let told = AuditEntry::settings_between(Some(&before), &after);
        let told: Vec<_> = told
            .iter()
            .map(|s| (&*s.name, s.before.as_deref(), s.after.as_deref()))
            .collect();
        let want = [
            ("gone", Some("1"), None),
            ("new", None, Some("4")),
            ("other", Some("3"), Some("5")),
        ];
        assert_eq!(told, want);
        let all = AuditEntry::settings_between(None, &after);
        assert_eq!(all.len(), 3, "a new job has had none");
        let long = "x".repeat(2 * limits::AUDIT_TEXT_CHARS_MAX);
        let many = (0..limits::AUDIT_SETTINGS_MAX + 3).map(|n| (format!("p{n:04}"), long.clone()));
        let told = AuditEntry::settings_between(None, &many.collect());
        assert_eq!(told.len(), limits::AUDIT_SETTINGS_MAX + 1);
        assert_eq!(told[limits::AUDIT_SETTINGS_MAX].name, "… 3 more");
        let value = told[0].after.as_deref().unwrap_or_default();
        assert!(value.chars().count() <= limits::AUDIT_TEXT_CHARS_MAX + 1);
    }
}
