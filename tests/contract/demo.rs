//! The README's first command.

use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::paths::{binaries, root};

#[test]
fn the_demo_shows_clicks_becoming_rows_and_a_live_swap() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(root().join("examples/demo.sh"));
    command.arg("--data").arg(folder.path().join("data"));
    let said = say(command.env("STREAMHOST_BINARIES", binaries())).ok();
    for shown in [
        "clickinfo:studentid=student",
        "rows in clicks",
        "clickinfo:domain=www.example.org",
    ] {
        assert!(said.contains(shown), "`{shown}` is not shown:\n{said}");
    }
}
