//! A state and its forks under batches that are taken, abandoned and made durable, drawn from a
//! seed, against two maps. `SEED=42` replays one; `SEEDS=5000` tries as many.

use crate::checkpoint_log::CheckpointLogs;
use crate::state_tests::{Dice, checkpoint};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::state::{Entries, Most, StageState, StateFork, StateOverlay, StateStore};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A second state, the overlay that its batches run on, and what it must be.
struct Second {
    fork: Arc<StateFork>,
    state: StateOverlay,
    want: Model,
}

fn all(store: &dyn StateStore, stage: u64) -> Entries {
    store
        .states(stage, &[], None, Most::entries(usize::MAX))
        .unwrap()
}

/// Writes some entries to a state and to the map that it must be.
fn write(state: &mut StateOverlay, want: &mut Model, dice: &mut Dice) {
    for _ in 0..dice.roll(8) {
        let key = vec![1, dice.roll(20) as u8];
        let (len, is_new) = (dice.roll(5), !want.contains_key(&key));
        let value = dice.bytes(len);
        match dice.roll(3) {
            0 => {
                let was = state.remove(1, &key).unwrap();
                assert_eq!(was, want.remove(&key).is_some());
                continue;
            }
            1 if is_new => state.add(1, &key, &value).unwrap(),
            _ => state.put(1, &key, &value).unwrap(),
        }
        want.insert(key, value);
    }
}

fn run(seed: u64, store: Arc<dyn CheckpointLog>) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let cache_bytes = [0, 300, 1 << 20][dice.roll(3) as usize];
    let mut live = StateOverlay::new(store.clone(), cache_bytes);
    let (mut want, mut waiting) = (Model::new(), VecDeque::new());
    let mut second: Option<Second> = None;
    for batch in 1..60 {
        if dice.roll(8) == 0 {
            drop(second.take()); // there is one at a time
            let fork = live.fork();
            let state = StateOverlay::new(fork.clone(), cache_bytes);
            let want = want.clone();
            second = Some(Second { fork, state, want });
        }
        let before = want.clone();
        write(&mut live, &mut want, &mut dice);
        match dice.roll(6) {
            0 => {
                live.abandon();
                want = before;
            }
            _ => waiting.push_back((batch, live.take(batch))),
        }
        while waiting.len() as u64 > dice.roll(4) {
            let (number, delta) = waiting.pop_front().unwrap();
            checkpoint(&*store, number, &delta);
            if dice.roll(2) == 0 {
                live.settled(number);
            }
        }
        let Some(Second { fork, state, want }) = &mut second else {
            continue;
        };
        write(state, want, &mut dice);
        fork.keep(&state.take(batch));
        state.settled(batch);
        let there: Entries = want.clone().into_iter().collect();
        assert_eq!(all(&**fork, 1), there, "SEED={seed}, batch {batch}");
        let key = vec![1, dice.roll(20) as u8];
        assert_eq!(fork.state(1, &key).unwrap(), want.get(&key).cloned());
    }
}

#[test]
fn a_fork_is_the_state_of_its_boundary_whatever_is_written_since() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(300),
    };
    for seed in seeds {
        run(seed, Arc::new(MemoryStore::default()));
    }
}

#[test]
fn the_same_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let db = fjall::Database::builder(folder.path().join(seed.to_string()));
        let logs = CheckpointLogs::open(&db.open().unwrap()).unwrap();
        run(seed, Arc::new(logs.of("job")));
    }
}

#[test]
fn what_is_prepared_and_discarded_is_its_own() {
    let store = Arc::new(MemoryStore::default());
    let fork = StateOverlay::new(store.clone(), 0).fork();
    fork.prepare(7, &[(vec![1], vec![2; 10])]).unwrap();
    assert_eq!((all(&*fork, 7).len(), fork.bytes()), (1, 11));
    assert!(all(&*store, 7).is_empty());
    fork.discard_above(6).unwrap();
    assert_eq!((all(&*fork, 7).len(), fork.bytes()), (0, 0));
}

/// What such a one reads may be of after its boundary.
#[test]
fn a_fork_is_detached_once_its_state_forks_anew_or_goes() {
    let store = Arc::new(MemoryStore::default());
    let mut live = StateOverlay::new(store, 0);
    let first = live.fork();
    assert!(!first.is_detached());
    let second = live.fork();
    assert!(first.is_detached() && !second.is_detached());
    drop(live);
    assert!(second.is_detached());
}
