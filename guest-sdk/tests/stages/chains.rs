//! Several keyed stages, and faults behind one.

use super::*;

#[job]
fn pages() -> Job {
    pairs("in")
        .key_by(|p| (p.0, p.1))
        .named("visits")
        .window(tumbling(seconds(10)).watermark(seconds(5)))
        .count()
        .key_by(|visit| (visit.key.0, visit.window.start.0))
        .named("visitors")
        .each_batch()
        .count()
        .also(|pages| {
            pages
                .map(|g| format!("{:?} {}", g.key, g.value))
                .to(kafka("pages"))
        })
        .map(|g| g.key.0.to_string())
        .to(console())
}

#[test]
fn a_window_is_ranked_whole_by_the_stage_behind_it() {
    let mut job = testing::run(pages);
    job.send(
        "in",
        at(&[
            (0, "a 1"),
            (1, "a 2"),
            (2, "b 1"),
            (3, "a 1"),
            (12_000, "a 3"),
        ]),
    );
    job.send_to("in", 1, at(&[(9_999, "a 4"), (15_000, "b 5")]));
    assert_eq!(job.rows("pages"), [""; 0]);
    job.send("in", at(&[(15_000, "b 5")]));
    assert_eq!(
        job.rows("pages"),
        ["value=(\"a\", 0) 3", "value=(\"b\", 0) 1"]
    );
    job.end();
    assert_eq!(
        job.rows("pages"),
        ["value=(\"a\", 10000) 1", "value=(\"b\", 10000) 1"]
    );
    assert_eq!(
        job.rows("console"),
        ["value=a", "value=b", "value=a", "value=b"]
    );
}

#[job]
fn windows_of_windows() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("fine")
        .window(tumbling(seconds(10)).watermark(seconds(5)))
        .count()
        .key_by(|_| ())
        .named("coarse")
        .window(tumbling(seconds(20)))
        .sum(|group| group.value)
        .map(|g| format!("{} {}..{}", g.value, g.window.start.0, g.window.end.0))
        .to(console())
}

#[test]
fn windows_of_windows_wait_for_those_before_them() {
    let mut job = testing::run(windows_of_windows);
    job.send(
        "in",
        at(&[(0, "a"), (19_999, "a"), (24_999, "b"), (15_000, "b")]),
    );
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "the window at 10000 may still grow"
    );
    job.send("in", at(&[(25_000, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=3 0..20000"],
        "both in the batch that ends the fine one"
    );
    job.send("in", at(&[(39_999, "a"), (44_999, "a")]));
    assert_eq!(job.rows("console"), [""; 0]);
    assert_eq!(
        job.end().rows("console"),
        ["value=3 20000..40000", "value=1 40000..60000"]
    );
    assert_eq!(
        (job.late(), job.kept("fine"), job.kept("coarse")),
        (0, 0, 0)
    );
}

#[job]
fn joined_and_counted() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    pairs("left")
        .key_by(|l| l.0)
        .join(right, within(seconds(5)).watermark(seconds(1)), |l, r| {
            (l.0, r.1)
        })
        .key_by(|p| p.0)
        .window(tumbling(seconds(10)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn pairs_have_the_later_ones_time_and_windows_wait_for_them() {
    let mut job = testing::run(joined_and_counted);
    job.send("left", at(&[(7_000, "k 1"), (9_999, "k 2")]))
        .send("right", at(&[(9_000, "k 1"), (11_000, "k 2")]));
    job.send("left", at(&[(15_999, "x 0")]))
        .send("right", at(&[(15_999, "y 0")]));
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "a pair of 9999 could still come"
    );
    job.send("left", at(&[(16_000, "x 0")]))
        .send("right", at(&[(16_000, "y 0")]));
    assert_eq!(job.rows("console"), ["value=k 2 0..10000"]);
    assert_eq!(job.end().rows("console"), ["value=k 2 10000..20000"]);
    assert_eq!(job.late(), 0);
}

#[job]
fn looked_up_and_counted() -> Job {
    let names = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    words("in")
        .key_by(|w| *w)
        .lookup(names.key_by(|n| n.0), |word, name| {
            name.map_or(word, |n| n.1)
        })
        .key_by(|name| *name)
        .window(tumbling(seconds(10)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn what_was_looked_up_keeps_its_time() {
    let mut job = testing::run(looked_up_and_counted);
    assert!(
        job.description()
            .sources
            .iter()
            .any(|source| source.name == "in" && source.timed)
    );
    job.send("names", [("a", "anna")])
        .send("in", at(&[(0, "a"), (9_999, "b"), (10_000, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=anna 1 0..10000", "value=b 1 0..10000"]
    );
    assert_eq!(job.end().rows("console"), ["value=anna 1 10000..20000"]);
}

#[job]
fn itself() -> Job {
    words("in")
        .also(|w| {
            w.key_by(|w| *w)
                .named("counts")
                .running()
                .count()
                .filter(|u| u.value > 1)
                .to(kafka("often"))
        })
        .also(|w| w.filter(|w| w.len() > 1).to(kafka("long")))
        .key_by(|w| w.len() as u64)
        .named("lengths")
        .each_batch()
        .count()
        .to(console())
}

#[test]
fn branches_can_be_keyed_beside_a_keyed_chain() {
    let mut job = testing::run(itself);
    job.send("in", ["a", "bb", "a", "c"]);
    assert_eq!(job.rows("often"), ["key=a value=2"]);
    assert_eq!(job.rows("long"), ["value=bb"]);
    assert_eq!(job.rows("console"), ["key=1 value=3", "key=2 value=1"]);
}

#[job]
fn branches_behind() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("words")
        .window(tumbling(seconds(10)))
        .count()
        .also(|counts| {
            let lengths = counts
                .key_by(|g| g.key.len() as u64)
                .named("lengths")
                .window(tumbling(seconds(10)));
            lengths.max(|g| g.value).map(line).to(kafka("lengths"))
        })
        .also(|counts| counts.top(1).map(|r| r.key.to_string()).to(kafka("top")))
        .key_by(|_| ())
        .named("all")
        .running()
        .sum(|g| g.value)
        .map(|u| u.value.to_string())
        .to(console())
}

#[test]
fn a_keyed_stage_can_feed_several() {
    let mut job = testing::run(branches_behind);
    job.send(
        "in",
        at(&[(0, "a"), (1, "b"), (2, "b"), (3, "cc"), (10_000, "cc")]),
    );
    assert_eq!(
        job.rows("lengths"),
        ["value=1 2 0..10000", "value=2 1 0..10000"]
    );
    assert_eq!(
        (job.rows("top"), job.rows("console")),
        (vec!["value=b".into()], vec!["value=4".into()])
    );
    job.end();
    assert_eq!(job.rows("lengths"), ["value=2 1 10000..20000"]);
    assert_eq!(
        (job.rows("top"), job.rows("console")),
        (vec!["value=cc".into()], vec!["value=5".into()])
    );
}

#[test]
fn the_last_write_of_a_tables_key_wins_within_a_batch_too() {
    let mut job = testing::run(joins::lookup);
    let gone = Record::without_value();
    job.send(
        "devices",
        [
            Record::from(("s1", "roof")),
            gone.with_key(b"s1"),
            Record::from(("s1", "hall")),
        ],
    );
    job.send(
        "devices",
        [
            Record::from(("s2", "roof")),
            gone.with_key(b"s2"),
            Record::from(("s2", "bad")),
        ],
    );
    job.send("readings", ["s1 1", "s2 2"]);
    assert_eq!(
        job.rows("console"),
        ["value=s1 1 Some(\"hall\")", "value=s2 2 None"]
    );
}

#[job]
fn sessions_in_windows() -> Job {
    let sessions = words("in")
        .key_by(|w| *w)
        .window(session(millis(10)))
        .count();
    sessions
        .key_by(|_| ())
        .named("windows")
        .window(tumbling(millis(10)))
        .count()
        .map(|g| format!("{} {}..{}", g.value, g.window.start.0, g.window.end.0))
        .to(console())
}

#[test]
fn a_window_waits_for_the_session_that_is_over_a_moment_later() {
    let mut job = testing::run(sessions_in_windows);
    job.send("in", at(&[(0, "a")])).send("in", at(&[(20, "b")]));
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "an event of 10 would be in time, and could still join it"
    );
    job.send("in", at(&[(21, "b")]));
    assert_eq!(
        (job.rows("console"), job.late()),
        (vec!["value=1 0..10".into()], 0),
        "its last moment is 9"
    );
}

/// Behind a lookup, which waits for nothing, come all three kinds that can be late.
#[job]
fn late_behind_a_lookup() -> Job {
    let names = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    words("in")
        .key_by(|w| *w)
        .lookup(names.key_by(|n| n.0), |word, _| word)
        .also(|w| {
            w.key_by(|w| *w)
                .named("panes")
                .window(tumbling(millis(10)))
                .count()
                .map(line)
                .to(kafka("panes"))
        })
        .also(|w| {
            let sessions = w
                .key_by(|w| *w)
                .named("sessions")
                .window(session(millis(10)));
            sessions.count().map(line).to(kafka("sessions"))
        })
        .key_by(|w| *w)
        .left_join(words("right").key_by(|w| *w), within(millis(10)), |l, r| {
            format!("{l} {r:?}")
        })
        .to(kafka("pairs"))
}

#[test]
fn what_is_late_behind_a_lookup_is_counted_and_left_out() {
    let mut job = testing::run(late_behind_a_lookup);
    job.send("right", at(&[(100, "x")]))
        .send("in", at(&[(100, "a")]));
    assert_eq!(job.late(), 0);
    job.send("in", at(&[(90, "b"), (89, "c")]));
    assert_eq!(
        job.late(),
        1 + 1 + 1 + 1,
        "both for panes that ended by 100; 89 alone, as 90 + 10 is not below 100"
    );
    job.end();
    assert_eq!(job.rows("panes"), ["value=a 1 100..110"]);
    assert_eq!(
        job.rows("sessions"),
        ["value=b 1 90..100", "value=a 1 100..110"]
    );
    assert_eq!(job.rows("pairs"), ["value=b None", "value=a None"]);
}

#[job]
fn ranked() -> Job {
    let top = words("in")
        .key_by(|w| *w)
        .each_batch()
        .count()
        .top(2)
        .named("best");
    top.try_map(|r| {
        if r.value > 1 {
            Err("too many")
        } else {
            Ok(r.key.to_string())
        }
    })
    .to(console())
}

#[test]
fn a_top_is_called_as_it_is_named() {
    let mut job = testing::run(ranked);
    job.send("in", ["a", "a"]);
    let letters = job.dead_letters();
    assert!(letters[0].starts_with("best@"), "{letters:?}");
}

// ── faults behind a keyed stage ──────────────────────────────────────────────────────────────

#[job]
fn faults() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("counts")
        .each_batch()
        .count()
        .try_map(|g| {
            if g.value > 1 {
                Err(format!("{} are too many", g.value))
            } else {
                Ok(line(g))
            }
        })
        .to(console())
}

#[test]
fn a_group_that_fails_is_set_aside_under_its_stage_and_key() {
    let mut job = testing::run(faults);
    job.send("in", ["a", "b", "a"]);
    assert_eq!(job.rows("console"), ["value=b 1 0..0"]);
    assert_eq!(job.dead_letters(), ["counts@a: 2 are too many"]);
}
