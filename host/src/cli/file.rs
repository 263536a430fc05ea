//! Reads the component that `deploy` and `run` are given, and the settings beside it.

use super::CliError;
use crate::api::DeployRequest;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use streamhost_core::limits;

/// Why a component's file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("{}: there is no such file: `streamhost build` makes it, and prints its path", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, or something else.
    #[error("{}: this is no file: name the .wasm file that `streamhost build` printed", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("{}: the file is empty: build it again with `streamhost build`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Too much in it.
    #[error("{}: the file has {bytes} bytes, of {} at most: build it with `streamhost build`", path.display(), limits::COMPONENT_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// A component and how it is to run.
#[derive(Clone, Debug, Args)]
pub(super) struct Component {
    /// The component, as `streamhost build` made it
    #[arg(value_name = "FILE.wasm", required = true)]
    file: Option<PathBuf>,
    /// A setting, which stays for later deploys; KEY= takes it back: every=1s, source.NAME=PLACE, sink.NAME=PLACE, sink.NAME.OPTION=VALUE, param.NAME=VALUE, dead-letters=TOPIC, group=GROUP,
    /// start=earliest|latest|TIME, until=end, idle=30s, on-error=dead-letter|skip|stop,
    /// limits.memory=64MiB, limits.time=2s, limits.batch-records=N, limits.batch-bytes=16MiB
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// The job's name, if not the component's own
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Create tables and topics that are missing
    #[arg(long)]
    create_tables: bool,
    /// Forget state, counts and positions, and read again from `start`: rows are written and dead
    /// letters sent again
    #[arg(long)]
    reset_state: bool,
    /// Give up batches that are planned and not written to the end, and have this version run their
    /// records: for a job that such a batch keeps from going on. Rows of the version before stay where
    /// sinks have them already, and those without a marker get rows again
    #[arg(long, conflicts_with = "reset_state")]
    replan: bool,
    /// Begin with the settings that are given here: those of before do not stay
    #[arg(long)]
    pub(super) reset_settings: bool,
    #[command(flatten)]
    budgets: Budgets,
}

/// How much of what a version may have. Each is a setting of that name.
#[derive(Clone, Debug, Args)]
struct Budgets {
    /// How many records may become dead letters: "1% over 1m", "100 over 1m", or none
    #[arg(long, value_name = "MOST over TIME")]
    max_dead_letters: Option<String>,
    /// How old records may be when all sinks have them, but for one in a hundred: "5s over 1m"
    #[arg(long, value_name = "AGE over TIME")]
    max_latency: Option<String>,
    /// How many cores the job may use: "1.5 over 1m"
    #[arg(long, value_name = "CORES over TIME")]
    max_cpu: Option<String>,
    /// For how long a new version that goes over a budget or proves unfit is rolled back; 0: not at
    /// all. By default 15 minutes, and 100 batches
    #[arg(long, value_name = "TIME")]
    probation: Option<String>,
    /// What becomes of a job over its budget that is not rolled back: go-on or stop
    #[arg(long, value_name = "WHAT")]
    over_budget: Option<String>,
}

impl Budgets {
    /// As pairs of `--set`.
    fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        let all = [
            ("max-dead-letters", &self.max_dead_letters),
            ("max-latency", &self.max_latency),
            ("max-cpu", &self.max_cpu),
            ("probation", &self.probation),
            ("over-budget", &self.over_budget),
        ];
        let said = |(key, value): (&str, &Option<String>)| Some((key.to_owned(), value.clone()?));
        all.into_iter().filter_map(said)
    }
}

/// A setting of `--set`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a setting is KEY=VALUE, such as every=1s".to_owned()),
    }
}

/// The settings by key; none is given twice.
pub(super) fn settings(set: &[(String, String)]) -> Result<BTreeMap<String, String>, CliError> {
    let mut settings = BTreeMap::new();
    for (key, value) in set {
        if settings.insert(key.clone(), value.clone()).is_some() {
            return Err(CliError::SetTwice(key.clone()));
        }
    }
    Ok(settings)
}

impl Component {
    /// The component's file.
    pub(super) fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("")) // a verb that needs one has it
    }

    /// What is asked of the host.
    pub(super) fn request(&self) -> Result<DeployRequest, CliError> {
        Ok(DeployRequest {
            canary: None,
            name: self.name.clone(),
            settings: settings(&[self.set.clone(), self.budgets.pairs().collect()].concat())?,
            create_tables: self.create_tables,
            reset_state: self.reset_state,
            replan: self.replan,
            reset_settings: self.reset_settings,
        })
    }
}

/// The file's bytes, as they are.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing {
            path: path.to_owned(),
        },
        _ => FileError::Unreadable {
            path: path.to_owned(),
            error,
        },
    };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(FileError::NoFile {
            path: path.to_owned(),
        }); // a pipe would block, a device never end
    }
    let most = limits::COMPONENT_BYTES_MAX as u64;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 {
        0 => Err(FileError::Empty {
            path: path.to_owned(),
        }),
        length if length > most => Err(FileError::TooLarge {
            path: path.to_owned(),
            bytes: meta.len().max(length),
        }),
        _ => Ok(bytes),
    }
}
