//! The input as a reader can see it, and what comes of it.

use streamhost::testing;

#[test]
fn the_input_gives_the_expected_rows_and_dead_letters() {
    let mut job = testing::run(clicks_mysql::clicks_mysql);
    job.send("clicks", include_str!("../input.txt").lines());
    let mut found = job.rows("clicks");
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}
