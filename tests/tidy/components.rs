//! What a component is built of: the SDK, and nothing of the host, whose engine is there for tests
//! alone.

use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::paths::root;

/// The crates that a package is built of for a target; none: this machine's.
fn crates_of(package: &str, target: Option<&str>) -> Vec<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .args(target.into_iter().flat_map(|target| ["--target", target]))
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"));
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    say(&mut tree).ok().lines().map(name).collect()
}

#[test]
fn a_component_has_nothing_of_the_host() {
    for package in ["streamhost", "clicks", "sensors"] {
        let has_core = |target| {
            let crates = crates_of(package, target);
            assert!(crates.iter().any(|name| name == "streamhost"), "{crates:?}");
            crates
                .iter()
                .any(|name| name.starts_with("streamhost-core"))
        };
        assert!(has_core(None), "{package} is tested by the host's engine");
        assert!(!has_core(Some("wasm32-unknown-unknown")), "{package}");
    }
}
