//! Functions with state: their order, their timers, what they refuse, and what is kept.

use super::any::{Dice, seeds};
use super::*;
use streamhost::Context;

/// What a function gives out here.
type Out<'a> = Context<'a, String>;

/// How often a word was there, and the last number; a number of 0 ends it, one below is refused.
fn counted(
    word: &str,
    (_, number): (&str, i64),
    kept: &mut Option<(u64, i64)>,
    ctx: &mut Out<'_>,
) -> Result<(), String> {
    if number < 0 {
        return Err(format!("{number} is below 0"));
    }
    let count = kept.map_or(0, |(count, _)| count) + 1;
    *kept = (number > 0).then_some((count, number));
    ctx.emit(format!("{word} {count} {number} at {}", ctx.event_time().0));
    Ok(())
}

#[job]
fn counting() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .process(counted)
        .to(console())
}

#[test]
fn each_item_is_given_with_the_state_of_its_key() {
    let mut job = testing::run(counting);
    job.send(
        "in",
        at(&[(1, "a 3"), (2, "b 1"), (0, "a 4"), (3, "a -1"), (4, "b 0")]),
    );
    job.send("in", at(&[(9, "a 5"), (9, "b 7")]));
    let rows = [
        "a 1 3 at 1",
        "a 2 4 at 0",
        "b 1 1 at 2",
        "b 2 0 at 4",
        "a 3 5 at 9",
        "b 1 7 at 9",
    ];
    assert_eq!(job.rows("console"), rows.map(|row| format!("value={row}")));
    assert_eq!(job.dead_letters(), ["process@a: -1 is below 0"]);
    assert_eq!((job.late(), job.kept("process")), (0, 2));
}

/// A timer so many milliseconds after each item, and back by so many.
#[job]
fn reminding() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .named("reminding")
        .process(
            |word, (_, after): (&str, i64), _: &mut Option<()>, ctx: &mut Out<'_>| {
                ctx.emit(format!("{word} at {}", ctx.event_time().0));
                match after {
                    0 => ctx.delete_timers(),
                    _ => ctx.timer_at(Time(ctx.event_time().0 + after)),
                }
            },
        )
        .on_timer(|word, timer: Timer, _, ctx| {
            ctx.emit(format!("{word} timer {} {}", timer.at.0, ctx.at_end()));
            if timer.at.0 % 10 == 0 {
                ctx.timer_at(timer.at + millis(1));
            }
            if timer.at.0 % 10 == 7 {
                ctx.timer_at(timer.at);
            }
        })
        .to(console())
}

fn rows(job: &mut testing::Driver<impl for<'b> Fn(Call<'b>) -> Job<'b>>) -> Vec<String> {
    let rows = job.rows("console");
    rows.into_iter()
        .map(|row| row.replace("value=", ""))
        .collect()
}

#[test]
fn a_timer_goes_off_before_what_is_later_however_batches_are_cut() {
    let items = at(&[
        (0, "a 5"),
        (5, "a 25"),
        (6, "a 3"),
        (20, "b 1"),
        (31, "a 0"),
        (50, "c 0"),
    ]);
    let whole = {
        let mut job = testing::run(reminding);
        job.send("in", items.clone());
        job.end();
        rows(&mut job)
    };
    let of_a = [
        "a at 0",
        "a at 5",
        "a timer 5 false",
        "a at 6",
        "a timer 9 false",
        "a timer 30 false",
        "a at 31",
    ];
    assert_eq!(whole[..7], of_a, "{whole:?}");
    assert!(
        !whole.contains(&"a timer 31 false".to_owned()),
        "it was deleted: {whole:?}"
    );
    let mut job = testing::run(reminding);
    for item in items {
        job.send("in", [item]);
    }
    job.end();
    let (mut whole, mut cut) = (whole, rows(&mut job));
    whole.sort();
    cut.sort();
    assert_eq!(whole, cut);
}

#[test]
fn timers_go_off_when_the_slowest_partition_has_passed_them() {
    let mut job = testing::run(reminding);
    job.send("in", at(&[(0, "a 5")]));
    job.send_to("in", 1, at(&[(0, "b 4")]));
    job.send("in", at(&[(9, "z 90")]));
    assert_eq!(rows(&mut job), ["a at 0", "b at 0", "z at 9"]);
    job.send_to("in", 1, at(&[(5, "y 90")]));
    assert_eq!(
        rows(&mut job),
        ["y at 5", "b timer 4 false"],
        "5 could come again"
    );
    job.send_to("in", 1, at(&[(6, "x 90"), (6, "x -9")]));
    assert_eq!(
        rows(&mut job),
        ["x at 6", "x at 6", "x timer -3 false", "a timer 5 false"],
        "what has passed is due at once; then by time"
    );
}

#[test]
fn a_timer_that_would_never_end_is_refused() {
    let mut job = testing::run(reminding);
    job.send("in", at(&[(0, "a 7")]));
    job.end();
    assert_eq!(rows(&mut job), ["a at 0", "a timer 7 true"]);
    let letters = job.dead_letters();
    assert!(
        letters.len() == 1 && letters[0].contains("would never end: set a later one"),
        "{letters:?}"
    );
}

#[job]
fn every_millisecond() -> Job {
    words("in")
        .key_by(|word| *word)
        .process(|_, _, _: &mut Option<u64>, ctx: &mut Out<'_>| ctx.timer_at(ctx.event_time()))
        .on_timer(|_, timer: Timer, fired, ctx| {
            *fired = Some(fired.unwrap_or(0) + 1);
            ctx.timer_at(timer.at + millis(1));
        })
        .to(console())
}

#[test]
fn a_timer_that_always_sets_another_ends_with_the_batch() {
    let mut job = testing::run(every_millisecond);
    job.send("in", at(&[(0, "a")]));
    job.end();
    assert_eq!(job.kept("process"), 1);
}

#[job]
fn without_handler() -> Job {
    words("in")
        .key_by(|word| *word)
        .process(|_, _, _: &mut Option<()>, ctx: &mut Out<'_>| ctx.timer_at(Time(1)))
        .to(console())
}

#[job]
fn of_both_clocks() -> Job {
    words("in")
        .key_by(|word| *word)
        .process(|_, _, _: &mut Option<()>, ctx: &mut Out<'_>| ctx.timer_at(Time(1)))
        .on_timer(|_, _, _, _| ())
        .processing_time()
        .to(console())
}

#[job]
fn too_many() -> Job {
    words("in")
        .key_by(|word| *word)
        .process(|_, _, _: &mut Option<()>, ctx: &mut Out<'_>| {
            (0..1_001).for_each(|n| ctx.timer_at(Time(n)));
        })
        .on_timer(|_, _, _, ctx| ctx.refuse("no"))
        .to(console())
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    type Built = fn(Call<'_>) -> Job<'_>;
    let cases: [(Built, &str); 3] = [
        (without_handler, "write `.on_timer(…)`"),
        (of_both_clocks, "`ctx.batch_timer_at(…)`"),
        (too_many, "the key has 1000 timers, which is the most"),
    ];
    for (job, told) in cases {
        let mut job = testing::run(job);
        job.send("in", at(&[(5_000, "a")]));
        let letters = job.dead_letters();
        assert!(letters[0].contains(told), "{letters:?}");
    }
}

/// Behind what has no event time.
#[job]
fn silent() -> Job {
    words("in")
        .key_by(|word| *word)
        .running()
        .count()
        .key_by(|update| update.key)
        .named("silent")
        .process(
            |_, update: Update<&str, u64>, kept: &mut Option<u64>, ctx: &mut Out<'_>| {
                *kept = Some(update.value);
                ctx.delete_timers();
                ctx.batch_timer_at(update.batch + seconds(10));
            },
        )
        .on_timer(|word, timer: Timer, kept: &mut Option<u64>, ctx| {
            assert!(timer.is_batch && timer.at <= ctx.batch_time());
            ctx.emit(format!("{word} {:?}", kept.take()));
        })
        .processing_time()
        .to(console())
}

#[test]
fn timers_of_the_batches_time_go_off_by_it() {
    let mut job = testing::run(silent);
    job.send("in", ["a", "b", "a"]);
    job.pass(seconds(6)).send("in", ["b"]);
    job.pass(seconds(5));
    assert_eq!(job.rows("console"), ["value=a Some(2)"]);
    job.pass(seconds(6));
    assert_eq!(job.rows("console"), ["value=b Some(2)"]);
    assert_eq!(job.kept("silent"), 0);
}

#[job]
fn forgetting() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .process(counted)
        .expire_after(seconds(60))
        .to(console())
}

#[test]
fn a_silent_key_is_forgotten() {
    let mut job = testing::run(forgetting);
    job.send("in", ["a 1", "b 1"]);
    job.pass(seconds(40)).send("in", ["b 2"]);
    job.pass(seconds(40)).send("in", ["a 3", "b 3"]);
    let rows: Vec<String> = job
        .rows("console")
        .iter()
        .map(|row| row[..9].to_owned())
        .collect();
    assert_eq!(
        rows,
        [
            "value=a 1",
            "value=b 1",
            "value=b 2",
            "value=a 1",
            "value=b 3"
        ]
    );
    job.pass(hours(1));
    assert_eq!(job.kept("process"), 0);
}

/// What comes of a function has the time of the item or timer that it came of.
#[job]
fn windows_behind() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .process(|word, (_, after): (&str, i64), _: &mut Option<()>, ctx| {
            ctx.emit(word.to_owned());
            ctx.timer_at(ctx.event_time() + millis(after as u64));
        })
        .on_timer(|word, _, _, ctx| ctx.emit(format!("{word} again")))
        .key_by(|text| text.clone())
        .window(tumbling(millis(10)))
        .count()
        .map(line)
        .to(console())
}

#[test]
fn what_comes_of_timers_is_on_time_behind_them() {
    let items = at(&[
        (1, "a 18"),
        (9, "a 3"),
        (25, "b 30"),
        (31, "a 60"),
        (70, "c 0"),
        (90, "c 9"),
    ]);
    let all = [
        "a 2 0..10",
        "a again 2 10..20",
        "b 1 20..30",
        "a 1 30..40",
        "b again 1 50..60",
        "c 1 70..80",
        "a again 1 90..100",
        "c 1 90..100",
        "c again 1 70..80",
        "c again 1 90..100",
    ];
    for cut in 1..=items.len() {
        let mut job = testing::run(windows_behind);
        for part in items.chunks(cut) {
            job.send("in", part.to_vec());
        }
        job.end();
        let mut found = rows(&mut job);
        found.sort();
        let mut all = all.to_vec();
        all.sort();
        assert_eq!(
            (found, job.late()),
            (all.iter().map(ToString::to_string).collect(), 0),
            "{cut}"
        );
    }
}

#[job(name = "counting")]
fn counting_v2() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .process(
            |word, _, kept: &mut Option<(u64, i64, bool)>, ctx: &mut Out<'_>| {
                ctx.emit(format!("{word} {kept:?}"));
            },
        )
        .migrate_from(0, |(count, number): (u64, i64)| (count, number, true))
        .to(console())
}

#[test]
fn the_next_version_makes_its_state_of_what_was_kept() {
    let mut job = testing::run(counting);
    job.send("in", ["a 3", "a 4"]);
    let mut job = job.deploy(counting_v2);
    job.send("in", ["a 1", "b 1"]);
    assert_eq!(
        job.rows("console"),
        ["value=a Some((2, 4, true))", "value=b None"]
    );
}

#[job]
fn once() -> Job {
    pairs("in")
        .key_by(|pair| pair.0)
        .deduplicate(millis(10))
        .map(|(word, number)| format!("{word} {number}"))
        .to(console())
}

#[test]
fn repeats_are_left_out_for_as_long_as_is_said() {
    let mut job = testing::run(once);
    let items = [
        (100, "a 1"),
        (110, "a 2"), // just within
        (90, "a 3"),  // late, and within
        (89, "a 4"),  // late, and long before
        (105, "b 5"),
        (111, "a 6"), // begins anew
        (112, "a 7"),
    ];
    job.send("in", at(&items));
    assert_eq!(
        job.rows("console"),
        ["value=a 1", "value=a 4", "value=a 6", "value=b 5"]
    );
    assert_eq!((job.late(), job.kept("deduplicate")), (0, 2));
    job.send("in", at(&[(115, "a 8"), (200, "x 9")]));
    assert_eq!(job.rows("console"), ["value=x 9"]);
    assert_eq!(job.kept("deduplicate"), 1, "a and b are forgotten");
    assert_eq!(job.end().kept("deduplicate"), 0);
}

/// By the definition: of each key's items, in order of time, those that are later than the last
/// one that was given by more than ten milliseconds.
fn first_ones(items: &[(i64, String)]) -> Vec<String> {
    let mut given: BTreeMap<String, i64> = BTreeMap::new();
    let mut rows = Vec::new();
    for (time_ms, text) in items {
        let key = text.split(' ').next().unwrap_or_default().to_owned();
        if given.get(&key).is_none_or(|before| *time_ms > before + 10) {
            given.insert(key, *time_ms);
            rows.push(format!("value={text}"));
        }
    }
    rows.sort_unstable();
    rows
}

#[test]
fn first_ones_are_the_same_in_any_batches() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let mut time_ms = 0;
        let items: Vec<(i64, String)> = (0..60)
            .map(|i| {
                time_ms += dice.below(6) as i64;
                let key = ["a", "b", "c"][dice.below(3) as usize];
                (time_ms, format!("{key} {i}"))
            })
            .collect();
        let mut job = testing::run(once);
        let mut rows = Vec::new();
        let mut from = 0;
        while from < items.len() {
            let to = items.len().min(from + 1 + dice.below(9) as usize);
            let batch = items[from..to].iter();
            job.send(
                "in",
                batch.map(|(time_ms, text)| Record::from(text.as_str()).at(*time_ms)),
            );
            rows.extend(job.rows("console"));
            from = to;
        }
        rows.extend(job.end().rows("console"));
        rows.sort_unstable();
        assert_eq!(rows, first_ones(&items), "SEED={seed}");
        assert_eq!(job.kept("deduplicate"), 0, "SEED={seed}");
    }
}

#[job]
fn threes() -> Job {
    kafka("in")
        .try_map(|record| ok((record.key_text()?, record.text()?)))
        .key_by(|(key, _)| *key)
        .count_window(3)
        .map(|(key, three)| {
            let values: Vec<&str> = three.iter().map(|(_, value)| *value).collect();
            format!("{key} {}", values.join(""))
        })
        .to(console())
}

#[job]
fn windows_of_nothing() -> Job {
    kafka("in")
        .try_map(|r| r.text())
        .key_by(|_| ())
        .count_window(0)
        .map(|_| "")
        .to(console())
}

/// However the items come in batches, the same of them come together.
#[test]
fn so_many_items_of_a_key_come_together() {
    let letters = "abcdefghijklmnopqrstuvwxyz";
    for size in [1, 2, 3, 5, 7, 26] {
        let mut job = testing::run(threes);
        let items: Vec<(&str, String)> = letters
            .chars()
            .enumerate()
            .map(|(n, letter)| (if n % 4 == 0 { "x" } else { "y" }, letter.to_string()))
            .collect();
        for some in items.chunks(size) {
            let records = some
                .iter()
                .map(|(key, letter)| Record::from((*key, letter.as_str())));
            job.send("in", records);
        }
        let mut rows = job.end().rows("console");
        rows.sort_unstable();
        let of = |wanted: &str| {
            let own = items.iter().filter(|(key, _)| *key == wanted);
            let own: Vec<&str> = own.map(|(_, letter)| letter.as_str()).collect();
            let whole = own.chunks_exact(3);
            whole
                .map(|three| format!("value={wanted} {}", three.concat()))
                .collect::<Vec<_>>()
        };
        assert_eq!(rows, [of("x"), of("y")].concat(), "batches of {size}");
        assert_eq!(job.kept("count-window"), 2, "1 of 7, 1 of 19");
    }
    let mistake = testing::describe(windows_of_nothing).expect_err("refused");
    assert!(mistake.contains("1 to 10000 items, not 0"), "{mistake}");
}
