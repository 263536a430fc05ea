//! Windows: when they end, and what is late.

use super::*;

#[job]
fn tumbling_words() -> Job {
    words("in")
        .key_by(|word| *word)
        .named("w")
        .window(tumbling(seconds(10)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn a_window_ends_when_the_watermark_reaches_its_end() {
    let mut job = testing::run(tumbling_words);
    job.send("in", at(&[(0, "a"), (9_999, "a"), (3, "b")]));
    assert!(job.rows("console").is_empty());
    assert_eq!(job.kept("w"), 2);
    job.send("in", at(&[(10_000, "c")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 2 0..10000", "value=b 1 0..10000"]
    );
    assert_eq!(job.kept("w"), 1);
    assert_eq!(
        job.pass(seconds(100)).rows("console"),
        [""; 0],
        "the clock has no say"
    );
    assert_eq!(job.end().rows("console"), ["value=c 1 10000..20000"]);
    assert_eq!((job.kept("w"), job.late()), (0, 0));
}

#[test]
fn windows_before_1970_begin_at_multiples_of_their_size_too() {
    let mut job = testing::run(tumbling_words);
    job.send(
        "in",
        at(&[(-10_001, "a"), (-10_000, "a"), (-1, "a"), (0, "a")]),
    )
    .end();
    assert_eq!(
        job.rows("console"),
        [
            "value=a 1 -20000..-10000",
            "value=a 2 -10000..0",
            "value=a 1 0..10000"
        ]
    );
    assert_eq!(job.late(), 0);
}

#[test]
fn a_record_is_late_once_its_partition_has_reached_the_end_of_its_window() {
    let mut job = testing::run(tumbling_words);
    job.send(
        "in",
        at(&[
            (9_999, "a"),
            (1, "b"),
            (10_000, "c"),
            (9_999, "d"),
            (10_001, "e"),
            (0, "f"),
        ]),
    );
    assert_eq!(job.late(), 2, "d and f come after c");
    assert_eq!(
        job.rows("console"),
        ["value=a 1 0..10000", "value=b 1 0..10000"]
    );
    assert_eq!(job.dead_letters(), [""; 0], "late is no fault");
    job.send("in", at(&[(9_999, "g"), (10_000, "c")]));
    assert_eq!(job.late(), 1);
    assert_eq!(
        job.end().rows("console"),
        ["value=c 2 10000..20000", "value=e 1 10000..20000"]
    );
}

#[job]
fn lenient() -> Job {
    let window = tumbling(seconds(10)).watermark(seconds(3));
    words("in")
        .key_by(|word| *word)
        .named("w")
        .window(window)
        .count()
        .map(line)
        .to(console())
}

#[test]
fn the_watermarks_bound_is_exact() {
    let mut job = testing::run(lenient);
    job.send("in", at(&[(1, "a"), (12_999, "b"), (2, "a")]));
    assert_eq!((job.late(), job.rows("console").len()), (0, 0));
    job.send("in", at(&[(13_000, "c"), (9_999, "a"), (10_000, "b")]));
    assert_eq!(
        job.late(),
        1,
        "a's window and its lateness have passed, b's have not"
    );
    assert_eq!(job.rows("console"), ["value=a 2 0..10000"]);
    job.end();
    assert_eq!(
        job.rows("console"),
        ["value=b 2 10000..20000", "value=c 1 10000..20000"]
    );
}

#[test]
fn partitions_go_at_their_own_pace() {
    let mut job = testing::run(tumbling_words);
    job.send_to("in", 0, at(&[(5_000, "a")]))
        .send_to("in", 1, at(&[(25_000, "x"), (6_000, "y")]));
    assert_eq!(job.late(), 1, "y is late in its own partition");
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "partition 0 holds the windows open"
    );
    job.send_to("in", 0, at(&[(6_000, "a"), (10_000, "b")]));
    assert_eq!(job.rows("console"), ["value=a 2 0..10000"]);
    job.send_to("in", 0, at(&[(30_000, "c")]));
    assert_eq!(
        job.rows("console"),
        ["value=b 1 10000..20000"],
        "partition 1 has come to 25000"
    );
    job.send_to("in", 2, at(&[(7_000, "late"), (21_000, "x")]));
    assert_eq!(
        (job.late(), job.rows("console").len()),
        (1, 0),
        "a new partition does not turn time back"
    );
    assert_eq!(
        job.end().rows("console"),
        ["value=x 2 20000..30000", "value=c 1 30000..40000"]
    );
}

#[test]
fn partitions_in_one_batch_are_judged_by_themselves() {
    let mut job = testing::run(tumbling_words);
    job.with("in", 1, at(&[(50_000, "b")]))
        .send_to("in", 0, at(&[(1, "a"), (20_000, "a")]));
    assert_eq!(job.late(), 0);
    assert_eq!(job.rows("console"), ["value=a 1 0..10000"]);
}

#[job]
fn two_sources() -> Job {
    words("slow")
        .key_by(|word| *word)
        .named("slow-words")
        .window(tumbling(seconds(10)))
        .count()
        .map(line)
        .to(console())
        .and(
            words("fast")
                .key_by(|w| *w)
                .named("fast-words")
                .window(tumbling(seconds(10)))
                .count()
                .to(kafka("out")),
        )
        .and(
            words("plain")
                .key_by(|w| *w)
                .named("plain-words")
                .each_batch()
                .count()
                .to(kafka("plain-out")),
        )
}

#[test]
fn a_source_that_sent_nothing_holds_windows_open_until_it_is_idle() {
    let mut job = testing::run(two_sources);
    job.send("plain", at(&[(1, "p")]));
    assert_eq!(job.rows("plain-out"), ["key=p value=1"]);
    job.send("fast", at(&[(0, "a"), (15_000, "a")]));
    assert_eq!(job.rows("out"), [""; 0]);
    job.idle("slow");
    assert_eq!(
        job.rows("out"),
        ["key=a value=1"],
        "untimed sources hold nothing back"
    );
    job.send("slow", at(&[(9_999, "late"), (10_000, "b")]));
    assert_eq!(job.late(), 1, "the watermark was at 15000");
    job.send("fast", at(&[(30_000, "a")]));
    assert_eq!(job.rows("out"), [""; 0], "slow counts again, at 10000");
    job.send("slow", at(&[(20_000, "b")]));
    assert_eq!(
        (job.rows("out"), job.rows("console")),
        (
            vec!["key=a value=1".into()],
            vec!["value=b 1 10000..20000".into()]
        )
    );
}

#[test]
fn where_all_are_idle_the_partition_that_came_furthest_counts() {
    let mut job = testing::run(tumbling_words);
    job.send_to("in", 0, at(&[(5_000, "a")]))
        .send_to("in", 1, at(&[(25_000, "b")]));
    assert_eq!(job.rows("console"), [""; 0]);
    assert_eq!(job.idle("in").rows("console"), ["value=a 1 0..10000"]);
    job.send_to("in", 0, at(&[(19_999, "late"), (20_000, "a")]));
    assert_eq!(
        (job.late(), job.kept("w")),
        (1, 2),
        "the watermark was at 25000"
    );
    assert_eq!(
        testing::run(tumbling_words).idle("in").rows("console"),
        [""; 0],
        "nothing came yet"
    );
}

#[job]
fn hops() -> Job {
    words("in")
        .key_by(|w| *w)
        .named("w")
        .window(hopping(seconds(30), seconds(10)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn hopping_windows_share_their_panes() {
    let mut job = testing::run(hops);
    job.send("in", at(&[(0, "a"), (12_000, "a"), (12_001, "b")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 1 -20000..10000"],
        "12001 is past the first window's end"
    );
    job.send("in", at(&[(21_000, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 2 -10000..20000", "value=b 1 -10000..20000"]
    );
    job.send("in", at(&[(9_999, "a"), (19_999, "a"), (20_000, "a")]));
    assert_eq!(job.late(), 0, "some of their windows are open");
    assert_eq!(job.kept("w"), 4);
    job.send("in", at(&[(30_000, "c")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 6 0..30000", "value=b 1 0..30000"]
    );
    assert_eq!(
        job.kept("w"),
        4,
        "the pane at 0 is gone, one at 30000 is new"
    );
    job.send("in", at(&[(9_999, "d")]));
    assert_eq!(job.late(), 1, "the last of its windows ended at 30000");
    job.end();
    assert_eq!(
        job.rows("console"),
        [
            "value=a 4 10000..40000",
            "value=b 1 10000..40000",
            "value=c 1 10000..40000",
            "value=a 2 20000..50000",
            "value=c 1 20000..50000",
            "value=c 1 30000..60000",
        ]
    );
    assert_eq!(job.kept("w"), 0);
}

#[test]
fn a_record_counts_for_the_hopping_windows_that_are_open_however_batches_are_cut() {
    for batches in [vec![vec![25_000, 5_000]], vec![vec![25_000], vec![5_000]]] {
        let mut job = testing::run(hops);
        let mut rows = Vec::new();
        for batch in &batches {
            let batch: Vec<_> = batch.iter().map(|&time_ms| (time_ms, "a")).collect();
            job.send("in", at(&batch));
            rows.extend(job.rows("console"));
        }
        rows.extend(job.end().rows("console"));
        assert_eq!(
            (rows, job.late()),
            (
                vec![
                    "value=a 2 0..30000".into(),
                    "value=a 1 10000..40000".into(),
                    "value=a 1 20000..50000".into(),
                ],
                0
            ),
            "{batches:?}"
        );
    }
}

#[job]
fn late_words() -> Job {
    words("in")
        .filter(|word| *word != "dropped")
        .key_by(|word| *word)
        .window(tumbling(seconds(10)))
        .late_to(kafka("too-late"))
        .count()
        .to(console())
}

#[test]
fn late_items_can_be_rows_and_a_record_that_was_dropped_moves_time_too() {
    let mut job = testing::run(late_words);
    job.send(
        "in",
        at(&[
            (10_000, "dropped"),
            (9_999, "a"),
            (10_000, "b"),
            (20_000, "dropped"),
            (1, "c"),
        ]),
    );
    assert_eq!(job.rows("too-late"), ["value=a", "value=c"]);
    assert_eq!(job.late(), 2);
    assert_eq!(job.rows("console"), ["key=b value=1"]);
}

#[job]
fn late_beside() -> Job {
    words("in")
        .also(|w| {
            let counts = w
                .key_by(|w| *w)
                .named("counts")
                .window(tumbling(seconds(10)))
                .late_to(kafka("too-late"));
            counts.count().map(line).to(kafka("counts"))
        })
        .to(console())
}

#[test]
fn late_items_of_a_branch_can_be_rows() {
    let mut job = testing::run(late_beside);
    job.send("in", at(&[(10_000, "a"), (9_999, "b"), (10_000, "c")]));
    assert_eq!(
        (job.rows("too-late"), job.late()),
        (vec!["value=b".into()], 1)
    );
    assert_eq!(
        job.rows("console").len(),
        3,
        "it is not late for the main chain"
    );
    assert_eq!(
        job.end().rows("counts"),
        ["value=a 1 10000..20000", "value=c 1 10000..20000"]
    );
}

/// The event time is taken in a branch, before a branch of its own; the main chain goes without.
#[job]
fn timed_in_a_branch() -> Job {
    let time = |text: &str| {
        text.split_once(' ')
            .and_then(|(_, ms)| ms.parse().ok())
            .unwrap_or(0)
    };
    words("in")
        .also(move |all| {
            all.timed_by(move |text| Time(time(text)))
                .map(str::to_owned)
                .also(|all| {
                    let inner = all
                        .key_by(|text| text[..1].to_owned())
                        .named("inner")
                        .window(tumbling(millis(10)));
                    inner
                        .late_to(kafka("inner-late"))
                        .count()
                        .map(line)
                        .to(kafka("inner"))
                })
                .key_by(|text| text[..1].to_owned())
                .named("outer")
                .window(tumbling(millis(10)).watermark(millis(5)))
                .late_to(kafka("outer-late"))
                .count()
                .map(line)
                .to(kafka("outer"))
        })
        .to(console())
}

#[test]
fn branches_of_a_branch_share_its_event_time() {
    let mut job = testing::run(timed_in_a_branch);
    job.send(
        "in",
        at(&[
            (99, "a 5"),
            (99, "b 25"),
            (0, "c 19"),
            (0, "d 26"),
            (50, "e 14"),
            (99, "f 15"),
        ]),
    );
    assert_eq!(
        job.rows("inner-late"),
        ["value=c 19", "value=e 14", "value=f 15"],
        "25 has passed 10..20"
    );
    assert_eq!(
        job.rows("outer-late"),
        ["value=c 19", "value=e 14", "value=f 15"],
        "and its 5 more"
    );
    job.send("in", ["g 19", "h 30", "i 29"]);
    assert_eq!(job.rows("inner-late"), ["value=g 19", "value=i 29"]);
    assert_eq!(job.rows("outer-late"), ["value=g 19"], "35 is not reached");
    job.end();
    let inner = [
        "value=a 1 0..10",
        "value=b 1 20..30",
        "value=d 1 20..30",
        "value=h 1 30..40",
    ];
    assert_eq!(job.rows("inner"), inner);
    let outer = [
        "value=a 1 0..10",
        "value=b 1 20..30",
        "value=d 1 20..30",
        "value=i 1 20..30",
        "value=h 1 30..40",
    ];
    assert_eq!(job.rows("outer"), outer);
    assert_eq!(job.rows("console").len(), 9);
}

#[job]
fn timed() -> Job {
    pairs("in")
        .filter(|(word, _)| *word != "dropped")
        .timed_by(|(_, time_ms)| Time(*time_ms))
        .key_by(|(word, _)| *word)
        .window(tumbling(seconds(10)))
        .count()
        .to(console())
}

#[test]
fn event_times_can_come_from_the_items_that_pass() {
    let mut job = testing::run(timed);
    job.send(
        "in",
        at(&[
            (99_999, "dropped 50000"),
            (99_999, "a 9999"),
            (0, "b 10000"),
            (0, "c 9999"),
            (0, "d x"),
        ]),
    );
    assert_eq!(job.rows("console"), ["key=a value=1"]);
    assert_eq!((job.late(), job.dead_letters().len()), (1, 1));
    job.send("in", [format!("f {}", i64::MAX).as_str(), "g 10000"]);
    assert_eq!(
        job.dead_letters().len(),
        1,
        "one record from the end of time does not end all windows"
    );
    assert_eq!(
        job.end().rows("console"),
        ["key=b value=1", "key=g value=1"]
    );
}

#[job]
fn several_of_one_record() -> Job {
    words("in")
        .flat_map(|text| text.split(' ').filter_map(|n| n.parse::<i64>().ok()))
        .timed_by(|n| Time(*n))
        .key_by(|n| *n)
        .window(tumbling(millis(10)))
        .count()
        .to(console())
}

#[test]
fn items_of_one_record_are_not_late_by_each_other() {
    let mut job = testing::run(several_of_one_record);
    job.send("in", ["30 5", "7", "30"]);
    assert_eq!(job.late(), 1);
    assert_eq!(
        job.end().rows("console"),
        ["key=5 value=1", "key=30 value=2"]
    );
}

#[test]
fn a_record_of_no_possible_time_is_set_aside() {
    let mut job = testing::run(tumbling_words);
    job.send("in", at(&[(i64::MAX, "a"), (i64::MIN, "b"), (0, "c")]));
    assert_eq!(
        job.dead_letters(),
        [
            "in@0: 9223372036854775807 is no event time in milliseconds since 1970",
            "in@1: -9223372036854775808 is no event time in milliseconds since 1970",
        ]
    );
    assert_eq!(
        (job.late(), job.end().rows("console")),
        (0, vec!["value=c 1 0..10000".into()])
    );
}

#[job]
fn words_by_their_own_times() -> Job {
    words("in")
        .timed_by(|word| Time(word.parse().unwrap_or(i64::MAX)))
        .key_by(|_| "all")
        .named("w")
        .window(tumbling(seconds(10)))
        .count()
        .map(line)
        .to(console())
}

/// Microseconds for milliseconds, once.
#[test]
fn a_record_too_far_ahead_of_its_own_time_is_set_aside() {
    let mut job = testing::run(words_by_their_own_times);
    let day = 86_400_000;
    let records = [
        (2_000, "1000"),
        (3_000, "2000000000"),
        (4_000, "3000"),
        (0, "4000"),
    ];
    job.send("in", at(&records));
    assert_eq!(
        job.dead_letters(),
        [
            "in@1: its event time, 1970-01-24T03:33:20.000Z, is more than 1day ahead of the record's own, 1970-01-01T00:00:03.000Z (--set ahead=…)"
        ]
    );
    job.send("in", at(&[(5_000, "5000")]));
    assert_eq!((job.late(), job.kept("w")), (0, 1));
    // A day is allowed; a record at the time 0 has none to hold it against.
    let (last, later) = ((day + 6_000).to_string(), (9 * day).to_string());
    job.send("in", at(&[(6_000, &last), (0, &later)]));
    assert!(job.dead_letters().is_empty());
    assert_eq!(job.rows("console")[0], "value=all 4 0..10000");
}

#[job]
fn updated() -> Job {
    let window = tumbling(seconds(10))
        .watermark(seconds(1))
        .allowed_lateness(seconds(5));
    words("in")
        .key_by(|word| *word)
        .named("w")
        .window(window)
        .count()
        .map(line)
        .to(console())
}

#[test]
fn late_records_change_what_was_given_for_as_long_as_they_may() {
    let mut job = testing::run(updated);
    job.send("in", at(&[(1_000, "a"), (2_000, "b"), (10_999, "x")]));
    assert!(job.rows("console").is_empty(), "a second is waited for");
    job.send("in", at(&[(11_000, "x")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 1 0..10000", "value=b 1 0..10000"]
    );
    job.send("in", at(&[(9_999, "a"), (3_000, "c"), (4_000, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 3 0..10000", "value=c 1 0..10000"],
        "what changed, as it stands after the batch"
    );
    assert_eq!(job.pass(seconds(60)).rows("console"), [""; 0]);
    // The last that counts comes in the batch that ends it.
    job.send(
        "in",
        at(&[(15_999, "x"), (5_000, "b"), (16_000, "x"), (5_000, "a")]),
    );
    assert_eq!(
        (job.rows("console"), job.late()),
        (vec!["value=b 2 0..10000".to_owned()], 1)
    );
    assert_eq!(job.kept("w"), 1, "x alone: nothing changes what was");
    assert_eq!(job.end().rows("console"), ["value=x 4 10000..20000"]);
}

#[job]
fn updated_and_early() -> Job {
    let window = hopping(seconds(4), seconds(2)).allowed_lateness(seconds(2));
    words("in")
        .key_by(|word| *word)
        .window(window.early_results())
        .count()
        .map(line)
        .to(console())
}

#[test]
fn early_results_and_updates_are_one_row_a_batch() {
    let mut job = testing::run(updated_and_early);
    job.send("in", at(&[(1_000, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 1 -2000..2000", "value=a 1 0..4000"]
    );
    job.send("in", at(&[(2_000, "a")]));
    assert_eq!(
        job.rows("console"),
        [
            "value=a 1 -2000..2000",
            "value=a 2 0..4000",
            "value=a 1 2000..6000"
        ],
        "the first one is given, and the others changed"
    );
    job.send("in", at(&[(1_500, "a")]));
    assert_eq!(
        job.rows("console"),
        ["value=a 2 -2000..2000", "value=a 3 0..4000"],
        "both changed, given or not"
    );
}

#[job]
fn moved() -> Job {
    words("in")
        .key_by(|word| *word)
        .window(hopping(seconds(20), seconds(10)).offset(seconds(33)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn windows_begin_at_their_offset() {
    let mut job = testing::run(moved);
    job.send(
        "in",
        at(&[(2_999, "a"), (3_000, "b"), (-7_000, "c"), (-7_001, "d")]),
    )
    .end();
    assert_eq!(
        job.rows("console"),
        [
            "value=a 1 -17000..3000",
            "value=a 1 -7000..13000",
            "value=b 1 -7000..13000",
            "value=c 1 -7000..13000",
            "value=b 1 3000..23000",
        ]
    );
    assert_eq!(
        job.late(),
        1,
        "c counts for the window that is not over, d for none"
    );
}

#[job(name = "days")]
fn days_in_berlin() -> Job {
    words("in")
        .key_by(|word| *word)
        .named("w")
        .window(calendar_days("Europe/Berlin").watermark(minutes(1)))
        .late_to(kafka("late"))
        .count()
        .map(line)
        .to(console())
}

/// Midnight before the day on which the clocks go on, and the one after it.
const SHORT_DAY: (i64, i64) = (1_774_738_800_000, 1_774_821_600_000);

#[test]
fn a_day_of_a_calendar_ends_at_its_zones_midnight() {
    let (begin, end) = SHORT_DAY;
    let mut job = testing::run(days_in_berlin);
    job.send(
        "in",
        at(&[(begin, "a"), (end - 1, "a"), (end + 59_999, "b")]),
    );
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "it waits for what is out of order"
    );
    assert_eq!(job.kept("w"), 2);
    job.send(
        "in",
        at(&[(begin + 5, "a"), (end + 60_000, "b"), (end - 1, "a")]),
    );
    assert_eq!(
        job.rows("console"),
        [format!("value=a 3 {begin}..{end}")],
        "and is given once"
    );
    assert_eq!(job.late(), 1);
    let next = end + 24 * 3_600_000;
    assert_eq!(
        job.end().rows("console"),
        [format!("value=b 2 {end}..{next}")]
    );
}

#[job]
fn days_nowhere() -> Job {
    let words = words("in").key_by(|word| *word);
    let days = words.window(calendar_days("Europe/Atlantis"));
    days.count().map(line).to(console())
}

#[test]
#[should_panic(expected = "there is no time zone `Europe/Atlantis`")]
fn days_of_no_zone_are_refused() {
    testing::run(days_nowhere);
}

#[job]
fn days_from_six() -> Job {
    let words = words("in").key_by(|word| *word);
    let days = words.window(calendar_days("UTC").offset(hours(6)));
    days.count().map(line).to(console())
}

#[test]
#[should_panic(expected = "leave `.offset(…)` out")]
fn days_that_begin_elsewhere_are_refused() {
    testing::run(days_from_six);
}

#[job]
fn weeks_given_again() -> Job {
    words("in")
        .key_by(|word| *word)
        .window(calendar_weeks(Weekday::Sunday, "UTC").allowed_lateness(hours(1)))
        .count()
        .map(line)
        .to(console())
}

#[test]
#[should_panic(expected = "write `.watermark(…)` in place of `.allowed_lateness(…)`")]
fn weeks_that_are_given_again_are_refused() {
    testing::run(weeks_given_again);
}

#[job]
fn months_of_the_clock() -> Job {
    words("in")
        .key_by(|word| *word)
        .window(calendar_months("UTC").processing_time())
        .count()
        .map(|month| month.value.to_string())
        .to(console())
}

#[test]
fn months_of_processing_time_go_by_the_batches_clock() {
    let mut job = testing::run(months_of_the_clock);
    job.send("in", at(&[(0, "a"), (SHORT_DAY.0, "a")]));
    assert_eq!(job.pass(days(32)).rows("console"), ["value=2"]);
    assert_eq!(job.late(), 0);
}

#[job(name = "days")]
fn days_in_london() -> Job {
    words("in")
        .key_by(|word| *word)
        .named("w")
        .window(calendar_days("Europe/London").watermark(minutes(1)))
        .late_to(kafka("late"))
        .count()
        .map(line)
        .to(console())
}

#[test]
#[should_panic(expected = "u64 in days in Europe/London")]
fn days_of_another_zone_are_other_state() {
    let mut job = testing::run(days_in_berlin);
    job.send("in", at(&[(SHORT_DAY.0, "a")]));
    let _ = job.deploy(days_in_london);
}
