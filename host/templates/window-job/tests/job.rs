//! The job in a plain `cargo test`: no WebAssembly, no servers.

use streamhost::testing;

fn sale(shop: &str, cents: u64, second: i64) -> String {
    format!(
        r#"{{"shop":"{shop}","cents":{cents},"at":{}}}"#,
        second * 1000
    )
}

#[test]
fn a_minute_is_given_out_when_it_is_over() {
    let mut job = testing::run(window_job::window_job);
    job.send(
        "sales",
        &[sale("a", 5, 1), sale("b", 2, 59), sale("a", 7, 30)],
    );
    assert!(job.rows("sales").is_empty(), "the minute is still open");
    job.send("sales", &[sale("a", 1, 70)]); // ten seconds after its end
    let mut rows = job.rows("sales");
    rows.sort();
    assert_eq!(rows, ["key=a#0 sales:cents=12", "key=b#0 sales:cents=2"]);

    job.send("sales", &[sale("a", 100, 2)]); // too late
    assert_eq!(job.late(), 1);
    assert_eq!(job.end().rows("sales"), ["key=a#60000 sales:cents=1"]);
}

#[test]
fn what_is_no_sale_is_a_dead_letter() {
    let mut job = testing::run(window_job::window_job);
    job.send("sales", ["{}"]);
    assert_eq!(job.dead_letters().len(), 1);
}
