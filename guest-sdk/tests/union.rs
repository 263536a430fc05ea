//! Streams that become one: `union`.

use streamhost::*;

fn numbered(record: Record<'_>) -> Result<(&str, i64), String> {
    let [key, number] = fields::<2>(record.text()?, ' ')?;
    Ok((key, number.parse().map_err(|_| "no number")?))
}

#[job]
fn views() -> Job {
    kafka("web")
        .try_map(|view| view.text())
        .union(
            kafka("mobile")
                .try_map(|view| view.text())
                .filter(|view| *view != "bot"),
        )
        .union(kafka("tv").try_map(|view| view.text()))
        .key_by(|page| *page)
        .running()
        .count()
        .to(console())
}

#[test]
fn what_has_one_key_comes_together_from_all_of_them() {
    let mut job = testing::run(views);
    job.send("web", ["home", "about"])
        .send("mobile", ["home", "bot"])
        .send("tv", ["home"]);
    assert_eq!(job.rows("console").last().unwrap(), "key=home value=3");
    job.send("tv", ["about"]);
    assert_eq!(job.rows("console").last().unwrap(), "key=about value=2");
}

/// One source has event times of its own, the other one its records'.
#[job]
fn timed() -> Job {
    kafka("stamped")
        .try_map(numbered)
        .timed_by(|(_, at)| Time::from_secs(*at))
        .union(kafka("plain").try_map(numbered))
        .key_by(|(key, _)| *key)
        .window(tumbling(seconds(10)))
        .count()
        .map(|group| format!("{} {} {}", group.key, group.window.start.0, group.value))
        .to(console())
}

#[test]
fn a_window_waits_for_both() {
    let mut job = testing::run(timed);
    let plain = |at: i64| Record::new(b"a 0").at(at * 1000);
    job.send("stamped", ["a 1", "a 12", "a 25"]);
    assert_eq!(
        job.rows("console"),
        [""; 0],
        "the other source is at its beginning"
    );
    job.send("plain", [plain(2)]).send("plain", [plain(13)]);
    assert_eq!(job.rows("console"), ["value=a 0 2"]);
    job.send("plain", [plain(26)]);
    assert_eq!(job.rows("console"), ["value=a 10000 2"]);
}

/// What a keyed stage makes, beside a source.
#[job]
fn corrected() -> Job {
    kafka("sales")
        .try_map(numbered)
        .key_by(|(shop, _)| *shop)
        .named("sold")
        .each_batch()
        .sum(|(_, cents)| cents)
        .map(|group| (group.key, group.value))
        .union(kafka("corrections").try_map(numbered))
        .key_by(|(shop, _)| *shop)
        .named("total")
        .running()
        .sum(|(_, cents)| cents)
        .to(console())
}

#[test]
fn a_keyed_stage_and_a_source_may_be_united() {
    let mut job = testing::run(corrected);
    job.send("sales", ["x 5", "x 7", "y 1"])
        .send("corrections", ["x -2"]);
    assert_eq!(
        job.rows("console"),
        ["key=x value=12", "key=y value=1", "key=x value=10"]
    );
}

/// Branches before and after, and a sink without a key.
#[job]
fn branched() -> Job {
    kafka("a")
        .also(|records| records.to(kafka("a-raw")))
        .try_map(|record| record.text())
        .union(kafka("b").try_map(|record| record.text()))
        .also(|all| all.filter(|text| text.len() > 1).to(kafka("long")))
        .to(kafka("all"))
}

#[test]
fn branches_stand_before_and_behind() {
    let mut job = testing::run(branched);
    job.send("a", ["1", "22"]).send("b", ["3", "44"]);
    assert_eq!(job.rows("a-raw"), ["value=1", "value=22"]);
    assert_eq!(
        job.rows("all"),
        ["value=1", "value=22", "value=3", "value=44"]
    );
    assert_eq!(job.rows("long"), ["value=22", "value=44"]);
}

/// Orders of two topics with their user's name, and counted by topic.
#[job]
fn of_two_topics() -> Job {
    let names = kafka("names").try_map(numbered).key_by(|(user, _)| *user);
    let orders = || kafka_topics(["web", "shop"]).every(seconds(5));
    orders()
        .also(|orders| orders.to(kafka("raw")))
        .try_map(|order| ok((order.topic(), order.text()?)))
        .also(|orders| {
            let counts = orders.key_by(|(topic, _)| *topic).running().count();
            counts.to(exactly_once(kafka("counts")))
        })
        .key_by(|(_, user)| *user)
        .lookup(names, |(_, user), number| {
            format!("{user} {:?}", number.map(|(_, n)| n))
        })
        .to(console())
}

#[test]
fn several_topics_are_one_source_for_all_that_follows() {
    let mut job = testing::run(of_two_topics);
    let sources = job.description().sources.iter();
    let names: Vec<_> = sources.map(|source| source.name.clone()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(job.description().every, Some(seconds(5)));
    job.send("names", ["ada 7"]);
    job.send("web", ["ada"]);
    job.with("shop", 0, ["ada"]).send("web", ["bob"]);
    assert_eq!(job.rows("raw").len(), 3);
    assert_eq!(
        job.rows("console"),
        ["value=ada Some(7)", "value=bob None", "value=ada Some(7)"]
    );
    assert_eq!(
        job.rows("counts"),
        ["key=web value=1", "key=web value=2", "key=shop value=1"]
    );
}

#[job]
fn no_topics() -> Job {
    kafka_topics::<&str>([]).try_map(|r| r.text()).to(console())
}

#[job]
fn one_topic_twice() -> Job {
    kafka_topics(["a", "b", "a"])
        .try_map(|r| r.text())
        .to(console())
}

#[test]
fn topics_that_cannot_be_one_source_are_told() {
    let mistake = testing::describe(no_topics).expect_err("refused");
    assert!(mistake.contains("name one at least"), "{mistake}");
    let mistake = testing::describe(one_topic_twice).expect_err("refused");
    assert!(mistake.contains("the topic `a` twice"), "{mistake}");
}
