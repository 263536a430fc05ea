//! `build`: cargo for the Wasm target, and a component around what comes out.

use super::toolchain::{TARGET, Toolchain};
use super::{CliError, Host, inspect};
use serde::Deserialize;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use streamhost_guest::wrap::{self, Form, WrapError};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost build                 the job in this folder
  streamhost build jobs/clicks     the one in another
  streamhost deploy \"$(streamhost build)\"")]
pub(super) struct Args {
    /// The job's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo or rustc cannot be started.
    #[error(
        "{program} cannot be started ({error}): install Rust from https://rustup.rs, or put it on the PATH"
    )]
    NoRust {
        /// Which one.
        program: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing is there that compiles for the target.
    #[error(
        "this Rust toolchain cannot compile for {TARGET}: run `rustup target add {TARGET}`, then build again"
    )]
    NoTarget,
    /// The toolchain that was named cannot either.
    #[error(
        "the toolchain `{name}` of {variable} is not there, or cannot compile for {TARGET}: `rustup toolchain list` shows those there are"
    )]
    ForcedToolchain {
        /// Its name.
        name: String,
        /// Who named it.
        variable: &'static str,
    },
    /// No package.
    #[error("{}: there is no Cargo.toml: name the folder of a job, `streamhost build DIR`", path.display())]
    NoPackage {
        /// The folder.
        path: PathBuf,
    },
    /// Cargo cannot read the package.
    #[error("cargo cannot read {}: {said}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What cargo said.
        said: String,
    },
    /// The package makes no library that can be loaded.
    #[error(
        "package `{package}` makes no Wasm module: put `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` into its Cargo.toml"
    )]
    NoCdylib {
        /// The package.
        package: String,
    },
    /// A workspace without a package of its own, and none of its members is a job.
    #[error(
        "no package of this workspace makes a Wasm module: a job's Cargo.toml has `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]`"
    )]
    NoJob,
    /// A workspace with several.
    #[error("there are several jobs here: name one of them, `streamhost build DIR`: {folders}")]
    SeveralJobs {
        /// Their folders.
        folders: String,
    },
    /// The compiler said no, and has shown why.
    #[error("cargo could not compile package `{package}`: what it printed above says why")]
    Compile {
        /// The package.
        package: String,
    },
    /// Cargo ended well and named no file.
    #[error(
        "cargo made no .wasm file for package `{package}`: is its library a `cdylib` on {TARGET} too?"
    )]
    NoArtifact {
        /// The package.
        package: String,
    },
    /// The compiler's answer is a component already, of some other world.
    #[error(
        "{} is a component already: its build was for another target (wasm32-wasip2?), whose components import a system \
         that jobs do not have; leave `target` out of .cargo/config.toml and `crate-type` at \"cdylib\"",
        path.display()
    )]
    Component {
        /// The file.
        path: PathBuf,
    },
    /// The module cannot be wrapped.
    #[error("{}: {error}", path.display())]
    Wrap {
        /// The module.
        path: PathBuf,
        /// Why not.
        error: WrapError,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// What `cargo metadata` says, as far as it counts here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Clone, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Clone, Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// A line of cargo's progress.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// What a release of a job is compiled with: small, fast, no unwinding, and names for backtraces.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
];

impl Package {
    fn makes_module(&self) -> bool {
        self.targets.iter().any(Target::is_module)
    }
}

impl Target {
    fn is_module(&self) -> bool {
        self.kind.iter().any(|kind| kind == "cdylib")
    }
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), CliError> {
    let project = Project::find(&args.dir)?;
    let module = project.compile()?;
    let component = wrapped(&module)?;
    let folder = project.target_directory.join("streamhost");
    // `clicks-v2.wasm`, as its author calls it, not cargo's `clicks_v2.wasm`
    let path = folder.join(format!("{}.wasm", project.package.name));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &component));
    written.map_err(|error| BuildError::File {
        path: path.clone(),
        error,
    })?;
    if let Err(refused) = inspect::describe(&path, &component, host, err) {
        writeln!(err, "warning: a host would refuse it: {refused}")?;
    }
    writeln!(err, "next     streamhost deploy {}", path.display())?;
    Ok(writeln!(out, "{}", path.display())?)
}

/// A job's package, and what compiles it.
pub(super) struct Project {
    /// The job's folder.
    pub(super) folder: PathBuf,
    /// Where cargo puts what it makes.
    pub(super) target_directory: PathBuf,
    package: Package,
    toolchain: Toolchain,
}

impl Project {
    /// That of a folder.
    pub(super) fn find(folder: &Path) -> Result<Project, BuildError> {
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(BuildError::NoPackage {
                path: folder.to_owned(),
            });
        }
        let metadata = metadata(folder, &manifest)?;
        let package = choose(&metadata.packages, &manifest)?.clone();
        Ok(Project {
            folder: folder.to_owned(),
            target_directory: metadata.target_directory,
            package,
            toolchain: Toolchain::find(folder)?,
        })
    }

    /// The package's name.
    pub(super) fn name(&self) -> &str {
        &self.package.name
    }

    /// Cargo that builds the module, and tells of it on standard output.
    pub(super) fn cargo_build(&self, profile: &str) -> Command {
        let mut cargo = self.toolchain.cargo(&self.folder);
        cargo
            .args(["build", "--profile", profile, "--lib", "--target", TARGET])
            .args(["--package", &self.package.id])
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null());
        cargo
    }

    /// Cargo that runs the job's tests, but for those of its documentation.
    pub(super) fn cargo_test(&self, profile: &str) -> Command {
        let mut cargo = self.toolchain.cargo(&self.folder);
        cargo
            .args(["test", "--profile", profile, "--tests"])
            .args(["--package", &self.package.id])
            .stdin(Stdio::null());
        cargo
    }

    /// The module, if a line of cargo's progress tells of it.
    pub(super) fn module_in(&self, line: &str) -> Option<PathBuf> {
        module_in(line, &self.package.id)
    }

    /// Runs cargo for a release, which shows its progress and its errors itself; the module's file.
    fn compile(&self) -> Result<PathBuf, BuildError> {
        let no_cargo = |error| BuildError::NoRust {
            program: "cargo",
            error,
        };
        let mut cargo = self.cargo_build("release");
        let cargo = cargo.envs(PROFILE).stdout(Stdio::piped());
        let mut child = cargo.spawn().map_err(no_cargo)?;
        let mut made = None;
        if let Some(messages) = child.stdout.take() {
            for line in BufReader::new(messages).lines().map_while(Result::ok) {
                made = self.module_in(&line).or(made);
            }
        }
        let package = self.package.name.clone();
        match (child.wait().map_err(no_cargo)?.success(), made) {
            (true, Some(made)) => Ok(made),
            (true, None) => Err(BuildError::NoArtifact { package }),
            (false, _) => Err(BuildError::Compile { package }),
        }
    }
}

fn metadata(folder: &Path, manifest: &Path) -> Result<Metadata, BuildError> {
    let mut cargo = Command::new("cargo");
    let asked = cargo
        .current_dir(folder)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output();
    let said = asked.map_err(|error| BuildError::NoRust {
        program: "cargo",
        error,
    })?;
    let refused = |said: &[u8]| {
        let said = String::from_utf8_lossy(said)
            .trim()
            .trim_start_matches("error: ")
            .to_owned();
        BuildError::Manifest {
            path: manifest.to_owned(),
            said,
        }
    };
    if !said.status.success() {
        return Err(refused(&said.stderr));
    }
    serde_json::from_slice(&said.stdout).map_err(|e| refused(e.to_string().as_bytes()))
}

/// The package of the folder; in the folder of a bare workspace the one that is a job.
fn choose<'a>(packages: &'a [Package], manifest: &Path) -> Result<&'a Package, BuildError> {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(own) = packages
        .iter()
        .find(|package| canonical(&package.manifest_path) == canonical(manifest))
    {
        return match own.makes_module() {
            true => Ok(own),
            false => Err(BuildError::NoCdylib {
                package: own.name.clone(),
            }),
        };
    }
    let jobs: Vec<_> = packages
        .iter()
        .filter(|package| package.makes_module())
        .collect();
    match jobs.as_slice() {
        [] => Err(BuildError::NoJob),
        [one] => Ok(one),
        several => {
            let folder = |p: &&Package| {
                p.manifest_path
                    .parent()
                    .unwrap_or(Path::new("."))
                    .display()
                    .to_string()
            };
            Err(BuildError::SeveralJobs {
                folders: several.iter().map(folder).collect::<Vec<_>>().join(", "),
            })
        }
    }
}

/// The module that a line of cargo's progress tells of.
fn module_in(line: &str, package_id: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    message.target.filter(Target::is_module)?;
    if message.reason != "compiler-artifact" || message.package_id.as_deref() != Some(package_id) {
        return None;
    }
    let is_wasm = |file: &PathBuf| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    message.filenames.into_iter().find(is_wasm)
}

/// The component around a module.
pub(super) fn wrapped(module: &Path) -> Result<Vec<u8>, BuildError> {
    let path = || module.to_owned();
    let bytes = std::fs::read(module).map_err(|error| BuildError::File {
        path: path(),
        error,
    })?;
    match wrap::form(&bytes) {
        Ok(Form::Component) => Err(BuildError::Component { path: path() }),
        Ok(Form::Module) => wrap::wrap(bytes).map_err(|error| BuildError::Wrap {
            path: path(),
            error,
        }),
        Err(error) => Err(BuildError::Wrap {
            path: path(),
            error,
        }),
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
