//! What a deploy asks for.

use super::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use streamhost_core::job::Share;

/// What a user asks with `deploy`, beside the component itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeployRequest {
    /// The job's name; the component's own without it.
    pub name: Option<String>,
    /// `--set KEY=VALUE`. Those of before stay; an empty value takes one back.
    pub settings: BTreeMap<String, String>,
    /// The settings of before do not stay.
    pub reset_settings: bool,
    /// Create tables and topics that are missing.
    pub create_tables: bool,
    /// Forget state, counts and positions, and read again from `start`: rows are written and dead
    /// letters sent again.
    pub reset_state: bool,
    /// Give up what is planned and not written to the end, and have this version run its records.
    pub replan: bool,
    /// Have it run this part of the records alone, and the active version the rest.
    pub canary: Option<Share>,
}

impl DeployRequest {
    /// The settings that are given a value.
    pub fn given(&self) -> BTreeMap<String, String> {
        let given = self.settings.iter().filter(|(_, value)| !value.is_empty());
        given.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The settings that the deployment has, if the job's active one has these.
    /// `Err`: one is taken back that is not set.
    pub fn settings_after(
        &self,
        before: Option<&BTreeMap<String, String>>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let mut settings = match before {
            Some(before) if !self.reset_settings => before.clone(),
            _ => BTreeMap::new(),
        };
        for (key, value) in &self.settings {
            if !value.is_empty() {
                settings.insert(key.clone(), value.clone());
            } else if settings.remove(key).is_none() {
                return Err(Refusal::Invalid(format!(
                    "`{key}=` takes a setting back, and {}",
                    match before.filter(|set| !set.is_empty()) {
                        Some(set) => {
                            let set: Vec<_> = set.keys().map(|key| format!("`{key}`")).collect();
                            format!("the job has none of this name: it has {}", set.join(", "))
                        }
                        None => "the job has none".to_owned(),
                    }
                )));
            }
        }
        Ok(settings)
    }
}
