//! Keyed jobs from records to rows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use streamhost::*;

#[job]
fn wordcount() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .flat_map(str::split_whitespace)
        .key_by(|word| *word)
        .each_batch()
        .count()
        .to(console())
}

#[test]
fn words_are_counted_batch_by_batch() {
    let mut job = testing::run(wordcount);
    job.send("lines", ["to be or not to be", "to"]);
    assert_eq!(
        job.rows("console"),
        [
            "key=to value=3",
            "key=be value=2",
            "key=or value=1",
            "key=not value=1"
        ]
    );
    job.send("lines", ["be"]);
    assert_eq!(job.rows("console"), ["key=be value=1"]);
}

#[derive(Deserialize)]
struct View<'a> {
    user: &'a str,
    page: &'a str,
    at: i64,
    ms: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Spent {
    views: u64,
    ms: u64,
}

#[derive(Row)]
#[row(separator = "@")]
struct PageRow<'a> {
    #[row(key)]
    page: &'a str,
    #[row(key)]
    from: Time,
    #[row("page:users")]
    users: u64,
    #[row("page:views")]
    views: u64,
    #[row("page:seconds")]
    seconds: f64,
}

#[derive(Key, Clone, Copy, Debug, PartialEq, Eq)]
struct Visit<'a> {
    page: &'a str,
    user: &'a str,
}

/// Event time, and a second keyed stage behind the first.
#[job]
fn pageviews() -> Job {
    kafka("views")
        .try_map(|record| record.json::<View<'_>>())
        .timed_by(|view| Time(view.at))
        .key_by(|view| Visit {
            page: view.page,
            user: view.user,
        })
        .named("visits")
        .window(tumbling(minutes(1)))
        .fold(
            Spent::default,
            |spent, view| {
                spent.views += 1;
                spent.ms += view.ms;
            },
            |spent, other| {
                spent.views += other.views;
                spent.ms += other.ms;
            },
        )
        .key_by(|visit| (visit.key.page, visit.window.start))
        .named("pages")
        .each_batch()
        .fold(
            || (0u64, Spent::default()),
            |(users, all), visit| {
                *users += 1;
                all.views += visit.value.views;
                all.ms += visit.value.ms;
            },
            |(users, all), other| {
                *users += other.0;
                all.views += other.1.views;
                all.ms += other.1.ms;
            },
        )
        .map(|page| PageRow {
            page: page.key.0,
            from: page.key.1,
            users: page.value.0,
            views: page.value.1.views,
            seconds: page.value.1.ms as f64 / 1000.0,
        })
        .to(hbase("pages"))
}

#[test]
fn a_second_stage_sums_up_what_the_first_one_finished() {
    let view = |user: &str, page: &str, at: i64| {
        format!(r#"{{"user":"{user}","page":"{page}","at":{at},"ms":1500}}"#)
    };
    let mut job = testing::run(pageviews);
    let views = [
        view("ada", "/", 0),
        view("bob", "/", 59_999),
        view("ada", "/", 1),
        view("ada", "/x", 60_000),
        view("cy", "/", 3),
    ];
    job.send("views", views.iter().map(Record::from));
    assert_eq!(
        job.rows("pages"),
        ["key=/@0 page:users=2 page:views=3 page:seconds=4.5"]
    );
    assert_eq!(job.late(), 1);
    job.end();
    assert_eq!(
        job.rows("pages"),
        ["key=/x@60000 page:users=1 page:views=1 page:seconds=1.5"]
    );
    assert_eq!(
        job.description().stages[0].key_shape,
        "{page:text,user:text}"
    );
}

#[derive(Row)]
#[row(separator = "/")]
struct Trend<'a> {
    #[row(key)]
    start: Time,
    #[row(key)]
    rank: u32,
    #[row("trend:tag")]
    tag: &'a str,
    #[row("trend:count")]
    count: u64,
}

#[job]
fn hashtags() -> Job {
    kafka("posts")
        .try_map(|post| post.text())
        .flat_map(|text| text.split_whitespace().filter(|word| word.starts_with('#')))
        .key_by(|tag| *tag)
        .window(hopping(minutes(2), minutes(1)))
        .count()
        .top(2)
        .map(|tag| Trend {
            start: tag.window.start,
            rank: tag.rank,
            tag: tag.key,
            count: tag.value,
        })
        .to(hbase("trends"))
}

#[test]
fn tags_are_ranked_in_each_window() {
    let mut job = testing::run(hashtags);
    job.send(
        "posts",
        [
            Record::from("#rust is #fun and #odd"),
            Record::from("#rust #odd #fun #fun").at(60_000),
        ],
    );
    assert_eq!(
        job.rows("trends"),
        [
            "key=-60000/1 trend:tag=#fun trend:count=1",
            "key=-60000/2 trend:tag=#odd trend:count=1"
        ]
    );
    job.end();
    assert_eq!(
        job.rows("trends"),
        [
            "key=0/1 trend:tag=#fun trend:count=3",
            "key=0/2 trend:tag=#odd trend:count=2",
            "key=60000/1 trend:tag=#fun trend:count=2",
            "key=60000/2 trend:tag=#odd trend:count=1",
        ]
    );
}

#[derive(Serialize, Deserialize, Clone)]
struct Device {
    site: String,
}

#[derive(Row)]
#[row(separator = "-")]
struct Placed<'a> {
    #[row(key)]
    sensor: u32,
    #[row(key)]
    at: Time,
    #[row("place:site")]
    site: Option<String>,
    #[row("read:value")]
    value: &'a str,
}

#[job]
fn sensors() -> Job {
    let devices = kafka("devices")
        .try_map(|record| {
            let id: u32 = record.key_text()?.parse().map_err(|_| "no id")?;
            Ok::<_, String>((
                id,
                Device {
                    site: record.text()?.into(),
                },
            ))
        })
        .key_by(|(id, _)| *id);
    kafka("readings")
        .try_map(|record| {
            let [sensor, value] = fields(record.text()?, ' ')?;
            Ok::<_, String>((
                sensor.parse::<u32>().map_err(|e| e.to_string())?,
                Time(record.time_ms),
                value,
            ))
        })
        .key_by(|(sensor, ..)| *sensor)
        .lookup(devices, |(sensor, at, value), device| Placed {
            sensor,
            at,
            site: device.map(|(_, d)| d.site),
            value,
        })
        .to(hbase("readings"))
}

#[test]
fn readings_find_their_devices() {
    let mut job = testing::run(sensors);
    job.send("devices", [("7", "roof"), ("8", "cellar"), ("7", "attic")]);
    job.send("readings", ["7 1.5", "9 2"]);
    assert_eq!(
        job.rows("readings"),
        [
            "key=7-0 place:site=attic read:value=1.5",
            "key=9-0 read:value=2"
        ]
    );
    job.send(
        "devices",
        [
            Record::without_value().with_key(b"7"),
            Record::without_value().with_key(b"x"),
        ],
    );
    assert_eq!(
        job.dead_letters(),
        ["devices@4: the key `x` is no u32: invalid digit found in string"]
    );
    job.send("readings", ["7 1.6", "8 3"]);
    assert_eq!(
        job.rows("readings"),
        [
            "key=7-0 read:value=1.6",
            "key=8-0 place:site=cellar read:value=3"
        ]
    );
}

fn numbered(record: Record<'_>) -> Result<(&str, i64), String> {
    let [name, n] = fields(record.text()?, ' ')?;
    Ok((name, n.parse().map_err(|e| format!("{n}: {e}"))?))
}

/// One of each reduction, from one source.
#[job]
fn reductions() -> Job {
    kafka("in")
        .try_map(numbered)
        .also(|all| {
            all.key_by(|(name, _)| *name)
                .running()
                .sum(|(_, n)| n)
                .to(kafka("sum"))
        })
        .also(|all| {
            all.key_by(|(name, _)| *name)
                .running()
                .min(|(_, n)| n)
                .to(kafka("min"))
        })
        .also(|all| {
            all.key_by(|(name, _)| *name)
                .running()
                .max(|(_, n)| n as f64 / 2.0)
                .to(kafka("max"))
        })
        .also(|all| {
            all.key_by(|(name, _)| *name)
                .running()
                .reduce(|a, b| if b.1 % 2 == 0 { b } else { a })
                .map(|u| format!("{:?}", u.value))
                .to(kafka("reduce"))
        })
        .also(|all| {
            all.key_by(|(name, _)| *name)
                .running()
                .distinct()
                .map(|new| new.key)
                .to(kafka("new"))
        })
        .key_by(|(name, _)| *name)
        .named("each")
        .each_batch()
        .distinct()
        .map(|group| group.key)
        .to(kafka("seen"))
}

#[test]
fn each_reduction_stands_after_each_batch() {
    let mut job = testing::run(reductions);
    job.send("in", ["a 1", "b 5", "a -3", "a x"]);
    assert_eq!(job.rows("sum"), ["key=a value=-2", "key=b value=5"]);
    assert_eq!(job.rows("min"), ["key=a value=-3", "key=b value=5"]);
    assert_eq!(job.rows("max"), ["key=a value=0.5", "key=b value=2.5"]);
    assert_eq!(
        job.rows("reduce"),
        [r#"value=("a", 1)"#, r#"value=("b", 5)"#]
    );
    assert_eq!(job.rows("new"), ["value=a", "value=b"]);
    assert_eq!(job.rows("seen"), ["value=a", "value=b"]);
    job.send("in", ["c 0", "a 9", "a 1"]);
    assert_eq!(job.rows("sum"), ["key=c value=0", "key=a value=8"]);
    assert_eq!(job.rows("min"), ["key=c value=0", "key=a value=-3"]);
    assert_eq!(job.rows("max"), ["key=c value=0.0", "key=a value=4.5"]);
    assert_eq!(job.rows("new"), ["value=c"], "`a` was there before");
    assert_eq!(job.rows("seen"), ["value=c", "value=a"]);
    assert_eq!(job.dead_letters().len(), 1);
}

#[derive(Row)]
struct Late<'a> {
    #[row(value)]
    name: &'a str,
    #[row(skip)]
    at: i64,
}

#[job]
fn visits() -> Job {
    kafka("clicks")
        .try_map(|record| numbered(record).map(|(name, at)| Late { name, at }))
        .timed_by(|late| Time(late.at))
        .key_by(|late| late.name)
        .window(session(millis(10)))
        .late_to(kafka("late"))
        .count()
        .map(|visit| {
            format!(
                "{} {} {}..{}",
                visit.key, visit.value, visit.window.start.0, visit.window.end.0
            )
        })
        .to(console())
}

#[test]
fn a_session_ends_when_nothing_comes_for_longer_than_its_gap() {
    let mut job = testing::run(visits);
    job.send("clicks", ["a 1", "a 11", "b 31"]);
    assert!(
        job.rows("console").is_empty(),
        "a record of 21 would not be late, and prolong it"
    );
    job.send("clicks", ["b 32", "a 21"]);
    assert_eq!(job.rows("console"), ["value=a 2 1..21"]);
    assert_eq!(job.rows("late"), ["value=a"]);
    assert_eq!(job.end().rows("console"), ["value=b 2 31..42"]);
}

#[job]
fn paid() -> Job {
    let payments = kafka("payments")
        .try_map(numbered)
        .timed_by(|(_, at)| Time(*at))
        .key_by(|(order, _)| *order);
    kafka("orders")
        .try_map(numbered)
        .timed_by(|(_, at)| Time(*at))
        .key_by(|(order, _)| *order)
        .left_join(
            payments,
            within(millis(5)),
            |(order, at), paid| match paid {
                Some((_, paid)) => format!("{order} of {at} paid at {paid}"),
                None => format!("{order} of {at} is open"),
            },
        )
        .to(console())
}

#[test]
fn orders_find_their_payments_or_stay_open() {
    let mut job = testing::run(paid);
    job.send("orders", ["a 1", "b 2"]);
    job.send("payments", ["a 6", "b 8"]);
    assert_eq!(job.rows("console"), ["value=a of 1 paid at 6"]);
    assert_eq!(job.end().rows("console"), ["value=b of 2 is open"]);
}

/// A chain behind a table that is itself counted, with a branch that ends in a stage of its own.
#[job]
fn shares() -> Job {
    let totals = kafka("sales")
        .try_map(numbered)
        .key_by(|(_, _)| ())
        .named("total")
        .running()
        .sum(|(_, n)| n);
    let totals = totals.map(|all| all.value).key_by(|_| ());
    kafka("asked")
        .try_map(numbered)
        .key_by(|_| ())
        .lookup(totals, |(name, n), total| (name, n, total.unwrap_or(0)))
        .also(|all| {
            all.key_by(|(name, ..)| *name)
                .named("asks")
                .running()
                .count()
                .to(kafka("asks"))
        })
        .map(|(name, n, total)| format!("{name}: {n} of {total}"))
        .to(console())
}

#[test]
fn a_table_may_be_a_reduction() {
    let mut job = testing::run(shares);
    job.send("asked", ["x 1"])
        .send("sales", ["a 5", "b 7"])
        .send("asked", ["x 3"]);
    assert_eq!(job.rows("console"), ["value=x: 1 of 0", "value=x: 3 of 12"]);
    assert_eq!(job.rows("asks"), ["key=x value=1", "key=x value=2"]);
    let described = job.description();
    assert!(
        described
            .sources
            .iter()
            .all(|source| !source.table && !source.timed)
    );
}

#[derive(Key, Clone, Debug, PartialEq)]
struct Owned(String, u8, Pair<i64>);

#[derive(Key, Clone, Debug, PartialEq)]
struct Pair<T> {
    r#type: T,
    flag: bool,
}

#[test]
fn a_derived_key_reads_back_and_tells_keys_apart() {
    let keys = [
        ("a", 1, -1),
        ("a", 1, 2),
        ("a", 2, -1),
        ("ab", 1, -1),
        ("", 255, 0),
    ];
    let keys = keys.map(|(text, n, value)| {
        Owned(
            text.into(),
            n,
            Pair {
                r#type: value,
                flag: n > 1,
            },
        )
    });
    let mut seen = BTreeMap::new();
    for key in &keys {
        let mut bytes = Vec::new();
        key.write(false, &mut bytes);
        bytes.push(9);
        let mut rest = &bytes[..];
        assert_eq!(Owned::read(&mut rest, false).as_ref(), Some(key));
        assert_eq!(rest, [9]);
        assert_eq!(seen.insert(bytes, key), None);
    }
    assert_eq!(Owned::shape(), "{0:text,1:u8,2:{type:i64,flag:bool}}");
}

#[derive(Key, Clone, Copy, Debug, PartialEq)]
struct Id<'a>(&'a str);

#[job]
fn named_by_id() -> Job {
    let names = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    kafka("asked")
        .try_map(|r| r.text())
        .key_by(|id| Id(id))
        .lookup(names.key_by(|(id, _)| Id(id)), |id, name| {
            format!("{id}={:?}", name.map(|(_, name)| name))
        })
        .to(console())
}

#[test]
fn a_derived_key_of_one_field_is_that_field_to_a_table_too() {
    let mut job = testing::run(named_by_id);
    job.send(
        "names",
        [
            Record::from(("a", "Ada")),
            Record::from(("b", "Bob")),
            Record::without_value().with_key(b"a"),
        ],
    );
    job.send("asked", ["a", "b"]);
    assert_eq!(
        job.rows("console"),
        ["value=a=None", r#"value=b=Some("Bob")"#]
    );
    assert!(job.dead_letters().is_empty());
    let mut bytes = Vec::new();
    Id("é").write(true, &mut bytes);
    assert_eq!(
        (Id("é").lend(), Id::shape()),
        (Some(&bytes[..]), "{0:text}".into())
    );
    assert_eq!(
        Owned(
            "a".into(),
            1,
            Pair {
                r#type: 1,
                flag: true
            }
        )
        .lend(),
        None
    );
}

/// One table for two lookups: what deletes a key deletes it in both.
#[job]
fn looked_up_twice() -> Job {
    let table = kafka("names").try_map(|r| Ok::<_, RecordError>((r.key_text()?, r.text()?)));
    let asked = kafka("asked").try_map(|r| r.text());
    let table = table.also(|names| {
        let names = names.key_by(|(id, _)| *id);
        let ids = kafka("ids")
            .try_map(|r| r.text())
            .key_by(|id| *id)
            .named("second");
        ids.lookup(names, |id, name| format!("{id}={name:?}"))
            .to(kafka("second"))
    });
    asked
        .key_by(|id| *id)
        .lookup(table.key_by(|(id, _)| *id), |id, name| {
            format!("{id}={:?}", name.map(|(_, name)| name))
        })
        .to(kafka("first"))
}

#[test]
fn a_table_of_two_lookups_forgets_in_both() {
    let mut job = testing::run(looked_up_twice);
    let gone = |key: &'static [u8]| Record::without_value().with_key(key);
    job.send(
        "names",
        [
            Record::from(("a", "Ada")),
            gone(b"a"),
            Record::from(("b", "Bob")),
            gone(b"c"),
            gone(b"\xff"),
        ],
    );
    job.send("asked", ["a", "b"]).send("ids", ["a", "b"]);
    assert_eq!(
        job.rows("first"),
        ["value=a=None", r#"value=b=Some("Bob")"#]
    );
    assert_eq!(
        job.rows("second"),
        ["value=a=None", r#"value=b=Some(("b", "Bob"))"#]
    );
    assert_eq!(
        job.dead_letters(),
        ["names@4: the key is not UTF-8 at byte 0"],
        "told once"
    );
    let described = job.description();
    let tables: Vec<_> = described
        .sources
        .iter()
        .filter(|s| s.table)
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(tables, ["names"]);
}
