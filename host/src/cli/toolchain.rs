//! Finds a Rust toolchain that can compile for the Wasm target.

use super::build::BuildError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What guests are compiled for.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";
/// A toolchain that was linked because the target could not be downloaded.
const LINKED: &str = "streamhost-web";
/// Forces a toolchain.
const VARIABLE: &str = "STREAMHOST_WASM_TOOLCHAIN";

/// A cargo that can compile for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// `cargo +NAME`; none: the folder's own.
    name: Option<String>,
}

impl Toolchain {
    /// The one that the environment names, or the folder's own, or the linked one.
    pub(super) fn find(folder: &Path) -> Result<Self, BuildError> {
        if let Some(name) = std::env::var(VARIABLE)
            .ok()
            .filter(|name| !name.trim().is_empty())
        {
            let forced = Toolchain {
                name: Some(name.trim().to_owned()),
            };
            return match forced.has_target(folder)? {
                true => Ok(forced),
                false => Err(BuildError::ForcedToolchain {
                    name,
                    variable: VARIABLE,
                }),
            };
        }
        let own = Toolchain { name: None };
        if own.has_target(folder)? {
            return Ok(own);
        }
        let linked = Toolchain {
            name: Some(LINKED.to_owned()),
        };
        if is_linked() && linked.has_target(folder)? {
            return Ok(linked);
        }
        Err(BuildError::NoTarget)
    }

    /// Its cargo, to be run in a folder.
    pub(super) fn cargo(&self, folder: &Path) -> Command {
        self.command("cargo", folder)
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder);
        command.args(self.name.iter().map(|name| format!("+{name}")));
        command
    }

    /// Whether the target's standard library is installed.
    fn has_target(&self, folder: &Path) -> Result<bool, BuildError> {
        let mut command = self.command("rustc", folder);
        let asked = command
            .args(["--print", "target-libdir", "--target", TARGET])
            .output();
        let said = asked.map_err(|error| BuildError::NoRust {
            program: "rustc",
            error,
        })?;
        let libraries = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
        let core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
        let mut files = std::fs::read_dir(libraries).into_iter().flatten().flatten();
        Ok(said.status.success() && files.any(|file| file.file_name().to_str().is_some_and(core)))
    }
}

/// Without rustup there is none.
fn is_linked() -> bool {
    let Ok(said) = Command::new("rustup").args(["toolchain", "list"]).output() else {
        return false;
    };
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .any(|line| line.split_whitespace().next() == Some(LINKED))
}
