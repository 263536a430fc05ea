//! The groups that are known at the moment, each with a lock of its own.

use super::CallError;
use super::groups::Group;
use kafka_protocol::ResponseError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use streamhost_core::clock::monotonic;
use streamhost_core::limits::BROKER_GROUPS_MAX;

/// Kafka's rule for the name of a group.
fn check_group(group: &str) -> Result<(), ResponseError> {
    if group.is_empty() {
        Err(ResponseError::InvalidGroupId)
    } else {
        Ok(())
    }
}

/// The groups that have members, or had some a moment ago.
#[derive(Default)]
pub(super) struct Groups {
    by_name: Mutex<HashMap<String, Arc<Mutex<Group>>>>,
}

impl Groups {
    fn by_name(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Group>>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `run` on a group that is locked meanwhile. A group that is not there is one without
    /// members.
    pub(super) fn with<T>(
        &self,
        name: &str,
        run: impl FnOnce(&mut Group) -> T,
    ) -> Result<T, ResponseError> {
        check_group(name)?;
        loop {
            let entry = {
                let mut by_name = self.by_name();
                if !by_name.contains_key(name) && by_name.len() >= BROKER_GROUPS_MAX {
                    return Err(ResponseError::CoordinatorNotAvailable);
                }
                by_name.entry(name.to_owned()).or_default().clone()
            };
            let mut group = entry.lock().unwrap_or_else(PoisonError::into_inner);
            if !group.gone {
                return Ok(run(&mut group));
            }
        }
    }

    /// Looks at a group, one without members if it is not there; a look makes none.
    pub(super) fn look<T>(
        &self,
        name: &str,
        look: impl FnOnce(&mut Group) -> T,
    ) -> Result<T, ResponseError> {
        check_group(name)?;
        let known = self.by_name().get(name).cloned().unwrap_or_default();
        let mut group = known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(look(&mut group))
    }

    /// Runs `write` if the member may commit, and so that the group cannot change meanwhile.
    pub(super) fn while_member(
        &self,
        group: &str,
        member: (&str, i32, Option<&str>),
        write: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        self.with(group, |group| {
            group.check_commit(member, monotonic())?;
            write()
        })?
    }

    /// Runs `write` if the group has no members, and so that none can join meanwhile.
    pub(super) fn while_empty(
        &self,
        group: &str,
        write: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        self.with(group, |group| {
            group.tick(monotonic());
            if !group.members.is_empty() {
                return Err(ResponseError::NonEmptyGroup.into());
            }
            write()
        })?
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.by_name().keys().cloned().collect()
    }

    /// Ends what time has ended in all groups, and forgets groups without members.
    pub(super) fn care(&self, now: Instant) {
        let all: Vec<(String, Arc<Mutex<Group>>)> = self
            .by_name()
            .iter()
            .map(|(name, group)| (name.clone(), group.clone()))
            .collect();
        for (name, entry) in all {
            let mut group = entry.lock().unwrap_or_else(PoisonError::into_inner);
            group.tick(now);
            if group.members.is_empty() && group.promised.is_empty() {
                group.gone = true;
                drop(group);
                self.by_name().remove(&name);
            }
        }
    }
}
