//! The next version, and what the driver finds.

use super::*;

#[job(name = "counts")]
fn counts_v1() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("words")
        .running()
        .count()
        .to(console())
}

#[job(name = "counts")]
fn counts_v2() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("words")
        .running()
        .fold(
            || (0u64, 0u64),
            |acc, w| {
                acc.0 += 1;
                acc.1 += w.len() as u64
            },
            |acc, more| {
                acc.0 += more.0;
                acc.1 += more.1
            },
        )
        .migrate_from(0, |count: u64| (count, 0))
        .map(|u| format!("{} {:?}", u.key, u.value))
        .to(console())
}

#[job(name = "counts")]
fn counts_v3() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("other-words")
        .running()
        .count()
        .to(console())
}

#[job(name = "counts")]
fn counts_v4() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("words")
        .version(1)
        .running()
        .count()
        .to(console())
}

#[test]
fn the_next_version_carries_on_with_what_was_kept() {
    let mut job = testing::run(counts_v1);
    job.send("in", ["aa", "b", "aa"]);
    let mut job = job.deploy(counts_v1);
    job.send("in", ["aa"]);
    assert_eq!(job.rows("console"), ["key=aa value=3"]);
    let mut job = job.deploy(counts_v2);
    job.send("in", ["aa", "c"]);
    assert_eq!(job.rows("console"), ["value=aa (4, 2)", "value=c (1, 1)"]);
    assert_eq!(job.kept("words"), 3);
}

#[job(name = "kept")]
fn kept_v1() -> Job {
    let names = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    let joined = pairs("left")
        .key_by(|l| l.0)
        .join(
            pairs("right").key_by(|r| r.0),
            within(seconds(5)),
            |l, r| format!("{} {}", l.1, r.1),
        )
        .to(kafka("joined"));
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("gaps")
                .window(session(seconds(5)))
                .count()
                .map(line)
                .to(kafka("gaps"))
        })
        .also(|w| {
            let hops = hopping(seconds(20), seconds(10));
            w.key_by(|w| *w)
                .named("hops")
                .window(hops)
                .count()
                .map(line)
                .to(kafka("hops"))
        })
        .key_by(|w| *w)
        .lookup(names.key_by(|n| n.0), |w, name| {
            format!("{w} {:?}", name.map(|n| n.1))
        })
        .to(console())
        .and(joined)
}

/// As the version before it, but that it counts in pairs, and has one stage more.
#[job(name = "kept")]
fn kept_v2() -> Job {
    let names = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    let joined = pairs("left")
        .key_by(|l| l.0)
        .join(
            pairs("right").key_by(|r| r.0),
            within(seconds(5)),
            |l, r| format!("{} {}", l.1, r.1),
        )
        .to(kafka("joined"));
    let more = |acc: &mut (u8, u64), more: (u8, u64)| acc.1 += more.1;
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("new")
                .running()
                .count()
                .to(kafka("new"))
        })
        .also(|w| {
            let counts = w
                .key_by(|w| *w)
                .named("gaps")
                .version(2)
                .window(session(seconds(5)));
            let counts = counts
                .fold(|| (0u8, 0u64), |acc, _| acc.1 += 1, more)
                .migrate_from(0, |n: u64| (9, n));
            counts.map(line).to(kafka("gaps"))
        })
        .also(|w| {
            let counts = w
                .key_by(|w| *w)
                .named("hops")
                .window(hopping(seconds(20), seconds(10)));
            let counts = counts
                .fold(|| (0u8, 0u64), |acc, _| acc.1 += 1, more)
                .migrate_from(0, |n: u64| (9, n));
            counts.map(line).to(kafka("hops"))
        })
        .key_by(|w| *w)
        .lookup(names.key_by(|n| n.0), |w, name| {
            format!("{w} {:?}", name.map(|n| n.1))
        })
        .to(console())
        .and(joined)
}

#[test]
fn windows_tables_and_joins_are_carried_on() {
    let mut job = testing::run(kept_v1);
    job.send("names", [("a", "anna")])
        .send("left", at(&[(0, "k 1")]))
        .send("right", at(&[(9_999, "x 0")]));
    job.send("in", at(&[(0, "a"), (9_000, "a")]))
        .send("left", at(&[(9_999, "y 0")]));
    let mut job = job.deploy(kept_v2);
    job.send("in", at(&[(9_500, "a"), (4_500, "b")]))
        .send("right", at(&[(5_000, "k 2")]));
    assert_eq!(
        job.rows("console"),
        ["value=a Some(\"anna\")", "value=b None"]
    );
    assert_eq!(job.rows("joined"), ["value=1 2"]);
    assert_eq!(job.rows("new"), ["key=a value=1", "key=b value=1"]);
    assert_eq!(
        (job.rows("hops").len(), job.late()),
        (0, 0),
        "what the sources had reached is known too"
    );
    job.end();
    assert_eq!(
        job.rows("hops"),
        [
            "value=a (9, 3) -10000..10000",
            "value=b (0, 1) -10000..10000",
            "value=a (9, 3) 0..20000",
            "value=b (0, 1) 0..20000"
        ]
    );
    assert_eq!(
        job.rows("gaps"),
        [
            "value=a (9, 1) 0..5000",
            "value=a (9, 2) 9000..14500",
            "value=b (0, 1) 4500..9500"
        ]
    );
}

#[job(name = "seen")]
fn seen_v1() -> Job {
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("ever")
                .running()
                .count()
                .to(kafka("ever"))
        })
        .also(|w| {
            w.key_by(|w| *w)
                .named("gaps")
                .window(session(millis(5)))
                .count()
                .to(kafka("gaps"))
        })
        .key_by(|w| *w)
        .named("hops")
        .window(hopping(millis(20), millis(10)))
        .count()
        .to(kafka("hops"))
}

#[job(name = "seen")]
fn seen_v2() -> Job {
    words("in")
        .also(|w| {
            let ever = w
                .key_by(|w| *w)
                .named("ever")
                .running()
                .distinct()
                .migrate_from(0, |_: u64| ());
            ever.map(|u| u.key.to_string()).to(kafka("ever"))
        })
        .also(|w| {
            let gaps = w
                .key_by(|w| *w)
                .named("gaps")
                .window(session(millis(5)))
                .distinct();
            gaps.migrate_from(0, |_: u64| ())
                .map(line)
                .to(kafka("gaps"))
        })
        .key_by(|w| *w)
        .named("hops")
        .window(hopping(millis(20), millis(10)))
        .distinct()
        .migrate_from(0, |_: u64| ())
        .map(line)
        .to(kafka("hops"))
}

#[test]
fn what_became_distinct_is_given_once_and_what_was_open_is_given() {
    let mut job = testing::run(seen_v1);
    job.send("in", at(&[(0, "a")]));
    let mut job = job.deploy(seen_v2);
    job.send("in", at(&[(9, "b")]))
        .send("in", at(&[(9, "a")]))
        .end();
    assert_eq!(job.rows("ever"), ["value=b"], "a was seen before");
    assert_eq!(
        job.rows("gaps"),
        ["value=a () 0..5", "value=a () 9..14", "value=b () 9..14"]
    );
    let hops = [
        "value=a () -10..10",
        "value=b () -10..10",
        "value=a () 0..20",
        "value=b () 0..20",
    ];
    assert_eq!(job.rows("hops"), hops);
}

#[test]
#[should_panic(
    expected = "the next version cannot be deployed: stage `words`, which keeps state (`u64` version 0), is not in this version"
)]
fn a_stage_that_is_gone_refuses_the_next_version() {
    testing::run(counts_v1).deploy(counts_v3);
}

#[test]
#[should_panic(
    expected = "the next version cannot be deployed: stage `words` has kept `u64` version 0"
)]
fn another_version_of_the_values_refuses_the_next_version() {
    testing::run(counts_v1).deploy(counts_v4);
}

// ── what the driver finds ────────────────────────────────────────────────────────────────────

#[job]
fn differences() -> Job {
    pairs("in")
        .key_by(|p| p.0)
        .each_batch()
        .reduce(|a, b| (a.0, a.1 - b.1))
        .map(line)
        .to(console())
}

#[test]
#[should_panic(
    expected = "the reduction of stage `reduce` depends on how records are cut into batches: is it associative?"
)]
fn a_reduction_that_is_not_associative_is_found_out() {
    testing::run(differences).send("in", ["a 1", "a 2", "a 3"]);
}

#[job]
fn running_differences() -> Job {
    pairs("in")
        .key_by(|p| p.0)
        .running()
        .reduce(|a, b| (a.0, a.1 - b.1))
        .map(|u| u.value.1.to_string())
        .to(console())
}

#[test]
#[should_panic(
    expected = "is it associative? Whole they come to `value=3`, in another cut to `value=-3`"
)]
fn and_by_what_was_kept() {
    testing::run(running_differences)
        .send("in", ["a 1"])
        .send("in", ["a 1", "a 3"]);
}

#[job]
fn means() -> Job {
    pairs("in")
        .key_by(|p| p.0)
        .each_batch()
        .fold(
            || (0.0, 0u64),
            |acc, p| {
                acc.0 += p.1 as f64 / 10.0;
                acc.1 += 1
            },
            |acc, more| {
                acc.0 += more.0;
                acc.1 += more.1
            },
        )
        .map(|g| format!("{} {}", g.key, g.value.0 / g.value.1 as f64))
        .to(console())
}

#[job]
fn shown() -> Job {
    let tenths = pairs("in")
        .key_by(|p| p.0)
        .each_batch()
        .sum(|p| p.1 as f64 / 10.0);
    tenths
        .map(|g| format!("{:?}", (g.key, g.value)))
        .to(console())
}

#[test]
fn sums_of_floats_may_differ_in_their_last_digits() {
    let mut job = testing::run(means);
    job.send("in", ["a 1", "a 2", "a 3", "a 7", "a 11", "a 13"]);
    assert_eq!(job.rows("console").len(), 1);
    let mut job = testing::run(shown);
    job.send("in", ["a 1", "a 2", "a 3", "a 7", "a 11", "a 13"]);
    assert_eq!(job.rows("console").len(), 1, "within other text too");
}

#[job]
fn impure_fold() -> Job {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEEN: AtomicU64 = AtomicU64::new(0);
    words("in")
        .key_by(|w| *w)
        .each_batch()
        .fold(
            || SEEN.fetch_add(1, Ordering::Relaxed),
            |acc, _| *acc += 1,
            |acc, more| *acc += more,
        )
        .to(console())
}

#[test]
#[should_panic(expected = "depends on")]
fn a_reduction_that_keeps_something_is_found_out() {
    testing::run(impure_fold).send("in", ["a", "b", "a"]);
}

#[test]
#[should_panic(expected = "the sources have ended")]
fn nothing_comes_after_the_end() {
    testing::run(scopes::each_batch).end().send("in", ["a"]);
}
