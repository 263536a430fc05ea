//! `pause`: stops a job until `resume`.

use super::CliError;
use super::client::{Which, job_path};
use super::list::state;
use super::output::{Output, plain};
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

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    let path = job_path(&args.job, "/pause")?;
    let status: JobStatus = args
        .daemon
        .client()?
        .post(&path, &[], "application/json", b"")?;
    Ok(args.output.print(out, &status, |out, status| {
        writeln!(out, "{} is {}", plain(&status.job), state(status.state))
    })?)
}
