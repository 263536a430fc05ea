use super::*;
use fjall::Database;
use std::path::Path;
use streamhost_core::protocol::{LetterMark, LetterOutcome, LetterPlace, MarkedLetter};
use streamhost_core::state::{Most, StageFacts, Stages};
use streamhost_core::testing::{checkpoint, intent};
use streamhost_core::types::{Partition, Record};

fn open(folder: &Path) -> CheckpointLogs {
    CheckpointLogs::open(&Database::builder(folder).open().unwrap()).unwrap()
}

fn delta(stage: StageId, writes: &[(&str, Option<&str>)]) -> Delta {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let writes = writes
        .iter()
        .map(|&(key, value)| (bytes(key), value.map(bytes)))
        .collect();
    Delta {
        stages: [(stage, writes)].into(),
    }
}

fn stages(ids: &[StageId]) -> Stages {
    let facts = |id| StageFacts {
        id,
        fingerprint: String::new(),
        shape: (String::new(), 0),
        keys: 0,
        bytes: 0,
    };
    ids.iter()
        .map(|&id| (format!("stage {id}"), facts(id)))
        .collect()
}

fn entries(job: &JobCheckpointLog, stage: StageId) -> Vec<String> {
    let all = job
        .states(stage, &[], None, Most::entries(usize::MAX))
        .unwrap();
    all.into_iter()
        .map(|(key, value)| String::from_utf8([key, vec![b'='], value].concat()).unwrap())
        .collect()
}

#[test]
fn a_snapshot_stays_as_it_was_and_is_of_one_stage() {
    let folder = tempfile::tempdir().unwrap();
    let all = open(folder.path());
    let write = |batch, value| {
        let delta = Delta {
            stages: [1, 2]
                .map(|stage| delta(stage, &[("x", Some(value)), ("y", Some(value))]))
                .into_iter()
                .flat_map(|delta| delta.stages)
                .collect(),
        };
        all.of("a")
            .write(Some((&checkpoint(batch), &delta)), None)
            .unwrap();
    };
    write(4, "4");
    let snapshot = all.of("a").snapshot();
    write(5, "5");
    assert_eq!(snapshot.checkpoint().unwrap(), Some(checkpoint(4)));
    let found = |from: &str, to: &str| {
        let most = Most::entries(usize::MAX);
        snapshot
            .states(1, from.as_bytes(), to.as_bytes(), most)
            .unwrap()
    };
    let entry = |key: &str| (key.as_bytes().to_vec(), b"4".to_vec());
    assert_eq!(found("a", "z"), [entry("x"), entry("y")]);
    assert_eq!(found("y", "z"), [entry("y")]);
    assert_eq!(found("z", "a"), []);
}

#[test]
fn what_was_written_is_there_after_a_reopen_and_only_for_its_job() {
    let folder = tempfile::tempdir().unwrap();
    {
        let all = open(folder.path());
        all.of("a")
            .write(
                Some((
                    &checkpoint(4),
                    &delta(1, &[("x", Some("4")), ("y", Some("4"))]),
                )),
                Some(&intent(5)),
            )
            .unwrap();
        all.of("a").write(None, Some(&intent(6))).unwrap();
        all.of("b")
            .write(Some((&checkpoint(1), &delta(1, &[("x", Some("b"))]))), None)
            .unwrap();
    }
    {
        let all = open(folder.path());
        assert_eq!(
            all.of("a").load().unwrap(),
            (Some(checkpoint(4)), vec![intent(5), intent(6)])
        );
        all.of("a")
            .write(
                Some((&checkpoint(5), &delta(1, &[("x", None), ("z", Some("5"))]))),
                Some(&intent(7)),
            )
            .unwrap();
    }
    let all = open(folder.path());
    assert_eq!(
        all.of("a").load().unwrap(),
        (Some(checkpoint(5)), vec![intent(6), intent(7)])
    );
    assert_eq!(entries(&all.of("a"), 1), ["y=4", "z=5"]);
    all.of("a").begin(&checkpoint(9)).unwrap();
    assert_eq!(all.of("a").load().unwrap(), (Some(checkpoint(9)), vec![]));
    all.of("a").forget().unwrap();
    assert_eq!(all.of("a").load().unwrap(), (None, vec![]));
    assert!(entries(&all.of("a"), 1).is_empty());
    assert_eq!(all.of("b").load().unwrap(), (Some(checkpoint(1)), vec![]));
    assert_eq!(entries(&all.of("b"), 1), ["x=b"]);
}

#[test]
fn records_that_cannot_be_read_twice_live_as_long_as_their_plan() {
    let folder = tempfile::tempdir().unwrap();
    let mut chunk = Chunk::new(Partition { source: 1, id: 0 });
    chunk.push(Record {
        offset: 3,
        time_ms: 5,
        key: None,
        value: Some(b"a line"),
        headers: &[],
    });
    let keeping = BatchIntent {
        retained_records: vec![chunk],
        ..intent(5)
    };
    open(folder.path())
        .of("a")
        .write(Some((&checkpoint(4), &Delta::default())), Some(&keeping))
        .unwrap();
    let all = open(folder.path());
    let store = all.of("a");
    assert_eq!(
        store.load().unwrap(),
        (Some(checkpoint(4)), vec![keeping.clone()])
    );
    assert_eq!(all.of("b").load().unwrap(), (None, vec![]));
    store
        .write(Some((&checkpoint(5), &Delta::default())), None)
        .unwrap();
    assert!(
        all.kept.is_empty().unwrap(),
        "the checkpoint removes them with the plan"
    );
    store.write(None, Some(&keeping)).unwrap();
    store.begin(&checkpoint(9)).unwrap();
    assert!(all.kept.is_empty().unwrap(), "a new beginning too");
}

#[test]
fn ranges_of_a_stage_end_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let all = open(folder.path());
    let store = all.of("a");
    for stage in [1, 2, u64::MAX] {
        store
            .prepare(
                stage,
                &[
                    (b"b".to_vec(), stage.to_string().into()),
                    (b"c".to_vec(), vec![b'-']),
                ],
            )
            .unwrap();
    }
    all.of("a-b")
        .prepare(1, &[(b"b".to_vec(), b"other".to_vec())])
        .unwrap();
    assert_eq!(
        (entries(&store, 1), entries(&store, 2)),
        (
            vec!["b=1".into(), "c=-".into()],
            vec!["b=2".into(), "c=-".into()]
        )
    );
    assert_eq!(
        entries(&store, u64::MAX),
        [format!("b={}", u64::MAX), "c=-".into()]
    );
    assert_eq!(
        store
            .states(1, b"b", Some(b"c"), Most::entries(9))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store.states(1, b"", None, Most::entries(1)).unwrap().len(),
        1
    );
    assert_eq!(
        store
            .states(
                1,
                b"",
                None,
                Most {
                    bytes: 1,
                    ..Most::entries(9)
                }
            )
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store.states(1, b"c", Some(b"b"), Most::entries(9)).unwrap(),
        []
    );
    assert_eq!(store.state(2, b"b").unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.state(2, b"a").unwrap(), None);
    assert_eq!(store.stages().unwrap(), [1, 2, u64::MAX]);
}

#[test]
fn a_sweep_leaves_what_is_named_and_what_is_being_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).of("a");
    let many: Vec<_> = (0..2 * STATE_SWEEP_ENTRIES_MAX + 1)
        .map(|i| (i.to_be_bytes().to_vec(), vec![1]))
        .collect();
    for stage in [1, 2, 3, 4, 5, 6] {
        store
            .prepare(stage, if stage == 2 { &many } else { &many[..3] })
            .unwrap();
    }
    let checkpoint = Checkpoint {
        stages: stages(&[3]),
        ..checkpoint(4)
    };
    store
        .write(
            Some((&checkpoint, &Delta::default())),
            Some(&BatchIntent {
                stages: stages(&[5]),
                ..intent(5)
            }),
        )
        .unwrap();
    store.sweep(&[1]).unwrap();
    assert_eq!(store.stages().unwrap(), [1, 3, 5, 6]);
    store.discard_above(5).unwrap();
    assert_eq!(store.stages().unwrap(), [1, 3, 5]);
    store
        .begin(&Checkpoint {
            stages: Stages::new(),
            ..checkpoint
        })
        .unwrap();
    store.sweep(&[]).unwrap();
    assert_eq!(
        store.stages().unwrap(),
        Vec::<StageId>::new(),
        "a job whose stages keep nothing keeps nothing"
    );
}

#[test]
fn state_without_a_ledger_is_removed_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let all = open(folder.path());
    for job in ["a", "a-b", "b"] {
        all.of(job)
            .prepare(1, &[(b"k".to_vec(), b"v".to_vec())])
            .unwrap();
        all.of(job)
            .prepare(9, &[(b"k".to_vec(), b"v".to_vec())])
            .unwrap();
    }
    all.of("a-b").begin(&checkpoint(1)).unwrap();
    all.sweep_forgotten().unwrap();
    let left = ["a", "a-b", "b"].map(|job| all.of(job).stages().unwrap().len());
    assert_eq!(left, [0, 2, 0]);
}

#[test]
fn a_key_that_is_too_long_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).of("a");
    let long = vec![0; STATE_KEY_BYTES_MAX + 1];
    let delta = Delta {
        stages: [(1, [(long, Some(Vec::new()))].into())].into(),
    };
    assert!(matches!(
        store.write(Some((&checkpoint(4), &delta)), None),
        Err(StoreError::KeyTooLong { .. })
    ));
    assert_eq!(store.load().unwrap(), (None, vec![]));
    let longest = vec![0; STATE_KEY_BYTES_MAX];
    open_job_with_longest_name(&longest);
}

/// The longest key of the job with the longest name is taken.
fn open_job_with_longest_name(key: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).of(&"j".repeat(64));
    store
        .prepare(u64::MAX, &[(key.to_vec(), b"v".to_vec())])
        .unwrap();
    assert_eq!(store.state(u64::MAX, key).unwrap(), Some(b"v".to_vec()));
}

#[test]
fn a_checkpoint_remembers_the_letter_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder(folder.path()).open().unwrap();
    let (logs, marks) = (
        CheckpointLogs::open(&db).unwrap(),
        LetterMarks::open(&db).unwrap(),
    );
    let place = |offset| LetterPlace {
        topic: "d".to_owned(),
        partition: 0,
        offset,
    };
    let mark = LetterMark {
        sent_ms: 1,
        at_ms: 2,
        version: 3,
        batch: 4,
        outcome: LetterOutcome::Delivered { rows: 1 },
    };
    let checkpoint = Checkpoint {
        retried: Some(MarkedLetter {
            place: place(9),
            mark: mark.clone(),
        }),
        ..checkpoint(4)
    };
    let log = logs.of("a");
    log.write(Some((&checkpoint, &Delta::default())), None)
        .unwrap();
    let found = |job| marks.of(job, &[place(9), place(8)]).unwrap();
    assert_eq!(found("a"), [Some(mark), None]);
    assert_eq!(found("ab"), [None, None], "another job");
    log.forget().unwrap();
    assert_eq!(found("a"), [None, None]);
}

#[test]
fn how_far_times_had_come_is_remembered_of_what_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).of("a");
    assert_eq!(log.forgotten_ms().unwrap(), None);
    log.begin(&checkpoint(4)).unwrap();
    log.write(None, Some(&intent(5))).unwrap();
    log.forget().unwrap();
    let newest_ms = Some(intent(5).time_ms);
    assert_eq!(log.forgotten_ms().unwrap(), newest_ms);
    log.begin(&checkpoint(1)).unwrap();
    log.forget().unwrap();
    assert_eq!(log.forgotten_ms().unwrap(), newest_ms, "the newest of all");
    drop(log);
    let again = open(folder.path());
    assert_eq!(again.of("a").forgotten_ms().unwrap(), newest_ms);
    assert_eq!(again.of("b").forgotten_ms().unwrap(), None);
}
