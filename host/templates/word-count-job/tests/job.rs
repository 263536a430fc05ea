//! The job in a plain `cargo test`: no WebAssembly, no servers.

use streamhost::testing;

#[test]
fn words_are_counted_over_batches() {
    let mut job = testing::run(word_count_job::word_count_job);
    job.send("lines", include_str!("../input.txt").lines()); // one batch
    let mut rows = job.rows("words");
    rows.sort();
    assert_eq!(
        rows,
        [
            "key=be w:count=2",
            "key=not w:count=1",
            "key=or w:count=1",
            "key=to w:count=2",
        ]
    );
    job.send("lines", ["be"]); // and another
    assert_eq!(job.rows("words"), ["key=be w:count=3"]);
}
