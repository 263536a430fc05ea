//! Modules know what stands below them, and outside crates are named in one place each, so that a
//! change stays where it is.

use crate::files;

/// A module of a crate, and the modules of the same crate that it may name.
type Arrows = (&'static str, &'static [&'static str]);

/// For each crate, by its folder, what each of its modules may name. A module that is not listed is
/// a mistake.
const MODULES: [(&str, &[Arrows]); 7] = [
    (
        "host/core/src/",
        &[
            ("limits", &[]),
            ("clock", &["limits"]),
            ("system", &[]),
            ("types", &["limits"]),
            ("job", &["limits", "types"]),
            ("contract", &["limits", "clock", "types", "job"]),
            ("state", &["limits", "types", "job"]),
            ("room", &["limits", "state"]),
            ("protocol", &["limits", "types", "contract", "state"]),
            ("keyed", &["limits", "types", "job", "contract", "state"]),
            ("canary", &["job", "contract", "types"]),
            (
                "executor",
                &[
                    "limits", "types", "job", "contract", "state", "protocol", "keyed", "canary",
                ],
            ),
            (
                "compare",
                &["limits", "types", "job", "contract", "protocol", "executor"],
            ),
            ("testing", &["types", "job", "state", "protocol"]),
        ],
    ),
    (
        "host/engine/src/",
        &[
            ("cpu", &[]),
            ("batch", &[]),
            ("source", &["batch"]), // a source appends to the batch that is built
            ("guest", &["cpu"]),
            ("sink", &[]),
            ("pipeline", &["cpu", "batch", "source", "guest", "sink"]),
            ("replay", &["batch", "source", "guest", "sink", "pipeline"]),
        ],
    ),
    (
        "host/guest/src/",
        &[
            ("alike", &[]),
            ("stubs", &[]),
            ("bounds", &[]),
            ("fault", &["stubs"]),
            ("contract", &["instance"]),
            (
                "wit_convert",
                &["alike", "bindings", "contract", "instance"],
            ),
            ("v1", &["alike", "contract", "instance"]),
            ("wrap", &[]),
            ("signature", &[]),
            ("cache", &[]),
            ("nesting", &[]),
            ("compiler", &[]),
            ("metrics", &[]),
            (
                "instance",
                &[
                    "bindings", "bounds", "contract", "fault", "metrics", "stubs", "v1",
                ],
            ),
        ],
    ),
    (
        "host/connectors/src/",
        &[
            ("lines", &[]),
            ("halves", &[]),
            ("certificate", &[]),
            ("tls_files", &[]),
            ("link", &["certificate", "tls_files"]),
            ("secret", &[]),
            ("connector", &[]),
            ("kafka", &["certificate", "connector", "secret", "halves"]),
            (
                "hbase",
                &["connector", "link", "secret", "halves", "tls_files"],
            ),
            ("sql", &["connector", "secret", "halves", "tls_files"]),
            ("postgres", &["connector", "sql"]),
            ("mysql", &["connector", "sql"]),
            (
                "elasticsearch",
                &["connector", "link", "secret", "tls_files"],
            ),
            ("file", &["connector", "lines"]),
            ("files", &["connector"]),
            ("socket", &["connector", "lines"]),
            ("rate", &["connector"]),
            ("console", &["connector"]),
            (
                "registry",
                &[
                    "connector",
                    "kafka",
                    "hbase",
                    "sql",
                    "postgres",
                    "mysql",
                    "elasticsearch",
                    "file",
                    "files",
                    "socket",
                    "rate",
                    "console",
                ],
            ),
        ],
    ),
    (
        "host/storage/src/",
        &[
            ("fault", &[]),
            ("format", &["fault"]),
            ("letter_marks", &["fault", "format", "store", "tables"]),
            ("retained", &["fault", "format"]),
            ("forgotten", &["fault", "format"]),
            ("position", &["fault", "format"]),
            ("store", &["fault", "position"]),
            ("tables", &["fault", "store"]),
            (
                "checkpoint_log",
                &[
                    "fault",
                    "format",
                    "forgotten",
                    "letter_marks",
                    "retained",
                    "store",
                    "tables",
                ],
            ),
            ("catalog", &["checkpoint_log", "format", "store", "tables"]),
            (
                "replica",
                &["catalog", "fault", "position", "store", "tables"],
            ),
            ("savepoint", &["catalog", "format"]),
            ("scratch", &["fault", "checkpoint_log"]),
            ("identity", &[]),
        ],
    ),
    ("host/dev/src/", &[("broker", &[]), ("tables", &[])]),
    (
        "host/src/",
        &[
            ("built", &[]),
            ("api", &[]),
            ("lines", &[]),
            ("audit", &["api", "lines"]),
            ("telemetry", &[]),
            ("alerts", &[]),
            ("access", &[]),
            ("allow", &[]),
            ("memory", &[]),
            ("config", &["access", "allow", "telemetry"]),
            ("monitor", &["api", "telemetry", "built"]),
            ("control", &["access", "api", "monitor", "telemetry"]),
            ("offline", &[]),
            (
                "cli",
                &[
                    "access",
                    "api",
                    "built",
                    "config",
                    "control",
                    "offline",
                    "telemetry",
                ],
            ),
            ("cluster", &["api", "config", "supervisor"]),
            ("supervisor", &["alerts", "allow", "api", "audit", "lines"]),
            (
                "hosting",
                &[
                    "alerts",
                    "api",
                    "cli",
                    "cluster",
                    "config",
                    "memory",
                    "supervisor",
                ],
            ),
        ],
    ),
];

/// What may not be named outside of these places.
const HOMES: [(&str, &[&str]); 42] = [
    ("rdkafka::", &["host/connectors/src/kafka/"]),
    (
        "openssl::",
        &[
            "host/connectors/src/certificate.rs",
            "host/connectors/src/link/",
            "host/connectors/src/tls_files.rs",
            "host/connectors/src/kafka/trust.rs",
            "host/src/access/tls.rs",
            "host/src/control/forward.rs",
            "host/src/cli/top/stream.rs",
            "host/guest/src/signature",
        ],
    ),
    (
        "tokio_openssl::",
        &[
            "host/src/control/connections.rs",
            "host/src/control/forward.rs",
            "host/src/cli/top/stream.rs",
        ],
    ),
    ("rdkafka_sys::", &["host/connectors/src/kafka/"]),
    (
        "hbase_thrift::",
        &["host/connectors/src/hbase/", "host/dev/src/tables/"],
    ),
    (
        "thrift::",
        &["host/connectors/src/hbase/", "host/dev/src/tables/"],
    ),
    (
        "flate2::",
        &[
            "host/connectors/src/file/",
            "host/connectors/src/files/",
            "host/src/control/",
        ],
    ),
    (
        "zstd::",
        &["host/connectors/src/file/", "host/connectors/src/files/"],
    ),
    ("socket2::", &["host/connectors/src/socket/"]),
    ("wasmtime::", &["host/guest/"]),
    ("wit_component::", &["host/guest/"]),
    (
        "wasmparser::",
        &[
            "host/guest/src/nesting.rs",
            "host/guest/src/signature",
            "host/guest/src/wrap.rs",
        ],
    ),
    ("rlimit::", &["host/guest/src/compiler.rs"]),
    ("kafka_protocol::", &["host/dev/src/broker/"]),
    // the host opens one store for all that it keeps, and hands it out
    (
        "fjall::",
        &[
            "host/storage/",
            "host/dev/",
            "host/src/hosting.rs",
            "host/src/hosting/",
            "host/src/supervisor/mod.rs",
        ],
    ),
    ("postcard::", &["host/storage/"]),
    ("prometheus_client::", &["host/src/monitor/metrics/"]),
    ("axum::", &["host/src/control/"]),
    ("hyper::", &["host/src/control/", "host/src/cli/top/"]),
    ("ratatui::", &["host/src/cli/top/"]),
    ("tower_http::", &["host/src/control/"]),
    ("indicatif::", &["host/src/cli/"]),
    (
        "ureq::",
        &[
            "host/connectors/src/link/http.rs",
            "host/connectors/src/hbase/http.rs",
            "host/connectors/src/elasticsearch/client.rs",
            "host/src/alerts.rs",
            "host/src/cli/",
            "host/src/telemetry/send.rs",
        ],
    ),
    ("opentelemetry::", &["host/src/telemetry/"]),
    ("opentelemetry_sdk::", &["host/src/telemetry/"]),
    ("opentelemetry_otlp::", &["host/src/telemetry/"]),
    ("opentelemetry_http::", &["host/src/telemetry/"]),
    ("comfy_table::", &["host/src/cli/"]),
    ("sysinfo::", &["host/src/memory.rs"]),
    ("glob::", &["host/src/allow.rs"]),
    ("jiff::", &["host/src/cli/"]),
    ("notify::", &["host/src/cli/watch/"]),
    ("rustc_demangle::", &["host/guest/src/fault.rs"]),
    ("clap::", &["host/src/cli/", "host/src/main.rs"]),
    ("toml::", &["host/src/config", "host/src/cli/new/"]),
    (
        "tokio::",
        &[
            "host/src/control/",
            "host/src/cli/",
            "host/connectors/src/postgres/session.rs",
            "host/connectors/src/mysql/session.rs",
        ],
    ),
    ("tokio_postgres::", &["host/connectors/src/postgres/"]),
    ("mysql_async::", &["host/connectors/src/mysql/"]),
    ("postgres_openssl::", &["host/connectors/src/postgres/"]),
    // The embedded servers stand for outside ones.
    ("SystemTime::now", &["host/core/src/clock.rs", "host/dev/"]),
    // The control API's waits go by the runtime's own clock.
    (
        "Instant::now",
        &[
            "host/core/src/clock.rs",
            "host/dev/",
            "host/src/control/connections.rs",
            "host/src/control/events.rs",
        ],
    ),
    (
        "elapsed()",
        &[
            "host/core/src/clock.rs",
            "host/dev/",
            "host/src/control/events.rs",
        ],
    ),
];

/// The names that code takes directly from its own crate, each with the byte at which it is said:
/// `a` and `b` of `crate::a::X`, of `use crate::{a, b::Y}`, and, in the file of a module itself, of
/// `super::a`.
fn named(code: &str, super_is_crate: bool) -> Vec<(usize, String)> {
    let roots = if super_is_crate {
        &["crate::", "super::"][..]
    } else {
        &["crate::"]
    };
    let mut names = Vec::new();
    for root in roots {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(is_word) || code[..at].ends_with("::") {
                continue;
            }
            let from = at + root.len();
            match code[from..].strip_prefix('{') {
                Some(group) => names.extend(members(group).into_iter().map(|name| (at, name))),
                None => names.push((at, word(&code[from..]))),
            }
        }
    }
    names
}

/// The first words of what a group of a `use` lists.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut from, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(word(group[from..at].trim_start()));
                from = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

/// The text with its comments blanked.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (said, comment) = line.split_at(line.find("//").unwrap_or(line.len()));
        code.push_str(said);
        code.extend(comment.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    }
    code
}

#[test]
fn modules_name_what_stands_below_them_alone() {
    let mut astray = Vec::new();
    for source in files::rust().iter().filter(|source| !source.is_test()) {
        let Some((folder, arrows)) = MODULES
            .iter()
            .find(|(folder, _)| source.path.starts_with(folder))
        else {
            continue;
        };
        let path = &source.path[folder.len()..];
        let module = path
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some((_, may)) = arrows.iter().find(|(name, _)| *name == module) else {
            astray.push(format!(
                "{}: the module `{module}` is not listed here",
                source.path
            ));
            continue;
        };
        let is_its_file =
            !path.contains('/') || path.ends_with("/mod.rs") && path.matches('/').count() == 1;
        let code = code_of(source.without_tests());
        for (at, name) in named(&code, is_its_file) {
            let of_crate = arrows.iter().any(|(module, _)| *module == name);
            if of_crate && name != module && !may.contains(&name.as_str()) {
                let line = code[..at].matches('\n').count() + 1;
                astray.push(format!(
                    "{}:{line}: `{module}` may not name `{name}`",
                    source.path
                ));
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

#[test]
fn names_are_found_however_they_are_imported() {
    let code = "use crate::{\n    a,\n    b::{X, Y},\n};\nuse crate::c::Z;\nfn f() { super::d::g(); mycrate::e(); crate::a::h() }\n";
    let all = |super_is_crate| {
        named(code, super_is_crate)
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(all(false), ["a", "b", "c", "a"]);
    assert_eq!(all(true), ["a", "b", "c", "a", "d"]);
}

#[test]
fn outside_crates_stay_at_home() {
    let mut astray = Vec::new();
    for source in files::rust() {
        let of_host = source.path.starts_with("host/") && source.path.contains("/src/");
        if !of_host || source.is_test() {
            continue;
        }
        for (number, line) in source.without_tests().lines().enumerate() {
            for (name, homes) in HOMES {
                let at_home = homes.iter().any(|home| source.path.starts_with(home));
                if !at_home && says(line, name) {
                    let homes = homes.join(", ");
                    astray.push(format!(
                        "{}:{}: {name} belongs to {homes}",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

/// `line` says `name`, as a name of its own and not in a comment.
fn says(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(name)
        .any(|(at, _)| !code[..at].ends_with(is_word))
}

#[test]
fn a_name_inside_another_one_is_not_said() {
    assert!(says("use thrift::transport;", "thrift::"));
    assert!(!says("use hbase_thrift::hbase;", "thrift::"));
    assert!(!says("//! see thrift::transport", "thrift::"));
}
