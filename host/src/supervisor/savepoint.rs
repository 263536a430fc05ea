//! Takes a savepoint of a job: what belongs to its newest checkpoint is written into a file while the
//! job goes on.

use super::deploy::{may_change, unavailable};
use super::{Asked, Job, Supervisor};
use crate::api::{Refusal, TakenSavepoint};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::sync::Arc;
use streamhost_core::clock;
use streamhost_core::job::JobRecord;
use streamhost_storage::checkpoint_log::{JobWalk, WalkError};
use streamhost_storage::savepoint::{SavepointError, SavepointFacts, SavepointWriter};
use tracing::Level;

impl Supervisor {
    /// A file that has no name: nobody else finds it, and it is gone with the process.
    pub(super) fn spool_file(&self) -> Result<File, Refusal> {
        self.spool_room.check().map_err(|e| unavailable(&e))?;
        tempfile::tempfile_in(&self.spool).map_err(|e| {
            let folder = self.spool.display();
            Refusal::Unavailable(format!("no file can be made in {folder}: {e}"))
        })
    }

    /// `stop`: the job is paused first, and has delivered all that it planned.
    pub(super) fn take_savepoint(&self, name: &str, stop: bool) -> Result<TakenSavepoint, Refusal> {
        let job = self.known(name)?;
        may_change(&job)?;
        if stop {
            self.ask(name, Asked::Pause)?;
        }
        let walk = self.checkpoint_logs.of(name).walk();
        let walk = walk.map_err(|error| refused(name, error))?;
        let record = job.state().record.clone();
        let reset = record.reset_at(record.active().number);
        if reset.is_some_and(|reset| walk.checkpoint.deployment < reset) {
            return Err(refused(name, WalkError::Nothing));
        }
        if let Some(batch) = walk.planned.filter(|_| stop) {
            return Err(Refusal::Conflict(format!(
                "`{name}` is paused now, but its batch {batch} is planned, and its sinks have not taken all of it: `streamhost resume {name}`, wait until `streamhost status {name}` says that it runs, and take the savepoint then"
            )));
        }
        let taken = self.write_savepoint(&job, record, &walk, stop)?;
        let (batch, bytes) = (taken.batch, taken.bytes);
        let text = format!("a savepoint of batch {batch} was taken: {bytes} bytes");
        job.say(Level::INFO, &text);
        Ok(taken)
    }

    fn write_savepoint(
        &self,
        job: &Arc<Job>,
        record: JobRecord,
        walk: &JobWalk,
        stopped: bool,
    ) -> Result<TakenSavepoint, Refusal> {
        let name = &job.name;
        let loaded = job.state().active.as_ref().map(|slot| slot.get());
        let facts = SavepointFacts {
            taken_ms: clock::now_ms(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            stopped,
            record,
            checkpoint: walk.checkpoint.clone(),
            stages: loaded.map_or_else(Vec::new, |loaded| loaded.spec.stages.clone()),
        };
        let to = BufWriter::new(self.spool_file()?);
        let mut writer = SavepointWriter::begin(to, &facts).map_err(|e| unwritten(&e))?;
        for digest in self.components_of(&facts.record)? {
            let component = self.catalog.component(&digest);
            let component = component.map_err(|e| unavailable(&e))?;
            self.has_room(&writer)?;
            writer.component(&component).map_err(|e| unwritten(&e))?;
        }
        writer.marks(&walk.marks).map_err(|e| unwritten(&e))?;
        let ids = walk.checkpoint.stages.values().map(|facts| facts.id);
        let places: BTreeMap<u64, u32> = ids.zip(0..).collect();
        while let Some((stage, entries)) = walk.portion().map_err(|e| refused(name, e))? {
            let place = places.get(&stage).copied().unwrap_or_default();
            self.has_room(&writer)?;
            writer.state(place, &entries).map_err(|e| unwritten(&e))?;
        }
        self.has_room(&writer)?;
        let (to, bytes) = writer.end().map_err(|e| unwritten(&e))?;
        let mut file = to
            .into_inner()
            .map_err(|e| unwritten(&e.into_error().into()))?;
        file.rewind().map_err(|e| unwritten(&e.into()))?;
        Ok(TakenSavepoint {
            job: name.clone(),
            batch: walk.checkpoint.batch,
            file,
            bytes,
        })
    }

    /// Whether there is room for more: on the disk, and by the host's limit.
    fn has_room<W: Write>(&self, writer: &SavepointWriter<W>) -> Result<(), Refusal> {
        self.spool_room.check().map_err(|e| unavailable(&e))?;
        let most = self.environment.savepoint_bytes;
        match writer.bytes() > most {
            true => Err(Refusal::Conflict(format!(
                "the savepoint has more than {most} bytes: set `limits.savepoint-bytes` higher, up to what the data folder's disk has"
            ))),
            false => Ok(()),
        }
    }

    /// All components that a record names, wherever in it: whatever more than its deployments names
    /// some later comes along. That of the active version must be there.
    fn components_of(&self, record: &JobRecord) -> Result<BTreeSet<String>, Refusal> {
        let whole = serde_json::to_value(record).map_err(|e| unavailable(&e))?;
        let mut named = BTreeSet::new();
        digests(&whole, &mut named);
        named.retain(|digest| self.catalog.component_bytes(digest).is_some());
        let active = &record.active().digest;
        match named.contains(active) {
            true => Ok(named),
            false => Err(Refusal::Unavailable(format!(
                "the component of the active version, {active}, is not in the data folder: deploy it again"
            ))),
        }
    }
}

/// What could be a component's digest in a record.
fn digests(value: &Value, into: &mut BTreeSet<String>) {
    const HEX_DIGITS: usize = 64;
    let is_digest =
        |text: &str| text.len() == HEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value {
        Value::String(text) if is_digest(text) => drop(into.insert(text.clone())),
        Value::Array(all) => all.iter().for_each(|one| digests(one, into)),
        Value::Object(all) => all.values().for_each(|one| digests(one, into)),
        _ => {}
    }
}

fn refused(job: &str, error: WalkError) -> Refusal {
    match error {
        WalkError::Nothing => Refusal::Conflict(format!(
            "`{job}` has nothing to save yet, as it has not begun: `streamhost status {job}` says what it waits for"
        )),
        WalkError::Store(error) => unavailable(&error),
        other => Refusal::Conflict(format!("no savepoint of `{job}`: {other}")),
    }
}

fn unwritten(error: &SavepointError) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_names_a_component_in_a_record_is_found() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let record = json!({
            "name": "x".repeat(64), "deployments": [{ "digest": a, "number": 1 }],
            "more": { "of": [[b]], "short": "abc" },
        });
        let mut named = BTreeSet::new();
        digests(&record, &mut named);
        assert_eq!(named, BTreeSet::from([a, b]));
    }
}
