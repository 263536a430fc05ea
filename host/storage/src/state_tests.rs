//! A job's state under batches that are taken, settled, abandoned and lost, drawn from a seed,
//! against a map that is copied whole. `SEED=42` replays one; `SEEDS=5000` tries as many.

use crate::checkpoint_log::CheckpointLogs;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use streamhost_core::limits::STATE_READ_KEYS_MIN;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::state::{
    Delta, Entries, Most, StageId, StageState, StateOverlay, StateStore, StoreError, is_kept,
};
use streamhost_core::testing::xorshift;
use streamhost_core::types::TopicOffsets;

/// Draws from a seed, the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        (xorshift(&mut self.0) >> 11) % below
    }

    pub(crate) fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.roll(6) as u8).collect()
    }
}

/// A store that counts the entries of ranges it reads, and whose reads fail when told so.
struct Watched {
    inner: Box<dyn CheckpointLog>,
    fails: AtomicBool,
    read: AtomicUsize,
}

impl Watched {
    fn over(inner: Box<dyn CheckpointLog>) -> Arc<Watched> {
        Arc::new(Watched {
            inner,
            fails: AtomicBool::new(false),
            read: AtomicUsize::new(0),
        })
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            Err(StoreError::Io("the disk is away".into()))
        } else {
            Ok(())
        }
    }
}

impl StateStore for Watched {
    fn state(&self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.may_fail()?;
        self.inner.state(stage, key)
    }

    fn states(
        &self,
        stage: StageId,
        from: &[u8],
        to: Option<&[u8]>,
        most: Most,
    ) -> Result<Entries, StoreError> {
        self.may_fail()?;
        let read = self.inner.states(stage, from, to, most)?;
        self.read.fetch_add(read.len(), Ordering::SeqCst);
        Ok(read)
    }

    fn prepare(&self, stage: StageId, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        self.inner.prepare(stage, entries)
    }

    fn discard(&self, stage: StageId) -> Result<(), StoreError> {
        self.inner.discard(stage)
    }

    fn discard_above(&self, last: StageId) -> Result<(), StoreError> {
        self.inner.discard_above(last)
    }
}

impl CheckpointLog for Watched {
    fn load(&self) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), StoreError> {
        self.inner.load()
    }

    fn write(
        &self,
        checkpoint: Option<(&Checkpoint, &Delta)>,
        intent: Option<&BatchIntent>,
    ) -> Result<(), StoreError> {
        self.inner.write(checkpoint, intent)
    }

    fn begin(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.begin(checkpoint)
    }

    fn forget(&self) -> Result<(), StoreError> {
        self.inner.forget()
    }

    fn forgotten_ms(&self) -> Result<Option<i64>, StoreError> {
        self.inner.forgotten_ms()
    }

    fn sweep(&self, kept: &[StageId]) -> Result<(), StoreError> {
        self.inner.sweep(kept)
    }
}

type Model = BTreeMap<(StageId, Vec<u8>), Vec<u8>>;

fn count(model: &Model, stage: StageId) -> (u64, u64) {
    let own = model.iter().filter(|((id, _), _)| *id == stage);
    own.fold((0, 0), |(keys, bytes), ((_, key), value)| {
        (
            keys + u64::from(is_kept(key)),
            bytes + (key.len() + value.len()) as u64,
        )
    })
}

pub(crate) fn checkpoint(store: &dyn CheckpointLog, batch: u64, delta: &Delta) {
    let checkpoint = Checkpoint {
        batch,
        ..Checkpoint::begin(7, 3, 1000, TopicOffsets::new())
    };
    store.write(Some((&checkpoint, delta)), None).unwrap();
}

struct World<'a> {
    seed: u64,
    dice: Dice,
    /// The folder of a real store; without one it is in memory.
    folder: Option<&'a Path>,
    store: Arc<Watched>,
    state: StateOverlay,
    cache_bytes: usize,
    batch: u64,
    /// Batches that are not in the store: what they changed, and all as it was after them.
    waiting: VecDeque<(u64, Arc<Delta>, Model)>,
    /// Batches that are in the store, of which the state has not heard.
    unheard: u64,
    durable: Model,
    before: Model,
    now: Model,
}

const STAGES: [StageId; 2] = [7 << 16, (7 << 16) + 1];

impl<'a> World<'a> {
    fn new(seed: u64, folder: Option<&'a Path>) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let cache_bytes = [0, 300, 2000, 1 << 20][dice.roll(4) as usize];
        let store = Watched::over(open(folder));
        let state = StateOverlay::new(store.clone(), cache_bytes);
        let (waiting, unheard, batch) = (VecDeque::new(), 0, 0);
        let (durable, before, now) = (Model::new(), Model::new(), Model::new());
        World {
            seed,
            dice,
            folder,
            store,
            state,
            cache_bytes,
            batch,
            waiting,
            unheard,
            durable,
            before,
            now,
        }
    }

    fn stage(&mut self) -> StageId {
        STAGES[self.dice.roll(2) as usize]
    }

    fn key(&mut self) -> Vec<u8> {
        let len = 1 + self.dice.roll(3);
        self.dice.bytes(len)
    }

    fn put(&mut self) {
        let (stage, key, len) = (self.stage(), self.key(), self.dice.roll(12));
        let value = self.dice.bytes(len);
        let is_new = !self.now.contains_key(&(stage, key.clone()));
        match is_new && self.dice.roll(2) == 0 {
            true => self.state.add(stage, &key, &value).unwrap(),
            false => self.state.put(stage, &key, &value).unwrap(),
        }
        self.now.insert((stage, key), value);
    }

    fn remove(&mut self) {
        let (stage, key) = (self.stage(), self.key());
        let was_there = self.state.remove(stage, &key).unwrap();
        assert_eq!(
            self.now.remove(&(stage, key)).is_some(),
            was_there,
            "SEED={}",
            self.seed
        );
    }

    fn get(&mut self) {
        let (stage, key) = (self.stage(), self.key());
        let value = self.state.get(stage, &key).unwrap();
        assert_eq!(
            value.as_ref(),
            self.now.get(&(stage, key.clone())),
            "SEED={}: {stage} {key:?}",
            self.seed
        );
    }

    /// Reads many entries at once, as lanes do before a stage needs them. What comes of it is only
    /// seen by the reads that follow.
    fn read_ahead(&mut self) {
        let stage = self.stage();
        let keys: Vec<_> = (0..STATE_READ_KEYS_MIN + 10).map(|_| self.key()).collect();
        for read in self.state.unread(stage, &mut keys.into_iter()) {
            self.state.learn(read.run().unwrap());
        }
    }

    /// Scans a range as often as it may take to remove all of it from its front.
    fn scan(&mut self) {
        let (stage, from, to, max) = (
            self.stage(),
            self.key(),
            self.key(),
            self.dice.roll(20) as usize,
        );
        for _ in 0..1 + self.dice.roll(3) {
            let most = Most {
                entries: max,
                bytes: [1, 30, usize::MAX][self.dice.roll(3) as usize],
            };
            let found = self.state.scan(stage, &from, &to, most).unwrap();
            let own = self
                .now
                .iter()
                .filter(|((id, key), _)| *id == stage && *key >= from && *key < to);
            let own =
                own.map(|((_, key), value)| Ok::<_, StoreError>((key.clone(), value.clone())));
            let wanted = most.of(own).unwrap();
            assert_eq!(
                found, wanted,
                "SEED={}: {stage} {from:?}..{to:?} {max}",
                self.seed
            );
            if self.dice.roll(2) == 0 {
                for (key, _) in found {
                    self.state.remove(stage, &key).unwrap();
                    self.now.remove(&(stage, key));
                }
            }
        }
    }

    fn take(&mut self) {
        self.batch += 1;
        let delta = self.state.take(self.batch);
        self.waiting
            .push_back((self.batch, delta, self.now.clone()));
        self.before = self.now.clone();
    }

    fn settle(&mut self) {
        if let Some((batch, delta, all)) = self.waiting.pop_front() {
            checkpoint(&*self.store, batch, &delta);
            (self.durable, self.unheard) = (all, batch);
        }
        if self.dice.roll(2) == 0 {
            self.state.settled(self.unheard);
        }
    }

    fn abandon(&mut self) {
        self.state.abandon();
        self.now = self.before.clone();
    }

    /// The disk is away for a while; a batch that hits it is abandoned.
    fn fail(&mut self) {
        self.store.fails.store(true, Ordering::SeqCst);
        for _ in 0..4 {
            let (stage, key, to) = (self.stage(), self.key(), self.key());
            let done = match self.dice.roll(4) {
                0 => self.state.get(stage, &key).map(drop),
                1 => self
                    .state
                    .scan(stage, &key, &to, Most::entries(3))
                    .map(drop),
                2 => self
                    .state
                    .remove(stage, &key)
                    .map(|_| drop(self.now.remove(&(stage, key)))),
                _ => self
                    .state
                    .put(stage, &key, b"lost")
                    .map(|()| drop(self.now.insert((stage, key), b"lost".into()))),
            };
            if done.is_err() {
                self.store.fails.store(false, Ordering::SeqCst);
                return self.abandon();
            }
        }
        self.store.fails.store(false, Ordering::SeqCst);
    }

    /// The host is killed, and starts again.
    fn reopen(&mut self) {
        if self.folder.is_some() {
            // A real store is open once at a time.
            let nothing: Arc<Watched> = Watched::over(Box::new(MemoryStore::default()));
            self.state = StateOverlay::new(nothing.clone(), 0);
            self.store = nothing;
            self.store = Watched::over(open(self.folder));
        }
        self.state = StateOverlay::new(self.store.clone(), self.cache_bytes);
        for stage in STAGES {
            let (keys, bytes) = count(&self.durable, stage);
            self.state.count_from(stage, keys, bytes);
        }
        self.waiting.clear();
        (self.before, self.now) = (self.durable.clone(), self.durable.clone());
    }

    fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.dice.roll(100) {
                0..35 => self.put(),
                35..50 => self.remove(),
                50..68 => self.get(),
                68..70 => self.read_ahead(),
                70..82 => self.scan(),
                82..89 => self.take(),
                89..95 => self.settle(),
                95..97 => self.abandon(),
                97..99 => self.fail(),
                _ if self.folder.is_none() || self.dice.roll(5) == 0 => self.reopen(),
                _ => {}
            }
            for stage in STAGES {
                assert_eq!(
                    self.state.counts(stage),
                    count(&self.now, stage),
                    "SEED={}: counts",
                    self.seed
                );
            }
        }
        for stage in STAGES {
            let all = self
                .state
                .scan(stage, &[], &[255], Most::entries(usize::MAX))
                .unwrap();
            let wanted: Vec<_> = self
                .now
                .iter()
                .filter(|((id, _), _)| *id == stage)
                .collect();
            assert!(
                all.iter()
                    .map(|(k, v)| (k, v))
                    .eq(wanted.iter().map(|((_, k), v)| (k, *v))),
                "SEED={}",
                self.seed
            );
        }
    }
}

fn open(folder: Option<&Path>) -> Box<dyn CheckpointLog> {
    let Some(folder) = folder else {
        return Box::new(MemoryStore::default());
    };
    let db = fjall::Database::builder(folder).open().unwrap();
    Box::new(CheckpointLogs::open(&db).unwrap().of("job"))
}

fn live_through(seed: u64) {
    // In memory for the most part, as a real store waits for the disk.
    let folder = seed
        .is_multiple_of(20)
        .then(|| tempfile::tempdir().unwrap());
    World::new(seed, folder.as_ref().map(|f| f.path())).live(if folder.is_some() {
        400
    } else {
        1500
    });
}

#[test]
fn it_is_what_a_map_would_be_whatever_becomes_of_its_batches() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|n: String| n.parse().expect("SEED and SEEDS are numbers"))
    };
    match number("SEED") {
        Some(seed) => live_through(seed),
        None => (1..=number("SEEDS").unwrap_or(100)).for_each(live_through),
    }
}

#[test]
fn a_front_that_is_removed_is_not_passed_again_and_again() {
    let store = Watched::over(Box::new(MemoryStore::default()));
    let entries: Vec<_> = (0..20_000u32)
        .map(|i| ([&[1], &i.to_be_bytes()[..]].concat(), vec![0]))
        .collect();
    store.prepare(1, &entries).unwrap();
    let mut state = StateOverlay::new(store.clone(), 1 << 20);
    state.count_from(1, 20_000, 120_000);
    let mut found = 0;
    loop {
        let portion = state.scan(1, &[1], &[2], Most::entries(100)).unwrap();
        found += portion.len();
        portion
            .iter()
            .for_each(|(key, _)| assert!(state.remove(1, key).unwrap()));
        if portion.is_empty() {
            break;
        }
    }
    let read = store.read.load(Ordering::SeqCst);
    assert_eq!((found, state.counts(1)), (20_000, (0, 0)));
    assert!(read <= 4 * 20_000, "{read} entries were read");
    state.scan(1, &[1], &[2], Most::entries(100)).unwrap();
    assert_eq!(
        store.read.load(Ordering::SeqCst),
        read,
        "an empty range is known to be empty"
    );
    state.abandon();
    assert_eq!(
        state.scan(1, &[1], &[2], Most::entries(100)).unwrap(),
        entries[..100]
    );
}

#[test]
fn a_key_that_the_store_cannot_take_is_refused_before_anything_is_changed() {
    let mut state = StateOverlay::new(Arc::new(MemoryStore::default()), 1 << 20);
    let key = vec![1; streamhost_core::limits::STATE_KEY_BYTES_MAX + 1];
    assert!(matches!(
        state.put(1, &key, b""),
        Err(StoreError::KeyTooLong { bytes: 65_001, .. })
    ));
    assert_eq!(state.get(1, &key).unwrap(), None);
    state.put(1, &key[1..], b"").unwrap();
    assert_eq!(state.counts(1), (1, 65_000));
}

#[test]
fn what_a_read_gives_ends_with_the_entry_that_reaches_a_bound() {
    let all: Vec<_> = [(b"a", 3), (b"b", 9), (b"c", 1)]
        .map(|(key, len)| (key.to_vec(), vec![0; len]))
        .into();
    for (entries, bytes, wanted) in [
        (9, 99, 3),
        (2, 99, 2),
        (9, 1, 1),
        (9, 0, 1),
        (9, 4, 1),
        (9, 5, 2),
        (0, 99, 0),
    ] {
        let most = Most { entries, bytes };
        let found = most.of(all.iter().cloned().map(Ok::<_, ()>)).unwrap();
        assert_eq!(
            (found.len(), most.is_reached(&found)),
            (wanted, wanted < 3),
            "{most:?}"
        );
    }
}
