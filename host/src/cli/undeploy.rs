//! `undeploy`: stops a job and forgets it.

use super::CliError;
use super::client::{Which, job_path};
use super::output::Output;
use std::io::Write;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost undeploy clicks")]
pub(super) struct Args {
    /// The job
    job: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    args.daemon.client()?.delete(&job_path(&args.job, "")?)?;
    let done = serde_json::json!({ "job": args.job, "undeployed": true });
    Ok(args.output.print(out, &done, |out, _| {
        writeln!(
            out,
            "{} is undeployed; its rows, dead letters and consumer group stay, and a later deploy goes on at the group's \
             offsets unless --set start=… or --reset-state says otherwise; one with keyed stages begins anew at `start`, as \
             its state is gone",
            args.job
        )
    })?)
}
