//! Lists the files that `streamhost new` writes (the SDK's crates and the templates), so that the
//! binary carries them and works without a clone at hand.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The crates that a job's build needs, by their folder in the repository.
const CRATES: [&str; 3] = ["guest-sdk", "guest-sdk/macros", "host/core"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let repository = here
        .parent()
        .expect("the package is a folder of the repository");
    let mut sdk = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    for folder in CRATES {
        sdk.push(Path::new(folder).join("Cargo.toml"));
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
            let _ = writeln!(code, "    ({:?}, include_str!({:?})),", file, path);
        }
        code += "];\n";
    }
    let crates = CRATES.map(|folder| format!("{folder:?}")).join(", ");
    let _ = writeln!(code, "pub(super) const SDK_CRATES: &[&str] = &[{crates}];");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("carried.rs"), code)
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
