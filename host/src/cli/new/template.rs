//! The templates. Each is a crate of the workspace, so that its code is compiled and its test runs
//! with all others; a project has the project's name where the template has its own.

use super::{NewError, carried};
use std::path::Path;

/// A template.
#[derive(Debug)]
pub(super) struct Template {
    /// What users call it.
    pub(super) name: &'static str,
    /// What its job does.
    pub(super) about: &'static str,
}

/// All templates, the simplest first.
pub(super) const ALL: [Template; 5] = [
    Template {
        name: "kafka-to-hbase",
        about: "lines of a topic parsed, filtered, and written into a table",
    },
    Template {
        name: "word-count",
        about: "a running count for each key, kept over batches",
    },
    Template {
        name: "window",
        about: "sums by key and minute, by event time, with late data",
    },
    Template {
        name: "join",
        about: "two streams paired by key within ten minutes, into a topic, exactly once",
    },
    Template {
        name: "lookup",
        about: "a stream with what a table (a compacted topic) says of its key",
    },
];

/// Where the templates' crates are, in the repository.
const FOLDER: &str = "host/templates";
/// What the name of a template's crate has behind the template's.
const SUFFIX: &str = "-job";
/// How much a name may differ from a template's to be taken for a mistyped one.
const DISTANCE_MAX: usize = 4;

impl Template {
    pub(super) fn find(name: &str) -> Result<&'static Template, NewError> {
        let distance = |template: &&Template| strsim::levenshtein(template.name, name);
        let found = ALL.iter().find(|template| template.name == name);
        found.ok_or_else(|| NewError::Template {
            name: name.to_owned(),
            nearest: ALL
                .iter()
                .min_by_key(distance)
                .filter(|near| distance(near) <= DISTANCE_MAX)
                .map(|near| near.name),
        })
    }

    /// The files of a project of this name, whose SDK is at `sdk`.
    pub(super) fn files(&self, name: &str, sdk: &Path) -> Vec<(String, String)> {
        let own = format!("{}{SUFFIX}", self.name);
        let folder = format!("{FOLDER}/{own}/");
        let (own_ident, ident) = (own.replace('-', "_"), name.replace('-', "_"));
        let renamed = |text: &str| text.replace(&own, name).replace(&own_ident, &ident);
        let mut files: Vec<_> = carried::TEMPLATES
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(&folder)?, text)))
            .map(|(path, text)| match path {
                "Cargo.toml" => (path.to_owned(), manifest(&renamed(text), sdk)),
                _ => (path.to_owned(), renamed(text)),
            })
            .collect();
        files.push((".gitignore".to_owned(), "/target\n".to_owned()));
        files
    }
}

/// The manifest of a project: a workspace of its own wherever it stands, with its own SDK.
fn manifest(text: &str, sdk: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let path = toml::Value::String(sdk.display().to_string());
    let text = text.replace(
        "streamhost = { path = \"../../../guest-sdk\" }",
        &format!("streamhost = {{ version = \"{version}\", path = {path} }}"),
    );
    format!(
        "{}\n\n# A workspace of its own, wherever this folder stands.\n[workspace]\nexclude = [\"{}\"]\n",
        text.trim_end(),
        super::sdk::FOLDER
    )
}
