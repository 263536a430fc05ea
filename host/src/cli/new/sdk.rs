//! The SDK's sources, as a workspace that builds by itself.

use super::{NewError, carried};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where they are in a project.
pub(super) const FOLDER: &str = "sdk";
/// Where the SDK itself is.
pub(super) const DEPENDENCY: &str = "sdk/guest-sdk";

const README: &str = "# The SDK of streamhost

The sources of the crate `streamhost` as they were when this project was made, so that it builds without anything
but Rust. Nothing here is to be changed. For another version: `streamhost new` with that version makes a project
whose `sdk` folder takes the place of this one.
";

/// Its files, with their paths below [`FOLDER`].
pub(super) fn files() -> Vec<(&'static str, String)> {
    let file = |&(path, text): &(&'static str, &str)| match path {
        "Cargo.toml" => Some((path, workspace(text))),
        "Cargo.lock" => None,
        _ => Some((path, text.to_owned())),
    };
    let mut files: Vec<_> = carried::SDK.iter().filter_map(file).collect();
    files.push(("README.md", README.to_owned()));
    files
}

/// The versions of all crates that this release was tested with.
pub(super) fn lock() -> &'static str {
    let lock = carried::SDK.iter().find(|(path, _)| *path == "Cargo.lock");
    lock.map_or("", |(_, text)| text)
}

/// The repository's manifest with the SDK's crates as its only members.
fn workspace(text: &str) -> String {
    let mut manifest: Table = text.parse().unwrap_or_default();
    manifest.remove("profile");
    if let Some(Value::Table(workspace)) = manifest.get_mut("workspace") {
        let members = carried::SDK_CRATES.iter().map(|&folder| folder.into());
        workspace.insert("members".to_owned(), Value::Array(members.collect()));
        workspace.remove("default-members");
        if let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies") {
            dependencies.retain(|_, dependency| {
                let path = dependency.get("path").and_then(Value::as_str);
                path.is_none_or(|path| carried::SDK_CRATES.contains(&path))
            });
        }
    }
    manifest.to_string()
}

/// The folder of `--sdk`, if it is the SDK's.
pub(super) fn find(folder: &Path) -> Result<PathBuf, NewError> {
    let none = || NewError::NoSdk {
        path: folder.to_owned(),
    };
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).map_err(|_| none())?;
    let manifest: Table = text.parse().map_err(|_| none())?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    if name.and_then(Value::as_str) != Some("streamhost") {
        return Err(none());
    }
    folder.canonicalize().map_err(|_| none())
}
