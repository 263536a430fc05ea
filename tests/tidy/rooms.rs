//! Outside crates stay in their room, so that no other room need know them.

use crate::files;

/// What may not be said outside of these places of host/src.
const HOMES: [(&str, &[&str]); 14] = [
    ("rdkafka::", &["source/kafka", "sink/kafka", "sink/dead_letters", "kafka.rs", "kafka/"]),
    ("rdkafka_sys::", &["source/kafka", "sink/kafka", "sink/dead_letters", "kafka.rs", "kafka/"]),
    ("wasmtime::", &["guest/"]),
    ("wit_component::", &["guest/"]),
    ("hbase_thrift::", &["sink/hbase", "dev/tables"]),
    ("thrift::", &["sink/hbase", "dev/tables"]),
    ("kafka_protocol::", &["dev/broker"]),
    // `hosting` opens it; tests of the Kafka source and sink start the embedded broker
    (
        "fjall::",
        &[
            "checkpoint/",
            "registry/",
            "dev/",
            "hosting.rs",
            "supervisor/mod.rs",
            "source/kafka/kafka_tests.rs",
            "sink/kafka/kafka_tests.rs",
            "state/tests.rs",
        ],
    ),
    ("flate2::", &["source/file/"]),
    ("zstd::", &["source/file/"]),
    ("axum::", &["control/"]),
    ("ureq::", &["cli/"]),
    ("clap::", &["cli/", "main.rs"]),
    ("SystemTime::now", &["clock.rs", "dev/"]), // the embedded servers stand for outside ones
];

#[test]
fn outside_crates_stay_in_their_room() {
    let mut astray = Vec::new();
    for source in files::rust() {
        let Some(path) = source.path.strip_prefix("host/src/") else { continue };
        for (number, line) in source.without_tests().lines().enumerate() {
            for (name, rooms) in HOMES {
                let at_home = rooms.iter().any(|room| path.starts_with(room));
                if !at_home && says(line, name) {
                    astray.push(format!("host/src/{path}:{}: {name} belongs to {}", number + 1, rooms.join(", ")));
                }
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

/// `line` says `name`, as a name of its own and not in a comment.
fn says(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn a_name_inside_another_one_is_not_said() {
    assert!(says("use thrift::transport;", "thrift::"));
    assert!(!says("use hbase_thrift::hbase;", "thrift::"));
    assert!(!says("//! see thrift::transport", "thrift::"));
}
