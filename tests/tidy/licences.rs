//! Every dependency has a licence that may be shipped with ours.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::paths::root;

const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// An SPDX expression holds with the licences that are allowed. `/` is an old way to write `OR`.
fn holds(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (value, rest) = any_of(&words);
    assert!(rest.is_empty(), "not understood: {expression}");
    value
}

fn any_of<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    let (mut value, mut rest) = all_of(words);
    while let ["OR", more @ ..] = rest {
        let (next, after) = all_of(more);
        (value, rest) = (value | next, after);
    }
    (value, rest)
}

fn all_of<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    let (mut value, mut rest) = one(words);
    while let ["AND", more @ ..] = rest {
        let (next, after) = one(more);
        (value, rest) = (value & next, after);
    }
    (value, rest)
}

fn one<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => {
            let (value, rest) = any_of(inner);
            (value, rest.strip_prefix(&[")"]).unwrap_or(rest))
        }
        [name, "WITH", exception, rest @ ..] => {
            // An exception only allows more than the licence alone.
            let whole = format!("{name} WITH {exception}");
            (
                ALLOWED.contains(&whole.as_str()) || ALLOWED.contains(name),
                rest,
            )
        }
        [name, rest @ ..] => (ALLOWED.contains(name), rest),
        [] => (false, words),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    assert!(holds("MIT OR GPL-3.0"));
    assert!(holds("MIT/Apache-2.0"));
    assert!(holds("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!holds("MIT AND GPL-3.0"));
    assert!(holds("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
    assert!(!holds("GPL-3.0"));
}

#[test]
fn every_dependency_may_be_shipped() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"));
    let metadata: Value =
        serde_json::from_str(&say(&mut metadata).ok()).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50, "the host has dependencies");
    // A template becomes somebody's own project: its licence is theirs to choose.
    let is_template = |package: &Value| {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        path.contains("/host/templates/")
    };
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| !is_template(package))
        .filter(|package| !package["license"].as_str().is_some_and(holds))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn cargo_deny_allows_the_same() {
    let text = std::fs::read_to_string(root().join(".deny.toml")).expect("it is in the checkout");
    let list = text
        .split("allow = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .expect("a list of licences");
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(allowed, ALLOWED.into());
}
