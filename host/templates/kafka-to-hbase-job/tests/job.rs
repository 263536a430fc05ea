//! The job in a plain `cargo test`: no WebAssembly, no servers.

use streamhost::testing;

#[test]
fn visits_become_rows() {
    let mut job = testing::run(kafka_to_hbase_job::kafka_to_hbase_job);
    job.send("visits", include_str!("../input.txt").lines());
    assert_eq!(
        job.rows("visits"),
        [
            "key=v1 visit:user=ann visit:url=/home visit:seconds=12",
            "key=v3 visit:user=bob visit:url=/cart visit:seconds=5",
        ]
    );
    assert_eq!(
        job.dead_letters(),
        ["visits@3: the seconds `long` are not a whole number"]
    );
}
