//! Lists of the book that are whole: settings, metrics, routes, fields, verbs.

use super::markdown::{first_cells, page, parts, spans};
use serde_json::Value;
use std::collections::BTreeSet;
use streamhost_tests::paths::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The text literals that follow each place where `text` has `before`.
fn literals<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    let rests = text.split(before).skip(1);
    let literal = |rest: &'t str| rest.split('"').nth(1);
    rests.filter_map(literal).collect()
}

/// The code spans of a page's prose.
fn said(name: &str) -> BTreeSet<String> {
    let page = page(name);
    let (prose, _) = parts(&page.text);
    let spans = prose.iter().flat_map(|line| spans(line));
    spans.map(str::to_owned).collect()
}

/// Whatever an author may call on a stream, or to make one.
#[test]
fn every_operator_is_in_the_book() {
    let said = said("jobs.md").into_iter().chain(said("testing.md"));
    let said = said.collect::<Vec<_>>().join(" ");
    let words: BTreeSet<&str> = said
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut missing = Vec::new();
    for file in [
        "lib",
        "stream",
        "sink",
        "record",
        "log",
        "keyed/mod",
        "keyed/scoped",
        "keyed/windows",
        "keyed/join",
        "keyed/top",
        "keyed/groups",
    ] {
        let code = read(&format!("guest-sdk/src/{file}.rs"));
        let public = |line: &str| {
            let line = line.trim_start();
            let rest = line.strip_prefix("pub fn ");
            let rest = rest.or_else(|| line.strip_prefix("pub const fn "))?;
            rest.split(['(', '<']).next().map(str::to_owned)
        };
        let names: Vec<String> = code.lines().filter_map(public).collect();
        assert!(!names.is_empty(), "{file}: what do authors call there?");
        let unsaid = names
            .into_iter()
            .filter(|name| !words.contains(name.as_str()));
        missing.extend(unsaid.map(|name| format!("{file}: {name}")));
    }
    assert!(
        missing.is_empty(),
        "not in jobs.md or testing.md: {missing:?}"
    );
}

#[test]
fn every_setting_is_in_the_book() {
    let hbase = read("host/src/config/hbase.rs");
    let databases = read("host/src/config/databases.rs");
    let elasticsearch = read("host/src/config/elasticsearch.rs");
    let shared = read("host/src/config/credentials.rs");
    let reader = read("host/src/config/reader.rs") + &read("host/src/config/kafka.rs") + &hbase;
    let mut keys = BTreeSet::new();
    for (section, code) in [
        ("hbase", &hbase),
        ("postgres", &databases),
        ("mysql", &databases),
        ("elasticsearch", &elasticsearch),
    ] {
        for call in [
            "text_of(section,",
            "text_of(&mut section,",
            "truth_of(section,",
            "known.push(",
            "secret_of(section,",
        ] {
            let names = [literals(code, call), literals(&shared, call)].concat();
            let is_key = |name: &&&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let names = names.iter().filter(is_key);
            keys.extend(names.map(|name| format!("{section}.{name}")));
        }
    }
    for section in ["control", "kafka", "hbase", "limits", "alerts", "telemetry"] {
        let begin = format!("fn {section}(");
        let body = reader.split(&begin).nth(1).expect("a section of the file");
        let body = body.split("\n    fn ").next().unwrap_or_default();
        let body = body.split("\n    pub(super) fn ").next();
        let body = body.unwrap_or_default();
        for call in ["text_of(&mut section,", "known.push("] {
            let names = literals(body, call);
            keys.extend(names.iter().map(|name| format!("{section}.{name}")));
        }
        let names = body.split("&mut section,").skip(1);
        let judged = names.filter_map(|rest| {
            let (before, rest) = rest.split_once('"')?;
            before.trim().is_empty().then(|| rest.split('"').next())?
        });
        keys.extend(judged.map(|name| format!("{section}.{name}")));
    }
    assert!(keys.len() > 10, "{keys:?}");
    let settings = read("host/core/src/job/settings.rs");
    let list = settings.split("pub const KEYS").nth(1).unwrap_or_default();
    let list = list.split("];").next().unwrap_or_default();
    let of_deploy = list.split('"').skip(1).step_by(2).map(str::to_owned);
    keys.extend(of_deploy);
    keys.extend(["data-dir", "source.NAME", "sink.NAME"].map(str::to_owned));
    let said = said("configuration.md");
    let missing: Vec<_> = keys.difference(&said).collect();
    assert!(missing.is_empty(), "not in configuration.md: {missing:?}");
}

#[test]
fn every_metric_is_in_the_book_and_no_other() {
    let mut metrics = BTreeSet::new();
    for file in ["host", "job", "own", "parts", "trials"] {
        let code = read(&format!("host/src/monitor/metrics/{file}.rs"));
        let names = literals(&code, "name: ");
        metrics.extend(names.iter().map(|name| format!("`{name}`")));
    }
    assert!(metrics.len() > 10, "{metrics:?}");
    let cells = first_cells(&page("operating.md").text).into_iter();
    let told = cells.filter(|cell| {
        ["`streamhost_", "`process_"]
            .iter()
            .any(|begin| cell.starts_with(begin))
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), metrics);
}

#[test]
fn every_route_is_in_the_book_and_no_other() {
    let files = [
        "handlers",
        "views",
        "shadow",
        "replay",
        "savepoint",
        "hosts",
    ];
    let code = files
        .map(|file| read(&format!("host/src/control/{file}.rs")))
        .concat();
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = code.replace("( ", "(");
    let routes = code.split("(Method::").skip(1).filter_map(|rest| {
        let (method, rest) = rest.split_once(", \"")?;
        Some(format!("`{method} {}`", rest.split('"').next()?))
    });
    let front = ["`GET /`".to_owned()]; // with what it loads, in page.rs
    let routes: BTreeSet<String> = routes.chain(front).collect();
    assert!(routes.len() > 10, "{routes:?}");
    let cells = first_cells(&page("api.md").text).into_iter();
    let told = cells.filter(|cell| cell.contains(" /"));
    assert_eq!(told.collect::<BTreeSet<_>>(), routes);
}

#[test]
fn every_field_of_a_status_is_in_the_book() {
    let api: Value = serde_json::from_str(&read("host/src/control/openapi.json")).expect("JSON");
    let said = said("api.md");
    for schema in [
        "JobStatus",
        "Deployment",
        "Deployed",
        "LimitStatus",
        "Waiting",
    ] {
        let properties = &api["components"]["schemas"][schema]["properties"];
        let fields = properties.as_object().expect("a schema with fields");
        let missing: Vec<_> = fields
            .keys()
            .filter(|field| !said.contains(*field))
            .collect();
        assert!(missing.is_empty(), "{schema} in api.md lacks {missing:?}");
    }
}

/// `DeadLetters` is the verb `dead-letters`.
fn in_lower_case(name: &str) -> String {
    let letter = |(i, c): (usize, char)| match c.is_ascii_uppercase() && i > 0 {
        true => format!("-{}", c.to_ascii_lowercase()),
        false => c.to_ascii_lowercase().to_string(),
    };
    name.chars().enumerate().map(letter).collect()
}

/// Each kind of record that is kept, with the number of its format.
#[test]
fn every_format_is_in_the_book_with_its_number() {
    let code = read("host/storage/src/format.rs");
    let formats: BTreeSet<(String, String)> = code
        .split("= RecordKind::of(\"")
        .skip(1)
        .filter_map(|rest| rest.split(')').next()?.split_once("\", "))
        .map(|(name, number)| (name.to_owned(), number.to_owned()))
        .collect();
    assert!(formats.len() > 5, "{formats:?}");
    let page = page("operating.md");
    let table = page.text.split("### Formats and upgrades").nth(1);
    let rows = table.unwrap_or_default().split("\n\n").nth(2);
    let cells = rows.unwrap_or_default().lines().skip(2).map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        (
            cells.next().unwrap_or_default(),
            cells.next().unwrap_or_default(),
        )
    });
    let told: BTreeSet<_> = cells.filter(|(name, _)| name != "data folder").collect();
    assert_eq!(told, formats, "in operating.md, and in format.rs");
}

#[test]
fn every_verb_is_in_the_book() {
    let code = read("host/src/cli/mod.rs");
    let verbs = code.split("enum Verb {").nth(1).unwrap_or_default();
    let verbs = verbs.split("\n}").next().unwrap_or_default();
    let names = verbs.lines().filter_map(|line| line.trim().split_once('('));
    let names: BTreeSet<String> = names.map(|(name, _)| in_lower_case(name)).collect();
    assert!(names.len() > 10, "{names:?}");
    let said = said("configuration.md");
    let is_told = |name: &&String| {
        let mut words = said.iter().map(|span| span.split(' ').next());
        !words.any(|word| word == Some(name.as_str()))
    };
    let missing: Vec<_> = names.iter().filter(is_told).collect();
    assert!(missing.is_empty(), "not in configuration.md: {missing:?}");
}
