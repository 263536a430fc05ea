//! Ledgers, intents and state in the embedded store.
//!
//! Keyspaces, each of all jobs; names of jobs hold no NUL, so no job's keys are among another's:
//! - `checkpoints`: job → checkpoint (JSON);
//! - `intents`: job ‖ 0 ‖ batch, 8 bytes big-endian → intent (JSON);
//! - `kept`: the same key → the records of sources that cannot be read twice, and that of a retried
//!   letter (postcard); only where there are any;
//! - `state`: job ‖ 0 ‖ stage id, 8 bytes big-endian ‖ the entry's key → the entry.

use crate::fault::{damaged, io, unwritten};
use crate::forgotten;
use crate::format;
use crate::letter_marks::LetterMarks;
use crate::retained;
use crate::store::{Store, Table, Writes};
use crate::tables;
use fjall::{Guard, PersistMode, Readable, Snapshot};
use std::collections::BTreeSet;
use std::ops::Bound;
use streamhost_core::limits::{STATE_KEY_BYTES_MAX, STATE_SWEEP_ENTRIES_MAX, UNDEPLOYED_MAX};
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog, newest_ms, stays};
use streamhost_core::room::Room;
use streamhost_core::state::{Delta, Entries, Entry, Most, StageId, StateStore, StoreError};
use streamhost_core::types::Chunk;

mod import;
mod snapshot;
mod walk;

pub use import::Import;
pub use snapshot::CheckpointSnapshot;
pub use walk::{JobWalk, WalkError};

/// The checkpoints, intents and state of all jobs of a host.
#[derive(Clone)]
pub struct CheckpointLogs {
    store: Store,
    checkpoints: Table,
    intents: Table,
    kept: Table,
    state: Table,
    /// By job how far the times of what was forgotten had come.
    forgotten: Table,
    letters: LetterMarks,
    room: Room,
    /// Savepoints that are being taken, and jobs that are being restored from one.
    walks: walk::Walks,
    imports: import::Imports,
}

impl CheckpointLogs {
    /// Opens them in the host's database.
    pub fn open(store: impl Into<Store>) -> Result<Self, StoreError> {
        let store = store.into();
        let db = store.db();
        let state = tables::state(db)?;
        Ok(CheckpointLogs {
            checkpoints: tables::checkpoints(db)?,
            intents: tables::intents(db)?,
            kept: tables::kept(db)?,
            forgotten: tables::forgotten(db)?,
            room: Room::of(state.path().to_owned()),
            state,
            letters: LetterMarks::open(&store)?,
            walks: walk::Walks::default(),
            imports: import::Imports::default(),
            store,
        })
    }

    /// Why nothing can be written to the host's database any more, if so: a write has failed, and
    /// what lies between memory and disk is not known until it is opened anew.
    pub fn broken(&self) -> Option<String> {
        let written = self.store.db().persist(PersistMode::Buffer);
        written.err().map(|error| unwritten(error).to_string())
    }

    /// One job's.
    pub fn of(&self, job: &str) -> JobCheckpointLog {
        JobCheckpointLog {
            all: self.clone(),
            job: job.to_string(),
        }
    }

    /// One more job's times are remembered only in place of some other's, once there are many.
    fn make_room_to_remember(&self, batch: &mut Writes<'_>) -> Result<(), StoreError> {
        let mut all = self.forgotten.iter();
        if all.by_ref().take(UNDEPLOYED_MAX).count() < UNDEPLOYED_MAX {
            return Ok(());
        }
        if let Some(first) = self.forgotten.iter().next() {
            batch.remove_here(&self.forgotten, &first.key().map_err(io)?);
        }
        Ok(())
    }

    /// Removes the state of jobs without a checkpoint, in portions: what is left of a job when the
    /// host ends while it is forgotten. May run beside jobs, new ones too.
    pub fn sweep_forgotten(&self) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let next = self.state.range(from.as_slice()..).next();
            let Some(next) = next else { return Ok(()) };
            let key = next.key().map_err(io)?;
            let end = key
                .iter()
                .position(|&byte| byte == 0)
                .ok_or_else(|| damaged("a state without a job"))?;
            let job = std::str::from_utf8(&key[..end]).map_err(damaged)?;
            self.sweep_forgotten_of(job)?;
            from = [job.as_bytes(), &[1]].concat();
        }
    }

    /// The same of one job.
    pub fn sweep_forgotten_of(&self, job: &str) -> Result<(), StoreError> {
        let job = self.of(job);
        // A job's checkpoint is written before its state, and a later life of it has other
        // stages: what is there without a checkpoint belongs to nobody and will not.
        let stages = job.stages()?;
        // One that is restored has its checkpoint last.
        let is_restored = self.imports.has(&job.job);
        if is_restored || self.checkpoints.contains_key(&job.job).map_err(io)? {
            return Ok(());
        }
        stages.into_iter().try_for_each(|stage| job.discard(stage))
    }
}

/// An entry of a stage without what stands before its own key.
fn own_entry(entry: Guard, before_key: usize) -> Result<Entry, StoreError> {
    let (key, value) = entry.into_inner().map_err(io)?;
    Ok((key[before_key..].to_vec(), value.to_vec()))
}

/// One job's checkpoint, intents and state.
pub struct JobCheckpointLog {
    all: CheckpointLogs,
    job: String,
}

impl JobCheckpointLog {
    /// What the keys of a batch's intent, and of a stage's state, begin with.
    fn key(&self, number: u64, rest: &[u8]) -> Vec<u8> {
        [self.job.as_bytes(), &[0], &number.to_be_bytes(), rest].concat()
    }

    /// All of it as it is now.
    pub fn snapshot(self) -> CheckpointSnapshot {
        let at = self.all.store.db().snapshot();
        CheckpointSnapshot { log: self, at }
    }

    /// Bytes before an entry's own key.
    fn before_key(&self) -> usize {
        self.job.len() + 1 + size_of::<StageId>()
    }

    /// Where a stage's entries end.
    fn end(&self, stage: StageId) -> Vec<u8> {
        match stage.checked_add(1) {
            Some(next) => self.key(next, &[]),
            None => [self.job.as_bytes(), &[1]].concat(),
        }
    }

    fn state_key(&self, stage: StageId, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        if key.len() > STATE_KEY_BYTES_MAX {
            return Err(StoreError::KeyTooLong {
                bytes: key.len(),
                max: STATE_KEY_BYTES_MAX,
            });
        }
        Ok(self.key(stage, key))
    }

    fn durable(&self) -> Writes<'_> {
        self.all.store.durable(&self.job)
    }

    /// A write that removes all intents.
    fn without_intents(&self) -> Result<Writes<'_>, StoreError> {
        let mut batch = self.durable();
        for keyspace in [&self.all.intents, &self.all.kept] {
            for entry in keyspace.range(self.key(0, &[])..=self.key(u64::MAX, &[])) {
                batch.remove(keyspace, entry.key().map_err(io)?);
            }
        }
        Ok(batch)
    }

    fn put_ledger(
        &self,
        batch: &mut Writes<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        batch.insert(
            &self.all.checkpoints,
            self.job.as_bytes(),
            format::CHECKPOINT.write(checkpoint).map_err(damaged)?,
        );
        Ok(())
    }

    fn put_intent(&self, batch: &mut Writes<'_>, intent: &BatchIntent) -> Result<(), StoreError> {
        let key = self.key(intent.batch, &[]);
        if !intent.retained_records.is_empty() {
            batch.insert(
                &self.all.kept,
                key.as_slice(),
                retained::write(&intent.retained_records).map_err(damaged)?,
            );
        }
        batch.insert(
            &self.all.intents,
            key,
            format::INTENT.write(intent).map_err(damaged)?,
        );
        Ok(())
    }

    fn put_delta(&self, batch: &mut Writes<'_>, delta: &Delta) -> Result<(), StoreError> {
        for (&stage, writes) in &delta.stages {
            for (key, value) in writes {
                let key = self.state_key(stage, key)?;
                match value {
                    Some(value) => batch.insert(&self.all.state, key, value.as_slice()),
                    None => batch.remove(&self.all.state, key),
                }
            }
        }
        Ok(())
    }

    fn checkpoint(&self, at: &Snapshot) -> Result<Option<Checkpoint>, StoreError> {
        let checkpoint = at.get(&self.all.checkpoints, &self.job).map_err(io)?;
        checkpoint
            .map(|bytes| format::CHECKPOINT.read(&bytes))
            .transpose()
    }

    /// Plans without what is kept beside them.
    fn intents(&self, at: &Snapshot) -> Result<Vec<BatchIntent>, StoreError> {
        let mut intents = Vec::new();
        for entry in at.range(
            &self.all.intents,
            self.key(0, &[])..=self.key(u64::MAX, &[]),
        ) {
            intents.push(format::INTENT.read(&entry.value().map_err(io)?)?);
        }
        Ok(intents)
    }

    fn kept(&self, at: &Snapshot, intent: &BatchIntent) -> Result<Vec<Chunk>, StoreError> {
        let kept = at
            .get(&self.all.kept, self.key(intent.batch, &[]))
            .map_err(io)?;
        kept.map_or(Ok(Vec::new()), |bytes| retained::read(&bytes))
    }

    /// The stages that the checkpoint and the intents name. The snapshot ends here: as long as one
    /// is there, the store keeps all that is written meanwhile in memory.
    fn named(&self) -> Result<BTreeSet<StageId>, StoreError> {
        let at = self.all.store.db().snapshot();
        let (checkpoint, intents) = (self.checkpoint(&at)?, self.intents(&at)?);
        let all = checkpoint
            .iter()
            .map(|checkpoint| &checkpoint.stages)
            .chain(intents.iter().map(|intent| &intent.stages));
        Ok(all
            .flat_map(|stages| stages.values().map(|facts| facts.id))
            .collect())
    }

    /// The stages that have state, ascending.
    fn stages(&self) -> Result<Vec<StageId>, StoreError> {
        let (mut from, end) = (self.key(0, &[]), [self.job.as_bytes(), &[1]].concat());
        let mut stages = Vec::new();
        while let Some(entry) = self.all.state.range(from.as_slice()..end.as_slice()).next() {
            let key = entry.key().map_err(io)?;
            let id = key
                .get(self.job.len() + 1..)
                .and_then(|rest| rest.first_chunk::<8>());
            let id = u64::from_be_bytes(*id.ok_or_else(|| damaged("a state without a stage"))?);
            stages.push(id);
            from = self.end(id);
        }
        Ok(stages)
    }
}

impl StateStore for JobCheckpointLog {
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.all.state.get(self.key(stage, key)).map_err(io)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Entries, StoreError> {
        let (from, to) = (
            self.key(stage, from),
            to.map_or_else(|| self.end(stage), |to| self.key(stage, to)),
        );
        if from >= to {
            return Ok(Vec::new());
        }
        let before_key = self.before_key();
        most.of(self
            .all
            .state
            .range(from..to)
            .map(|entry| own_entry(entry, before_key)))
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        self.all.room.check()?;
        // In the journal before whatever names the stage, so durable no later than that.
        let mut batch = self.all.store.writes(&self.job);
        for (key, value) in entries {
            batch.insert(
                &self.all.state,
                self.state_key(stage, key)?,
                value.as_slice(),
            );
        }
        batch.commit()
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        let (mut from, end) = (
            Bound::Included(self.key(stage, &[])),
            Bound::Excluded(self.end(stage)),
        );
        loop {
            let mut batch = self.all.store.writes(&self.job);
            for entry in self
                .all
                .state
                .range((from.clone(), end.clone()))
                .take(STATE_SWEEP_ENTRIES_MAX)
            {
                let key = entry.key().map_err(io)?;
                // A copy: the key as it was read is a part of its block, and would keep all of that
                // in the memtable.
                batch.remove(&self.all.state, &*key);
                from = Bound::Excluded(key.to_vec());
            }
            if batch.is_empty() {
                return Ok(());
            }
            batch.commit()?;
        }
    }

    fn discard_above(&self, last: StageId) -> Result<(), StoreError> {
        self.stages()?
            .into_iter()
            .filter(|&stage| stage > last)
            .try_for_each(|stage| self.discard(stage))
    }
}

impl CheckpointLog for JobCheckpointLog {
    fn load(&self) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), StoreError> {
        let at = self.all.store.db().snapshot();
        let checkpoint = self.checkpoint(&at)?;
        let mut intents = self.intents(&at)?;
        for intent in &mut intents {
            intent.retained_records = self.kept(&at, intent)?;
        }
        Ok((checkpoint, intents))
    }

    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), StoreError> {
        self.all.room.check()?;
        let _walks = self
            .all
            .walks
            .pass(self, checkpoint.map(|(_, delta)| delta))?;
        let mut batch = self.durable();
        if let Some((checkpoint, delta)) = checkpoint {
            let key = self.key(checkpoint.batch, &[]);
            // Looked for first: a job that keeps no records would leave a removal there with each
            // batch.
            if self.all.kept.contains_key(&key).map_err(io)? {
                batch.remove(&self.all.kept, key.as_slice());
            }
            batch.remove(&self.all.intents, key);
            self.put_delta(&mut batch, delta)?;
            self.put_ledger(&mut batch, checkpoint)?;
            if let Some(letter) = &checkpoint.retried {
                self.all.letters.put(&mut batch, &self.job, letter)?;
            }
        }
        if let Some(intent) = intent {
            self.put_intent(&mut batch, intent)?;
        }
        batch.commit()
    }

    fn begin(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.all.room.check()?;
        let mut batch = self.without_intents()?;
        self.put_ledger(&mut batch, checkpoint)?;
        batch.commit()
    }

    fn forget(&self) -> Result<(), StoreError> {
        self.all.walks.end(&self.job);
        let at = self.all.store.db().snapshot();
        // What cannot be read is forgotten all the same: a damaged job is undeployed too.
        let checkpoint = self.checkpoint(&at).unwrap_or_default();
        let intents = self.intents(&at).unwrap_or_default();
        let before = self.forgotten_ms().unwrap_or_default();
        let newest_ms = newest_ms(checkpoint.as_ref(), &intents).max(before);
        let mut batch = self.without_intents()?;
        batch.remove(&self.all.checkpoints, self.job.as_bytes());
        if let Some(newest_ms) = newest_ms {
            let (to, key) = (&self.all.forgotten, self.job.as_bytes());
            self.all.make_room_to_remember(&mut batch)?;
            batch.insert(to, key, forgotten::write(newest_ms));
        }
        batch.commit()?;
        self.all.letters.forget(&self.job)?;
        self.stages()?
            .into_iter()
            .try_for_each(|stage| self.discard(stage))
    }

    fn forgotten_ms(&self) -> Result<Option<i64>, StoreError> {
        let found = self.all.forgotten.get(self.job.as_bytes()).map_err(io)?;
        found.map(|bytes| forgotten::read(&bytes)).transpose()
    }

    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError> {
        // What is there is listed before what is named: a checkpoint in between names more, and
        // never fewer.
        let stages = self.stages()?;
        let mut named = self.named()?;
        named.extend(kept);
        named.extend(self.all.walks.needed(&self.job, &stages));
        stages
            .into_iter()
            .filter(|&stage| !stays(&named, stage))
            .try_for_each(|stage| self.discard(stage))
    }
}

#[cfg(test)]
#[path = "checkpoint_log_tests.rs"]
mod tests;
