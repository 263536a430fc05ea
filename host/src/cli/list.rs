//! `list`: all jobs of the daemon.

use super::CliError;
use super::client::Which;
use super::output::{Output, table};
use super::screen::Screen;
use super::told::Told;
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

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    print(&args.daemon, args.output, screen, out)
}

/// The list, as `list` and `status` without a job print it.
pub(super) fn print(
    daemon: &Which,
    output: Output,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let jobs: Vec<Told> = daemon.client()?.get("/v1/jobs", &[])?;
    Ok(output.print(out, jobs.as_slice(), |out, jobs| text(out, screen, jobs))?)
}

/// Columns that a narrow terminal leaves out, the first one first.
const SPARED: [&str; 6] = [
    "BATCHES",
    "DROPPED",
    "LATE",
    "ROWS OUT",
    "RECORDS IN",
    "DEAD LETTERS",
];

fn text(out: &mut dyn Write, screen: &Screen, jobs: &[Told]) -> io::Result<()> {
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
    let rows: Vec<_> = jobs.iter().map(|job| row(&job.status, screen)).collect();
    table(out, screen, (head, &SPARED), &rows)
}

fn row(job: &JobStatus, screen: &Screen) -> [String; 11] {
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
        trouble(job, screen),
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
fn trouble(job: &JobStatus, screen: &Screen) -> String {
    match (job.state, &job.waiting_for, &job.last_error) {
        (JobState::Retrying, Some(waiting), _) => {
            format!("{} (since {})", waiting.what, screen.time(&waiting.since))
        }
        (JobState::Retrying | JobState::Stopped, _, Some(error)) => error.clone(),
        _ => String::new(),
    }
}
