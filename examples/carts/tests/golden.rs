//! The input as a reader can see it, and what comes of it.

use streamhost::testing;

#[test]
fn the_input_gives_the_expected_rows_and_dead_letters() {
    let mut job = testing::run(carts::carts);
    job.send("clicks", include_str!("../input.txt").lines());
    job.end();
    let mut found = job.rows("carts");
    found.sort();
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn it_does_not_matter_where_batches_end() {
    let mut job = testing::run(carts::carts);
    for line in include_str!("../input.txt").lines() {
        job.send("clicks", [line]);
    }
    job.end();
    let mut found = job.rows("carts");
    found.sort();
    let expected = include_str!("../expected.txt").lines();
    let rows: Vec<_> = expected.filter(|line| line.starts_with("key=")).collect();
    assert_eq!(found, rows);
}
