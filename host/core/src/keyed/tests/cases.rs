//! Single cases: what fails, what is refused, what is bounded, what migration sees.

use super::guest::{FAILS_IN_COMBINE, FAILS_IN_FINISH, bytes, item, numbers};
use super::*;
use crate::limits::GUEST_MEMORY_BYTES_DEFAULT;
use crate::state::StoreError;
use crate::state::memory::MemoryState;
use std::cell::Cell;

const CLOCK_MS: i64 = 1000;
const DUE_NEVER: i64 = i64::MIN;
const TUMBLING: WindowForm = WindowForm::Panes {
    size_ms: 10,
    hop_ms: 10,
};

/// One stage behind one source.
struct Bench {
    spec: JobSpec,
    state: MemoryState,
    batch: u64,
    clock_ms: i64,
    late_thresholds_ms: BTreeMap<String, i64>,
    fold: Fold,
    /// False: as in the replay of what an older host has planned.
    gives_timers: bool,
    portion: Portion,
    /// How often it is said that no stop has come.
    stop_at: Option<usize>,
    asked: usize,
}

fn windowed(form: WindowForm) -> StageKind {
    StageKind::Window(Window {
        form,
        lateness_ms: 0,
        offset_ms: 0,
        updates_ms: 0,
        processing_time: false,
        early: false,
    })
}

fn late_by(kind: StageKind, lateness_ms: i64) -> StageKind {
    match kind {
        StageKind::Window(window) => StageKind::Window(Window {
            lateness_ms,
            ..window
        }),
        StageKind::Join(join) => StageKind::Join(Join {
            lateness_ms,
            ..join
        }),
        other => other,
    }
}

impl Bench {
    fn new(kind: StageKind) -> Self {
        Bench::of(vec![stage("visits", kind, vec![0])])
    }

    /// Stages that stand in a chain.
    fn of(stages: Vec<StageSpec>) -> Self {
        let spec = spec(vec![source(false)], stages);
        Bench {
            spec,
            state: MemoryState::default(),
            batch: 0,
            clock_ms: CLOCK_MS,
            late_thresholds_ms: BTreeMap::new(),
            fold: Fold::Sum,
            portion: Portion::of(GUEST_MEMORY_BYTES_DEFAULT),
            gives_timers: true,
            stop_at: None,
            asked: 0,
        }
    }

    /// From now on another version runs, with this kind of a stage.
    fn deploy(&mut self, stage: usize, kind: StageKind) {
        let before = self.spec.stages[stage].fingerprint();
        self.spec.stages[stage].kind = kind;
        assert_eq!(
            self.spec.stages[stage].fingerprint(),
            before,
            "its state is carried on"
        );
    }

    /// Runs a batch with these items (side, key, time, number) up to a watermark.
    fn run(
        &mut self,
        items: &[(u8, &str, i64, u64)],
        watermark_ms: i64,
    ) -> Result<Made, KeyedError> {
        let parts = items.iter().map(|&(side, key, time_ms, number)| {
            let things = [(key.as_bytes().to_vec(), vec![number], time_ms)];
            guest::keyed(&self.spec, self.fold, 0, side, self.clock_ms, &things)
        });
        let parts = parts.collect();
        self.run_parts(parts, watermark_ms)
    }

    fn run_parts(&mut self, parts: Vec<Keyed>, watermark_ms: i64) -> Result<Made, KeyedError> {
        self.batch += 1;
        let late_thresholds_ms = std::mem::take(&mut self.late_thresholds_ms);
        let (batch, clock_ms, before_ms) = (self.batch, self.clock_ms, DUE_NEVER);
        let times = BatchTimes {
            batch,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms: &late_thresholds_ms,
            gives_timers: self.gives_timers,
        };
        let spec = &self.spec;
        let (folds, rekeys) = (
            vec![self.fold; spec.stages.len()],
            vec![Rekey::Same; spec.stages.len()],
        );
        let ids: Vec<_> = (0..spec.stages.len() as u64).map(|i| 7 + i).collect();
        let mut guest = Guest {
            spec,
            folds: &folds,
            rekeys: &rekeys,
            slice: 7,
            asked: 0,
        };
        let stop_at = self.stop_at;
        let asked = Cell::new(0);
        let stopped = || {
            asked.set(asked.get() + 1);
            stop_at.is_some_and(|at| asked.get() > at)
        };
        let how: (_, &dyn Fn() -> bool) = (self.portion, &stopped);
        let made = run_in(spec, &ids, parts, times, &mut self.state, &mut guest, how);
        self.asked = guest.asked;
        self.late_thresholds_ms = late_thresholds_after(spec, times);
        made
    }

    /// Whether a batch without records would do something.
    fn is_due(&mut self, watermark_ms: i64) -> bool {
        let (batch, clock_ms, before_ms) = (self.batch + 1, self.clock_ms, DUE_NEVER);
        let times = BatchTimes {
            batch,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms: &self.late_thresholds_ms,
            gives_timers: true,
        };
        is_due(&self.spec, &[7], times, &mut self.state).unwrap()
    }

    fn rows(&mut self, items: &[(u8, &str, i64, u64)], watermark_ms: i64) -> Vec<String> {
        let made = self.run(items, watermark_ms).unwrap();
        assert_eq!((&made.dead_letters[..], made.late), (&[][..], 0));
        texts(&made)
    }
}

fn letter(reason: &str, time_ms: i64, key: &str, value: Vec<u8>) -> GroupDeadLetter {
    GroupDeadLetter {
        stage: "visits".into(),
        reason: reason.into(),
        time_ms,
        key: key.into(),
        value,
    }
}

#[test]
fn what_is_merged_stands_in_canonical_order() {
    let in_order = |kind| Bench {
        fold: Fold::InOrder,
        ..Bench::new(kind)
    };
    let batch = in_order(StageKind::EachBatch)
        .rows(&[(0, "b", 0, 3), (0, "a", 0, 1), (0, "b", 0, 2)], DUE_NEVER);
    assert_eq!(
        batch,
        ["0: b [3, 2] 1000..1000", "0: a [1] 1000..1000"],
        "groups stand where their first item does"
    );

    let mut running = in_order(StageKind::Running { expire_ms: None });
    running.rows(&[(0, "a", 0, 9), (0, "a", 0, 8)], DUE_NEVER);
    assert_eq!(
        running.rows(&[(0, "a", 0, 3), (0, "a", 0, 1)], DUE_NEVER),
        ["0: a [9, 8, 3, 1] 1000..1000"]
    );

    let mut hopping = in_order(windowed(WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    }));
    hopping.rows(
        &[(0, "a", 12, 1), (0, "a", 3, 2), (0, "a", 4, 3)],
        DUE_NEVER,
    );
    assert_eq!(
        hopping.rows(&[(0, "a", 11, 4)], 20),
        ["0: a [2, 3] -10..10", "0: a [2, 3, 1, 4] 0..20"]
    );

    let mut session = in_order(windowed(WindowForm::Session { gap_ms: 5 }));
    session.rows(
        &[(0, "a", 20, 1), (0, "a", 0, 2), (0, "a", 10, 3)],
        DUE_NEVER,
    );
    let bridges = [(0, "a", 15, 4), (0, "a", 5, 5), (0, "a", 4, 6)];
    assert_eq!(
        session.rows(&bridges, i64::MAX),
        ["0: a [2, 3, 1, 4, 5, 6] 0..25"],
        "sessions by time, then items"
    );
}

#[test]
fn a_silent_key_is_forgotten_and_an_active_one_is_not() {
    let mut bench = Bench::new(StageKind::Running {
        expire_ms: Some(5000),
    });
    let mut at = |clock_ms, items: &[_]| {
        bench.clock_ms = clock_ms;
        let (spec, state) = (&bench.spec, &mut bench.state);
        let (before_ms, watermark_ms, late_thresholds_ms) =
            (DUE_NEVER, DUE_NEVER, &BTreeMap::new());
        let times = BatchTimes {
            batch: 0,
            clock_ms,
            before_ms,
            watermark_ms,
            late_thresholds_ms,
            gives_timers: true,
        };
        let is_due = is_due(spec, &[7], times, state).unwrap();
        let rows = bench.rows(items, DUE_NEVER);
        let kept = |tag| {
            bench
                .state
                .entries
                .keys()
                .filter(|(_, key)| key[0] == tag)
                .count()
        };
        (
            rows.join(","),
            is_due,
            kept(entry::VALUE),
            kept(entry::TIMER),
        )
    };
    let row = |numbers, clock_ms| format!("0: a [{numbers}] {clock_ms}..{clock_ms}");
    assert_eq!(at(1000, &[(0, "a", 0, 1)]), (row(1, 1000), false, 1, 1));
    assert_eq!(
        at(6000, &[(0, "a", 0, 1)]),
        (row(2, 6000), false, 1, 1),
        "not longer ago than it is kept"
    );
    assert_eq!(
        at(6001, &[]),
        (String::new(), true, 1, 1),
        "it is looked at, and kept"
    );
    assert_eq!(at(11_000, &[]), (String::new(), false, 1, 1));
    assert_eq!(
        at(11_001, &[(0, "a", 0, 1)]),
        (row(1, 11_001), true, 1, 1),
        "longer ago: it begins anew"
    );
    assert_eq!(
        at(16_002, &[]),
        (String::new(), false, 1, 1),
        "forgotten, and removed at a coarse time"
    );
    assert_eq!(at(17_001, &[]), (String::new(), true, 0, 0));
}

/// A version without expiry kept them, and nothing more comes of them.
#[test]
fn keys_of_a_version_without_expiry_expire_under_one_with_it() {
    let mut bench = Bench::new(StageKind::Running { expire_ms: None });
    bench.portion.expiries = 3;
    let names: Vec<String> = (0..7).map(|i| format!("k{i}")).collect();
    let items: Vec<_> = names.iter().map(|name| (0, name.as_str(), 0, 1)).collect();
    bench.clock_ms = 1000;
    bench.rows(&items[..6], DUE_NEVER);
    bench.clock_ms = 4000;
    bench.rows(&items[6..], DUE_NEVER);
    assert!(!bench.is_due(DUE_NEVER));
    let kept = |bench: &Bench, tag| {
        let keys = bench.state.entries.keys();
        keys.filter(|(_, key)| key[0] == tag).count()
    };
    let expiring = |ms| StageKind::Running {
        expire_ms: Some(ms),
    };
    bench.spec.stages[0].kind = expiring(5000);
    let mut timers = Vec::new();
    while bench.is_due(DUE_NEVER) {
        bench.rows(&[], DUE_NEVER);
        timers.push(kept(&bench, entry::TIMER));
    }
    assert_eq!(timers, [3, 6, 7], "each has one in the end");
    // The version before takes over again, and leaves a key without a timer.
    bench.spec.stages[0].kind = StageKind::Running { expire_ms: None };
    bench.rows(&[(0, "new", 0, 1)], DUE_NEVER);
    bench.spec.stages[0].kind = expiring(2000);
    bench.clock_ms = 4500;
    assert!(bench.is_due(DUE_NEVER));
    bench.portion.expiries = 100;
    bench.rows(&[], DUE_NEVER);
    assert_eq!(
        (kept(&bench, entry::VALUE), kept(&bench, entry::TIMER)),
        (2, 2),
        "those of the first batch have been silent for longer than this"
    );
    bench.clock_ms = 7000;
    bench.rows(&[], DUE_NEVER);
    assert_eq!(kept(&bench, entry::VALUE), 0);
    assert!(!bench.is_due(DUE_NEVER));
    // What a host before had planned is replayed as it was.
    bench.spec.stages[0].kind = StageKind::Running { expire_ms: None };
    bench.rows(&items[..2], DUE_NEVER);
    bench.spec.stages[0].kind = expiring(5000);
    bench.gives_timers = false;
    bench.rows(&[], DUE_NEVER);
    assert_eq!(kept(&bench, entry::TIMER), 0);
}

#[test]
fn many_keys_that_expire_at_once_are_forgotten_a_portion_a_batch() {
    let mut bench = Bench::new(StageKind::Running {
        expire_ms: Some(5000),
    });
    bench.portion.expiries = 3;
    let names: Vec<String> = (0..10).map(|i| format!("k{i}")).collect();
    let items: Vec<_> = names.iter().map(|name| (0, name.as_str(), 0, 1)).collect();
    bench.rows(&items, DUE_NEVER);
    bench.clock_ms = 6000;
    assert_eq!(bench.rows(&items[..1], DUE_NEVER), ["0: k0 [2] 6000..6000"]);
    bench.clock_ms = 9000;
    let mut kept = Vec::new();
    for _ in 0..4 {
        assert!(bench.is_due(DUE_NEVER));
        bench.rows(&[], DUE_NEVER);
        kept.push(
            bench
                .state
                .entries
                .keys()
                .filter(|(_, key)| key[0] == entry::VALUE)
                .count(),
        );
    }
    assert_eq!(
        (kept, bench.is_due(DUE_NEVER)),
        (vec![8, 5, 2, 1], false),
        "the first one was not silent"
    );
    assert_eq!(
        bench.rows(&items[..2], DUE_NEVER),
        ["0: k0 [3] 9000..9000", "0: k1 [1] 9000..9000"]
    );
}

#[test]
fn early_results_of_one_batch_are_bounded() {
    let form = WindowForm::Panes {
        size_ms: 40,
        hop_ms: 10,
    };
    let early = StageKind::Window(Window {
        form,
        lateness_ms: 0,
        offset_ms: 0,
        updates_ms: 0,
        processing_time: false,
        early: true,
    });
    let items = [
        (0, "a", 3, 1),
        (0, "a", 25, 2),
        (0, "b", 3, 4),
        (0, "a", 100, 8),
    ];
    let mut bench = Bench::new(early);
    bench.portion.early = 10;
    let rows = bench.rows(&items, 25);
    let wanted = [
        "0: a [3] -10..30",
        "0: b [4] -10..30",
        "0: a [3] 0..40",
        "0: b [4] 0..40",
        "0: a [2] 10..50",
        "0: a [2] 20..60",
        "0: a [8] 70..110",
        "0: a [8] 80..120",
        "0: a [8] 90..130",
        "0: a [8] 100..140",
    ];
    let over = [
        "0: a [1] -30..10",
        "0: b [4] -30..10",
        "0: a [1] -20..20",
        "0: b [4] -20..20",
    ];
    assert_eq!(rows, [&over[..], &wanted[..]].concat());
    let mut bench = Bench::new(early);
    bench.portion.early = 9;
    let refused = bench.run(&items, 25).unwrap_err().to_string();
    assert!(
        refused.contains("`visits`")
            && refused.contains("more than 9 results of windows that changed"),
        "{refused}"
    );
}

#[test]
fn sessions_of_a_key_that_end_together_are_given_in_one_go() {
    let mut bench = Bench::new(windowed(WindowForm::Session { gap_ms: 5 }));
    bench.portion.look = Most::entries(2);
    let at = |time: i64| (0, if time % 200 == 0 { "a" } else { "b" }, time, 1);
    bench
        .run(&(0..10).map(|i| at(i * 100)).collect::<Vec<_>>(), DUE_NEVER)
        .unwrap();
    let wanted = [
        "0: a [1] 0..5",
        "0: a [1] 200..205",
        "0: a [1] 400..405",
        "0: b [1] 100..105",
        "0: b [1] 300..305",
    ];
    assert_eq!(
        bench.rows(&[], 450),
        wanted,
        "the key whose first session ended first"
    );
    assert_eq!(bench.rows(&[], i64::MAX).len(), 5);
    assert_eq!(
        bench
            .state
            .entries
            .keys()
            .filter(|(_, key)| key[0] != entry::NOTE)
            .count(),
        0
    );
}

#[test]
fn a_stop_is_heard_before_each_portion() {
    let join = StageKind::Join(Join {
        partners: Partners::within(500),
        lateness_ms: 0,
        left: true,
        right: false,
    });
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    for kind in [
        StageKind::EachBatch,
        StageKind::Running { expire_ms: None },
        windowed(TUMBLING),
        session,
        join,
    ] {
        let names: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
        let items: Vec<_> = names.iter().map(|name| (0, name.as_str(), 3, 1)).collect();
        let mut bench = Bench::new(kind);
        bench.portion = Portion {
            groups: 5,
            look: Most::entries(5),
            ..bench.portion
        };
        for stop_at in 0..8 {
            bench.stop_at = Some(stop_at);
            let mut before = bench.state.clone();
            std::mem::swap(&mut before, &mut bench.state);
            let stopped = bench.run(&items, i64::MAX);
            assert!(
                matches!(stopped, Err(KeyedError::Stopped)),
                "{kind:?} after {stop_at}: {stopped:?}"
            );
            bench.state = before;
            bench.late_thresholds_ms.clear();
        }
        bench.stop_at = None;
        assert_eq!(bench.rows(&items, i64::MAX).len(), 40, "{kind:?}");
    }
}

#[test]
fn what_is_read_at_once_is_bounded_by_its_bytes() {
    let hopping = WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    };
    for (kind, held) in [(windowed(TUMBLING), 1), (windowed(hopping), 2)] {
        let mut bench = Bench {
            fold: Fold::InOrder,
            ..Bench::new(kind)
        };
        let names: Vec<String> = (0..60).map(|i| format!("k{i}")).collect();
        let items: Vec<_> = names
            .iter()
            .flat_map(|name| [(0, name.as_str(), 3, 1), (0, name.as_str(), 13, 2)])
            .collect();
        bench.run(&items, DUE_NEVER).unwrap();
        // Accumulators of 1000 bytes, and 2500 bytes at once.
        bench
            .state
            .entries
            .iter_mut()
            .filter(|((_, key), _)| key[0] == entry::VALUE)
            .for_each(|(_, value)| {
                *value = value.repeat(125);
            });
        bench.portion.look.bytes = 2500;
        bench.portion.bytes = 2500;
        let (spec, times) = (&bench.spec, (DUE_NEVER, i64::MAX, BTreeMap::new()));
        let times = BatchTimes {
            batch: 2,
            clock_ms: CLOCK_MS,
            before_ms: times.0,
            watermark_ms: times.1,
            late_thresholds_ms: &times.2,
            gives_timers: true,
        };
        let mut guest = Guest {
            spec,
            folds: &[bench.fold],
            rekeys: &[Rekey::Same],
            slice: 7,
            asked: 0,
        };
        let mut watched = Watched {
            state: &mut bench.state,
            looks: 0,
            read: 0,
            most: 0,
        };
        let how: (_, &dyn Fn() -> bool) = (bench.portion, &|| false);
        let made = run_in(spec, &[7], Vec::new(), times, &mut watched, &mut guest, how).unwrap();
        assert_eq!(texts(&made).len(), 60 * if held == 1 { 2 } else { 3 });
        assert!(
            watched.most <= 3 * 1100,
            "{} bytes in one look",
            watched.most
        );
    }
}

#[test]
fn a_group_that_does_not_combine_keeps_its_accumulator() {
    let failed = bytes(&[FAILS_IN_COMBINE]);
    let mut running = Bench::new(StageKind::Running { expire_ms: None });
    assert_eq!(
        running.rows(&[(0, "a", 0, 5)], DUE_NEVER),
        ["0: a [5] 1000..1000"]
    );
    let made = running
        .run(&[(0, "a", 0, FAILS_IN_COMBINE), (0, "b", 0, 1)], DUE_NEVER)
        .unwrap();
    assert_eq!(texts(&made), ["0: b [1] 1000..1000"], "the others go on");
    assert_eq!(
        made.dead_letters,
        [letter("does not combine", CLOCK_MS, "a", failed.clone())]
    );
    assert_eq!(
        running.rows(&[(0, "a", 0, 2)], DUE_NEVER),
        ["0: a [7] 1000..1000"]
    );

    let mut window = Bench::new(windowed(TUMBLING));
    window.run(&[(0, "a", 13, 5)], DUE_NEVER).unwrap();
    let made = window
        .run(&[(0, "a", 17, FAILS_IN_COMBINE)], DUE_NEVER)
        .unwrap();
    assert_eq!(
        made.dead_letters,
        [letter("does not combine", 10, "a", failed.clone())]
    );
    assert_eq!(window.rows(&[], 20), ["0: a [5] 10..20"]);

    let mut session = Bench::new(windowed(WindowForm::Session { gap_ms: 5 }));
    session
        .run(&[(0, "a", 0, 1), (0, "a", 10, 2)], DUE_NEVER)
        .unwrap();
    let made = session
        .run(&[(0, "a", 5, FAILS_IN_COMBINE)], DUE_NEVER)
        .unwrap();
    assert_eq!(
        made.dead_letters,
        [letter("does not combine", 0, "a", failed)]
    );
    assert_eq!(
        session.rows(&[], 100),
        ["0: a [1] 0..5", "0: a [2] 10..15"],
        "they were not joined"
    );
}

#[test]
fn panes_that_do_not_combine_are_one_letter_a_window() {
    let mut window = Bench::new(windowed(WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    }));
    window
        .run(&[(0, "a", 5, 1), (0, "a", 15, FAILS_IN_COMBINE)], DUE_NEVER)
        .unwrap();
    let made = window.run(&[], i64::MAX).unwrap();
    assert_eq!(
        texts(&made),
        [
            "0: a [1] -10..10".to_string(),
            format!("0: a [{FAILS_IN_COMBINE}] 10..30")
        ]
    );
    assert_eq!(
        made.dead_letters,
        [letter(
            "does not combine",
            0,
            "a",
            bytes(&[1, FAILS_IN_COMBINE])
        )]
    );
}

#[test]
fn what_does_not_finish_is_a_letter_with_all_that_it_was() {
    let failed = bytes(&[FAILS_IN_FINISH]);
    let mut window = Bench::new(windowed(TUMBLING));
    let made = window
        .run(&[(0, "a", 13, FAILS_IN_FINISH), (0, "b", 13, 1)], 20)
        .unwrap();
    assert_eq!(texts(&made), ["0: b [1] 10..20"]);
    assert_eq!(
        made.dead_letters,
        [letter("does not finish", 10, "a", failed)]
    );

    let mut join = Bench::new(StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 0,
        left: false,
        right: false,
    }));
    let made = join
        .run(&[(0, "a", 1, FAILS_IN_FINISH), (1, "a", 3, 2)], DUE_NEVER)
        .unwrap();
    let both = [item(b"a", &[FAILS_IN_FINISH]), item(b"a", &[2])].concat();
    assert_eq!(made.dead_letters, [letter("does not finish", 3, "a", both)]);
}

#[test]
fn a_hot_key_of_a_join_is_bounded_by_its_pairs() {
    let join = StageKind::Join(Join {
        partners: Partners::within(1),
        lateness_ms: 0,
        left: false,
        right: false,
    });
    let side = |side, step: usize| {
        (0..400)
            .step_by(step)
            .map(move |time| (side, "hot", time as i64, 1))
    };
    let mut bench = Bench::new(join);
    bench.portion.pairs = 1198;
    let both: Vec<_> = side(0, 1).chain(side(1, 1)).collect();
    assert_eq!(
        bench.rows(&both, DUE_NEVER).len(),
        1198,
        "three for each but the first and the last"
    );
    let mut bench = Bench::new(join);
    bench.portion.pairs = 1197;
    let refused = bench.run(&both, DUE_NEVER).unwrap_err().to_string();
    assert!(
        refused.contains("`visits`") && refused.contains("\"hot\"") && refused.contains("1197"),
        "{refused}"
    );
}

#[test]
fn a_large_window_is_finished_in_portions() {
    let mut bench = Bench::new(windowed(TUMBLING));
    let names: Vec<String> = (0..5000).map(|i| format!("{i:04}")).collect();
    let items: Vec<_> = names.iter().map(|name| (0, name.as_str(), 3, 1)).collect();
    bench.run(&items, DUE_NEVER).unwrap();
    bench.portion.groups = 100;
    let rows = bench.rows(&[], 10);
    let wanted: Vec<_> = names
        .iter()
        .map(|name| format!("0: {name} [1] 0..10"))
        .collect();
    assert_eq!(
        (rows, bench.asked),
        (wanted, 50),
        "in the keys' order, a hundred at a time"
    );
}

#[test]
fn nothing_is_given_twice_though_a_new_version_allows_later_records() {
    let (tumbling, hopping) = (
        TUMBLING,
        WindowForm::Panes {
            size_ms: 20,
            hop_ms: 10,
        },
    );
    let session = WindowForm::Session { gap_ms: 10 };
    for (form, last) in [
        (tumbling, "0: a [2] 40..50"),
        (hopping, "0: a [2] 40..60"),
        (session, "0: a [2] 43..53"),
    ] {
        let mut bench = Bench::new(windowed(form));
        assert_eq!(
            bench
                .rows(&[(0, "a", 13, 5)], 40)
                .last()
                .unwrap()
                .split(' ')
                .nth(2),
            Some("[5]")
        );
        bench.deploy(0, late_by(windowed(form), 1000));
        let made = bench.run(&[(0, "a", 15, 1), (0, "a", 43, 2)], 40).unwrap();
        assert_eq!((texts(&made), made.late), (vec![], 1), "{form:?}");
        assert_eq!(
            bench.rows(&[], 1049),
            Vec::<String>::new(),
            "from here on it waits as long as the new one says"
        );
        assert_eq!(bench.rows(&[], 1060).last().unwrap(), last);
    }
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 0,
        left: true,
        right: false,
    });
    let mut bench = Bench::new(join);
    assert_eq!(
        bench.rows(&[(0, "a", 13, 1), (1, "a", 14, 2)], 40),
        ["0: a [1] Some([2]) at 14"]
    );
    bench.deploy(0, late_by(join, 1000));
    let made = bench.run(&[(0, "a", 15, 3)], i64::MAX).unwrap();
    assert_eq!(
        (texts(&made), made.late),
        (vec![], 1),
        "its partner was let go: it is not given as if it had none"
    );
}

#[test]
fn what_a_version_held_back_is_not_late_for_the_stage_behind_it_when_a_new_one_holds_back_less() {
    let tumbling = |size_ms| {
        windowed(WindowForm::Panes {
            size_ms,
            hop_ms: size_ms,
        })
    };
    let join = |within_ms| {
        StageKind::Join(Join {
            partners: Partners::within(within_ms),
            lateness_ms: 0,
            left: true,
            right: false,
        })
    };
    let session = windowed(WindowForm::Session { gap_ms: 2 });
    let cases = [
        (late_by(tumbling(10), 100), tumbling(10), "1: a [8] 0..20"),
        (late_by(session, 100), session, "1: a [8] 0..20"),
        (join(100), join(0), "1: a [8] 0..20"),
    ];
    for (held, less, row) in cases {
        let mut bench = Bench::of(vec![
            stage("fine", held, vec![0]),
            stage("coarse", tumbling(20), vec![1]),
        ]);
        let all = [(0, "a", 3, 1), (0, "a", 13, 2), (0, "a", 15, 5)];
        assert_eq!(bench.rows(&all, 90), Vec::<String>::new());
        bench.deploy(0, less);
        let rows = bench.rows(&[], 91); // nothing of it is late
        assert!(rows.iter().any(|got| got == row), "{less:?}: {rows:?}");
        let late = Bench {
            late_thresholds_ms: bench.late_thresholds_ms.clone(),
            ..Bench::of(bench.spec.stages.clone())
        }
        .run(&all, 91);
        assert_eq!(late.unwrap().late, 3, "and now it would be");
    }
}

#[test]
fn a_part_that_breaks_the_contract_is_the_versions_fault() {
    let good = |kind: StageKind| {
        let bench = Bench::new(kind);
        guest::keyed(
            &bench.spec,
            Fold::Sum,
            0,
            0,
            CLOCK_MS,
            &[(b"a".to_vec(), vec![1], 13)],
        )
    };
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 0,
        left: false,
        right: false,
    });
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    type Change = fn(&mut Keyed);
    let hopping = windowed(WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    });
    let broken: [(StageKind, Change); 14] = [
        (hopping, |part| part.until_ms = vec![0, 0]),
        (hopping, |part| part.until_ms = vec![-20]),
        (hopping, |part| part.until_ms = vec![5]),
        (hopping, |part| part.until_ms = vec![20]),
        (StageKind::EachBatch, |part| part.stage = 0),
        (StageKind::EachBatch, |part| part.stage = 2),
        (StageKind::EachBatch, |part| part.side = 1),
        (join, |part| part.side = 2),
        (join, |part| part.times_ms.clear()),
        (join, |part| part.values.push(b"more")),
        (session, |part| part.until_ms.clear()),
        (session, |part| part.until_ms[0] = 12),
        (windowed(TUMBLING), |part| part.times_ms[0] = 13),
        (StageKind::Lookup, |part| part.deleted.push(0)),
    ];
    for (i, (kind, change)) in broken.into_iter().enumerate() {
        let mut part = good(kind);
        assert!(
            Bench::new(kind)
                .run_parts(vec![part.clone()], DUE_NEVER)
                .is_ok(),
            "{i}"
        );
        change(&mut part);
        let refused = Bench::new(kind).run_parts(vec![part], DUE_NEVER);
        assert!(
            matches!(refused, Err(KeyedError::Version(_))),
            "{i}: {refused:?}"
        );
    }
}

#[test]
fn times_at_the_ends_of_time_harm_nothing() {
    let hopping = WindowForm::Panes {
        size_ms: 3,
        hop_ms: 1,
    };
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 5,
        left: true,
        right: false,
    });
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    for kind in [
        windowed(hopping),
        session,
        join,
        StageKind::Running {
            expire_ms: Some(u64::MAX),
        },
    ] {
        let mut bench = Bench::new(kind);
        if let StageKind::Window(window) = &mut bench.spec.stages[0].kind {
            window.early = true;
            window.lateness_ms = i64::MAX;
        }
        let items = [(0, "a", i64::MIN, 1), (0, "a", i64::MAX, 2), (0, "a", 0, 3)];
        assert!(bench.run(&items, i64::MIN + 1).is_ok());
        assert!(bench.run(&items, i64::MAX - 1).is_ok());
        assert!(bench.run(&items, i64::MAX).is_ok());
        let kept = bench
            .state
            .entries
            .keys()
            .filter(|(_, key)| key[0] != entry::NOTE)
            .count();
        assert!(
            matches!(kind, StageKind::Running { .. }) || kept == 0,
            "{kind:?} keeps {kept}"
        );
    }
}

#[test]
fn migration_sees_each_accumulator_and_nothing_else() {
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    let cases = [
        (
            StageKind::Running {
                expire_ms: Some(5000),
            },
            vec![vec![6], vec![4]],
        ),
        (windowed(TUMBLING), vec![vec![1], vec![4], vec![5]]),
        (session, vec![vec![1, 5], vec![4]]),
        (StageKind::Lookup, vec![]),
        (
            StageKind::Join(Join {
                partners: Partners::within(5),
                lateness_ms: 0,
                left: true,
                right: false,
            }),
            vec![],
        ),
    ];
    for (kind, wanted) in cases {
        let mut bench = Bench::new(kind);
        bench
            .run(&[(0, "a", 3, 1), (0, "b", 4, 4), (0, "a", 23, 5)], 1)
            .unwrap();
        let mut found = Vec::new();
        for ((id, key), value) in bench.state.entries.clone() {
            let Some(old) = entry::accumulators(&kind, &key, &value) else {
                continue;
            };
            found.push(old.iter().flat_map(|old| numbers(old)).collect::<Vec<_>>());
            let new: Vec<Vec<u8>> = old
                .iter()
                .map(|old| [&bytes(&[9]), *old].concat())
                .collect();
            let new: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
            let changed = entry::with_accumulators(&kind, &key, &value, &new);
            assert_eq!(
                entry::accumulators(&kind, &key, &changed),
                Some(new.clone())
            );
            assert_eq!(
                entry::with_accumulators(&kind, &key, &changed, &old),
                value,
                "and nothing else was changed"
            );
            bench.state.entries.insert((id, key), changed);
        }
        assert_eq!(found, wanted, "{kind:?}");
        bench.run(&[(0, "a", 24, 1)], i64::MAX).unwrap();
    }
}

#[test]
fn damage_is_an_error_that_says_where_it_is() {
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 0,
        left: true,
        right: false,
    });
    let (value, timer, note) = (entry::VALUE, entry::TIMER, entry::NOTE);
    let expiring = StageKind::Running { expire_ms: Some(1) };
    // What is cut off: of which kind of entry, its key or its value.
    let cases = [
        (expiring, value, false),
        (expiring, timer, true),
        (windowed(TUMBLING), value, true),
        (windowed(TUMBLING), note, false),
        (session, value, false),
        (session, timer, true),
        (session, note, false),
        (join, value, true),
        (join, timer, true),
    ];
    for (kind, tag, of_key) in cases {
        let mut bench = Bench::new(kind);
        bench.run(&[(0, "a", 3, 1)], DUE_NEVER).unwrap();
        bench
            .run(&[(0, "b", 23, 1)], if tag == note { 20 } else { DUE_NEVER })
            .unwrap();
        let entries = std::mem::take(&mut bench.state.entries);
        bench.state.entries = entries
            .into_iter()
            .map(|((id, mut key), mut value)| {
                if key[0] == tag && of_key {
                    key.truncate(5)
                } else if key[0] == tag {
                    value.truncate(5)
                }
                ((id, key), value)
            })
            .collect();
        bench.clock_ms = 100_000;
        let refused = bench.run(
            &[(0, "b", 23, 1), (1, "b", 23, 1)][..if kind == join { 2 } else { 1 }],
            i64::MAX,
        );
        let Err(KeyedError::Store(StoreError::Damaged(told))) = refused else {
            panic!("{kind:?} {tag}: {refused:?}")
        };
        assert!(
            told.contains("stage `visits`") && told.contains("--reset-state"),
            "{told}"
        );
    }
}

/// Counts what is asked of a state.
struct Watched<'a> {
    state: &'a mut MemoryState,
    looks: usize,
    read: usize,
    /// Bytes of the largest look.
    most: usize,
}

impl StageState for Watched<'_> {
    fn get(&mut self, stage: StageId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.looks += 1;
        self.state.get(stage, key)
    }

    fn put(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.state.put(stage, key, value)
    }

    fn add(&mut self, stage: StageId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.state.add(stage, key, value)
    }

    fn remove(&mut self, stage: StageId, key: &[u8]) -> Result<bool, StoreError> {
        self.state.remove(stage, key)
    }

    fn scan(
        &mut self,
        stage: StageId,
        from: &[u8],
        to: &[u8],
        most: Most,
    ) -> Result<Entries, StoreError> {
        self.looks += 1;
        let found = self.state.scan(stage, from, to, most)?;
        self.read += found.len();
        self.most = self.most.max(
            found
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
        );
        Ok(found)
    }
}

#[test]
fn whether_something_is_due_is_one_short_look() {
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 5,
        left: true,
        right: false,
    });
    let hopping = WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    };
    let session = windowed(WindowForm::Session { gap_ms: 5 });
    for kind in [windowed(TUMBLING), windowed(hopping), session, join] {
        let mut bench = Bench::new(kind);
        let items: Vec<_> = (0..100).map(|time| (0, "a", time * 7, 1)).collect();
        bench.run(&items, 300).unwrap();
        let (clock_ms, late_thresholds_ms) = (CLOCK_MS, &BTreeMap::new());
        let times = BatchTimes {
            batch: 2,
            clock_ms,
            before_ms: 300,
            watermark_ms: 300,
            late_thresholds_ms,
            gives_timers: true,
        };
        for (watermark_ms, wanted) in [(300, false), (400, true), (i64::MAX, true)] {
            let mut watched = Watched {
                state: &mut bench.state,
                looks: 0,
                read: 0,
                most: 0,
            };
            let times = BatchTimes {
                watermark_ms,
                ..times
            };
            assert_eq!(
                is_due(&bench.spec, &[7], times, &mut watched).unwrap(),
                wanted,
                "{kind:?}"
            );
            assert!(
                watched.looks <= 3 && watched.read <= 1,
                "{} looks, {} entries",
                watched.looks,
                watched.read
            );
        }
    }
}
