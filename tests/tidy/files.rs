//! The checkout's files.

use std::fs;
use std::path::Path;
use streamhost_tests::paths::root;

/// Folders that are no source.
const LEFT_OUT: [&str; 6] = [
    "target",
    ".git",
    ".cache",
    "streamhost-data",
    "book",
    "node_modules",
];

/// A file of the checkout.
pub(crate) struct Source {
    /// Its path in the checkout.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl Source {
    /// Written by a generator, and checked by a test of its own.
    fn is_generated(&self) -> bool {
        self.text
            .lines()
            .take(5)
            .any(|line| line.starts_with("// @generated"))
    }

    /// Tests alone.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        ["tests.rs", "_tests.rs", "_test.rs"]
            .iter()
            .any(|end| name.ends_with(end))
            || self.path.split('/').any(|part| part == "tests")
    }

    /// The text without its module of tests, which stands last.
    pub(crate) fn without_tests(&self) -> &str {
        let at = self.text.find("\n#[cfg(test)]\nmod tests {");
        at.map_or(&self.text, |at| &self.text[..at])
    }
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, sources);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path
                .strip_prefix(root())
                .expect("it is in the checkout")
                .display()
                .to_string();
            sources.push(Source { path, text });
        }
    }
}

/// All text files whose path ends so.
pub(crate) fn ending(ends: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    collect(root(), &mut sources);
    sources.retain(|source| ends.iter().any(|end| source.path.ends_with(end)));
    assert!(!sources.is_empty(), "no file ends with {ends:?}");
    sources
}

/// All Rust files that people write.
pub(crate) fn rust() -> Vec<Source> {
    let mut sources = ending(&[".rs"]);
    sources.retain(|source| !source.is_generated());
    sources
}
