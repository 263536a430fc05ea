//! A store in memory, for the host's own tests: it survives the pipeline, as a disk does.

use super::{BatchIntent, Checkpoint, CheckpointLog, LetterMark, LetterPlace, newest_ms, stays};
use crate::state::{Delta, Entries, Most, StageId, StateStore, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One job's checkpoint, intents and state.
#[derive(Debug, Default)]
pub struct MemoryStore {
    held: Mutex<Held>,
    /// How many of the next writes find no room.
    full: AtomicUsize,
}

#[derive(Debug, Default)]
struct Held {
    checkpoint: Option<Checkpoint>,
    intents: Vec<BatchIntent>,
    state: BTreeMap<(StageId, Vec<u8>), Vec<u8>>,
    marks: BTreeMap<LetterPlace, Vec<LetterMark>>,
    forgotten_ms: Option<i64>,
}

impl MemoryStore {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> Result<(), StoreError> {
        let left = |left: usize| left.checked_sub(1);
        let is_full = self
            .full
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        match is_full {
            Ok(_) => Err(StoreError::Full { free: 1, needed: 2 }),
            Err(_) => Ok(()),
        }
    }

    /// The next writes find no room, so many times.
    pub fn fill(&self, times: usize) {
        self.full.store(times, Ordering::SeqCst);
    }

    /// All that was remembered of dead letters, in order: the last one of each counts.
    pub fn marks(&self) -> BTreeMap<LetterPlace, Vec<LetterMark>> {
        self.held().marks.clone()
    }
}

impl StateStore for MemoryStore {
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.held().state.get(&(stage, key.to_vec())).cloned())
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Entries, StoreError> {
        let from = (stage, from.to_vec());
        let to = to.map_or((stage.saturating_add(1), Vec::new()), |to| {
            (stage, to.to_vec())
        });
        if from >= to {
            return Ok(Vec::new());
        }
        let held = self.held();
        let range = held
            .state
            .range((Bound::Included(from), Bound::Excluded(to)));
        most.of(range.map(|((_, key), value)| Ok((key.clone(), value.clone()))))
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        self.held().state.extend(
            entries
                .iter()
                .map(|(key, value)| ((stage, key.clone()), value.clone())),
        );
        Ok(())
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        self.held().state.retain(|&(id, _), _| id != stage);
        Ok(())
    }

    fn discard_above(&self, last: StageId) -> Result<(), StoreError> {
        self.held().state.retain(|&(id, _), _| id <= last);
        Ok(())
    }
}

impl CheckpointLog for MemoryStore {
    fn load(&self) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), StoreError> {
        let held = self.held();
        Ok((held.checkpoint.clone(), held.intents.clone()))
    }

    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), StoreError> {
        self.room()?;
        let mut held = self.held();
        if let Some((checkpoint, delta)) = checkpoint {
            held.checkpoint = Some(checkpoint.clone());
            if let Some(letter) = &checkpoint.retried {
                let marks = held.marks.entry(letter.place.clone()).or_default();
                marks.push(letter.mark.clone());
            }
            held.intents
                .retain(|intent| intent.batch > checkpoint.batch);
            for (&stage, writes) in &delta.stages {
                for (key, value) in writes {
                    match value {
                        Some(value) => held.state.insert((stage, key.clone()), value.clone()),
                        None => held.state.remove(&(stage, key.clone())),
                    };
                }
            }
        }
        if let Some(intent) = intent {
            held.intents.retain(|before| before.batch != intent.batch);
            held.intents.push(intent.clone());
        }
        Ok(())
    }

    fn begin(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.room()?;
        let mut held = self.held();
        held.checkpoint = Some(checkpoint.clone());
        held.intents.clear();
        Ok(())
    }

    fn forget(&self) -> Result<(), StoreError> {
        let mut held = self.held();
        let forgotten_ms =
            newest_ms(held.checkpoint.as_ref(), &held.intents).max(held.forgotten_ms);
        *held = Held {
            forgotten_ms,
            ..Held::default()
        };
        Ok(())
    }

    fn forgotten_ms(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.held().forgotten_ms)
    }

    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError> {
        let mut held = self.held();
        let mut named: BTreeSet<StageId> = kept.iter().copied().collect();
        named.extend(
            held.checkpoint
                .iter()
                .flat_map(|checkpoint| checkpoint.stages.values().map(|facts| facts.id)),
        );
        named.extend(
            held.intents
                .iter()
                .flat_map(|intent| intent.stages.values().map(|facts| facts.id)),
        );
        held.state.retain(|&(id, _), _| stays(&named, id));
        Ok(())
    }
}
