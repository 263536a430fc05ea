//! Joins and tables.

use super::*;

#[job]
fn join() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    pairs("left")
        .key_by(|l| l.0)
        .join(right, within(millis(100)), |l, r| {
            format!("{}: {} {}", l.0, l.1, r.1)
        })
        .to(console())
}

#[test]
fn partners_are_no_further_apart_than_they_may() {
    let mut job = testing::run(join);
    job.send("left", at(&[(100, "k 1"), (0, "k 2"), (100, "other 9")]));
    job.send("right", at(&[(200, "k 11"), (100, "k 12"), (101, "k 13")]));
    assert_eq!(
        job.rows("console"),
        [
            "value=k: 1 11",
            "value=k: 2 12",
            "value=k: 1 12",
            "value=k: 1 13"
        ]
    );
    job.send("left", at(&[(201, "k 3")]));
    assert_eq!(
        job.rows("console"),
        ["value=k: 3 13", "value=k: 3 11"],
        "each pair once; 100 is too far"
    );
    assert_eq!((job.late(), job.end().rows("console").len()), (0, 0));
    assert_eq!(job.kept("join"), 0);
}

#[test]
fn what_waits_for_partners_is_let_go_when_none_can_come() {
    let mut job = testing::run(join);
    // Lateness is `within` by default: let go when the watermark is beyond 0 + 100 + 100.
    job.send("left", at(&[(0, "k 1"), (200, "x 0")]))
        .send("right", at(&[(200, "y 0")]));
    assert_eq!(job.kept("join"), 3);
    job.send("right", at(&[(100, "k 2"), (99, "k 3")]));
    assert_eq!(
        (job.rows("console"), job.late()),
        (vec!["value=k: 1 2".into()], 1)
    );
    job.send("left", at(&[(301, "x 0")]))
        .send("right", at(&[(201, "x 1")]));
    assert_eq!(job.rows("console"), ["value=x: 0 1", "value=x: 0 1"]);
    assert_eq!(job.kept("join"), 5, "the watermark is 201: k 1 is gone");
    job.send("right", at(&[(301, "k 4")]));
    assert_eq!(job.kept("join"), 5, "k 2 is gone, k 4 is new");
}

#[job]
fn left_join() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    pairs("left")
        .key_by(|l| l.0)
        .left_join(right, within(millis(100)).watermark(millis(0)), |l, r| {
            format!("{} {:?}", l.1, r.map(|r| r.1))
        })
        .to(console())
}

#[test]
fn lefts_that_stay_alone_are_given_once_none_can_come() {
    let mut job = testing::run(left_join);
    job.send("left", at(&[(0, "k 1"), (1, "k 2"), (3, "x 3")]))
        .send("right", at(&[(101, "k 7")]));
    assert_eq!(job.rows("console"), ["value=2 Some(7)"]);
    job.send("left", at(&[(100, "y 4")]));
    assert_eq!(job.rows("console"), [""; 0]);
    job.send("left", at(&[(101, "y 5")]));
    assert_eq!(job.rows("console"), ["value=1 None"]);
    assert_eq!(
        job.end().rows("console"),
        ["value=3 None", "value=4 None", "value=5 None"]
    );
}

#[derive(Serialize, Deserialize)]
struct Device<'a> {
    site: &'a str,
}

#[job]
pub(super) fn lookup() -> Job {
    let devices = kafka("devices").try_map(|r| {
        let key = r.key_text()?;
        if r.text()? == "bad" {
            Err("bad device".to_string())
        } else {
            Ok((key, Device { site: r.text()? }))
        }
    });
    pairs("readings")
        .key_by(|r| r.0)
        .named("sites")
        .lookup(devices.key_by(|d| d.0), |r, device| {
            format!("{} {} {:?}", r.0, r.1, device.map(|d| d.1.site))
        })
        .to(console())
}

#[test]
fn lefts_see_the_table_as_it_is_after_their_batch() {
    let mut job = testing::run(lookup);
    let source = |name: &str| {
        job.description()
            .sources
            .iter()
            .find(|s| s.name == name)
            .cloned()
            .unwrap()
    };
    assert!(source("devices").table && !source("devices").timed && !source("readings").table);
    job.send("readings", ["s1 1"]);
    job.send("devices", [("s1", "roof"), ("s1", "hall"), ("s2", "bad")]);
    job.send("readings", ["s1 2", "s2 3"]);
    assert_eq!(
        job.rows("console"),
        [
            "value=s1 1 None",
            "value=s1 2 Some(\"hall\")",
            "value=s2 3 None"
        ]
    );
    job.with("readings", 0, ["s1 4", "s3 5"]);
    let gone = Record::without_value();
    job.send(
        "devices",
        [
            gone.with_key(b"s1"),
            Record::from(("s3", "yard")),
            gone.with_key(b"none"),
        ],
    );
    assert_eq!(
        job.rows("console"),
        ["value=s1 4 None", "value=s3 5 Some(\"yard\")"]
    );
    assert_eq!(job.kept("sites"), 1);
    job.send("devices", [gone, gone.with_key(b"\xff")]);
    let letters = job.dead_letters();
    assert_eq!(letters[0], "devices@2: bad device");
    assert_eq!(
        (letters.len(), job.kept("sites")),
        (3, 1),
        "a deletion needs a key that can be read: {letters:?}"
    );
}

#[job]
fn numbered_table() -> Job {
    let names = kafka("names").try_map(|r| {
        let key = r.key_text()?.parse::<u32>().map_err(|e| e.to_string())?;
        Ok::<_, String>((key, r.text()?))
    });
    pairs("in")
        .key_by(|p| p.1 as u32)
        .lookup(names.key_by(|n| n.0), |p, name| {
            format!("{} {:?}", p.0, name.map(|n| n.1))
        })
        .to(console())
}

#[test]
fn a_deletions_key_is_read_as_its_type() {
    let mut job = testing::run(numbered_table);
    job.send("names", [("7", "seven"), ("8", "eight")]);
    job.send(
        "names",
        [
            Record::without_value().with_key(b"7"),
            Record::without_value().with_key(b"x"),
        ],
    );
    job.send("in", ["a 7", "b 8"]);
    assert_eq!(
        job.rows("console"),
        ["value=a None", "value=b Some(\"eight\")"]
    );
    assert_eq!(job.dead_letters().len(), 1);
}
