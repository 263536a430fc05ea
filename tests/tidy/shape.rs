//! Files and functions stay small; tests wait for conditions; dependencies have reasons; no path of
//! one machine.

use crate::files;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// A test may be a table of cases, a line or some for each.
const TEST_LINES_MAX: usize = 230;

#[test]
fn files_are_short() {
    let long: Vec<String> = files::rust()
        .iter()
        .filter(|source| !source.is_test())
        .map(|source| (source.without_tests().lines().count(), &source.path))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, path)| {
            format!("{path}: {lines} lines without its tests, of {FILE_LINES_MAX}")
        })
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

/// The lines at which a function begins, with its name, and how long it is. Trusts rustfmt: the
/// closing brace stands under the beginning.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(fn_at) = words.iter().position(|word| *word == "fn") else {
            continue;
        };
        let before = [
            "pub",
            "pub(crate)",
            "pub(super)",
            "const",
            "async",
            "unsafe",
            "extern",
            "\"C\"",
        ];
        if !words[..fn_at].iter().all(|word| before.contains(word)) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let one_line = line.ends_with('}') || line.ends_with(';');
        let last = lines[at..]
            .iter()
            .position(|line| *line == end)
            .filter(|_| !one_line);
        let name = words
            .get(fn_at + 1)
            .unwrap_or(&"")
            .split(['(', '<'])
            .next()
            .unwrap_or_default();
        found.push((at + 1, name.to_owned(), last.unwrap_or(0) + 1));
    }
    found
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for source in files::rust() {
        let code_lines = source.without_tests().lines().count();
        for (line, name, lines) in functions(&source.text) {
            let is_test = source.is_test() || line > code_lines;
            let most = if is_test {
                TEST_LINES_MAX
            } else {
                FUNCTION_LINES_MAX
            };
            if lines > most {
                long.push(format!(
                    "{}:{line}: {name} has {lines} lines, of {most}",
                    source.path
                ));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn a_function_is_as_long_as_it_looks() {
    let text =
        "impl X {\n    pub(crate) const fn a<T>(x: T) {\n        b();\n    }\n\n    fn c() {}\n}\n";
    assert_eq!(
        functions(text),
        [(2, "a".to_owned(), 3), (6, "c".to_owned(), 1)]
    );
}

#[test]
fn no_test_is_left_out_or_sleeps() {
    let (ignored, sleeps) = (
        concat!("#[", "ignore"),
        [concat!("thread::", "sleep("), concat!("time::", "sleep(")],
    );
    let mut found = Vec::new();
    for source in files::ending(&[".rs", ".py"]) {
        let of_tests = if source.is_test() {
            &source.text
        } else {
            &source.text[source.without_tests().len()..]
        };
        if source.text.contains(ignored) {
            found.push(format!("{}: a test is ignored", source.path));
        }
        let sleeping = sleeps.iter().any(|sleep| of_tests.contains(sleep))
            || of_tests.contains(concat!("time.", "sleep("));
        if sleeping && source.path != "tests/src/wait.rs" {
            found.push(format!(
                "{}: a test sleeps; wait for a condition with wait_until",
                source.path
            ));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_shared_dependency_has_a_reason() {
    let manifest = files::ending(&["Cargo.toml"])
        .into_iter()
        .find(|file| file.path == "Cargo.toml");
    let text = manifest.expect("the workspace has a manifest").text;
    let section = text
        .split("[workspace.dependencies]\n")
        .nth(1)
        .expect("shared dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let without: Vec<&str> = lines
        .filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains(" # "))
        .collect();
    assert!(without.is_empty(), "no `# reason` behind: {without:?}");
}

#[test]
fn nothing_names_a_place_of_one_machine() {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/tm", "p/"),
    ];
    let kinds = [
        ".rs", ".py", ".sh", ".toml", ".md", ".wit", ".xml", ".txt", ".html", ".js", ".json",
        "/run",
    ];
    let mut found = Vec::new();
    for source in files::ending(&kinds) {
        for (number, line) in source.text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                found.push(format!("{}:{}: {line}", source.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
