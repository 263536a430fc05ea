//! `rollback`: makes an older version active.

use super::CliError;
use super::client::{Which, job_path};
use super::deploy::said;
use super::output::Output;
use super::progress::Progress;
use super::screen::Screen;
use crate::api::Deployed;
use std::io::Write;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost rollback clicks                to the version before
  streamhost rollback clicks 3              to version 3")]
pub(super) struct Args {
    /// The job
    job: String,
    /// The version; without it the one that stood before the active one was deployed, so another
    /// time it goes further back
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    version: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let waits = Progress::begin(screen, "the daemon compiles and warms the older version");
    let path = job_path(&args.job, "/rollback")?;
    let body = serde_json::json!({ "version": args.version }).to_string();
    let deployed: Deployed =
        args.daemon
            .client()?
            .post(&path, &[], "application/json", body.as_bytes())?;
    drop(waits);
    Ok(args.output.print(out, &deployed, said)?)
}
