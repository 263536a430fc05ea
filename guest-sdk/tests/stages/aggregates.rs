//! Aggregates, against a model that knows no batches.

use super::any::{Dice, seeds};
use super::*;

/// A record's number in a row of its own: `word number`, at its time.
#[derive(Clone, Copy, Debug)]
struct Sent {
    partition: u32,
    time_ms: i64,
    key: &'static str,
    number: i64,
}

const SIZE_MS: i64 = 30;
const HOP_MS: i64 = 10;

type All = (
    u64,
    u64,
    i64,
    f64,
    i64,
    i64,
    i64,
    i64,
    Vec<i64>,
    u64,
    [f64; 3],
);

fn shown(key: &str, all: All, window: Window) -> String {
    let (count, even, sum, mean, least, most, first, last, some, different, parts) = all;
    format!(
        "{key} {}..{} {count} {even} {sum} {mean:.3} {least} {most} {first} {last} {some:?} {different} {:.1} {:.1} {:.1}",
        window.start.0, window.end.0, parts[0], parts[1], parts[2]
    )
}

macro_rules! all_of {
    ($scoped:expr) => {
        $scoped.aggregate(|each| {
            (
                each.count(),
                each.count_if(|p| p.1 % 2 == 0),
                each.sum(|p| p.1),
                each.avg(|p| p.1),
                each.min(|p| p.1),
                each.max(|p| p.1),
                each.first(|p| p.1),
                each.last(|p| p.1),
                each.collect(3, |p| p.1),
                each.approx_distinct(|p| p.1),
                each.percentiles([0.0, 50.0, 100.0], |p| p.1 / 2),
            )
        })
    };
}

#[job]
fn hopping_aggregates() -> Job {
    all_of!(
        pairs("in")
            .key_by(|p| p.0)
            .window(hopping(millis(SIZE_MS as u64), millis(HOP_MS as u64)))
    )
    .map(|group| shown(group.key, group.value, group.window))
    .to(console())
}

#[job]
fn session_aggregates() -> Job {
    all_of!(pairs("in").key_by(|p| p.0).window(session(millis(1000))))
        .map(|group| shown(group.key, group.value, group.window))
        .to(console())
}

#[job]
fn running_aggregates() -> Job {
    let nowhen = Window {
        start: Time(0),
        end: Time(0),
    };
    all_of!(pairs("in").key_by(|p| p.0).running())
        .map(move |update| shown(update.key, update.value, nowhen))
        .to(console())
}

/// In order of time in each partition, so that none is late; both begin at once.
fn any_records(dice: &mut Dice) -> Vec<Sent> {
    let mut at = [0; 2];
    let sent = |partition, time_ms, key, number| Sent {
        partition,
        time_ms,
        key,
        number,
    };
    let mut records = vec![sent(0, 0, "a", 4), sent(1, 0, "a", -4)];
    for _ in 0..40 + dice.below(40) {
        let partition = dice.below(2) as u32;
        at[partition as usize] += dice.below(4) as i64;
        let key = ["a", "b", "c"][dice.below(3) as usize];
        let number = dice.below(15) as i64 - 7;
        records.push(sent(partition, at[partition as usize], key, number));
    }
    records
}

/// What a reader would reckon by hand of the records of one key and window.
fn by_hand(key: &str, window: (i64, i64), records: &[Sent]) -> String {
    let mut sorted: Vec<(i64, i64)> = records.iter().map(|r| (r.time_ms, r.number)).collect();
    sorted.sort_unstable();
    let numbers: Vec<i64> = sorted.iter().map(|(_, number)| *number).collect();
    let (count, sum) = (numbers.len(), numbers.iter().sum::<i64>());
    let mut ascending = numbers.clone();
    ascending.sort_unstable();
    let mut different = ascending.clone();
    different.dedup();
    let halves: Vec<i64> = ascending.iter().map(|n| n / 2).collect();
    format!(
        "value={key} {}..{} {count} {} {sum} {:.3} {} {} {} {} {:?} {} {:.1} {:.1} {:.1}",
        window.0,
        window.1,
        numbers.iter().filter(|n| *n % 2 == 0).count(),
        sum as f64 / count as f64,
        ascending[0],
        ascending[count - 1],
        numbers[0],
        numbers[count - 1],
        &numbers[..count.min(3)],
        different.len(),
        halves[0] as f64,
        halves[(count - 1) / 2] as f64, // within 1 %, which one digit does not show
        halves[count - 1] as f64,
    )
}

fn windows(records: &[Sent]) -> Vec<String> {
    let mut all: BTreeMap<(&str, i64), Vec<Sent>> = BTreeMap::new();
    for record in records {
        let last = record.time_ms.div_euclid(HOP_MS) * HOP_MS;
        for hop in 0..SIZE_MS / HOP_MS {
            let start = last - hop * HOP_MS;
            all.entry((record.key, start)).or_default().push(*record);
        }
    }
    let mut rows: Vec<String> = all
        .iter()
        .map(|((key, start), records)| by_hand(key, (*start, start + SIZE_MS), records))
        .collect();
    rows.sort_unstable();
    rows
}

/// One of each key, over all its records.
fn by_key(records: &[Sent], window: impl Fn(&[Sent]) -> (i64, i64)) -> Vec<String> {
    let mut all: BTreeMap<&str, Vec<Sent>> = BTreeMap::new();
    for record in records {
        all.entry(record.key).or_default().push(*record);
    }
    all.iter()
        .map(|(key, records)| by_hand(key, window(records), records))
        .collect()
}

fn in_batches<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    records: &[Sent],
    dice: &mut Dice,
) -> Vec<String> {
    let texts: Vec<String> = records
        .iter()
        .map(|record| format!("{} {}", record.key, record.number))
        .collect();
    let mut job = testing::run(job);
    let mut from = 0;
    while from < records.len() {
        let size = if from == 0 {
            2
        } else {
            1 + dice.below(9) as usize
        };
        let to = records.len().min(from + size);
        for partition in [0, 1] {
            let mine = (from..to).filter(|at| records[*at].partition == partition);
            let mine: Vec<_> = mine
                .map(|at| Record::from(&texts[at]).at(records[at].time_ms))
                .collect();
            if !mine.is_empty() {
                job.with("in", partition, mine);
            }
        }
        job.pass(millis(1));
        from = to;
    }
    let rows = job.end().rows("console");
    assert_eq!(job.late(), 0);
    rows
}

#[test]
fn aggregates_are_the_same_in_any_batches_and_as_by_hand() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let records = any_records(&mut dice);
        let mut rows = in_batches(hopping_aggregates, &records, &mut dice);
        rows.sort_unstable();
        assert_eq!(rows, windows(&records), "SEED={seed}");

        let times = |records: &[Sent]| {
            let times = records.iter().map(|record| record.time_ms);
            let last = times.clone().max().unwrap_or_default();
            (times.min().unwrap_or_default(), last + 1000)
        };
        let mut rows = in_batches(session_aggregates, &records, &mut dice);
        rows.sort_unstable();
        assert_eq!(rows, by_key(&records, times), "SEED={seed}");

        // Of each key the last update is what all its records come to.
        let rows = in_batches(running_aggregates, &records, &mut dice);
        let last: BTreeMap<&str, &String> = rows
            .iter()
            .map(|row| (row.split(' ').next().unwrap_or_default(), row))
            .collect();
        let last: Vec<String> = last.into_values().cloned().collect();
        assert_eq!(last, by_key(&records, |_| (0, 0)), "SEED={seed}");
    }
}

#[job]
fn alone() -> Job {
    pairs("in")
        .also(|p| {
            let means = p.key_by(|p| p.0).each_batch().avg(|p| p.1);
            means.map(line).to(kafka("avg"))
        })
        .also(|p| {
            let firsts = p.key_by(|p| p.0).each_batch().first(|p| p.1);
            firsts.map(line).to(kafka("first"))
        })
        .also(|p| {
            let lasts = p.key_by(|p| p.0).each_batch().last(|p| p.1);
            lasts.map(line).to(kafka("last"))
        })
        .also(|p| {
            let some = p.key_by(|p| p.0).each_batch().collect(2, |p| p.1);
            some.map(line).to(kafka("collect"))
        })
        .also(|p| {
            let different = p.key_by(|p| p.0).each_batch().approx_distinct(|p| p.1);
            different.map(line).to(kafka("different"))
        })
        .key_by(|p| p.0)
        .each_batch()
        .percentiles([0.0, 100.0], |p| p.1)
        .map(line)
        .to(console())
}

#[test]
fn each_is_a_verb_of_its_own() {
    let mut job = testing::run(alone);
    let sent = [(7, "a 3"), (5, "a 8"), (9, "a 3"), (9, "a -2"), (9, "b 1")];
    job.send("in", at(&sent));
    assert_eq!(job.rows("avg"), ["value=a 3.0 0..0", "value=b 1.0 0..0"]);
    assert_eq!(job.rows("first"), ["value=a 8 0..0", "value=b 1 0..0"]);
    assert_eq!(job.rows("last"), ["value=a 3 0..0", "value=b 1 0..0"]);
    assert_eq!(
        job.rows("collect"),
        ["value=a [8, 3] 0..0", "value=b [1] 0..0"]
    );
    assert_eq!(job.rows("different"), ["value=a 3 0..0", "value=b 1 0..0"]);
    assert_eq!(
        job.rows("console"),
        ["value=a [-2.0, 8.0] 0..0", "value=b [1.0, 1.0] 0..0"]
    );
}
