//! `logs`: the last lines of a job's log.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Format, Output, count, plain};
use super::screen::Screen;
use crate::api::LogLine;
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

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let (client, path) = (args.daemon.client()?, job_path(&args.job, "/logs")?);
    let mut after = 0;
    loop {
        let lines: Vec<LogLine> = client.get(&path, &[("after", after.to_string())])?;
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
                .try_for_each(|line| writeln!(out, "{}", text(line, screen)))?,
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
        if !screen.is_read() {
            return Ok(()); // as `head` has ended: no line may come for long
        }
    }
}

/// A line for people: its time in their zone, its level, the version that it is of, and its text.
fn text(line: &LogLine, screen: &Screen) -> String {
    let version = line.version.map(|version| format!("v{version} "));
    let version = version.unwrap_or_default();
    let parts = line.line.split_once(' ').and_then(|(time, rest)| {
        let (level, text) = rest.split_at_checked(LEVEL_WIDTH)?;
        Some((time, level.trim_end(), text.strip_prefix(' ')?))
    });
    match parts {
        Some((time, level, text)) => format!(
            "{} {} {version}{}",
            screen.time(&plain(time)),
            screen.level(&plain(level)),
            plain(text)
        ),
        None => format!("{version}{}", plain(&line.line)), // of another daemon's form
    }
}

/// How wide the level of a line is.
const LEVEL_WIDTH: usize = 5;

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
    fn a_line_says_when_how_bad_and_of_which_version() {
        let line = |version, line: &str| LogLine {
            number: 1,
            version,
            line: line.to_owned(),
        };
        let program = Screen::program();
        let whole = line(Some(8), "2026-11-29T14:03:07.812Z WARN  no\u{1b} quantity");
        assert_eq!(
            text(&whole, &program),
            "2026-11-29 14:03:07 UTC WARN  v8 no\\u{1b} quantity"
        );
        let host = line(None, "2026-11-29T14:03:07.812Z ERROR stopped: no table");
        assert_eq!(
            text(&host, &program),
            "2026-11-29 14:03:07 UTC ERROR stopped: no table"
        );
        assert_eq!(text(&line(None, "äöüäöü"), &program), "äöüäöü");
    }

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
