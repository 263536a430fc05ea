//! `logs`: the last lines of a job's log.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Format, Output, plain};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// How often `--follow` asks for new lines.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The job
    job: String,
    /// Go on printing lines as they come
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    line: String,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    let (client, path) = (args.daemon.client()?, job_path(&args.job, "/logs")?);
    let mut after = 0;
    loop {
        let lines: Vec<Line> = client.get(&path, &[("after", after.to_string())])?;
        after = lines.last().map_or(after, |line| line.number);
        match (args.output.output, args.follow) {
            (Format::Text, _) => lines.iter().try_for_each(|line| writeln!(out, "{}", plain(&line.line)))?,
            (Format::Json, false) => args.output.print(out, &lines, |_, _| Ok(()))?,
            (Format::Json, true) => {
                for line in &lines {
                    writeln!(out, "{}", serde_json::to_string(line).map_err(std::io::Error::from)?)?; // a line each
                }
            }
        }
        out.flush()?;
        if !args.follow {
            return Ok(());
        }
        std::thread::sleep(ASK_EVERY);
    }
}
