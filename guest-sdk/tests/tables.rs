//! Tables and their changes, against the tables as they stand. `SEED=n` runs one seed alone.

use std::collections::BTreeMap;
use streamhost::flow::Flow;
use streamhost::*;

/// A table of a topic: a record's key with its two words, or without a value.
fn table<'b>(
    topic: &str,
) -> Stream<'b, impl Flow<'b, Item = TableChange<&'b str, (&'b str, i64)>> + use<'b>> {
    let pair = |record: Record<'b>| {
        if !record.has_value() {
            return ok((record.key_text()?, None));
        }
        let [word, number] = fields(record.text()?, ' ')?;
        ok((record.key_text()?, Some((word, number.parse::<i64>()?))))
    };
    kafka(topic)
        .try_map(pair)
        .key_by(|(key, _)| *key)
        .named(&format!("of-{topic}"))
        .table(|_, (_, value)| value)
}

/// Sums of the large ones by word.
#[job]
fn sums() -> Job {
    table("left")
        .filter_values(|(_, number)| *number >= 3)
        .map_values(|(word, number)| (word, number * 2))
        .group_by(|_, (word, _)| *word)
        .sum(|(_, number)| *number)
        .to(console())
}

#[job]
fn averages() -> Job {
    let groups = table("left").group_by(|key, _| key.len() as u64);
    groups.avg(|(_, number)| *number).to(console())
}

/// How many keys have a sum of so much: a table of a table's groups.
#[job]
fn counts_of_sums() -> Job {
    table("left")
        .group_by(|_, (word, _)| *word)
        .sum(|(_, number)| *number)
        .group_by(|_, sum| *sum)
        .count()
        .to(console())
}

#[job]
fn inner() -> Job {
    let of = |_: &&str, left: &(&str, i64), right: &(&str, i64)| format!("{}{}", left.0, right.1);
    table("left").join_table(table("right"), of).to(console())
}

#[job]
fn left() -> Job {
    let of = |key: &&str, left: &(&str, i64), right: Option<&(&str, i64)>| {
        format!("{key}{}{:?}", left.0, right.map(|right| right.1))
    };
    let joined = table("left").left_join_table(table("right"), of);
    joined.stage_named("pairs").to(console())
}

/// Small numbers in an order that the seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..40).collect(),
    }
}

type Known = BTreeMap<String, (String, i64)>;

/// What rows leave in a table that writes and deletes.
fn written(rows: &[String], into: &mut BTreeMap<String, String>) {
    for row in rows {
        let (key, rest) = row
            .strip_prefix("key=")
            .and_then(|row| row.split_once(' '))
            .expect("a key");
        match rest.strip_prefix("value=") {
            Some(value) => drop(into.insert(key.to_owned(), value.to_owned())),
            None => {
                assert_eq!(rest, "(deleted)");
                assert!(into.remove(key).is_some(), "{row}: there is none");
            }
        }
    }
}

/// Runs a job over changes of two tables, and holds what it wrote against what `want` makes of them
/// after each batch.
fn follow<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    seed: u64,
    want: impl Fn(&Known, &Known) -> BTreeMap<String, String>,
) {
    let has_right = {
        let described = testing::describe(&job).expect("a job");
        described.sources.len() > 1
    };
    let mut job = testing::run(job);
    let (mut dice, mut tables) = (Dice(seed), [Known::new(), Known::new()]);
    let mut there = BTreeMap::new();
    for _ in 0..6 {
        let side = if has_right { dice.roll(2) as usize } else { 0 };
        let mut records = Vec::new();
        for _ in 0..dice.roll(8) {
            let key = ["a", "b", "cc", "dd"][dice.roll(4) as usize].to_owned();
            let word = ["x", "y", "z"][dice.roll(3) as usize].to_owned();
            let value = (dice.roll(4) > 0).then(|| (word, dice.roll(7) as i64));
            match &value {
                Some(value) => drop(tables[side].insert(key.clone(), value.clone())),
                None => drop(tables[side].remove(&key)),
            }
            records.push((key, value.map(|(word, number)| format!("{word} {number}"))));
        }
        let records = records.iter().map(|(key, value)| match value {
            Some(value) => Record::from((key.as_str(), value.as_str())),
            None => Record::without_value().with_key(key.as_bytes()),
        });
        job.send(["left", "right"][side], records);
        written(&job.rows("console"), &mut there);
        assert_eq!(there, want(&tables[0], &tables[1]), "SEED={seed}");
        assert_eq!(job.dead_letters(), Vec::<String>::new());
    }
}

fn sums_of<'a>(values: impl Iterator<Item = (&'a String, i64)>) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (word, number) in values {
        *sums.entry(word.clone()).or_default() += number;
    }
    sums
}

fn texts<V: ToString>(values: impl IntoIterator<Item = (String, V)>) -> BTreeMap<String, String> {
    values
        .into_iter()
        .map(|(key, value)| (key, value.to_string()))
        .collect()
}

#[test]
fn groups_are_those_of_the_table_as_it_stands() {
    for seed in seeds() {
        follow(sums, seed, |left, _| {
            let large = left.values().filter(|(_, number)| *number >= 3);
            texts(sums_of(large.map(|(word, number)| (word, number * 2))))
        });
        follow(averages, seed, |left, _| {
            let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (key, (_, number)) in left {
                all.entry(key.len().to_string()).or_default().push(*number);
            }
            let avg = |numbers: Vec<i64>| numbers.iter().sum::<i64>() as f64 / numbers.len() as f64;
            let avg = |numbers| format!("{:?}", avg(numbers)); // as floats are shown, such as 1.0
            texts(all.into_iter().map(|(key, numbers)| (key, avg(numbers))))
        });
        follow(counts_of_sums, seed, |left, _| {
            let sums = sums_of(left.values().map(|(word, number)| (word, *number)));
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for sum in sums.values() {
                *counts.entry(sum.to_string()).or_default() += 1;
            }
            texts(counts)
        });
    }
}

#[test]
fn joined_tables_follow_both() {
    for seed in seeds() {
        follow(inner, seed, |left, right| {
            let both = left.iter().filter_map(|(key, (word, _))| {
                let (_, number) = right.get(key)?;
                Some((key.clone(), format!("{word}{number}")))
            });
            both.collect()
        });
        follow(left, seed, |left, right| {
            let of = |(key, (word, _)): (&String, &(String, i64))| {
                let number = right.get(key).map(|right| right.1);
                (key.clone(), format!("{key}{word}{number:?}"))
            };
            left.iter().map(of).collect()
        });
    }
}

#[derive(Row)]
struct Place<'a> {
    #[row(key)]
    id: &'a str,
    #[row("f:word")]
    word: &'a str,
    #[row("f:number")]
    number: i64,
}

#[job]
fn rows() -> Job {
    table("left")
        .map(|change| change.row(|id, (word, number)| Place { id, word, number }))
        .to(hbase("places"))
}

#[test]
fn changes_are_rows_that_are_written_and_deleted() {
    let mut job = testing::run(rows);
    job.send(
        "left",
        [("a", "x 1"), ("a", "x 1"), ("a", "y 2")].map(Record::from),
    );
    assert_eq!(
        job.rows("places"),
        ["key=a f:word=x f:number=1", "key=a f:word=y f:number=2"]
    );
    job.send(
        "left",
        [
            Record::without_value().with_key(b"a"),
            Record::without_value().with_key(b"b"),
        ],
    );
    assert_eq!(
        job.rows("places"),
        ["key=a (deleted)"],
        "`b` was never there"
    );
    assert_eq!(job.kept("of-left"), 0);
}

#[job]
fn counted_twice() -> Job {
    table("left")
        .key_by(|change| change.key)
        .running()
        .count()
        .to(console())
}

#[test]
fn a_count_of_changes_is_refused_with_the_way_out() {
    let mistake = testing::describe(counted_twice).expect_err("refused");
    assert!(mistake.contains("`.group_by(…)`"), "{mistake}");
}
