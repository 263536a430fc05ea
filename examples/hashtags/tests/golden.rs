//! The input as a reader can see it, and what comes of it.

use streamhost::{Record, testing};

/// The beginning of 2025.
const START_MS: i64 = 1_735_689_600_000;

/// A line is a post's time, in seconds, and its text.
fn post(line: &str) -> Record<'_> {
    let (seconds, text) = line.split_once(' ').expect("a line begins with a time");
    let seconds: i64 = seconds.parse().expect("the time is a number");
    Record::from(text).at(START_MS + 1000 * seconds)
}

#[test]
fn the_input_gives_the_expected_rows() {
    let mut job = testing::run(hashtags::hashtags);
    job.send("posts", include_str!("../input.txt").lines().map(post));
    job.end();
    let mut found = job.rows("trending");
    found.sort();
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
    assert_eq!(job.late(), 1);
    assert!(job.dead_letters().is_empty());
}

#[test]
fn a_window_is_ranked_when_a_later_post_comes() {
    let mut job = testing::run(hashtags::hashtags);
    job.send("posts", ["0 #b #a", "59 #b"].map(post));
    assert!(job.rows("trending").is_empty());
    job.send("posts", ["60 nothing"].map(post));
    let rows = [
        "01 trend:tag=#b trend:count=2",
        "02 trend:tag=#a trend:count=1",
    ];
    let row = |row: &str| {
        format!(
            "key={}#{row} trend:from={}",
            START_MS + 60_000,
            START_MS - 240_000
        )
    };
    assert_eq!(job.rows("trending"), rows.map(row));
}

#[test]
fn what_is_no_text_is_set_aside() {
    let mut job = testing::run(hashtags::hashtags);
    job.send("posts", [Record::from(b"#\xff").at(0)]);
    assert_eq!(
        job.dead_letters(),
        ["posts@0: the value is not UTF-8 at byte 1"]
    );
}
