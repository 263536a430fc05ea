//! Both ways to a compiler for guests: rustup's, and Debian's packages where rustup cannot reach
//! its servers.

use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::paths::{root, streamhost};

#[test]
fn each_road_that_is_open_here_builds_a_job() {
    let mut open = Vec::new();
    for road in ["rustup", "debian"] {
        let script = root().join("tests/setup/wasm.sh");
        let said = say(Command::new(script).env("STREAMHOST_WASM_ROAD", road));
        if said.code != 0 {
            println!("the {road} road is closed here: {}", said.err);
            continue;
        }
        let mut build = Command::new(streamhost());
        build.arg("build").arg(root().join("examples/clicks"));
        match said.last_line().as_str() {
            "default" => build.env_remove("STREAMHOST_WASM_TOOLCHAIN"),
            toolchain => build.env("STREAMHOST_WASM_TOOLCHAIN", toolchain),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = say(build.env("CARGO_TARGET_DIR", folder.path())).last_line();
        assert!(
            std::fs::read(&file).is_ok_and(|bytes| bytes.starts_with(b"\0asm")),
            "{road}: no component at {file}"
        );
        open.push(road);
    }
    assert!(!open.is_empty(), "no road to the Wasm target");
}
