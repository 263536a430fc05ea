use super::*;
use crate::protocol::memory::MemoryStore;
use crate::state::{KEPT, StageFacts};

const RUNNING: StageKind = StageKind::Running { expire_ms: None };

/// Keys that begin with `i` are of an index; else one accumulator for each byte of the value.
fn accumulators<'v>(_: &StageKind, key: &[u8], value: &'v [u8]) -> Option<Vec<&'v [u8]>> {
    (!key.starts_with(b"i")).then(|| value.chunks(1).collect())
}

fn with_accumulators(_: &StageKind, _: &[u8], _: &[u8], accumulators: &[&[u8]]) -> Vec<u8> {
    accumulators.concat()
}

fn whole<'v>(_: &StageKind, _: &[u8], value: &'v [u8]) -> Option<Vec<&'v [u8]>> {
    Some(vec![value])
}

/// An entry of a key; `i` is one of an index.
fn entry(key: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    let key = if key == "i" {
        key.into()
    } else {
        [&[KEPT], key.as_bytes()].concat()
    };
    (key, value.into())
}

fn doubled(column: &Column) -> Column {
    let mut out = Column::default();
    column
        .iter()
        .for_each(|item| out.push(&[item, item].concat()));
    out
}

fn all(store: &MemoryStore, stage: StageId) -> Vec<(Vec<u8>, Vec<u8>)> {
    store
        .states(stage, &[], None, Most::entries(usize::MAX))
        .unwrap()
}

#[test]
fn accumulators_are_made_anew_and_the_rest_is_copied() {
    let store = MemoryStore::default();
    store
        .prepare(
            1,
            &[
                entry("a", "x"),
                entry("b", "yz"),
                entry("c", ""),
                entry("i", "as it is"),
            ],
        )
        .unwrap();
    store
        .prepare(2, &[entry("left by another try", "x")])
        .unwrap();
    let counts = migrate(
        &store,
        (1, 2),
        &RUNNING,
        &(accumulators, with_accumulators),
        &mut |old| Ok(doubled(&old)),
        &|| false,
    );
    assert_eq!(
        counts.unwrap(),
        (3, 4 + 3 + 2 + 4 + 8),
        "an index is no key"
    );
    assert_eq!(
        all(&store, 2),
        [
            entry("a", "xx"),
            entry("b", "yyzz"),
            entry("c", ""),
            entry("i", "as it is")
        ]
    );
    assert_eq!(all(&store, 1).len(), 4, "the old version may still need it");
}

#[test]
fn many_entries_go_in_bounded_calls() {
    let store = MemoryStore::default();
    let entries: Vec<_> = (0..2 * STATE_MIGRATE_ENTRIES_MAX + 5)
        .map(|i| entry(&format!("{i:06}"), "1"))
        .collect();
    store.prepare(1, &entries).unwrap();
    let mut calls = Vec::new();
    let mut convert = |old: Column| {
        calls.push(old.len());
        Ok(doubled(&old))
    };
    migrate(
        &store,
        (1, 2),
        &RUNNING,
        &(accumulators, with_accumulators),
        &mut convert,
        &|| false,
    )
    .unwrap();
    assert_eq!(
        calls,
        [STATE_MIGRATE_ENTRIES_MAX, STATE_MIGRATE_ENTRIES_MAX, 5]
    );
    assert!(
        all(&store, 2)
            .iter()
            .map(|(key, _)| key)
            .eq(entries.iter().map(|(key, _)| key))
    );
}

#[test]
fn large_entries_go_a_few_at_a_time() {
    let store = MemoryStore::default();
    let value = vec![b'1'; STATE_MIGRATE_BYTES_MAX / 2];
    let entries: Vec<_> = (0..5u8).map(|i| (vec![KEPT, i], value.clone())).collect();
    store.prepare(1, &entries).unwrap();
    let mut calls = Vec::new();
    let format = (whole, with_accumulators);
    let mut convert = |old: Column| {
        calls.push(old.len());
        Ok(old)
    };
    migrate(&store, (1, 2), &RUNNING, &format, &mut convert, &|| false).unwrap();
    assert_eq!(calls, [2, 2, 1]);
    assert_eq!(all(&store, 2), entries);
}

#[test]
fn a_stop_is_heard_before_each_portion() {
    let store = MemoryStore::default();
    let entries: Vec<_> = (0..STATE_MIGRATE_ENTRIES_MAX + 1)
        .map(|i| entry(&format!("{i:06}"), "1"))
        .collect();
    store.prepare(1, &entries).unwrap();
    let asked = std::cell::Cell::new(0);
    let stopped = || asked.replace(asked.get() + 1) == 1;
    let format = (accumulators, with_accumulators);
    let done = migrate(&store, (1, 2), &RUNNING, &format, &mut Ok, &stopped);
    assert!(matches!(done, Err(MigrateError::Stopped)));
    assert!(matches!(
        counts(&store, 1, &|| true),
        Err(MigrateError::Stopped)
    ));
    assert_eq!(all(&store, 1), entries);
    migrate(&store, (1, 2), &RUNNING, &format, &mut Ok, &|| false).unwrap();
    assert_eq!(all(&store, 2), entries);
}

#[test]
fn a_version_that_cannot_leaves_nothing_behind() {
    let store = MemoryStore::default();
    let entries: Vec<_> = (0..STATE_MIGRATE_ENTRIES_MAX + 1)
        .map(|i| entry(&format!("{i:06}"), "1"))
        .collect();
    store.prepare(1, &entries).unwrap();
    let format = (accumulators, with_accumulators);
    let mut traps = |old: Column| {
        if old.len() == 1 {
            Err("a trap".into())
        } else {
            Ok(old)
        }
    };
    let refused = migrate(&store, (1, 2), &RUNNING, &format, &mut traps, &|| false);
    assert!(matches!(refused, Err(MigrateError::Refused(reason)) if reason == "a trap"));
    let short = migrate(
        &store,
        (1, 2),
        &RUNNING,
        &format,
        &mut |_| Ok(Column::default()),
        &|| false,
    );
    assert!(matches!(
        short,
        Err(MigrateError::Count {
            given: STATE_MIGRATE_ENTRIES_MAX,
            made: 0
        })
    ));
    assert!(all(&store, 2).is_empty());
    assert_eq!(all(&store, 1), entries);
}

#[test]
fn stages_are_made_ready_each_in_its_way() {
    let store = MemoryStore::default();
    store.prepare(1, &[entry("a", "x")]).unwrap();
    store
        .prepare(3, &[entry("left by another try", "x")])
        .unwrap();
    let change = |id, number, how| {
        let facts = StageFacts {
            id,
            fingerprint: String::new(),
            shape: (String::new(), 1),
            keys: 0,
            bytes: 0,
        };
        StageChange {
            name: id.to_string(),
            number,
            facts,
            how,
        }
    };
    let mut changes = [
        change(2, 5, StateOrigin::Migrated { from: 1 }),
        change(3, 6, StateOrigin::Begins),
        change(0, 7, StateOrigin::KeepsNothing),
    ];
    let mut asked = Vec::new();
    let mut convert = |stage, old: Column| {
        asked.push(stage);
        Ok(doubled(&old))
    };
    prepare(
        &store,
        &mut changes,
        |_| RUNNING,
        &(accumulators, with_accumulators),
        &mut convert,
        &|| false,
    )
    .unwrap();
    assert_eq!((changes[0].facts.keys, changes[0].facts.bytes), (1, 4));
    assert_eq!(
        (all(&store, 2), all(&store, 3)),
        (vec![entry("a", "xx")], vec![])
    );
    assert_eq!(asked, [5]);
}
