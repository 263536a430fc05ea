//! `logs`: the last lines of a job's log.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Format, Output, count, plain};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// How often `--follow` asks for new lines.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost logs clicks
  streamhost logs clicks -f")]
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
        let lost = left_out(after, lines.first().map(|line| line.number));
        if let (Format::Text, Some(lost)) = (args.output.output, lost) {
            writeln!(
                out,
                "… {} left out: more came than the log keeps",
                count(lost, "line is", "lines are")
            )?;
        }
        after = lines.last().map_or(after, |line| line.number);
        match (args.output.output, args.follow) {
            (Format::Text, _) => lines
                .iter()
                .try_for_each(|line| writeln!(out, "{}", plain(&line.line)))?,
            (Format::Json, false) => args.output.print(out, &lines, |_, _| Ok(()))?,
            (Format::Json, true) => {
                for line in &lines {
                    writeln!(
                        out,
                        "{}",
                        serde_json::to_string(line).map_err(std::io::Error::from)?
                    )?; // a line each
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

/// How many lines are missing between the last one that was seen and the first one that came now.
/// None are where the log began anew, with the job or its host: its numbers begin anew too.
fn left_out(after: u64, first: Option<u64>) -> Option<u64> {
    let lost = first?.checked_sub(after + 1)?;
    (after > 0 && lost > 0).then_some(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_and_new_beginnings_are_none() {
        let cases = [
            (0, None, None),
            (0, Some(501), None), // the oldest are gone before anybody looked
            (5, None, None),
            (5, Some(6), None),
            (5, Some(8), Some(2)),
            (500, Some(1), None),
        ];
        for (after, first, want) in cases {
            assert_eq!(left_out(after, first), want, "{after} {first:?}");
        }
    }
}
