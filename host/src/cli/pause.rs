//! `pause`: stops a job until `resume`.

use super::CliError;
use super::client::{Which, job_path};
use super::list::state;
use super::output::{Output, plain};
use super::progress::Progress;
use super::screen::Screen;
use crate::api::JobStatus;
use std::io::Write;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost pause clicks")]
pub(super) struct Args {
    /// The job
    job: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let waits = Progress::begin(screen, "the batch under way is finished");
    let path = job_path(&args.job, "/pause")?;
    let status: JobStatus = args
        .daemon
        .client()?
        .post(&path, &[], "application/json", b"")?;
    drop(waits);
    Ok(args.output.print(out, &status, |out, status| {
        writeln!(out, "{} is {}", plain(&status.job), state(status.state))
    })?)
}
