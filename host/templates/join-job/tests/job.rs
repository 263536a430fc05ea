//! The job in a plain `cargo test`: no WebAssembly, no servers.

use streamhost::testing;

const MINUTE: u64 = 60_000;

#[test]
fn an_order_meets_its_payment() {
    let mut job = testing::run(join_job::join_job);
    job.send("orders", include_str!("../input.txt").lines());
    job.send(
        "payments",
        [format!("o1,250,{}", 2 * MINUTE).as_str(), "o9,1,0"],
    );
    assert_eq!(
        job.rows("paid"),
        [r#"key=o1 item=lamp cents=250"#],
        "o2 is not paid, and nobody ordered o9"
    );
}

#[test]
fn a_payment_that_is_too_far_away_meets_nothing() {
    let mut job = testing::run(join_job::join_job);
    job.send("orders", ["o1,lamp,0"]);
    job.send("payments", [format!("o1,250,{}", 11 * MINUTE).as_str()]);
    assert!(job.end().rows("paid").is_empty());
}
