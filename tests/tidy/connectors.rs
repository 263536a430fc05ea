//! A connector is named in its own folder and in the registry: what asks for one by name elsewhere
//! would have to be found by whoever adds another.

use crate::files;

/// Where a connector's name may be compared: its rules and its folder, the registry, the embedded
/// servers, what an older contract's numbers become, the sections of the configuration, and the
/// look at each server that has one.
const HOMES: [&str; 6] = [
    "host/core/src/job/connector/",
    "host/connectors/src/",
    "host/dev/",
    "host/guest/src/v1.rs",
    "host/src/config/",
    "host/src/cli/doctor/checks.rs",
];

/// The names, as the connectors' rules say them.
fn names() -> Vec<String> {
    let is_rules = |source: &files::Source| source.path.starts_with("host/core/src/job/connector/");
    let mut names = Vec::new();
    for source in files::rust().into_iter().filter(is_rules) {
        let of_rules = source
            .text
            .split("ConnectorRules = ConnectorRules {")
            .nth(1);
        let name = of_rules.and_then(|rest| rest.split("name: \"").nth(1)?.split('"').next());
        names.extend(name.map(str::to_owned));
    }
    assert!(names.len() > 5, "{names:?}");
    names
}

/// `code` compares something with the name, or matches on it.
fn compares(code: &str, name: &str) -> bool {
    let constant = name.to_uppercase();
    [
        format!("== \"{name}\""),
        format!("!= \"{name}\""),
        format!("\"{name}\" =>"),
        format!("\"{name}\" |"),
        format!("== {constant}.name"),
        format!("!= {constant}.name"),
        format!("({constant}.name)"),
    ]
    .iter()
    .any(|pattern| code.contains(pattern))
}

#[test]
fn no_connector_is_told_by_its_name_outside_of_its_home() {
    let names = names();
    let mut astray = Vec::new();
    for source in files::rust() {
        let of_host = source.path.starts_with("host/") && source.path.contains("/src/");
        let at_home = HOMES.iter().any(|home| source.path.starts_with(home));
        if !of_host || at_home || source.is_test() {
            continue;
        }
        for (number, line) in source.without_tests().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in names.iter().filter(|name| compares(code, name)) {
                let at = format!("{}:{}", source.path, number + 1);
                astray.push(format!("{at}: ask the registry, not for `{name}`"));
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

#[test]
fn a_comparison_is_seen_however_it_is_written() {
    assert!(compares("if s.connector == \"kafka\" {", "kafka"));
    assert!(compares("    \"hbase\" => 1,", "hbase"));
    assert!(compares("x.connector == KAFKA.name", "kafka"));
    assert!(!compares("let s = \"kafka\".to_owned();", "kafka"));
}
