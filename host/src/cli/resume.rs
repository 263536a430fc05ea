//! `resume`: lets a job go on after `pause`, try again after `stopped`, read on after `finished`.

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
  streamhost resume clicks
  streamhost resume clicks --skip-lost      go on behind records that are gone")]
pub(super) struct Args {
    /// The job
    job: String,
    /// Go on where records that were to be read are gone from Kafka; the job's log says which are
    /// left out
    #[arg(long)]
    skip_lost: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let waits = Progress::begin(
        screen,
        "the daemon starts the job, and waits for its first word",
    );
    let path = job_path(&args.job, "/resume")?;
    let body = serde_json::json!({ "skip_lost": args.skip_lost }).to_string();
    let status: JobStatus =
        args.daemon
            .client()?
            .post(&path, &[], "application/json", body.as_bytes())?;
    drop(waits);
    Ok(args.output.print(out, &status, |out, status| {
        writeln!(out, "{} is {}", plain(&status.job), state(status.state))
    })?)
}
