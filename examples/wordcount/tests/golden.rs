//! The input as a reader can see it, and what comes of it.

use streamhost::{Record, testing};

const SOCKET: &str = "localhost:9999";

#[test]
fn the_input_gives_the_expected_counts() {
    let mut job = testing::run(wordcount::wordcount);
    job.send(SOCKET, include_str!("../input.txt").lines());
    let mut found = job.rows("console");
    found.sort();
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
    assert!(job.dead_letters().is_empty());
}

#[test]
fn each_batch_is_counted_by_itself() {
    let mut job = testing::run(wordcount::wordcount);
    job.send(SOCKET, ["to be"]);
    assert_eq!(job.rows("console").len(), 2);
    job.send(SOCKET, ["to"]);
    assert_eq!(job.rows("console"), ["key=to value=1"]);
}

#[test]
fn what_is_no_text_is_set_aside() {
    let mut job = testing::run(wordcount::wordcount);
    job.send(SOCKET, [Record::from(b"caf\xff")]);
    assert!(job.rows("console").is_empty());
    assert_eq!(
        job.dead_letters(),
        ["localhost:9999@0: the value is not UTF-8 at byte 3"]
    );
}
