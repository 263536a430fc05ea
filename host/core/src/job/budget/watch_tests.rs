use super::*;
use crate::job::settings::{JobLimits, Settings};

fn watched(deployment: u64, set: &[(&str, &str)]) -> Watched {
    let pairs = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let settings = Settings::parse(&pairs.collect(), JobLimits::default()).unwrap();
    Watched {
        deployment,
        budgets: settings.budgets,
    }
}

/// So many seconds of a version, a batch of 100 records each.
struct Ran {
    deployment: u64,
    set: &'static [(&'static str, &'static str)],
    seconds: i64,
    letters: u64,
    late: u64,
    cpu_ms: u64,
}

fn ran(deployment: u64, seconds: i64, letters: u64) -> Ran {
    Ran {
        deployment,
        set: &[],
        seconds,
        letters,
        late: 0,
        cpu_ms: 0,
    }
}

fn with(set: &'static [(&'static str, &'static str)], ran: Ran) -> Ran {
    Ran { set, ..ran }
}

/// What is told, each with its second: over a budget, `as before` where that was so before, or
/// within it.
fn told(all: &[Ran]) -> Vec<String> {
    let (mut watch, mut second, mut job) = (BudgetWatch::default(), 0, (0, 0));
    let mut told = Vec::new();
    for ran in all {
        let watched = watched(ran.deployment, ran.set);
        for _ in 0..ran.seconds {
            second += 1;
            job = (job.0 + 100, job.1 + ran.letters);
            let batch = Sums {
                records: 100,
                letters: ran.letters,
                aged: 100,
                late: ran.late,
                cpu: Duration::from_millis(ran.cpu_ms),
            };
            for change in watch.take(watched, 1000 * second, batch, job) {
                told.push(match change {
                    BudgetChange::Over(over) => {
                        assert_eq!(over.deployment, ran.deployment);
                        let before = if over.as_before { " as before" } else { "" };
                        let usual = if over.is_usual { "usual " } else { "" };
                        format!("{second} {usual}{}{before}", over.budget)
                    }
                    BudgetChange::Within(_) => format!("{second} within"),
                });
            }
        }
    }
    told
}

const LETTERS: &[(&str, &str)] = &[("max-dead-letters", "1% over 1m")];
const NUMBER: &[(&str, &str)] = &[("max-dead-letters", "100 over 10s")];
const NONE: &[(&str, &str)] = &[("max-dead-letters", "none")];
const LATENCY: &[(&str, &str)] = &[("max-latency", "5s over 10s")];
const CPU: &[(&str, &str)] = &[("max-cpu", "1.5 over 10s")];

#[test]
fn a_version_is_over_a_budget_as_soon_as_that_can_be_said() {
    let late = |late| Ran {
        late,
        ..with(LATENCY, ran(1, 30, 0))
    };
    let busy = |cpu_ms| Ran {
        cpu_ms,
        ..with(CPU, ran(1, 30, 0))
    };
    let cases: Vec<(&str, Vec<Ran>, &[&str])> = vec![
        (
            "5 %",
            vec![with(LETTERS, ran(1, 30, 5))],
            &["2 max-dead-letters"],
        ),
        (
            "just as much as there is",
            vec![with(LETTERS, ran(1, 90, 1))],
            &[],
        ),
        (
            "none bad, nothing said",
            vec![ran(1, 30, 0), ran(2, 90, 0)],
            &[],
        ),
        (
            "a new version of 5 %, nothing said",
            vec![ran(1, 30, 0), ran(2, 30, 5)],
            &["32 usual max-dead-letters"],
        ),
        (
            "the first version: nothing is before it",
            vec![ran(1, 90, 50)],
            &[],
        ),
        (
            "the input was always bad",
            vec![ran(1, 30, 4), ran(2, 90, 8)],
            &[],
        ),
        (
            "the input was always bad, and this is worse",
            vec![ran(1, 30, 4), ran(2, 90, 9)],
            &["32 usual max-dead-letters"],
        ),
        (
            "the version before ran for a moment: what the job had counts",
            vec![ran(1, 30, 20), ran(2, 1, 0), ran(3, 30, 10)],
            &[],
        ),
        ("none", vec![ran(1, 30, 0), with(NONE, ran(2, 90, 90))], &[]),
        (
            "a number",
            vec![with(NUMBER, ran(1, 20, 30))],
            &["4 max-dead-letters"],
        ),
        (
            "a number that is never reached",
            vec![with(NUMBER, ran(1, 90, 10))],
            &[],
        ),
        (
            "it was so before: over its budget, and nothing is to be gained",
            vec![with(LETTERS, ran(1, 9, 3)), with(LETTERS, ran(2, 9, 3))],
            &["2 max-dead-letters", "11 max-dead-letters as before"],
        ),
        (
            "it was so before the budget was given",
            vec![ran(1, 9, 3), with(LETTERS, ran(2, 9, 3))],
            &["11 max-dead-letters as before"],
        ),
        ("late", vec![late(2)], &["11 max-latency"]),
        ("late as it may be", vec![late(1)], &[]),
        ("busy", vec![busy(1600)], &["11 max-cpu"]),
        ("busy as it may be", vec![busy(1500)], &[]),
        (
            "told once, and that it is over",
            vec![with(NUMBER, ran(1, 25, 30)), with(NUMBER, ran(1, 30, 0))],
            &["4 max-dead-letters", "32 within"],
        ),
        (
            "not with each batch at the edge",
            vec![
                with(NUMBER, ran(1, 4, 30)),
                with(NUMBER, ran(1, 3, 0)),
                with(NUMBER, ran(1, 4, 30)),
            ],
            &["4 max-dead-letters"],
        ),
    ];
    for (what, all, want) in cases {
        assert_eq!(told(&all), want, "{what}");
    }
}

#[test]
fn the_reason_and_what_is_used_are_in_words() {
    let mut watch = BudgetWatch::default();
    let watched = watched(7, LETTERS);
    let nothing = watch.uses(watched, 0);
    assert_eq!(
        (nothing[0].used.as_str(), nothing[0].is_over),
        ("0 dead letters of 0 records (0.0 %) in 1s", false)
    );
    let batch = Sums {
        records: 1000,
        letters: 51,
        ..Sums::default()
    };
    watch.take(watched, 5000, Sums::default(), (0, 0));
    let changes = watch.take(watched, 9000, batch, (1000, 51));
    let [BudgetChange::Over(over)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(
        over.reason,
        "over its budget max-dead-letters `1% over 1m`: 51 dead letters of 1000 records (5.1 %) in 4s"
    );
    let used = &watch.uses(watched, 9000)[0];
    assert!(used.is_over && !used.is_usual);
    assert_eq!(used.most, "1% over 1m");
    assert!(!watch.uses(watched, 99_000)[0].is_over, "it is long ago");
}
