//! Sessions, processing time, early results.

use super::*;

#[job]
fn sessions() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("s")
        .window(session(millis(100)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn a_session_goes_on_while_gaps_are_no_longer_than_the_gap() {
    let mut job = testing::run(sessions);
    job.send("in", at(&[(0, "a"), (100, "a"), (200, "b"), (201, "a")]));
    assert_eq!(
        job.kept("s"),
        3,
        "a's events at 100 and 201 are too far apart"
    );
    job.end();
    assert_eq!(
        job.rows("console"),
        [
            "value=a 2 0..200",
            "value=a 1 201..301",
            "value=b 1 200..300"
        ]
    );
}

#[test]
fn sessions_merge_across_batches() {
    let mut job = testing::run(sessions);
    job.send("in", at(&[(0, "a"), (150, "a")]))
        .send("in", at(&[(150, "b")]));
    assert_eq!(job.kept("s"), 3);
    job.send("in", at(&[(80, "a")]));
    assert_eq!(
        (job.kept("s"), job.late()),
        (2, 0),
        "one event joins two sessions"
    );
    job.send("in", at(&[(50, "b"), (250, "b")]));
    assert_eq!(job.kept("s"), 2);
    job.end();
    assert_eq!(
        job.rows("console"),
        ["value=a 3 0..250", "value=b 3 50..350"]
    );
}

#[test]
fn a_session_is_over_once_nothing_can_join_it() {
    let mut job = testing::run(sessions);
    // A record may be a gap behind: over when the watermark is beyond 0 + 100 + 100.
    job.send("in", at(&[(0, "a"), (200, "b")]));
    assert_eq!(job.rows("console"), [""; 0]);
    job.send("in", at(&[(100, "a"), (99, "c")]));
    assert_eq!(job.late(), 1, "100 + 100 is not below 200, and 99 + 100 is");
    job.send("in", at(&[(300, "b")]));
    assert_eq!(job.rows("console"), [""; 0]);
    job.send("in", at(&[(301, "b")]));
    assert_eq!(job.rows("console"), ["value=a 2 0..200"]);
    job.send("in", at(&[(201, "a"), (200, "a")]));
    assert_eq!(job.late(), 1);
    assert_eq!(
        job.end().rows("console"),
        ["value=a 1 201..301", "value=b 3 200..401"]
    );
}

#[job]
fn patient_sessions() -> Job {
    let window = session(millis(100)).watermark(millis(50));
    words("in")
        .key_by(|w| *w)
        .window(window)
        .count()
        .map(line)
        .to(console())
}

#[test]
fn sessions_wait_a_gap_and_their_lateness_for_what_may_prolong_them() {
    let mut job = testing::run(patient_sessions);
    job.send("in", at(&[(0, "a"), (250, "b")]));
    assert_eq!(job.rows("console"), [""; 0]);
    job.send("in", at(&[(251, "b")]));
    assert_eq!(job.rows("console"), ["value=a 1 0..100"]);
    job.send("in", at(&[(101, "c"), (100, "d")]));
    assert_eq!(job.late(), 1, "101 + 100 + 50 is not below 251");
}

#[job]
fn hasty_sessions() -> Job {
    words("in")
        .key_by(|w| *w)
        .window(session(seconds(10)).watermark(seconds(3)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn a_lateness_below_the_gap_drops_nothing_of_an_open_session() {
    for batches in [vec![vec![20_000, 15_000]], vec![vec![20_000], vec![15_000]]] {
        let mut job = testing::run(hasty_sessions);
        for batch in &batches {
            let batch: Vec<_> = batch.iter().map(|&time_ms| (time_ms, "a")).collect();
            job.send("in", at(&batch));
        }
        let rows = job.end().rows("console");
        assert_eq!(
            (rows, job.late()),
            (vec!["value=a 2 15000..30000".into()], 0),
            "{batches:?}"
        );
    }
}

// ── processing time, early results ───────────────────────────────────────────────────────────

#[job]
fn by_the_clock() -> Job {
    words("in")
        .also(|words| {
            let hops = hopping(seconds(20), seconds(10)).processing_time();
            words
                .key_by(|w| *w)
                .named("hops")
                .window(hops)
                .count()
                .map(line)
                .to(kafka("hops"))
        })
        .also(|words| {
            let sessions = session(seconds(5)).processing_time();
            words
                .key_by(|w| *w)
                .named("sessions")
                .window(sessions)
                .count()
                .map(line)
                .to(kafka("sessions"))
        })
        .key_by(|w| *w)
        .named("tumbling")
        .window(tumbling(seconds(10)).processing_time())
        .count()
        .map(line)
        .to(kafka("tumbling"))
}

#[test]
fn windows_of_processing_time_go_by_the_batches_clock() {
    let mut job = testing::run(by_the_clock);
    assert!(!job.description().sources[0].timed);
    job.send("in", at(&[(1_000_000, "a")]))
        .pass(seconds(5))
        .send("in", at(&[(-5, "a")]));
    job.pass(millis(4_999));
    assert_eq!((job.rows("tumbling").len(), job.rows("hops").len()), (0, 0));
    job.pass(millis(1));
    assert_eq!(job.rows("tumbling"), ["value=a 2 0..10000"]);
    assert_eq!(job.rows("hops"), ["value=a 2 -10000..10000"]);
    assert_eq!(
        job.rows("sessions"),
        [""; 0],
        "five seconds are not longer than five"
    );
    job.pass(millis(1)).send("in", ["b"]);
    assert_eq!(job.rows("sessions"), ["value=a 2 0..10000"]);
    job.pass(seconds(10));
    assert_eq!(job.rows("tumbling"), ["value=b 1 10000..20000"]);
    assert_eq!(
        job.rows("hops"),
        ["value=a 2 0..20000", "value=b 1 0..20000"]
    );
    assert_eq!(job.end().rows("hops"), ["value=b 1 10000..30000"]);
    assert_eq!(job.late(), 0);
}

#[job]
fn early() -> Job {
    let window = tumbling(seconds(10)).early_results();
    words("in")
        .also(|words| {
            let sessions = session(seconds(1)).early_results();
            words
                .key_by(|w| *w)
                .named("sessions")
                .window(sessions)
                .count()
                .map(line)
                .to(kafka("sessions"))
        })
        .also(|words| {
            let hops = hopping(seconds(20), seconds(10)).early_results();
            words
                .key_by(|w| *w)
                .named("hops")
                .window(hops)
                .count()
                .map(line)
                .to(kafka("hops"))
        })
        .key_by(|w| *w)
        .window(window)
        .count()
        .map(line)
        .to(console())
}

#[test]
fn early_results_show_what_a_batch_changed() {
    let mut job = testing::run(early);
    job.send("in", at(&[(1, "a"), (2, "b")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 1 0..10000", "value=b 1 0..10000"]
    );
    assert_eq!(
        job.rows("hops"),
        [
            "value=a 1 -10000..10000",
            "value=b 1 -10000..10000",
            "value=a 1 0..20000",
            "value=b 1 0..20000"
        ]
    );
    job.send("in", at(&[(3, "a")]));
    assert_eq!(job.rows("console"), ["value=a 2 0..10000"]);
    assert_eq!(
        job.rows("sessions"),
        [
            "value=a 1 1..1001",
            "value=b 1 2..1002",
            "value=a 2 1..1003"
        ]
    );
    assert_eq!(
        job.pass(seconds(1)).rows("console"),
        [""; 0],
        "nothing changed"
    );
    job.send("in", at(&[(10_000, "c"), (4, "a")]));
    assert_eq!(
        job.late(),
        1,
        "a record that is late for three stages is late once"
    );
    assert_eq!(
        job.rows("console"),
        [
            "value=a 2 0..10000",
            "value=b 1 0..10000",
            "value=c 1 10000..20000"
        ]
    );
    assert_eq!(job.end().rows("console"), ["value=c 1 10000..20000"]);
}
