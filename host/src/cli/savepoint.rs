//! `savepoint`: has the daemon write a job's checkpoint into a file, and shows what is in one.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Output, count, plain};
use super::progress::Progress;
use super::screen::Screen;
use clap::Subcommand;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use streamhost_core::limits;
use streamhost_storage::savepoint::{SavepointError, Summary, summary};
use tempfile::NamedTempFile;

mod inspect;

#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Examples:
  streamhost savepoint clicks
  streamhost savepoint clicks --to clicks.savepoint --stop     # for a move: it is exact
  streamhost savepoint inspect clicks.savepoint
  streamhost savepoint inspect clicks.savepoint --output json"
)]
pub(super) struct Args {
    /// The job
    #[arg(required = true)]
    job: Option<String>,
    /// The file that is written; JOB-BATCH.savepoint in this folder without it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Pause the job first, once it has delivered what it planned: for a move to another host
    #[arg(long)]
    stop: bool,
    #[command(subcommand)]
    look: Option<Look>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// Show what is in a savepoint, and whether it is whole; needs no daemon
    Inspect {
        /// The savepoint
        file: PathBuf,
    },
}

/// Why a savepoint's file is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum SavepointFileError {
    /// It is there already.
    #[error("{}: this file is there already: name another one with --to", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("{}: {error}", path.display())]
    Unwritten {
        /// The file, or its folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It cannot be read, or not as it was written.
    #[error("{}: {error}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: SavepointError,
    },
}

/// A savepoint that was written.
#[derive(Serialize)]
struct Written {
    job: String,
    batch: u64,
    file: PathBuf,
    bytes: u64,
    keys: u64,
    stopped: bool,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    match (args.look, args.job) {
        (Some(Look::Inspect { file }), _) => {
            let found = read(&file)?;
            let length = std::fs::metadata(&file).map_or(0, |meta| meta.len());
            let view = inspect::view(&found, length);
            Ok(args
                .output
                .print(out, &view, |out, view| inspect::said(out, screen, view))?)
        }
        (None, job) => {
            let job = job.unwrap_or_default(); // clap wants one
            let path = job_path(&job, "/savepoint")?;
            let to = args.to.as_deref();
            if let Some(to) = to.filter(|to| to.exists()) {
                return Err(SavepointFileError::Exists(to.to_owned()).into());
            }
            let waits = Progress::begin(screen, "the daemon writes the savepoint, and sends it");
            let beside = beside(to)?;
            let query = [("stop", args.stop.to_string())];
            let bytes = args.daemon.client()?.download(&path, &query, &beside)?;
            let written = keep(beside, to, bytes)?;
            drop(waits);
            Ok(args.output.print(out, &written, said)?)
        }
    }
}

/// A file without its name yet, in the folder where it is to be.
fn beside(to: Option<&Path>) -> Result<NamedTempFile, SavepointFileError> {
    let folder = to.and_then(Path::parent).unwrap_or(Path::new(""));
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    NamedTempFile::new_in(folder).map_err(|error| SavepointFileError::Unwritten {
        path: folder.to_owned(),
        error,
    })
}

/// Proves what came, and gives it its name once it is on the disk.
fn keep(file: NamedTempFile, to: Option<&Path>, bytes: u64) -> Result<Written, SavepointFileError> {
    let found = read(file.path())?;
    let (record, checkpoint) = (&found.facts.record, &found.facts.checkpoint);
    let usual = || PathBuf::from(format!("{}-{}.savepoint", record.name, checkpoint.batch));
    let path = to.map_or_else(usual, Path::to_owned);
    let unwritten = |error| SavepointFileError::Unwritten {
        path: path.clone(),
        error,
    };
    file.as_file().sync_all().map_err(unwritten)?;
    let kept = file.persist_noclobber(&path);
    kept.map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => SavepointFileError::Exists(path.clone()),
        _ => unwritten(e.error),
    })?;
    Ok(Written {
        job: record.name.clone(),
        batch: checkpoint.batch,
        bytes,
        keys: found.stages.iter().map(|stage| stage.keys).sum(),
        stopped: found.facts.stopped,
        file: path,
    })
}

fn read(path: &Path) -> Result<Summary, SavepointFileError> {
    let unread = |error| SavepointFileError::Unread {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(|error| unread(error.into()))?;
    summary(BufReader::with_capacity(
        limits::SAVEPOINT_CHUNK_BYTES,
        file,
    ))
    .map_err(unread)
}

/// Opens a savepoint that is sent to a daemon, once it is known that it is one and whole.
pub(super) fn open(path: &Path) -> Result<File, SavepointFileError> {
    read(path)?;
    File::open(path).map_err(|error| SavepointFileError::Unread {
        path: path.to_owned(),
        error: error.into(),
    })
}

fn said(out: &mut dyn Write, written: &Written) -> io::Result<()> {
    let Written { batch, bytes, .. } = written;
    let (job, file) = (plain(&written.job), written.file.display());
    let size = bytesize::ByteSize(*bytes).display().iec();
    let keys = count(written.keys, "key", "keys");
    writeln!(out, "{file}: {job} after batch {batch}, {keys}, {size}")?;
    match written.stopped {
        true => writeln!(
            out,
            "{job} is paused: `streamhost deploy --from-savepoint {file}` begins it where it was, here once it is undeployed, or on another host"
        ),
        false => writeln!(
            out,
            "{job} goes on: a job that begins from this savepoint reads again what it reads from now on"
        ),
    }
}
