//! The book says what is there: its paths, names, limits, settings, metrics, links and jobs are held
//! against the code. Where a test here fails, the page is to be changed, not the test.

mod lists;
mod markdown;
mod values;

use crate::files::{self, Source};
use markdown::{Block, anchors, first_cells, links, page, pages, parts, spans};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use streamhost_tests::paths::root;

/// Folders whose files the book names by their path.
const FOLDERS: [&str; 6] = [
    "host/",
    "guest-sdk/",
    "tests/",
    "examples/",
    "wit/",
    "docs/",
];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The span is a path of the checkout: no command, and no pattern.
fn is_path(span: &str) -> bool {
    let plain = |c: char| is_word(c) || matches!(c, '/' | '.' | '-');
    FOLDERS.iter().any(|folder| span.starts_with(folder)) && span.chars().all(plain)
}

/// `text` has `name` as a word of its own.
fn has_word(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word)
    })
}

/// `text` defines `name`: a function, type, constant, module, or a variant.
fn defines(text: &str, name: &str) -> bool {
    let kinds = [
        "fn", "struct", "enum", "trait", "const", "static", "type", "mod",
    ];
    let defined = |kind: &&str| has_word(text, &format!("{kind} {name}"));
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
    kinds.iter().any(defined)
        || is_type
            && text.lines().any(|line| {
                let rest = line.trim_start().strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([',', '(', ' ', '{']) || rest.is_empty())
            })
}

/// The file at `path` of the checkout.
fn file<'a>(rust: &'a [Source], path: &str) -> Option<&'a Source> {
    rust.iter().find(|source| source.path == path)
}

#[test]
fn every_path_is_there() {
    let mut gone = Vec::new();
    for page in pages() {
        let (prose, _) = parts(&page.text);
        for span in prose.iter().flat_map(|line| spans(line)) {
            if is_path(span) && !root().join(span).exists() {
                gone.push(format!("{}: `{span}` is not there", page.path));
            }
        }
    }
    assert!(gone.is_empty(), "\n{}", gone.join("\n"));
}

/// In a row of a table, what follows a Rust file is in that file.
#[test]
fn what_a_table_names_behind_a_file_is_in_it() {
    let (rust, mut astray) = (files::rust(), Vec::new());
    for page in pages() {
        let (prose, _) = parts(&page.text);
        for row in prose.iter().filter(|line| line.starts_with("| ")) {
            let mut source = None;
            for span in spans(row) {
                if span.ends_with(".rs") && is_path(span) {
                    source = file(&rust, span);
                } else if let Some(source) = source {
                    let names: Vec<&str> = span.split("::").collect();
                    let plain = names
                        .iter()
                        .all(|name| !name.is_empty() && name.chars().all(is_word));
                    let (last, before) = names.split_last().unwrap_or((&"", &[]));
                    let is_there = defines(&source.text, last)
                        && before.iter().all(|name| has_word(&source.text, name));
                    if plain && !is_there {
                        astray.push(format!("{}: `{span}` is not in {}", page.path, source.path));
                    }
                }
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

#[test]
fn names_of_the_code_are_names_of_the_code() {
    let (rust, mut astray) = (files::rust(), Vec::new());
    let scripts = files::ending(&[".sh", "/run"]);
    let all = || rust.iter().chain(&scripts);
    // The others' names stand there too.
    for page in pages()
        .iter()
        .filter(|page| !page.path.ends_with("coming-from.md"))
    {
        let (prose, _) = parts(&page.text);
        for span in prose.iter().flat_map(|line| spans(line)) {
            let shouts = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let is_const = span.contains('_') && span.chars().all(shouts);
            let method = span.split_once("::").filter(|(kind, name)| {
                kind.starts_with(|c: char| c.is_ascii_uppercase())
                    && kind.chars().chain(name.chars()).all(is_word)
            });
            let is_there = match method {
                Some((kind, name)) => rust
                    .iter()
                    .any(|file| has_word(&file.text, kind) && defines(&file.text, name)),
                None => !is_const || all().any(|file| has_word(&file.text, span)),
            };
            if !is_there {
                astray.push(format!("{}: `{span}` is nowhere", page.path));
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

/// `pipeline/no-marker` is a scenario of the model.
#[test]
fn scenarios_are_the_models() {
    let model: String = files::rust()
        .into_iter()
        .filter(|source| source.path.starts_with("tests/model/src/"))
        .map(|source| source.text)
        .collect();
    let is_room = |room: &str| {
        let folder = root().join("tests/model/src").join(room);
        room.chars().all(char::is_alphanumeric) && !room.is_empty() && folder.exists()
            || root().join(format!("tests/model/src/{room}.rs")).exists()
    };
    let mut astray = Vec::new();
    for page in pages() {
        let (prose, _) = parts(&page.text);
        for span in prose.iter().flat_map(|line| spans(line)) {
            let of_model = span.split_once('/').is_some_and(|(room, word)| {
                is_room(room) && !word.is_empty() && !word.contains(['/', '.', ' '])
            });
            if of_model && !model.contains(&format!("\"{span}\"")) {
                astray.push(format!("{}: `{span}` is no scenario", page.path));
            }
        }
    }
    assert!(astray.is_empty(), "\n{}", astray.join("\n"));
}

/// `docs/src/../a.md` without the dots.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let (prose, _) = parts(&page.text);
        for target in prose.iter().flat_map(|line| links(line)) {
            if target.starts_with("https://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
            let path = match path {
                "" => PathBuf::from(&page.path),
                path => plain(&folder.join(path)),
            };
            let there = root().join(&path);
            let has_anchor = || {
                let text = std::fs::read_to_string(&there).unwrap_or_default();
                anchors(&text).iter().any(|known| known == anchor)
            };
            if !there.exists() || !anchor.is_empty() && !has_anchor() {
                broken.push(format!("{}: {target}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_chapter_is_in_the_summary() {
    let summary = page("SUMMARY.md");
    let listed: BTreeSet<&str> = summary.text.lines().flat_map(links).collect();
    let chapters = pages();
    let names = chapters
        .iter()
        .filter_map(|page| page.path.strip_prefix("docs/src/"));
    let written: BTreeSet<&str> = names.filter(|name| *name != "SUMMARY.md").collect();
    assert_eq!(listed, written);
}

/// Text without its spaces and the names of its jobs: two that are wrapped otherwise are the same,
/// and so is a template whose job was given a name.
fn dense(text: &str) -> String {
    let jobs: Vec<&str> = text.split("() -> Job").collect();
    let (last, before) = jobs.split_last().unwrap_or((&"", &[]));
    let unnamed = before.iter().map(|piece| piece.trim_end_matches(is_word));
    let text = unnamed.chain([*last]).collect::<Vec<_>>().join("() -> Job");
    text.split_whitespace().collect()
}

/// The code of a file's doc comments, without the lines that rustdoc hides.
fn doc_code(text: &str) -> String {
    let comment = |line: &str| {
        let line = line.trim_start();
        let rest = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))?;
        Some(rest.strip_prefix(' ').unwrap_or(rest).to_owned())
    };
    let lines = text.lines().filter_map(comment);
    let shown = lines.filter(|line| line != "#" && !line.starts_with("# "));
    shown.collect::<Vec<_>>().join("\n")
}

/// A block may leave code out where `// …` stands.
fn is_in(block: &Block, code: &str) -> bool {
    let mut from = 0;
    block.text.split("// …").map(dense).all(|piece| {
        let at = code[from..].find(&piece);
        from += at.map_or(0, |at| at + piece.len());
        at.is_some()
    })
}

/// A job comes from a file that a test compiles and runs; other Rust is from anywhere in the
/// checkout.
#[test]
fn rust_in_the_book_is_the_checkouts() {
    let mut sources = files::rust();
    sources.retain(|source| !source.path.starts_with("tests/tidy/"));
    let code = |of_jobs: bool| -> Vec<String> {
        let folders = ["examples/", "guest-sdk/", "host/templates/"];
        let tested = |path: &str| folders.iter().any(|folder| path.starts_with(folder));
        let sources = sources
            .iter()
            .filter(|source| !of_jobs || tested(&source.path));
        let both = sources.flat_map(|source| [dense(&source.text), dense(&doc_code(&source.text))]);
        both.collect()
    };
    let (jobs, all) = (code(true), code(false));
    let mut strange = Vec::new();
    for page in pages() {
        let (_, blocks) = parts(&page.text);
        for block in blocks.iter().filter(|block| block.language == "rust") {
            let known = if block.text.contains("#[job]") {
                &jobs
            } else {
                &all
            };
            if !known.iter().any(|code| is_in(block, code)) {
                strange.push(format!("{}:\n{}", page.path, block.text));
            }
        }
    }
    assert!(
        strange.is_empty(),
        "not the text of a file (jobs: of examples/, guest-sdk/ or host/templates/):\n{}",
        strange.join("\n")
    );
}

/// What the page of troubles quotes is said by the code.
#[test]
fn messages_are_quoted_as_they_are() {
    let joined = |source: &Source| {
        let pieces: Vec<&str> = source.text.split("\\\n").map(str::trim_start).collect();
        pieces.concat().replace('`', "")
    };
    let code: Vec<String> = files::rust().iter().map(joined).collect();
    let cells = first_cells(&page("troubleshooting.md").text);
    let quotes = cells
        .iter()
        .flat_map(|cell| cell.split('"').skip(1).step_by(2));
    let pieces = quotes.flat_map(|quote| quote.split(" … "));
    let unknown: Vec<&str> = pieces
        .filter(|piece| {
            !code
                .iter()
                .any(|text| text.contains(&piece.replace('`', "")))
        })
        .collect();
    assert!(unknown.is_empty(), "nobody says {unknown:?}");
}
