//! The input as a reader can see it, and what comes of it.

use streamhost::{seconds, testing};

#[test]
fn the_input_gives_the_expected_rows_saved_events_and_dead_letters() {
    let mut job = testing::run(pageviews::pageviews);
    job.send("pageviews", include_str!("../input.txt").lines());
    let mut found = job.rows("pageviews");
    found.sort();
    found.extend(job.rows("pageviews-raw"));
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn each_batch_has_rows_of_its_own() {
    let mut job = testing::run(pageviews::pageviews);
    let view = [r#"{"site_id":"books"}"#];
    job.send("pageviews", view);
    let first = job.rows("pageviews");
    job.pass(seconds(1));
    job.send("pageviews", view);
    let second = job.rows("pageviews");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "the batch's time is in the key");
}
