//! The job in a plain `cargo test`: no WebAssembly, no servers.

use streamhost::testing;

#[test]
fn orders_get_the_name_of_their_customer() {
    let mut job = testing::run(lookup_job::lookup_job);
    job.send("customers", [("c1", "Ann"), ("c2", "Bob")]);
    job.send("orders", include_str!("../input.txt").lines());
    let mut rows = job.rows("orders");
    rows.sort();
    assert_eq!(
        rows,
        [
            "key=o1 order:customer=Ann order:cents=250",
            "key=o2 order:customer=unknown order:cents=9",
        ]
    );
    assert_eq!(
        job.dead_letters(),
        ["orders@2: cents: invalid digit found in string"]
    );
}
