//! The input as a reader can see it, and what comes of it.

use streamhost::{Record, testing};

#[test]
fn the_input_gives_the_expected_rows_and_dead_letters() {
    let mut job = testing::run(clicks::clicks);
    job.send("clicks", include_str!("../input.txt").lines());
    let mut found = job.rows("clicks");
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn what_is_no_text_is_set_aside() {
    let mut job = testing::run(clicks::clicks);
    job.send(
        "clicks",
        [Record::without_value(), Record::from(b"click\xff,,,,,1")],
    );
    assert!(job.rows("clicks").is_empty());
    assert_eq!(
        job.dead_letters(),
        [
            "clicks@0: the record has no value",
            "clicks@1: the value is not UTF-8 at byte 5"
        ]
    );
}
