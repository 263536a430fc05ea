//! What components may read and write: allow-lists by pattern. A component names its sources and
//! sinks itself, so without them whoever may deploy could have the host read any file of its user,
//! and send it away.

use glob::{MatchOptions, Pattern};
use std::path::{Component, Path, PathBuf};
use streamhost_core::job::connector;

/// What a list of patterns is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files and folders of file sources.
    Files,
    /// Addresses of socket sources.
    Sockets,
    /// Topics of sources, sinks and dead letters.
    Topics,
    /// Tables of sinks.
    Tables,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Files, Kind::Sockets, Kind::Topics, Kind::Tables];

    /// Of what a connector reads or writes; none where that is nothing outside of the host.
    pub fn of_connector(name: &str) -> Option<Kind> {
        let kinds = [
            (connector::KAFKA.name, Some(Kind::Topics)),
            (connector::HBASE.name, Some(Kind::Tables)),
            (connector::FILE.name, Some(Kind::Files)),
            (connector::SOCKET.name, Some(Kind::Sockets)),
            (connector::RATE.name, None),
            (connector::CONSOLE.name, None),
        ];
        let found = kinds.into_iter().find(|(known, _)| *known == name);
        // One that is new has the strictest rules until it has some of its own.
        found.map_or(Some(Kind::Files), |(_, kind)| kind)
    }

    /// Its key in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Files => "files",
            Kind::Sockets => "sockets",
            Kind::Topics => "topics",
            Kind::Tables => "tables",
        }
    }
}

/// Patterns for each kind; none: everything is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    files: Option<Vec<Pattern>>,
    sockets: Option<Vec<Pattern>>,
    topics: Option<Vec<Pattern>>,
    tables: Option<Vec<Pattern>>,
}

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
        self.files.get_or_insert_default();
        self
    }

    /// Allows of one kind what fits these patterns, and no more. A relative pattern of files begins
    /// at this folder.
    ///
    /// # Errors
    /// The pattern that cannot be read, and why.
    pub fn only(&mut self, kind: Kind, folder: &Path, patterns: &[String]) -> Result<(), String> {
        let read = |text: &String| {
            let whole = match kind {
                Kind::Files => below(folder, text),
                _ => text.clone(),
            };
            Pattern::new(&whole).map_err(|e| format!("`{text}` is no pattern: {}", e.msg))
        };
        let read: Result<Vec<Pattern>, String> = patterns.iter().map(read).collect();
        *self.list(kind) = Some(read?);
        Ok(())
    }

    fn list(&mut self, kind: Kind) -> &mut Option<Vec<Pattern>> {
        match kind {
            Kind::Files => &mut self.files,
            Kind::Sockets => &mut self.sockets,
            Kind::Topics => &mut self.topics,
            Kind::Tables => &mut self.tables,
        }
    }

    /// Why a component may not have this; none: it may.
    pub fn refusal(&self, kind: Kind, what: &str) -> Option<String> {
        let (list, name, whole) = match kind {
            Kind::Files => (&self.files, "file or folder", real(Path::new(what))),
            Kind::Sockets => (&self.sockets, "socket", what.to_owned()),
            Kind::Topics => (&self.topics, "topic", what.to_owned()),
            Kind::Tables => (&self.tables, "table", what.to_owned()),
        };
        let patterns = list.as_ref()?;
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
                kind.key()
            ),
            false => format!(
                "`[allow] {}` of the host's configuration allows {}",
                kind.key(),
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
            .refusal(Kind::Files, "/etc/shadow")
            .unwrap_or_default();
        assert!(
            words.contains("allows none: name patterns in `[allow] files`"),
            "{words}"
        );
        assert_eq!(allow.refusal(Kind::Topics, "any"), None);
        let only = |allow: &mut Allow, kind, patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
            allow.only(kind, Path::new("/etc/streamhost"), &patterns)
        };
        only(&mut allow, Kind::Topics, &["clicks*", "orders"]).expect("good");
        only(&mut allow, Kind::Tables, &[]).expect("good");
        only(&mut allow, Kind::Sockets, &["10.0.0.*:*"]).expect("good");
        for (kind, what, fits) in [
            (Kind::Topics, "clicks", true),
            (Kind::Topics, "clicks.dead-letters", true),
            (Kind::Topics, "orders", true),
            (Kind::Topics, "orders2", false),
            (Kind::Topics, "Clicks", false),
            (Kind::Tables, "t", false),
            (Kind::Sockets, "10.0.0.7:99", true),
            (Kind::Sockets, "127.0.0.1:22", false),
        ] {
            assert_eq!(allow.refusal(kind, what).is_none(), fits, "{what}");
        }
        let words = allow.refusal(Kind::Topics, "orders2").unwrap_or_default();
        assert!(
            words.contains("`[allow] topics` of the host's configuration allows clicks*, orders"),
            "{words}"
        );
        let wrong = only(&mut allow, Kind::Topics, &["a***"]).expect_err("no pattern");
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
            .only(Kind::Files, &root, &["in".to_owned(), "in/**".to_owned()])
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
            assert_eq!(allow.refusal(Kind::Files, &path).is_none(), fits, "{path}");
        }
    }
}
