use super::*;
use crate::job::{ColumnSpec, Join, Partners, SinkSpec, SourceSpec};
use crate::types::{ColumnNames, Measure, RowLimits};
use crate::types::{Kind, NO_TIME_MS};
use std::time::Duration;

const PANES: u32 = 2;
const SESSIONS: u32 = 3;
const JOIN: u32 = 4;
const LOOKUP: u32 = 5;
const RUNNING: u32 = 6;

fn window(form: WindowForm) -> StageKind {
    StageKind::Window(Window {
        form,
        lateness_ms: 0,
        offset_ms: 0,
        updates_ms: 0,
        processing_time: false,
        early: false,
    })
}

fn stage(name: &str, kind: StageKind, inputs: &[u32]) -> StageSpec {
    StageSpec {
        name: name.into(),
        kind,
        inputs: inputs.to_vec(),
        key_shape: String::new(),
        value_shape: String::new(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    }
}

fn spec(stages: Vec<StageSpec>) -> JobSpec {
    let source = |timed| SourceSpec {
        timed,
        ..SourceSpec::default()
    };
    let (name, sources) = ("j".into(), vec![source(true), source(false)]);
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name,
        every: Duration::ZERO,
        sources,
        stages,
        sinks: Vec::new(),
    }
}

/// Two sources feed one stage of each kind; the last is fed by the first.
fn rules() -> AnswerRules {
    let columns = vec![ColumnSpec {
        name: "f:v".into(),
        kind: Kind::Bytes,
        optional: false,
    }];
    let (name, place) = ("s".to_string(), "s".to_string());
    let sink = SinkSpec {
        connector: "hbase".into(),
        name,
        target: place,
        keys: vec![ColumnSpec::key()],
        dynamic: false,
        columns,
        ..SinkSpec::default()
    };
    let limits = RowLimits {
        key_bytes: 1..=10,
        cell_bytes_max: 100,
        row_bytes_max: 1000,
        measure: Measure::Cells,
        columns: ColumnNames::FamilyAndQualifier,
    };
    let spec = spec(vec![
        stage(
            "panes",
            window(WindowForm::Panes {
                size_ms: 20,
                hop_ms: 10,
            }),
            &[0],
        ),
        stage("sessions", window(WindowForm::Session { gap_ms: 5 }), &[0]),
        stage(
            "join",
            StageKind::Join(Join {
                partners: Partners::within(5),
                lateness_ms: 0,
                left: true,
                right: false,
            }),
            &[0, 1],
        ),
        stage("lookup", StageKind::Lookup, &[0]),
        stage(
            "running",
            StageKind::Running { expire_ms: None },
            &[0, PANES],
        ),
    ]);
    AnswerRules::new(vec![RowShape::new(&sink, limits)], &spec)
}

fn column(items: &[&[u8]]) -> Column {
    let mut column = Column::default();
    items.iter().for_each(|item| column.push(item));
    column
}

fn keyed(stage: u32, side: u8, times_ms: [i64; 2]) -> Keyed {
    let (keys, values) = (column(&[b"a", b"b"]), column(&[b"1", b""]));
    Keyed {
        stage,
        side,
        positions: vec![0, 2],
        keys,
        values,
        times_ms: times_ms.to_vec(),
        ..Keyed::default()
    }
}

/// An answer for three records of source 0.
fn good() -> Answer {
    let rows = Rows {
        positions: vec![1],
        cells: column(&[b"k", b"v"]),
        ..Rows::default()
    };
    Answer {
        outcomes: Vec::new(),
        faults: vec![(1, "no".into())],
        rows: vec![rows],
        keyed: vec![
            keyed(PANES, 0, [-10, 20]),
            Keyed {
                until_ms: vec![3, 9],
                ..keyed(SESSIONS, 0, [3, 7])
            },
            keyed(JOIN, 0, [1, 2]),
            keyed(JOIN, 1, [1, 2]),
            keyed(LOOKUP, 0, [1, 2]),
            Keyed {
                deleted: vec![1],
                ..keyed(LOOKUP, 1, [1, 2])
            },
            keyed(RUNNING, 0, [0, 0]),
        ],
        late: vec![0, 2],
        largest_ms: 7,
    }
}

const ASKED: Asked = Asked {
    stage: 0,
    items: 3,
    partition_ms: 7,
};

#[test]
fn a_good_answer_passes() {
    assert_eq!(rules().check(&good(), ASKED), Ok(()));
    let nothing = Answer {
        rows: vec![Rows::default()],
        largest_ms: NO_TIME_MS,
        ..Answer::default()
    };
    let none = Asked {
        stage: LOOKUP,
        items: 0,
        partition_ms: NO_TIME_MS,
    };
    assert_eq!(rules().check(&nothing, none), Ok(()));
}

#[test]
fn every_broken_promise_is_named() {
    type Spoil = fn(&mut Answer);
    let cases: &[(&str, Spoil)] = &[
        ("rows for 2 sinks", |a| a.rows.push(Rows::default())),
        ("rows for 0 sinks", |a| a.rows.clear()),
        ("a fault is at position 3", |a| {
            a.faults.push((3, String::new()))
        }),
        ("sink `s`: the rows' positions descend", |a| {
            a.rows[0].positions = vec![3]
        }),
        ("stage 7, side 0: there is no such keyed stage", |a| {
            a.keyed[0].stage = 7
        }),
        ("stage 1, side 0: there is no such keyed stage", |a| {
            a.keyed[0].stage = 1
        }),
        ("stage 6, side 0: it is there twice", |a| {
            a.keyed.push(keyed(RUNNING, 0, [0, 0]))
        }),
        ("stage 2, side 1: `panes` has no such side", |a| {
            a.keyed[0].side = 1
        }),
        ("stage 4, side 2: `join` has no such side", |a| {
            a.keyed[3].side = 2
        }),
        ("differ in length", |a| a.keyed[0].times_ms.truncate(1)),
        ("differ in length", |a| a.keyed[0].values.push(b"")),
        ("keys: `ends` descends", |a| a.keyed[0].keys.data.push(0)),
        ("values: `ends` descends", |a| a.keyed[0].values.ends[0] = 5),
        ("`positions` does not ascend", |a| {
            a.keyed[0].positions = vec![2, 2]
        }),
        ("`positions` does not ascend", |a| {
            a.keyed[0].positions = vec![3]
        }),
        (
            "a pane begins at 25, which is no multiple of its hop of 10 ms",
            |a| a.keyed[0].times_ms[1] = 25,
        ),
        (
            "`until-ms` names 0, where no window begins that has the pane at 20",
            |a| a.keyed[0].until_ms = vec![-20, 0],
        ),
        ("`until-ms` differs", |a| a.keyed[0].until_ms = vec![0]),
        ("though it goes to no sessions", |a| {
            a.keyed[4].until_ms = vec![0]
        }),
        ("`until-ms` differs", |a| a.keyed[1].until_ms.clear()),
        (
            "a session's last event, at 6, is before its first, at 7",
            |a| a.keyed[1].until_ms[1] = 6,
        ),
        ("though it goes to no table", |a| {
            a.keyed[4].deleted = vec![1]
        }),
        ("though it goes to no table", |a| {
            a.keyed[3].deleted = vec![1]
        }),
        ("item 0 is both deleted and there", |a| {
            a.keyed[5].deleted = vec![0]
        }),
        ("`deleted` does not ascend", |a| {
            a.keyed[5].deleted = vec![2]
        }),
        ("a time is not 0", |a| a.keyed[6].times_ms[0] = 1),
        ("`late` does not ascend", |a| a.late = vec![2, 1]),
        ("`late` does not ascend", |a| a.late = vec![3]),
        ("`largest-ms` is 6, below the 7 of before", |a| {
            a.largest_ms = 6
        }),
    ];
    for (words, change) in cases {
        let mut answer = good();
        change(&mut answer);
        let broken = rules().check(&answer, ASKED).unwrap_err();
        assert!(broken.contains(words), "{broken:?} lacks {words:?}");
    }
}

#[test]
fn only_what_describe_says_is_fed() {
    let from = |stage| Asked { stage, ..ASKED };
    let answer = |keyed| Answer {
        keyed: vec![keyed],
        late: Vec::new(),
        ..good()
    };
    assert_eq!(
        rules().check(&answer(keyed(RUNNING, 0, [0, 0])), from(PANES)),
        Ok(())
    );
    for (stage, to) in [(1, PANES), (SESSIONS, RUNNING), (PANES, JOIN), (JOIN, JOIN)] {
        let broken = rules()
            .check(&answer(keyed(to, 0, [0, 0])), from(stage))
            .unwrap_err();
        assert!(
            broken.contains(&format!("`describe` does not say that stage {stage} feeds")),
            "{broken}"
        );
    }
    let late = Answer {
        late: vec![1],
        ..answer(keyed(RUNNING, 0, [0, 0]))
    };
    assert!(
        rules()
            .check(&late, from(PANES))
            .unwrap_err()
            .contains("never late")
    );
}

#[test]
fn a_stage_does_not_feed_itself_whatever_describe_says() {
    let spec = spec(vec![stage(
        "running",
        StageKind::Running { expire_ms: None },
        &[0, PANES],
    )]);
    let answer = Answer {
        rows: Vec::new(),
        keyed: vec![keyed(PANES, 0, [0, 0])],
        late: Vec::new(),
        ..good()
    };
    let broken = AnswerRules::new(Vec::new(), &spec)
        .check(
            &answer,
            Asked {
                stage: PANES,
                ..ASKED
            },
        )
        .unwrap_err();
    assert!(
        broken.contains("does not say that stage 2 feeds `running`"),
        "{broken}"
    );
}

/// What is too long is looked for in halves: it may be one record's.
#[test]
fn an_answer_that_is_too_long_breaks_no_promise() {
    let rules = rules();
    assert!(rules.size(&good()).is_ok_and(|bytes| bytes > 100));
    let mut answer = good();
    answer.keyed[0].values = column(&[&vec![0; GUEST_OUTPUT_BYTES_MAX], b""]);
    assert_eq!(
        (rules.check(&answer, ASKED), rules.size(&answer)),
        (Ok(()), Err(GuestFault::Output))
    );
    let accumulators = &answer.keyed[0].values;
    assert_eq!(rules.check_column("combine", accumulators, 2), Ok(()));
    assert_eq!(column_size(accumulators), Err(GuestFault::Output));
}

#[test]
fn accumulators_are_as_many_as_were_asked() {
    let check = |column: &Column| rules().check_column("combine", column, 2);
    assert_eq!(check(&column(&[b"", b"any bytes \xff"])), Ok(()));
    assert_eq!(
        check(&column(&[b"a"])),
        Err("`combine` gave 1 accumulators for 2".into())
    );
    assert!(
        check(&Column {
            data: vec![1],
            ends: vec![0, 0]
        })
        .unwrap_err()
        .contains("`combine`: `ends` descends")
    );
}

#[test]
fn records_are_run_in_order_where_something_goes_by_their_time() {
    let order = |stages: Vec<StageSpec>| {
        [0, 1].map(|source| AnswerRules::new(Vec::new(), &spec(stages.clone())).in_order(source))
    };
    let panes = window(WindowForm::Panes {
        size_ms: 10,
        hop_ms: 10,
    });
    assert_eq!(order(Vec::new()), [false, false]);
    assert_eq!(
        order(vec![stage("count", StageKind::EachBatch, &[0, 1])]),
        [false, false]
    );
    assert_eq!(
        order(vec![stage("panes", panes, &[0, 1])]),
        [true, false],
        "source 1 is not timed"
    );
    let behind = vec![
        stage("lookup", StageKind::Lookup, &[0]),
        stage("panes", panes, &[2]),
    ];
    assert_eq!(order(behind), [true, false]);
    assert_eq!(order(vec![stage("panes", panes, &[1])]), [false, false]);
}
