//! `new`: a job's project from a template, with the SDK that it needs beside it.

mod carried;
mod sdk;
mod template;

use super::CliError;
use super::output::table;
use super::screen::Screen;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use streamhost_core::job::names;
use template::Template;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost new clicks                        Kafka to HBase, in ./clicks
  streamhost new sales --template window       sales of each shop and minute
  streamhost new --list                        all templates")]
pub(super) struct Args {
    /// The project's folder; its last part is the job's name
    #[arg(required_unless_present = "list")]
    path: Option<PathBuf>,
    /// What to begin with; `--list` shows all
    #[arg(long, default_value = "kafka-to-hbase", value_name = "TEMPLATE")]
    template: String,
    /// Use the SDK in this folder (a clone's `guest-sdk`) instead of a copy in the project
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// List the templates
    #[arg(long)]
    list: bool,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// A name that no job can have.
    #[error("`{name}` cannot be a job's name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No such template.
    #[error("there is no template `{name}`{}; `streamhost new --list` shows all", nearest.map_or_else(String::new, |near| format!(", did you mean `{near}`?")))]
    Template {
        /// Its name.
        name: String,
        /// The template whose name is closest.
        nearest: Option<&'static str>,
    },
    /// Something is there already.
    #[error("{}: this folder is there already and not empty: choose another name", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// What `--sdk` names is not the SDK.
    #[error("{}: this folder has no package `streamhost`: name the `guest-sdk` of a clone, or leave --sdk out", path.display())]
    NoSdk {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(folder) = args.path.filter(|_| !args.list) else {
        let rows: Vec<_> = template::ALL
            .iter()
            .map(|template| [template.name.to_owned(), template.about.to_owned()])
            .collect();
        return Ok(table(
            out,
            screen,
            (["TEMPLATE", "WHAT IT IS"], &[]),
            &rows,
        )?);
    };
    let name = folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    check_name(&name)?;
    let template = Template::find(&args.template)?;
    let own_sdk = args.sdk.as_deref().map(sdk::find).transpose()?;
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(NewError::Taken { path: folder }.into());
    }
    let dependency = own_sdk.as_deref().unwrap_or(Path::new(sdk::DEPENDENCY));
    for (path, text) in template.files(&name, dependency) {
        write(&folder.join(path), &text)?;
    }
    if own_sdk.is_none() {
        for (path, text) in sdk::files() {
            write(&folder.join(sdk::FOLDER).join(path), &text)?;
        }
        // The versions that this release was tested with. Cargo drops what is not needed.
        write(&folder.join("Cargo.lock"), sdk::lock())?;
    }
    Ok(next_steps(out, &folder, &name, template)?)
}

/// The name is a job's, a package's, and (with `_` for `-`) a function's.
fn check_name(name: &str) -> Result<(), NewError> {
    let refused = |reason: &str| NewError::Name {
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    names::job(name).map_err(|reason| refused(&reason))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
        return Err(refused(
            "the function and the package have it too, so it begins with a lower-case letter and has letters, digits, `-` and `_` alone",
        ));
    }
    if syn_keyword(&name.replace('-', "_")) {
        return Err(refused("it is a keyword of Rust"));
    }
    if matches!(
        name,
        "streamhost" | "serde" | "core" | "std" | "test" | "alloc"
    ) {
        return Err(refused("a package of this name is used by the job itself"));
    }
    Ok(())
}

/// Whether no function can have this name (the Rust reference, "Keywords").
fn syn_keyword(name: &str) -> bool {
    const KEYWORDS: [&str; 51] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
        "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
        "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
        "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type",
        "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    ];
    KEYWORDS.contains(&name)
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let failed = |error| NewError::File {
        path: path.to_owned(),
        error,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

fn next_steps(
    out: &mut dyn Write,
    folder: &Path,
    name: &str,
    template: &Template,
) -> io::Result<()> {
    let folder = folder.display();
    writeln!(
        out,
        "{folder}: the job `{name}`, from the template `{}` ({})

  cd {folder}
  cargo test                # runs the job on its input.txt, without servers
  streamhost build          # compiles it to a component, and prints its path
  streamhost dev            # in another terminal: a host with Kafka and HBase inside
  streamhost deploy target/streamhost/{name}.wasm --create-tables",
        template.name, template.about
    )
}

#[cfg(test)]
mod tests;
