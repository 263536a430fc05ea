//! Reductions, and ranks.

use super::*;

#[job]
fn reductions() -> Job {
    pairs("in")
        .also(|p| {
            p.key_by(|p| p.0)
                .named("sum")
                .each_batch()
                .sum(|p| p.1)
                .map(line)
                .to(kafka("sums"))
        })
        .also(|p| {
            p.key_by(|p| p.0)
                .named("min")
                .each_batch()
                .min(|p| p.1)
                .map(line)
                .to(kafka("mins"))
        })
        .also(|p| {
            p.key_by(|p| p.0)
                .named("max")
                .each_batch()
                .max(|p| p.1 as f64 / 2.0)
                .map(line)
                .to(kafka("maxs"))
        })
        .also(|p| {
            p.key_by(|p| p.0)
                .named("mean")
                .each_batch()
                .sum(|p| p.1 as f64 / 10.0)
                .map(line)
                .to(kafka("floats"))
        })
        .also(|p| {
            p.key_by(|p| p.0)
                .named("large")
                .each_batch()
                .reduce(|a, b| if b.1 > a.1 { b } else { a })
                .map(line)
                .to(kafka("large"))
        })
        .key_by(|p| p.0)
        .each_batch()
        .fold(
            Vec::new,
            |all, p| all.push(p.1),
            |all: &mut Vec<i64>, more| all.extend(more),
        )
        .map(line)
        .to(kafka("folds"))
}

#[test]
fn reductions_reduce() {
    let mut job = testing::run(reductions);
    job.send("in", ["a 3", "b -7", "a -1", "a 2", "b 0"]);
    assert_eq!(job.rows("sums"), ["value=a 4 0..0", "value=b -7 0..0"]);
    assert_eq!(job.rows("mins"), ["value=a -1 0..0", "value=b -7 0..0"]);
    assert_eq!(job.rows("maxs"), ["value=a 1.5 0..0", "value=b 0.0 0..0"]);
    assert_eq!(
        job.rows("large"),
        ["value=a (\"a\", 3) 0..0", "value=b (\"b\", 0) 0..0"]
    );
    assert_eq!(
        job.rows("folds"),
        ["value=a [3, -1, 2] 0..0", "value=b [-7, 0] 0..0"]
    );
    assert_eq!(job.rows("floats")[1], "value=b -0.7 0..0");
}

#[job]
fn distinct() -> Job {
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("batch")
                .each_batch()
                .distinct()
                .map(|g| g.key)
                .to(kafka("batch"))
        })
        .also(|w| {
            let windows = tumbling(seconds(10));
            w.key_by(|w| *w)
                .named("window")
                .window(windows)
                .distinct()
                .map(|g| g.key)
                .to(kafka("window"))
        })
        .key_by(|w| *w)
        .named("ever")
        .running()
        .expire_after(seconds(60))
        .distinct()
        .map(|u| u.key)
        .to(kafka("ever"))
}

#[test]
fn distinct_keys() {
    let mut job = testing::run(distinct);
    job.send("in", at(&[(0, "a"), (1, "b"), (2, "a")]))
        .send("in", at(&[(3, "c"), (4, "a")]));
    assert_eq!(
        job.rows("batch"),
        ["value=a", "value=b", "value=c", "value=a"]
    );
    assert_eq!(job.rows("ever"), ["value=a", "value=b", "value=c"]);
    assert_eq!(job.rows("window"), [""; 0]);
    job.send("in", at(&[(10_000, "a")]));
    assert_eq!(job.rows("window"), ["value=a", "value=b", "value=c"]);
    assert_eq!(job.rows("ever"), [""; 0]);
    job.pass(seconds(61)).send("in", at(&[(10_001, "a")]));
    assert_eq!(job.rows("ever"), ["value=a"], "it was forgotten");
}

// ── top ──────────────────────────────────────────────────────────────────────────────────────

#[job]
fn top() -> Job {
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("b")
                .each_batch()
                .count()
                .top(2)
                .named("batch-top")
                .map(|r| format!("{} {} {}", r.rank, r.key, r.value))
                .to(kafka("batch"))
        })
        .key_by(|w| *w)
        .window(hopping(seconds(20), seconds(10)))
        .count()
        .top(2)
        .map(|r| {
            format!(
                "{}/{} {} {} ..{}",
                r.window.start.0, r.rank, r.key, r.value, r.window.end.0
            )
        })
        .to(console())
}

#[test]
fn top_ranks_each_window_and_ties_go_to_the_smaller_key() {
    let mut job = testing::run(top);
    job.send(
        "in",
        at(&[(0, "c"), (0, "b"), (0, "a"), (0, "c"), (10_000, "b")]),
    );
    assert_eq!(job.rows("batch"), ["value=1 b 2", "value=2 c 2"]);
    assert_eq!(
        job.rows("console"),
        ["value=-10000/1 c 2 ..10000", "value=-10000/2 a 1 ..10000"]
    );
    job.end();
    assert_eq!(
        job.rows("console"),
        [
            "value=0/1 b 2 ..20000",
            "value=0/2 c 2 ..20000",
            "value=10000/1 b 1 ..30000"
        ]
    );
}
