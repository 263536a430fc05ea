//! The input as a reader can see it, and what comes of it.

use streamhost::testing;

#[test]
fn the_input_gives_the_expected_rows_and_dead_letters() {
    let mut job = testing::run(sessions::sessions);
    job.send("plays", include_str!("../input.txt").lines());
    job.end();
    let mut found = job.rows("sessions");
    found.sort();
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
    assert_eq!(job.late(), 2);
}

#[test]
fn a_session_goes_on_over_batches_and_is_over_when_nothing_can_prolong_it() {
    let minute = |n: u64| 60_000 * n;
    let play = |n: u64, points: u64| {
        format!(
            r#"{{"player":"ann","time":{},"points":{points}}}"#,
            minute(n)
        )
    };
    let mut job = testing::run(sessions::sessions);
    job.send("plays", &[play(100, 1)]);
    job.send("plays", &[play(130, 2)]);
    job.send("plays", &[play(190, 4)]);
    assert!(
        job.rows("sessions").is_empty(),
        "a play at 160 would come in time, and join all of them"
    );
    job.send("plays", &[play(191, 8)]);
    let row = "key=ann#6000000 session:until=7800000 session:length_ms=1800000 session:plays=2 session:score=3";
    assert_eq!(job.rows("sessions"), [row]);
}
