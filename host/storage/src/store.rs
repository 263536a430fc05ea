//! The embedded database of a host, and what takes each job's writes before it does.
//!
//! A write of a job goes through [`Writes`]. On a host by itself that is a write of the database. On
//! a host of a cluster a journal takes the same entries first, so that another host can make the
//! same tables of them: then the database is what this host remembers of the journal, with the
//! offset up to which it does, in the same write.

use crate::fault::unwritten;
use crate::position::ReplicaPosition;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, UserKey, UserValue,
};
use std::ops::Deref;
use std::sync::Arc;
use streamhost_core::clock;
use streamhost_core::state::{Journal, JournalEntry, StoreError};

/// The database, and the journal of its jobs, if there is one.
#[derive(Clone)]
pub struct Store {
    db: Database,
    journaled: Option<Journaled>,
}

#[derive(Clone)]
struct Journaled {
    journal: Arc<dyn Journal>,
    positions: Keyspace,
}

impl From<&Database> for Store {
    /// Of a host by itself.
    fn from(db: &Database) -> Self {
        Store {
            db: db.clone(),
            journaled: None,
        }
    }
}

impl From<&Store> for Store {
    fn from(store: &Store) -> Self {
        store.clone()
    }
}

impl Store {
    /// Of a host of a cluster.
    pub fn with_journal(db: &Database, journal: Arc<dyn Journal>) -> fjall::Result<Self> {
        let positions = db.keyspace(POSITIONS, KeyspaceCreateOptions::default)?;
        Ok(Store {
            db: db.clone(),
            journaled: Some(Journaled { journal, positions }),
        })
    }

    /// The database itself.
    pub fn db(&self) -> &Database {
        &self.db
    }

    /// Whether a journal takes the writes first.
    pub(crate) fn is_journaled(&self) -> bool {
        self.journaled.is_some()
    }

    /// A write of a job that is durable once it is made.
    pub(crate) fn durable<'s>(&'s self, job: &'s str) -> Writes<'s> {
        // With a journal, what the database loses is read from there again.
        let sync = (!self.is_journaled()).then_some(PersistMode::SyncAll);
        self.writes_of(job, self.db.batch().durability(sync))
    }

    /// A write of a job that a later durable one makes durable.
    pub(crate) fn writes<'s>(&'s self, job: &'s str) -> Writes<'s> {
        self.writes_of(job, self.db.batch())
    }

    fn writes_of<'s>(&'s self, job: &'s str, batch: OwnedWriteBatch) -> Writes<'s> {
        Writes {
            store: self,
            job,
            batch,
            entries: Vec::new(),
        }
    }
}

/// The keyspace of how far the database follows each job's journal.
pub(crate) const POSITIONS: &str = "positions";

/// A table of the store. Its number stands before each key in a journal, and never changes.
#[derive(Clone)]
pub(crate) struct Table {
    keyspace: Keyspace,
    number: u8,
    /// Values may be long, and are looked at before they are removed.
    is_long: bool,
}

impl Table {
    pub(crate) fn new(keyspace: Keyspace, number: u8) -> Self {
        Table {
            keyspace,
            number,
            is_long: false,
        }
    }

    pub(crate) fn of_long_values(self) -> Self {
        Table {
            is_long: true,
            ..self
        }
    }

    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    fn journal_key(&self, key: &[u8]) -> Vec<u8> {
        [&[self.number], key].concat()
    }
}

impl Deref for Table {
    type Target = Keyspace;

    fn deref(&self) -> &Keyspace {
        &self.keyspace
    }
}

impl AsRef<Keyspace> for Table {
    fn as_ref(&self) -> &Keyspace {
        &self.keyspace
    }
}

/// One atomic write of a job.
pub(crate) struct Writes<'s> {
    store: &'s Store,
    job: &'s str,
    batch: OwnedWriteBatch,
    /// The same for the journal; none where there is no journal.
    entries: Vec<JournalEntry>,
}

impl Writes<'_> {
    pub(crate) fn insert<K, V>(&mut self, to: &Table, key: K, value: V)
    where
        K: AsRef<[u8]> + Into<UserKey>,
        V: AsRef<[u8]> + Into<UserValue>,
    {
        if self.store.is_journaled() {
            self.entries.push(JournalEntry {
                key: to.journal_key(key.as_ref()),
                value: Some(value.as_ref().to_vec()),
                before_bytes: 0,
            });
        }
        self.batch.insert(&to.keyspace, key, value);
    }

    /// What other hosts are to know of an entry, where this host keeps it elsewhere.
    pub(crate) fn insert_elsewhere(&mut self, to: &Table, key: &[u8], value: &[u8]) {
        if self.store.is_journaled() {
            self.entries.push(JournalEntry {
                key: to.journal_key(key),
                value: Some(value.to_vec()),
                before_bytes: 0,
            });
            let bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
            self.batch.insert(&to.keyspace, key, bytes.to_be_bytes());
        }
    }

    pub(crate) fn remove<K: AsRef<[u8]> + Into<UserKey>>(&mut self, from: &Table, key: K) {
        if self.store.is_journaled() {
            let length = |key| from.keyspace.size_of(key).ok().flatten();
            let before = from.is_long.then(|| length(key.as_ref())).flatten();
            self.removed(from, key.as_ref(), before.map_or(0, |bytes| bytes as usize));
        }
        self.batch.remove(&from.keyspace, key);
    }

    /// The same of what was inserted by [`Writes::insert_elsewhere`].
    pub(crate) fn remove_elsewhere(&mut self, from: &Table, key: &[u8], bytes: usize) {
        self.removed(from, key, bytes);
        self.batch.remove(&from.keyspace, key);
    }

    fn removed(&mut self, from: &Table, key: &[u8], before_bytes: usize) {
        self.entries.push(JournalEntry {
            key: from.journal_key(key),
            value: None,
            before_bytes,
        });
    }

    /// What this host alone has to know.
    pub(crate) fn remove_here(&mut self, from: &Table, key: &[u8]) {
        self.batch.remove(&from.keyspace, key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Makes the write: in the journal, if there is one, and then here.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        let Some(Journaled { journal, positions }) = &self.store.journaled else {
            return self.batch.commit().map_err(unwritten);
        };
        let mut batch = Some(self.batch);
        journal.append(self.job, &self.entries, &mut |offset| {
            let Some(mut batch) = batch.take() else {
                return Ok(()); // it is asked once
            };
            let at = ReplicaPosition::moved(positions, self.job, offset, clock::now_ms())?;
            batch.insert(positions, self.job.as_bytes(), at);
            batch.commit().map_err(unwritten)
        })
    }
}
