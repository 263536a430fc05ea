//! The input of `clicks`, and what the next version makes of it.

use streamhost::testing;

#[test]
fn the_input_gives_the_expected_rows_and_dead_letters() {
    let mut job = testing::run(clicks_v2::clicks);
    job.send("clicks", include_str!("../input.txt").lines());
    let mut found = job.rows("clicks");
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn it_is_a_version_of_the_job_clicks() {
    let (old, new) = (
        include_str!("../../clicks/src/lib.rs"),
        testing::run(clicks_v2::clicks),
    );
    assert_eq!(new.description().name, "clicks");
    assert!(old.contains("fn clicks() -> Job"));
}
