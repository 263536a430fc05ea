//! Each batch, and running.

use super::*;

#[job]
pub(super) fn each_batch() -> Job {
    words("in")
        .flat_map(str::split_whitespace)
        .key_by(|word| *word)
        .each_batch()
        .count()
        .to(console())
}

#[test]
fn a_batch_is_reduced_by_itself() {
    let mut job = testing::run(each_batch);
    job.send("in", ["to be or", "not to be"]);
    assert_eq!(
        job.rows("console"),
        [
            "key=to value=2",
            "key=be value=2",
            "key=or value=1",
            "key=not value=1"
        ]
    );
    job.send("in", ["to"]);
    assert_eq!(job.rows("console"), ["key=to value=1"]);
    job.pass(seconds(1)).end();
    assert!(job.rows("console").is_empty());
    assert_eq!(job.kept("count"), 0);
}

#[job]
fn batch_times() -> Job {
    words("in")
        .key_by(|word| *word)
        .each_batch()
        .count()
        .map(|g| format!("{:?} {}", g.batch, line(g)))
        .to(console())
}

#[test]
fn a_batchs_group_has_the_batchs_time() {
    let mut job = testing::run(batch_times);
    job.pass(seconds(5)).send("in", ["a"]);
    assert_eq!(job.rows("console"), ["value=Time(5000) a 1 5000..5000"]);
}

#[job]
fn running() -> Job {
    words("in")
        .key_by(|word| *word)
        .named("words")
        .running()
        .expire_after(seconds(10))
        .count()
        .map(|Update { key, value, batch }| format!("{key} {value} {}", batch.0))
        .to(console())
}

#[test]
fn a_running_count_tells_what_a_batch_changed_and_forgets_what_was_quiet_for_long() {
    let mut job = testing::run(running);
    job.send("in", ["a", "b", "a"]).send("in", ["b"]);
    assert_eq!(
        job.rows("console"),
        ["value=a 2 0", "value=b 1 0", "value=b 2 0"]
    );
    job.pass(seconds(10)).send("in", ["a"]);
    assert_eq!(
        job.rows("console"),
        ["value=a 3 10000"],
        "ten seconds ago is not longer ago than ten seconds"
    );
    assert_eq!(job.pass(millis(1)).kept("words"), 1, "b is gone");
    job.send("in", ["b"]);
    assert_eq!(job.rows("console"), ["value=b 1 10001"]);
    job.pass(millis(10_000)).send("in", ["a"]);
    assert_eq!(job.rows("console"), ["value=a 1 20001"]);
    assert_eq!(job.kept("words"), 2, "b has one millisecond left");
}

#[job(name = "running")]
fn running_for_ever() -> Job {
    words("in")
        .key_by(|word| *word)
        .named("words")
        .running()
        .count()
        .map(|Update { key, value, batch }| format!("{key} {value} {}", batch.0))
        .to(console())
}

#[test]
fn a_version_that_adds_expiry_forgets_what_was_quiet_for_long_before_it() {
    let mut job = testing::run(running_for_ever);
    job.send("in", ["a", "b"])
        .pass(seconds(5))
        .send("in", ["b"]);
    job.pass(seconds(5));
    let mut job = job.deploy(running);
    assert_eq!(
        job.pass(millis(0)).kept("words"),
        2,
        "a was there ten seconds ago"
    );
    assert_eq!(job.pass(millis(1)).kept("words"), 1);
    assert_eq!(job.pass(millis(5_000)).kept("words"), 0);
    assert!(job.rows("console").is_empty());
}
