//! Says which commit and engine the binary is of, and lists the files that `streamhost new` writes (the SDK's crates and the templates), so that the
//! binary carries them and works without a clone at hand.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The crates that a job's build needs, by their folder in the repository.
const CRATES: [&str; 3] = ["guest-sdk", "guest-sdk/macros", "host/core"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    // In a packed crate (`package/crates.sh`) what the binary carries is in a folder of it.
    let packed = here.join("carried");
    let repository: &Path = match packed.is_dir() {
        true => &packed,
        false => here
            .parent()
            .expect("the package is a folder of the repository"),
    };
    let (commit, lock) = (
        commit(repository),
        fs::read_to_string(repository.join("Cargo.lock"))?,
    );
    if let Some(commit) = &commit {
        println!("cargo::rustc-env=STREAMHOST_COMMIT={commit}");
    }
    let (commit, engine) = (commit.as_deref().unwrap_or("not known"), engine(&lock));
    println!("cargo::rustc-env=WASMTIME_VERSION={engine}");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    println!("cargo::rustc-env=STREAMHOST_VERSION={version} (commit {commit}, wasmtime {engine})");
    let manifest = match packed.is_dir() {
        true => "Cargo.toml.carried",
        false => "Cargo.toml",
    };
    let mut sdk = vec![PathBuf::from(manifest), PathBuf::from("Cargo.lock")];
    for folder in CRATES {
        sdk.push(Path::new(folder).join(manifest));
        collect(repository, &Path::new(folder).join("src"), &mut sdk)?;
    }
    let mut templates = Vec::new();
    collect(repository, Path::new("host/templates"), &mut templates)?;
    let mut code = String::new();
    for (name, files) in [("SDK", sdk), ("TEMPLATES", templates)] {
        let _ = writeln!(code, "pub(super) const {name}: &[(&str, &str)] = &[");
        for file in files {
            let path = repository.join(&file);
            println!("cargo::rerun-if-changed={}", path.display());
            let name = file.to_string_lossy();
            let name = name.trim_end_matches(".carried");
            let _ = writeln!(code, "    ({name:?}, include_str!({path:?})),");
        }
        code += "];\n";
    }
    let crates = CRATES.map(|folder| format!("{folder:?}")).join(", ");
    let _ = writeln!(code, "pub(super) const SDK_CRATES: &[&str] = &[{crates}];");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("carried.rs"), code)
}

/// The commit of this repository; none without git, or where it is only a part of another one.
fn commit(repository: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let said = git.current_dir(repository).args(arguments).output().ok()?;
        let said = said.status.success().then_some(said.stdout)?;
        Some(String::from_utf8(said).ok()?.trim().to_owned())
    };
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != repository.canonicalize().ok()? {
        return None;
    }
    // It grows with each commit and each change of branch.
    let log = repository.join(git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    println!("cargo::rerun-if-changed={}", log.display());
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The version of wasmtime in the lock file.
fn engine(lock: &str) -> &str {
    let package = lock.split("[[package]]\nname = \"wasmtime\"\n").nth(1);
    let version = package.and_then(|rest| rest.split('"').nth(1));
    version.expect("wasmtime is locked")
}

/// Appends the files below a folder, in order of their names.
fn collect(repository: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!(
        "cargo::rerun-if-changed={}",
        repository.join(folder).display()
    );
    let mut entries = fs::read_dir(repository.join(folder))?
        .map(|entry| entry.map(|entry| folder.join(entry.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if repository.join(&entry).is_dir() {
            collect(repository, &entry, files)?;
        } else {
            files.push(entry);
        }
    }
    Ok(())
}
