//! A job's tables as a journal tells them: how a host comes to hold a job that ran on another one.

use crate::catalog::Catalog;
use crate::fault::{damaged, io, unwritten};
use crate::position::ReplicaPosition;
use crate::store::{POSITIONS, Store, Table};
use crate::tables;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;
use streamhost_core::limits::STATE_SWEEP_ENTRIES_MAX;
use streamhost_core::state::StoreError;

pub use crate::position::ReplicaPosition as Position;

/// The tables of all jobs of a host, as journals write them.
pub struct Replica {
    db: Database,
    tables: Vec<Table>,
    positions: Keyspace,
    catalog: Catalog,
}

impl Replica {
    /// Opens it in a host's database; components lie in `components`.
    pub fn open(store: &Store, components: &Path) -> Result<Self, StoreError> {
        let db = store.db().clone();
        let positions = db.keyspace(POSITIONS, KeyspaceCreateOptions::default);
        Ok(Replica {
            tables: tables::all(&db)?,
            positions: positions.map_err(io)?,
            catalog: Catalog::open(store, components).map_err(io)?,
            db,
        })
    }

    /// A job that this folder follows the journal of, if there is any.
    pub fn any(&self) -> Result<Option<String>, StoreError> {
        let first = self.positions.iter().next();
        let key = first.map(|entry| entry.key().map_err(io)).transpose()?;
        Ok(key.map(|key| String::from_utf8_lossy(&key).into_owned()))
    }

    /// A job in this folder that no journal tells of, if there is any.
    pub fn foreign(&self) -> Result<Option<String>, StoreError> {
        for job in self.catalog.load().map_err(io)? {
            let name = job.map_or_else(|unreadable| unreadable.name, |job| job.name);
            if self.position(&name)?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// How far the tables follow the job's journal; none: nothing of it is here, or not all.
    pub fn position(&self, job: &str) -> Result<Option<Position>, StoreError> {
        ReplicaPosition::read(&self.positions, job)
    }

    /// Removes all that is here of a job, in portions.
    pub fn wipe(&self, job: &str) -> Result<(), StoreError> {
        // First: without it, what is left counts as nothing.
        self.positions.remove(job.as_bytes()).map_err(unwritten)?;
        for table in &self.tables {
            table.remove(job.as_bytes()).map_err(unwritten)?;
            let (from, to) = (
                [job.as_bytes(), &[0]].concat(),
                [job.as_bytes(), &[1]].concat(),
            );
            loop {
                let mut batch = self.db.batch();
                let range = table.range(from.as_slice()..to.as_slice());
                for entry in range.take(STATE_SWEEP_ENTRIES_MAX) {
                    batch.remove(table, &*entry.key().map_err(io)?);
                }
                if batch.is_empty() {
                    break;
                }
                batch.commit().map_err(unwritten)?;
            }
        }
        Ok(())
    }

    /// Writes what a journal says, in its order: keys and values, none where an entry was removed.
    pub fn apply(&self, entries: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StoreError> {
        let mut batch = self.db.batch();
        for (key, value) in entries {
            let (number, key) = key.split_first().ok_or_else(|| damaged("an empty key"))?;
            let table = self.tables.iter().find(|table| table.number() == *number);
            let table = table.ok_or_else(|| {
                damaged(format!(
                    "a journal has table {number}, which this release does not know"
                ))
            })?;
            match value {
                None => batch.remove(table, key),
                Some(component) if *number == tables::COMPONENTS => {
                    self.catalog.keep_here(&component).map_err(io)?;
                    let bytes = u64::try_from(component.len()).unwrap_or(u64::MAX);
                    batch.insert(table, key, bytes.to_be_bytes());
                }
                Some(value) => batch.insert(table, key, value),
            }
        }
        batch.commit().map_err(unwritten)
    }

    /// Notes how far the job's journal was applied.
    pub fn reached(&self, job: &str, position: &Position) -> Result<(), StoreError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.positions, job.as_bytes(), position.write()?);
        batch.commit().map_err(unwritten)
    }

    /// Whether the components that the journal holds are all here: files of jobs that ran elsewhere
    /// meanwhile may be gone.
    pub fn has_components(&self, job: &str) -> Result<bool, StoreError> {
        let table = self
            .tables
            .iter()
            .find(|t| t.number() == tables::COMPONENTS);
        let table = table.ok_or_else(|| damaged("there is no table of components"))?;
        for entry in table.prefix([job.as_bytes(), &[0]].concat()) {
            let key = entry.key().map_err(io)?;
            let digest = std::str::from_utf8(&key[job.len() + 1..]).map_err(damaged)?;
            if self.catalog.component(digest).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
