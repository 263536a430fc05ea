use super::*;
use crate::job::{Join, Partners};

fn stage(name: &str, kind: StageKind, inputs: &[u32]) -> StageSpec {
    let pairs = matches!(kind, StageKind::Join(_) | StageKind::Lookup);
    StageSpec {
        name: name.to_owned(),
        kind,
        inputs: inputs.to_vec(),
        key_shape: "text".to_owned(),
        value_shape: "u64".to_owned(),
        other_shape: if pairs {
            "u64".to_owned()
        } else {
            String::new()
        },
        version: 1,
        migrates: None,
    }
}

fn panes(size_ms: i64, hop_ms: i64) -> StageKind {
    window(WindowForm::Panes { size_ms, hop_ms })
}

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

fn with(kind: StageKind, change: fn(&mut Window)) -> StageKind {
    let StageKind::Window(mut window) = kind else {
        panic!("no window")
    };
    change(&mut window);
    StageKind::Window(window)
}

const JOIN: Join = Join {
    partners: Partners::within(1000),
    lateness_ms: 0,
    left: false,
    right: false,
};
const RUNNING: StageKind = StageKind::Running { expire_ms: None };
const YEARS: i64 = 367 * 24 * 60 * 60 * 1000;

/// Two timed sources, 0 and 1, one without times, 2, and a table, 3, which a lookup, 4, asks.
fn faults(stages: Vec<StageSpec>) -> Vec<String> {
    let source = |name: &str, timed, table| SourceSpec {
        name: name.to_owned(),
        timed,
        table,
        ..SourceSpec::default()
    };
    let sources = [
        source("one", true, false),
        source("two", true, false),
        source("plain", false, false),
        source("table", false, true),
    ];
    let all = [vec![stage("asked", StageKind::Lookup, &[0, 3])], stages].concat();
    check(all, &sources)
        .1
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_may_be_is_let_through() {
    let day = 24 * 60 * 60 * 1000;
    let hour_by_minute = panes(3_600_000, 60_000);
    let cases = [
        vec![],
        vec![stage("count", StageKind::EachBatch, &[0])],
        vec![stage("words", RUNNING, &[2]), stage("all", RUNNING, &[5])],
        vec![
            stage("w", hour_by_minute, &[0, 1]),
            stage("top", StageKind::EachBatch, &[5]),
            stage("again", panes(day, day), &[5]),
        ],
        vec![
            stage("w", panes(60_000, 60_000), &[4]),
            stage("mixed", panes(1, 1), &[0, 2]),
        ],
        vec![
            stage("s", window(WindowForm::Session { gap_ms: 1 }), &[0]),
            stage("j", StageKind::Join(JOIN), &[0, 5]),
        ],
        vec![
            stage("self", StageKind::Join(JOIN), &[1]),
            stage(
                "j",
                StageKind::Join(Join {
                    partners: Partners::within(0),
                    ..JOIN
                }),
                &[5],
            ),
        ],
        vec![
            stage("p", with(panes(10, 10), |w| w.processing_time = true), &[2]),
            stage("r", RUNNING, &[5]),
        ],
        vec![
            stage("r", RUNNING, &[2]),
            stage("p", with(panes(10, 10), |w| w.processing_time = true), &[5]),
        ],
        vec![stage(
            "early",
            with(panes(10, 10), |w| w.early = true),
            &[0],
        )],
        vec![stage("early", with(panes(60, 1), |w| w.early = true), &[0])],
        vec![StageSpec {
            migrates: Some(("u32".to_owned(), 1)),
            ..stage("m", RUNNING, &[0])
        }],
        vec![StageSpec {
            version: 2,
            migrates: Some(("u64".to_owned(), 1)),
            ..stage("m", RUNNING, &[0])
        }],
        (0..31)
            .map(|i| stage(&format!("s{i}"), RUNNING, &[0]))
            .collect(),
    ];
    for stages in cases {
        assert_eq!(faults(stages.clone()), Vec::<String>::new(), "{stages:?}");
    }
}

#[test]
fn each_fault_is_found_and_says_what() {
    let one = |kind| vec![stage("s", kind, &[0])];
    let cases = [
        (vec![stage("a b", RUNNING, &[0])], "stage name `a b`"),
        (vec![stage("", RUNNING, &[0])], "stage name ``"),
        (
            vec![stage("s", RUNNING, &[0]), stage("s", RUNNING, &[0])],
            "two stages are called `s`",
        ),
        (
            vec![stage("asked", RUNNING, &[0])],
            "two stages are called `asked`",
        ),
        (
            vec![stage("plain", RUNNING, &[0])],
            "source and a keyed stage are both called `plain`",
        ),
        (vec![stage("s", RUNNING, &[])], "nothing feeds it"),
        (vec![stage("s", panes(1, 1), &[])], "nothing feeds it"),
        (
            vec![stage("s", RUNNING, &[5])],
            "stage number 5 is said to feed it",
        ),
        (
            vec![stage("s", panes(1, 1), &[u32::MAX])],
            "does not stand before it (5)",
        ),
        (one(panes(0, 1)), "length is 0 ms, of 1 ms at least"),
        (one(panes(10, 0)), "its hop is 0 ms"),
        (one(panes(10, -5)), "its hop is -5 ms"),
        (
            one(panes(10_000, 3000)),
            "a window of 10s is no multiple of its hop, 3s",
        ),
        (one(panes(5, 10)), "no multiple of its hop"),
        (one(panes(10_001, 1)), "10001 hops, of 10000"),
        (
            one(with(panes(61, 1), |w| w.early = true)),
            "early results of a window of 61 hops, of 60",
        ),
        (one(panes(YEARS, YEARS / 367)), "of 366 days at most"),
        (one(panes(i64::MAX, 0)), "length is 9223372036854775807 ms"),
        (
            one(window(WindowForm::Session { gap_ms: 0 })),
            "a session's gap is 0 ms",
        ),
        (
            one(with(panes(10, 10), |w| w.lateness_ms = -1)),
            "lateness is -1 ms, of 0 ms",
        ),
        (
            one(with(panes(10, 10), |w| w.lateness_ms = YEARS)),
            "lateness is 31708800000 ms, of 366 days",
        ),
        (
            one(StageKind::Running { expire_ms: Some(0) }),
            "forgotten is 0 ms",
        ),
        (
            one(StageKind::Join(Join {
                partners: Partners::within(-1),
                ..JOIN
            })),
            "partners is -1 ms",
        ),
        (
            one(StageKind::Join(Join {
                lateness_ms: YEARS,
                ..JOIN
            })),
            "lateness",
        ),
        (
            vec![StageSpec {
                other_shape: String::new(),
                ..stage("s", StageKind::Join(JOIN), &[0])
            }],
            "one side only",
        ),
        (
            vec![StageSpec {
                other_shape: "u8".to_owned(),
                ..stage("s", RUNNING, &[0])
            }],
            "two sides",
        ),
        (
            vec![StageSpec {
                migrates: Some(("u64".to_owned(), 1)),
                ..stage("s", RUNNING, &[0])
            }],
            "from what it is",
        ),
        (
            vec![StageSpec {
                migrates: Some(("u8".to_owned(), 1)),
                ..stage("s", StageKind::Lookup, &[0])
            }],
            "only accumulators and states",
        ),
        (
            vec![StageSpec {
                key_shape: "x".repeat(20_000),
                ..stage("s", RUNNING, &[0])
            }],
            "20000 bytes to say",
        ),
        (
            vec![
                stage("e", with(panes(10, 10), |w| w.early = true), &[0]),
                stage("s", RUNNING, &[5]),
            ],
            "stage `s`: stage `e` feeds it, whose early results",
        ),
        (
            vec![stage("s", StageKind::Lookup, &[3])],
            "only tables feed it",
        ),
        (
            vec![stage("s", RUNNING, &[3])],
            "source `table` is said to feed tables alone, but feeds stage `s`",
        ),
        (one(panes(i64::MAX, i64::MAX)), "length is"),
        (
            vec![stage("s", panes(1, 1), &[2])],
            "nothing would ever end",
        ),
        (
            vec![
                stage("b", StageKind::EachBatch, &[0]),
                stage("s", panes(1, 1), &[5]),
            ],
            "what stage `b` gives out (each batch)",
        ),
        (
            vec![
                stage("b", RUNNING, &[0]),
                stage("s", StageKind::Join(JOIN), &[0, 5]),
            ],
            "stage `b` gives out (a running value)",
        ),
        (
            vec![
                stage("b", RUNNING, &[0]),
                stage("l", StageKind::Lookup, &[5, 3]),
                stage("s", panes(1, 1), &[6]),
            ],
            "stage `s`: it goes by event time, but what stage `b` gives out",
        ),
        (
            vec![
                stage("b", with(panes(1, 1), |w| w.processing_time = true), &[0]),
                stage("s", panes(1, 1), &[5]),
            ],
            "(the batches' time)",
        ),
        (
            (0..32)
                .map(|i| stage(&format!("s{i}"), panes(0, 0), &[]))
                .collect(),
            "33 keyed stages, of 32",
        ),
    ];
    for (stages, want) in cases {
        let said = faults(stages);
        assert!(
            said.iter().any(|fault| fault.contains(want)),
            "{want}: {said:?}"
        );
        let most = if want.contains("length is 9223372036854775807") || want == "length is" {
            2
        } else {
            1
        };
        assert!(said.len() <= most, "{want}: {said:?}");
    }
}

#[test]
fn a_table_that_feeds_nothing_is_a_fault() {
    let table = SourceSpec {
        name: "t".to_owned(),
        table: true,
        ..SourceSpec::default()
    };
    assert_eq!(check(vec![], &[table]).1.len(), 1);
}

#[test]
fn windows_by_the_batches_time_have_no_lateness() {
    let kind = with(window(WindowForm::Session { gap_ms: 5 }), |w| {
        (w.processing_time, w.lateness_ms) = (true, 5)
    });
    let source = SourceSpec::default();
    let (stages, faults) = check(vec![stage("s", kind, &[0])], &[source]);
    assert_eq!(
        (stages[0].kind, faults.len()),
        (with(kind, |w| w.lateness_ms = 0), 0)
    );
}
