//! Limits that the SDK refuses a job by are the host's: what passes an author's test must not be refused at the deploy.

use streamhost_tests::paths::root;

/// The constants of a file, from their name to their end.
fn constants(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let constant = |line: &str| line.split_once("const ").map(|(_, rest)| rest.to_owned());
    text.lines().filter(|line| line.starts_with("pub")).filter_map(constant).collect()
}

#[test]
fn the_sdks_limits_are_the_hosts() {
    let host = constants("host/src/limits.rs");
    let own = constants("guest-sdk/src/limits.rs");
    assert!(!own.is_empty());
    let other: Vec<&String> = own.iter().filter(|constant| !host.contains(constant)).collect();
    assert!(other.is_empty(), "not so in host/src/limits.rs: {other:?}");
}
