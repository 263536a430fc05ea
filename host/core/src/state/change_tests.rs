use super::*;
use crate::job::{Join, Partners, SourceSpec, Window, WindowForm};

const BASE: u64 = 7 * STAGES_PER_EPOCH;

fn running(name: &str) -> StageSpec {
    StageSpec {
        name: name.into(),
        kind: StageKind::Running { expire_ms: None },
        inputs: vec![0],
        key_shape: "text".into(),
        value_shape: "u64".into(),
        other_shape: String::new(),
        version: 1,
        migrates: None,
    }
}

fn job(stages: &[StageSpec]) -> JobSpec {
    let sources = vec![SourceSpec::default()];
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "j".into(),
        every: Default::default(),
        sources,
        stages: stages.to_vec(),
        sinks: Vec::new(),
    }
}

/// What the checkpoint has of these stages after some batches.
fn kept(stages: &[StageSpec]) -> Stages {
    let mut changes = stages_after(&Stages::new(), &job(stages), 7).unwrap();
    changes
        .iter_mut()
        .for_each(|change| (change.facts.keys, change.facts.bytes) = (10, 100));
    facts(&changes)
}

fn refused(before: &[StageSpec], after: &[StageSpec]) -> String {
    let faults = stages_after(&kept(before), &job(after), 7).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

#[test]
fn a_new_job_numbers_the_stages_that_keep_something() {
    let each = StageSpec {
        kind: StageKind::EachBatch,
        ..running("each")
    };
    let changes =
        stages_after(&Stages::new(), &job(&[running("a"), each, running("b")]), 7).unwrap();
    assert_eq!(ids(&changes), [BASE, 0, BASE + 1]);
    assert_eq!(
        changes.iter().map(|c| c.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(
        changes.iter().map(|c| c.how).collect::<Vec<_>>(),
        [
            StateOrigin::Begins,
            StateOrigin::KeepsNothing,
            StateOrigin::Begins
        ]
    );
    assert_eq!(facts(&changes).keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_is_the_same_is_carried_on_and_what_is_new_gets_a_number_above_all() {
    let before = kept(&[running("a"), running("b")]);
    let expiring = StageSpec {
        kind: StageKind::Running { expire_ms: Some(5) },
        ..running("a")
    };
    let changes =
        stages_after(&before, &job(&[running("new"), expiring, running("b")]), 7).unwrap();
    assert_eq!(ids(&changes), [BASE + 2, BASE, BASE + 1]);
    assert_eq!(changes[1].facts, before["a"]);
    let begun_anew = stages_after(&Stages::new(), &job(&[running("a")]), 8).unwrap();
    assert_eq!(ids(&begun_anew), [BASE + STAGES_PER_EPOCH]);
}

#[test]
fn what_a_rolled_back_version_has_left_stands_above_the_last_number() {
    let before = kept(&[running("a"), running("b")]);
    assert_eq!(
        (
            last_number(&Stages::new(), 7),
            last_number(&before, 7),
            last_number(&before, 8)
        ),
        (BASE - 1, BASE + 1, BASE + STAGES_PER_EPOCH - 1)
    );
    let stage = StageSpec {
        version: 2,
        migrates: Some(("u64".into(), 1)),
        ..running("a")
    };
    let changes = stages_after(&before, &job(&[stage, running("b")]), 7).unwrap();
    assert_eq!(
        ids(&changes),
        [BASE + 2, BASE + 1],
        "which the next one would take again"
    );
}

#[test]
fn what_migrates_from_what_was_kept_is_migrated_under_a_new_number() {
    let mean = StageSpec {
        value_shape: "(u64, f64)".into(),
        version: 2,
        ..running("a")
    };
    let changes = |migrates| {
        let stage = StageSpec {
            migrates,
            ..mean.clone()
        };
        stages_after(&kept(&[running("a")]), &job(&[stage]), 7)
    };
    let change = changes(Some(("u64".into(), 1))).unwrap().remove(0);
    assert_eq!(
        (change.facts.id, change.how),
        (BASE + 1, StateOrigin::Migrated { from: BASE })
    );
    assert_eq!(
        (change.facts.shape, change.facts.keys),
        (("(u64, f64)".into(), 2), 0)
    );
    let other = changes(Some(("u64".into(), 3))).unwrap_err()[0].to_string();
    assert!(
        other.contains("`a` has kept `u64` version 1")
            && other.contains("migrates from `u64` version 3 only"),
        "{other}"
    );
    let none = changes(None).unwrap_err()[0].to_string();
    assert!(
        none.contains("`(u64, f64)` version 2") && none.contains("--reset-state"),
        "{none}"
    );
}

/// `Sum(u32)` became `Sum(i32)`, and 5 would be read as -3.
#[test]
fn a_later_variant_that_holds_something_else_is_another_shape() {
    let stage = |shape: &str, version, migrates| StageSpec {
        value_shape: shape.into(),
        version,
        migrates,
        ..running("a")
    };
    let (was, is) = ("enum E(None|Sum)<|u32>", "enum E(None|Sum)<|i32>");
    let told = refused(&[stage(was, 1, None)], &[stage(is, 1, None)]);
    assert!(told.contains(was) && told.contains(is), "{told}");
    // An older SDK told nothing of it, so the author must.
    let before = kept(&[stage("enum E(None|Sum)", 1, None)]);
    let after = |stage| stages_after(&before, &job(&[stage]), 7);
    assert!(after(stage(was, 1, None)).is_err());
    assert!(after(stage(was, 2, Some((is.into(), 2)))).is_err());
    let change = after(stage(was, 2, Some((was.into(), 1))))
        .unwrap()
        .remove(0);
    assert_eq!(change.how, StateOrigin::Migrated { from: BASE });
}

#[test]
fn a_stage_that_is_gone_is_named_with_the_way_on() {
    let told = refused(&[running("a"), running("old")], &[running("a")]);
    assert!(
        told.contains("stage `old`")
            && told.contains(".named(\"old\")")
            && told.contains("--reset-state"),
        "{told}"
    );
    let told = refused(
        &[running("a")],
        &[StageSpec {
            kind: StageKind::EachBatch,
            ..running("a")
        }],
    );
    assert!(
        told.contains("stage `a`"),
        "what keeps nothing carries nothing on: {told}"
    );
}

#[test]
fn other_keys_or_windows_cannot_be_migrated() {
    let migrates = Some(("u64".into(), 1));
    let told = refused(
        &[running("a")],
        &[StageSpec {
            key_shape: "u32".into(),
            version: 2,
            migrates: migrates.clone(),
            ..running("a")
        }],
    );
    assert!(
        told.contains("text to u64") && told.contains("u32 to u64") && !told.contains("migrate"),
        "{told}"
    );
    let windows = |hop_ms| {
        let form = WindowForm::Panes {
            size_ms: 60,
            hop_ms,
        };
        let kind = StageKind::Window(Window {
            form,
            lateness_ms: 0,
            offset_ms: 0,
            updates_ms: 0,
            processing_time: false,
            early: false,
        });
        StageSpec {
            kind,
            migrates: migrates.clone(),
            ..running("a")
        }
    };
    assert!(refused(&[windows(60)], &[windows(30)]).contains("windows of 60ms hopping by 30ms"));
}

#[test]
fn joins_and_lookups_cannot_be_migrated() {
    let kinds = [
        StageKind::Lookup,
        StageKind::Join(Join {
            partners: Partners::within(1),
            lateness_ms: 0,
            left: false,
            right: false,
        }),
    ];
    for kind in kinds {
        let join = StageSpec {
            kind,
            ..running("a")
        };
        let next = StageSpec {
            version: 2,
            migrates: Some(("u64".into(), 1)),
            ..join.clone()
        };
        let told = refused(&[join], &[next]);
        assert!(
            told.contains("cannot be migrated") && told.contains("version 2"),
            "{told}"
        );
    }
}

#[test]
fn all_faults_are_told_and_numbers_run_out_in_words() {
    let changed = StageSpec {
        version: 2,
        ..running("b")
    };
    let faults =
        stages_after(&kept(&[running("a"), running("b")]), &job(&[changed]), 7).unwrap_err();
    assert_eq!(faults.len(), 2);
    let mut before = kept(&[running("a")]);
    before
        .values_mut()
        .for_each(|facts| facts.id = BASE + STAGES_PER_EPOCH - 1);
    let faults = stages_after(&before, &job(&[running("a"), running("b")]), 7).unwrap_err();
    assert_eq!(faults, [StateRefusal::NoNumberLeft]);
}
