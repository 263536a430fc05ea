//! A second state that begins as the first one is at a batch boundary, and goes its own way: nothing
//! is copied when it begins, and the store keeps nothing for it. What the first one writes from then
//! on is noted here as it stood before, and what the second one writes is kept here.

use super::{Delta, Entries, Most, StageId, StateStore, StoreError, Writes, merge};
use crate::limits::STATE_KEY_BYTES_MAX;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The state of a job's stages as it was at a batch boundary, with what was written to it since. It
/// is a store of its own, in memory but for what neither side has written.
pub struct StateFork {
    live: Arc<dyn StateStore>,
    /// What was not durable at the boundary, newest first.
    base: Vec<Arc<Delta>>,
    over: RwLock<Over>,
    /// The live state is gone, or has another fork: what is written there is noted here no more.
    is_detached: AtomicBool,
}

#[derive(Default)]
struct Over {
    /// What was written to this state.
    own: BTreeMap<StageId, Writes>,
    /// Entries that were written to the live state since the boundary, as they stood there.
    before: BTreeMap<StageId, Writes>,
    bytes: usize,
}

impl StateFork {
    pub(super) fn new(live: Arc<dyn StateStore>, base: Vec<Arc<Delta>>) -> StateFork {
        StateFork {
            live,
            base,
            over: RwLock::default(),
            is_detached: AtomicBool::new(false),
        }
    }

    /// From now on nothing is noted here.
    pub(super) fn detach(&self) {
        self.is_detached.store(true, Ordering::SeqCst);
    }

    /// Whether what was read here of late may be of after the boundary: then it is of no use.
    pub fn is_detached(&self) -> bool {
        self.is_detached.load(Ordering::SeqCst)
    }

    fn over(&self) -> RwLockReadGuard<'_, Over> {
        self.over.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Over> {
        self.over.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live state's entries before a batch that is about to become durable: to be noted before it
    /// does. Of an entry that was noted before nothing changes.
    pub(super) fn shield(&self, before: BTreeMap<StageId, Writes>) {
        let mut over = self.change();
        for (stage, writes) in before {
            for (key, value) in writes {
                over.note(stage, key, value);
            }
        }
    }

    /// What a batch on this state changed.
    pub fn keep(&self, delta: &Delta) {
        let mut over = self.change();
        for (stage, writes) in &delta.stages {
            for (key, value) in writes {
                over.write(*stage, key.clone(), value.clone());
            }
        }
    }

    /// Bytes that are kept in memory: of what either side has written.
    pub fn bytes(&self) -> usize {
        self.over().bytes
    }
}

fn bytes_of(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len)
}

impl Over {
    fn note(&mut self, stage: StageId, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Entry::Vacant(free) = self.before.entry(stage).or_default().entry(key) {
            self.bytes += bytes_of(free.key(), value.as_ref());
            free.insert(value);
        }
    }

    fn write(&mut self, stage: StageId, key: Vec<u8>, value: Option<Vec<u8>>) {
        let own = self.own.entry(stage).or_default();
        if let Some(old) = own.get(&key) {
            self.bytes -= bytes_of(&key, old.as_ref());
        }
        self.bytes += bytes_of(&key, value.as_ref());
        own.insert(key, value);
    }

    fn layers(&self, stage: StageId) -> impl Iterator<Item = &Writes> {
        [&self.own, &self.before]
            .into_iter()
            .filter_map(move |over| over.get(&stage))
    }
}

/// The live store is read while nothing can be noted: what has become durable meanwhile has been
/// noted before, and what has not is not there yet.
impl StateStore for StateFork {
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let over = self.over();
        let base = self
            .base
            .iter()
            .filter_map(|delta| delta.stages.get(&stage));
        let mut layers = over.layers(stage).chain(base);
        match layers.find_map(|writes| writes.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.live.state(stage, key),
        }
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Entries, StoreError> {
        let end = [0xff; STATE_KEY_BYTES_MAX + 1]; // above every key
        let to = to.unwrap_or(&end);
        if from >= to || most.entries == 0 {
            return Ok(Vec::new());
        }
        let over = self.over();
        let base = self
            .base
            .iter()
            .filter_map(|delta| delta.stages.get(&stage));
        let layers: Vec<_> = over.layers(stage).chain(base).collect();
        merge::scan(&*self.live, &layers, stage, (from, to), most)
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        let mut over = self.change();
        for (key, value) in entries {
            over.write(stage, key.clone(), Some(value.clone()));
        }
        Ok(())
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        let mut over = self.change();
        let gone = over.own.remove(&stage).unwrap_or_default();
        let bytes = gone
            .iter()
            .map(|(key, value)| bytes_of(key, value.as_ref()));
        over.bytes -= bytes.sum::<usize>();
        Ok(())
    }

    /// The live store's are not this one's to remove, and nothing reads them.
    fn discard_above(&self, last: StageId) -> Result<(), StoreError> {
        let above: Vec<_> = self
            .over()
            .own
            .range(last + 1..)
            .map(|(id, _)| *id)
            .collect();
        above.into_iter().try_for_each(|stage| self.discard(stage))
    }
}
