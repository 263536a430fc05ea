//! What components may read and write: allow-lists by pattern. A component names its sources and
//! sinks itself, so without them whoever may deploy could have the host read any file of its user,
//! and send it away.

use glob::{MatchOptions, Pattern};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use streamhost_core::job::connector::Outside;

/// All that lists of patterns are about.
pub const LISTS: [Outside; 4] = [
    Outside::Files,
    Outside::Sockets,
    Outside::Topics,
    Outside::Tables,
];

/// A list's key in the configuration.
pub fn key(list: Outside) -> &'static str {
    match list {
        Outside::Files => "files",
        Outside::Sockets => "sockets",
        Outside::Topics => "topics",
        Outside::Tables => "tables",
    }
}

/// Patterns for what is limited; of what is not here everything is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(BTreeMap<Outside, Vec<Pattern>>);

/// `*` does not go beyond a folder; `**` does.
const BY_FOLDER: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Allow {
    /// Everything: for who runs jobs on a machine of his own.
    pub fn all() -> Allow {
        Allow::default()
    }

    /// The same for a daemon: where nothing is said of files, it allows none.
    #[must_use]
    pub fn of_daemon(mut self) -> Allow {
        self.0.entry(Outside::Files).or_default();
        self
    }

    /// Allows of one kind what fits these patterns, and no more. A relative pattern of files begins
    /// at this folder.
    ///
    /// # Errors
    /// The pattern that cannot be read, and why.
    pub fn only(
        &mut self,
        list: Outside,
        folder: &Path,
        patterns: &[String],
    ) -> Result<(), String> {
        let read = |text: &String| {
            let whole = match list {
                Outside::Files => below(folder, text),
                _ => text.clone(),
            };
            Pattern::new(&whole).map_err(|e| format!("`{text}` is no pattern: {}", e.msg))
        };
        let read: Result<Vec<Pattern>, String> = patterns.iter().map(read).collect();
        self.0.insert(list, read?);
        Ok(())
    }

    /// Why a component may not have this; none: it may.
    pub fn refusal(&self, list: Outside, what: &str) -> Option<String> {
        let patterns = self.0.get(&list)?;
        let (name, whole) = match list {
            Outside::Files => ("file or folder", real(Path::new(what))),
            Outside::Sockets => ("socket", what.to_owned()),
            Outside::Topics => ("topic", what.to_owned()),
            Outside::Tables => ("table", what.to_owned()),
        };
        if patterns
            .iter()
            .any(|pattern| pattern.matches_with(&whole, BY_FOLDER))
        {
            return None;
        }
        let is = match whole == what {
            true => String::new(),
            false => format!(" ({whole})"),
        };
        let all: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
        let rule = match all.is_empty() {
            true => format!(
                "the host's configuration allows none: name patterns in `[allow] {}`",
                key(list)
            ),
            false => format!(
                "`[allow] {}` of the host's configuration allows {}",
                key(list),
                all.join(", ")
            ),
        };
        Some(format!("{name} `{what}`{is} is not allowed: {rule}"))
    }
}

/// A pattern of files as it stands, or below the configuration's folder.
fn below(folder: &Path, pattern: &str) -> String {
    if Path::new(pattern).is_absolute() {
        return pattern.to_owned();
    }
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!("{}/{pattern}", Pattern::escape(&folder.to_string_lossy()))
}

/// Where a path really leads: links are followed as far as it is there, so that neither they nor
/// `..` lead out of what is allowed.
fn real(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut there = path.as_path();
    let mut rest = Vec::new();
    let found = loop {
        match std::fs::canonicalize(there) {
            Ok(found) => break found,
            Err(_) => match (there.parent(), there.components().next_back()) {
                (Some(parent), Some(last)) => {
                    rest.push(last);
                    there = parent;
                }
                _ => break PathBuf::from("/"),
            },
        }
    };
    let mut whole = found;
    for part in rest.into_iter().rev() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::Normal(name) => whole.push(name),
            _ => {}
        }
    }
    whole.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_no_pattern_is_refused_by_its_rule() {
        let mut allow = Allow::all().of_daemon();
        let words = allow
            .refusal(Outside::Files, "/etc/shadow")
            .unwrap_or_default();
        assert!(
            words.contains("allows none: name patterns in `[allow] files`"),
            "{words}"
        );
        assert_eq!(allow.refusal(Outside::Topics, "any"), None);
        let only = |allow: &mut Allow, list, patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
            allow.only(list, Path::new("/etc/streamhost"), &patterns)
        };
        only(&mut allow, Outside::Topics, &["clicks*", "orders"]).expect("good");
        only(&mut allow, Outside::Tables, &[]).expect("good");
        only(&mut allow, Outside::Sockets, &["10.0.0.*:*"]).expect("good");
        for (list, what, fits) in [
            (Outside::Topics, "clicks", true),
            (Outside::Topics, "clicks.dead-letters", true),
            (Outside::Topics, "orders", true),
            (Outside::Topics, "orders2", false),
            (Outside::Topics, "Clicks", false),
            (Outside::Tables, "t", false),
            (Outside::Sockets, "10.0.0.7:99", true),
            (Outside::Sockets, "127.0.0.1:22", false),
        ] {
            assert_eq!(allow.refusal(list, what).is_none(), fits, "{what}");
        }
        let words = allow
            .refusal(Outside::Topics, "orders2")
            .unwrap_or_default();
        assert!(
            words.contains("`[allow] topics` of the host's configuration allows clicks*, orders"),
            "{words}"
        );
        let wrong = only(&mut allow, Outside::Topics, &["a***"]).expect_err("no pattern");
        assert!(wrong.contains("`a***` is no pattern"), "{wrong}");
    }

    #[test]
    fn neither_links_nor_dots_lead_out_of_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("there");
        std::fs::create_dir_all(root.join("in/deep")).expect("made");
        std::fs::write(root.join("secret"), "x").expect("written");
        std::os::unix::fs::symlink(root.join("secret"), root.join("in/link")).expect("linked");
        std::os::unix::fs::symlink(&root, root.join("in/up")).expect("linked");
        let mut allow = Allow::all().of_daemon();
        allow
            .only(
                Outside::Files,
                &root,
                &["in".to_owned(), "in/**".to_owned()],
            )
            .expect("good");
        for (path, fits) in [
            ("in", true),
            ("in/", true),
            ("in/a.csv", true),
            ("in/deep/a.csv", true),
            ("in/not/there/yet", true),
            ("in/link", false),
            ("in/up/secret", false),
            ("in/../secret", false),
            ("in/none/../../secret", false),
            ("secret", false),
            ("inside", false),
        ] {
            let path = root.join(path).display().to_string();
            assert_eq!(
                allow.refusal(Outside::Files, &path).is_none(),
                fits,
                "{path}"
            );
        }
    }
}
