use super::*;
use crate::checkpoint_log::CheckpointLogs;
use crate::state_tests::Dice;
use fjall::Database;
use std::sync::atomic::{AtomicBool, Ordering};
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::state::{StageFacts, Stages, StateStore};
use streamhost_core::testing::{checkpoint, intent};

type Model = BTreeMap<(StageId, Vec<u8>), Vec<u8>>;

fn stages(ids: &[StageId]) -> Stages {
    let facts = |id| StageFacts {
        id,
        fingerprint: String::new(),
        shape: (String::new(), 0),
        keys: 0,
        bytes: 0,
    };
    ids.iter().map(|&id| (format!("{id}"), facts(id))).collect()
}

fn at(batch: BatchNumber) -> Checkpoint {
    Checkpoint {
        stages: stages(&[1, 2]),
        ..checkpoint(batch)
    }
}

fn open() -> (tempfile::TempDir, CheckpointLogs) {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder(folder.path()).open().unwrap();
    let logs = CheckpointLogs::open(&db).unwrap();
    (folder, logs)
}

fn batch(dice: &mut Dice, keys: u64, model: &mut Model) -> Delta {
    let mut delta = Delta::default();
    for _ in 0..dice.roll(300) {
        let (stage, key) = (1 + dice.roll(2), dice.roll(keys).to_be_bytes().to_vec());
        let value = (dice.roll(4) > 0).then(|| vec![9; dice.roll(40) as usize]);
        match &value {
            Some(value) => model.insert((stage, key.clone()), value.clone()),
            None => model.remove(&(stage, key.clone())),
        };
        delta.stages.entry(stage).or_default().insert(key, value);
    }
    delta
}

/// The whole walk, and what it found.
fn walked(walk: &JobWalk) -> Model {
    let mut found = Model::new();
    while let Some((stage, entries)) = walk.portion().unwrap() {
        for (key, value) in entries {
            let before = found.insert((stage, key), value);
            assert_eq!(before, None, "each entry once");
        }
    }
    found
}

/// A job under full load, and savepoints one after the other beside it: each is as the state was at
/// its checkpoint.
#[test]
fn a_walk_is_of_its_checkpoint_while_the_job_goes_on() {
    let (_folder, logs) = open();
    // By batch, the state after it.
    let states: Mutex<BTreeMap<BatchNumber, Model>> = Mutex::default();
    let is_over = AtomicBool::new(false);
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice(seed.unwrap_or(7_u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
            let (log, mut model, mut number) = (logs.of("a"), Model::new(), 0);
            while !is_over.load(Ordering::SeqCst) {
                number += 1;
                let delta = batch(&mut dice, 20_000, &mut model);
                let mut states = states.lock().unwrap();
                states.insert(number, model.clone());
                states.retain(|batch, _| batch + 3 > number);
                drop(states);
                log.write(Some((&at(number), &delta)), None).unwrap();
            }
        });
        let mut taken = 0;
        while taken < 12 {
            let Ok(walk) = logs.of("a").walk() else {
                continue; // nothing is there yet
            };
            // While it goes on, as the writer waits for nothing.
            let wanted = states.lock().unwrap().get(&walk.checkpoint.batch).cloned();
            let found = walked(&walk);
            if let Some(wanted) = wanted {
                assert!(found == wanted, "batch {}", walk.checkpoint.batch);
                taken += 1;
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn what_has_noted_too_much_holds_the_job_until_it_has_come_further() {
    let (_folder, logs) = open();
    let large = |value: u8| Delta {
        stages: [(
            1,
            (0..40_u8)
                .map(|key| (vec![key], Some(vec![value; 2 << 20])))
                .collect(),
        )]
        .into(),
    };
    logs.of("a").write(Some((&at(1), &large(1))), None).unwrap();
    let walk = logs.of("a").walk().unwrap();
    // All is noted at once: 80 MiB. The next one waits.
    logs.of("a").write(Some((&at(2), &large(2))), None).unwrap();
    assert!(walk.walk.at().state.bytes() > SAVEPOINT_NOTES_BYTES_MAX);
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| logs.of("a").write(Some((&at(3), &large(3))), None));
        logs.of("b").write(Some((&at(1), &large(1))), None).unwrap();
        assert_eq!(logs.of("a").load().unwrap().0, Some(at(2)), "it waits");
        let found = walked(&walk);
        assert!(found.values().all(|value| value[0] == 1) && found.len() == 40);
        writes.join().unwrap().unwrap();
    });
    assert_eq!(logs.of("a").load().unwrap().0, Some(at(3)));
}

#[test]
fn a_walk_is_refused_in_words_and_ends_with_its_job() {
    let (_folder, logs) = open();
    assert!(matches!(logs.of("a").walk(), Err(WalkError::Nothing)));
    let delta = Delta {
        stages: [(1, [(vec![1], Some(vec![2]))].into())].into(),
    };
    let log = logs.of("a");
    log.write(Some((&at(4), &delta)), Some(&intent(5))).unwrap();
    let walk = logs.of("a").walk().unwrap();
    assert_eq!((walk.checkpoint.batch, walk.planned), (4, Some(5)));
    assert!(matches!(logs.of("a").walk(), Err(WalkError::Taken)));
    // A state that is migrated, or begun anew, leaves the old one behind, which stays for the walk.
    let next = Checkpoint {
        stages: stages(&[7]),
        ..at(5)
    };
    log.write(Some((&next, &Delta::default())), None).unwrap();
    log.sweep(&[]).unwrap();
    assert!(log.state(1, &[1]).unwrap().is_some());
    log.forget().unwrap();
    assert!(matches!(walk.portion(), Err(WalkError::Gone)));
    drop(walk);
    assert!(matches!(logs.of("a").walk(), Err(WalkError::Nothing)));
}

#[test]
fn what_is_passed_may_be_swept() {
    let (_folder, logs) = open();
    let delta = Delta {
        stages: [(1, [(vec![1], Some(vec![2]))].into())].into(),
    };
    let log = logs.of("a");
    log.write(Some((&at(4), &delta)), None).unwrap();
    let walk = logs.of("a").walk().unwrap();
    assert_eq!(walked(&walk).len(), 1);
    let next = Checkpoint {
        stages: stages(&[7]),
        ..at(5)
    };
    log.write(Some((&next, &Delta::default())), None).unwrap();
    log.sweep(&[]).unwrap();
    assert!(log.state(1, &[1]).unwrap().is_none());
}
