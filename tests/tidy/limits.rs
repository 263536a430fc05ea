//! Limits that the SDK refuses a job by are the host's: what passes an author's test must not be
//! refused at the deploy.

use crate::files;

/// The constants of files whose path begins so, from their name to their end.
fn constants(path: &str) -> Vec<String> {
    let constant = |line: &str| line.split_once("const ").map(|(_, rest)| rest.to_owned());
    let of = |source: files::Source| {
        let lines = source.text.lines().filter(|line| line.starts_with("pub"));
        lines.filter_map(constant).collect::<Vec<_>>()
    };
    files::rust()
        .into_iter()
        .filter(|source| source.path.starts_with(path))
        .flat_map(of)
        .collect()
}

#[test]
fn the_sdks_limits_are_the_hosts() {
    let host = constants("host/core/src/limits/");
    let own = constants("guest-sdk/src/limits.rs");
    assert!(!own.is_empty());
    let other: Vec<&String> = own
        .iter()
        .filter(|constant| !host.contains(constant))
        .collect();
    assert!(
        other.is_empty(),
        "not so in host/core/src/limits: {other:?}"
    );
}
