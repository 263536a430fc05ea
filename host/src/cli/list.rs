//! `list`: all jobs of the daemon.

use super::CliError;
use super::client::Which;
use super::output::{Output, table};
use crate::api::{JobState, JobStatus};
use std::io::{self, Write};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost list
  streamhost list --output json | jq '.[].job'")]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    print(&args.daemon, args.output, out)
}

/// The list, as `list` and `status` without a job print it.
pub(super) fn print(daemon: &Which, output: Output, out: &mut dyn Write) -> Result<(), CliError> {
    let jobs: Vec<JobStatus> = daemon.client()?.get("/v1/jobs", &[])?;
    Ok(output.print(out, jobs.as_slice(), text)?)
}

fn text(out: &mut dyn Write, jobs: &[JobStatus]) -> io::Result<()> {
    if jobs.is_empty() {
        return writeln!(
            out,
            "no jobs: deploy one with `streamhost deploy FILE.wasm`"
        );
    }
    let head = [
        "JOB",
        "STATE",
        "VERSION",
        "RECORDS IN",
        "ROWS OUT",
        "DEAD LETTERS",
        "DROPPED",
        "LATE",
        "BATCHES",
        "LAG",
        "TROUBLE",
    ];
    let rows: Vec<_> = jobs.iter().map(row).collect();
    table(out, head, &rows)
}

fn row(job: &JobStatus) -> [String; 11] {
    [
        job.job.clone(),
        state(job.state).to_owned(),
        job.version.to_string(),
        job.records_in.to_string(),
        job.rows_out.to_string(),
        job.dead_letters.to_string(),
        job.dropped.to_string(),
        job.late.to_string(),
        job.batches.to_string(),
        job.lag
            .map_or_else(|| "?".to_owned(), |lag| lag.to_string()),
        trouble(job),
    ]
}

/// A state in a word.
pub(super) fn state(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Paused => "paused",
        JobState::Retrying => "retrying",
        JobState::Stopped => "stopped",
        JobState::Finished => "finished",
    }
}

/// What keeps a job from running, if something does.
fn trouble(job: &JobStatus) -> String {
    match (job.state, &job.waiting_for, &job.last_error) {
        (JobState::Retrying, Some(waiting), _) => {
            format!("{} (since {})", waiting.what, waiting.since)
        }
        (JobState::Retrying | JobState::Stopped, _, Some(error)) => error.clone(),
        _ => String::new(),
    }
}
