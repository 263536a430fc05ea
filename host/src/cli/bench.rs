//! `bench`: how fast a component is, without a host; two of them in turns.

use super::file;
use super::output::{Output, plain, table};
use super::records::{self, InputForm};
use super::screen::Screen;
use super::test::{self, TestError};
use super::{CliError, Host};
use crate::offline::{Input, OfflineJob, Pass, Shares};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamhost_core::limits;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost bench clicks.wasm --input clicks.csv
  streamhost bench new.wasm --against old.wasm --input clicks.csv   both in turns: which one is faster?
  streamhost bench clicks.wasm --input clicks.csv --rounds 50 --output json

Each round runs the job on the whole input, from nothing to the end of its sources, in batches as large as a host
makes them, on one lane, without sources and sinks. A short input is run several times in each round. Files are
as for `test`.")]
pub(super) struct Args {
    /// The component, as `streamhost build` made it
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Another component, measured in turns with the first one
    #[arg(long, value_name = "FILE.wasm")]
    against: Option<PathBuf>,
    /// Records from a file; for a job with several sources, each with its source's name
    #[arg(long, value_name = "[SOURCE=]FILE", required = true)]
    input: Vec<String>,
    /// How the files hold records, if not as their names say
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<InputForm>,
    /// How many rounds are measured
    #[arg(long, default_value_t = 10, value_parser = rounds)]
    rounds: usize,
    /// A setting, as for `deploy`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = file::pair)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    output: Output,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=limits::BENCH_ROUNDS_MAX) => Ok(rounds),
        _ => Err(format!("a number from 1 to {}", limits::BENCH_ROUNDS_MAX)),
    }
}

/// The least, the middle and the largest of all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// Of one value or more.
    fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(at(middle.saturating_sub(1)), at(middle)),
            _ => at(middle),
        };
        Spread {
            min: at(0),
            median,
            max: at(values.len().saturating_sub(1)),
        }
    }
}

/// What was measured of one component.
#[derive(Serialize)]
struct Measured {
    file: PathBuf,
    job: String,
    sha256: String,
    records: u64,
    bytes: usize,
    /// How often a round ran the input.
    repeats: usize,
    records_per_second: Spread,
    ns_per_record: Spread,
    /// Of the time of all rounds.
    shares: Shares,
    /// The most that an instance had.
    guest_memory_bytes: u64,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    rounds: usize,
    components: Vec<Measured>,
}

/// A component that is measured.
struct Candidate {
    file: PathBuf,
    job: OfflineJob,
    input: Input,
    repeats: usize,
    passes: Vec<Pass>,
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    screen: &Screen,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> Result<(), CliError> {
    let mut candidates = vec![Candidate::load(&args, args.file.clone(), host)?];
    if let Some(other) = &args.against {
        candidates.push(Candidate::load(&args, other.clone(), host)?);
    }
    if cfg!(debug_assertions) {
        let note = "note: this streamhost is a debug build: one of a release is faster";
        writeln!(err, "{note}")?;
    }
    for candidate in &mut candidates {
        candidate.warm()?;
    }
    for _ in 0..args.rounds {
        for candidate in &mut candidates {
            let pass = candidate.job.pass(&candidate.input, candidate.repeats);
            candidate.passes.push(pass.map_err(TestError::Job)?);
        }
        candidates.reverse(); // none is always the one that runs behind the other
    }
    if args.rounds % 2 == 1 {
        candidates.reverse();
    }
    let report = Report {
        rounds: args.rounds,
        components: candidates.into_iter().map(Candidate::measured).collect(),
    };
    let text = |out: &mut dyn Write, report: &Report| text(out, screen, report);
    Ok(args.output.print(out, &report, text)?)
}

impl Candidate {
    fn load(args: &Args, file: PathBuf, host: &dyn Host) -> Result<Candidate, CliError> {
        let silent = Arc::new(|_, _: &str| {}); // a line a record would be what is measured
        let job = test::load(&file, &args.set, host, silent)?;
        let mut input = Input::default();
        records::read(&args.input, args.format, job.spec(), &mut input).map_err(TestError::from)?;
        if input.is_empty() {
            let path = PathBuf::from(args.input.join(", "));
            return Err(TestError::NoRecords { path }.into());
        }
        Ok(Candidate {
            file,
            job,
            input,
            repeats: 1,
            passes: Vec::new(),
        })
    }

    /// Finds how often a round runs the input, by a run that does not count.
    fn warm(&mut self) -> Result<(), CliError> {
        let pass = self.job.pass(&self.input, 1).map_err(TestError::Job)?;
        let aim = limits::BENCH_ROUND_TIME.as_secs_f64();
        let repeats = (aim / pass.took.as_secs_f64().max(1e-9)).ceil();
        self.repeats = (repeats as usize).clamp(1, limits::BENCH_REPEATS_MAX);
        Ok(())
    }

    fn measured(self) -> Measured {
        let mut all = Pass::default();
        for pass in &self.passes {
            all.took += pass.took;
            all.calls += pass.calls;
            all.guest += pass.guest;
            all.memory_bytes = all.memory_bytes.max(pass.memory_bytes);
        }
        let ns = || self.passes.iter().map(Pass::ns_per_record);
        Measured {
            job: self.job.spec().name.clone(),
            sha256: self.job.compiled().digest.clone(),
            records: self.input.len() as u64,
            bytes: self.input.bytes(),
            repeats: self.repeats,
            records_per_second: Spread::of(ns().map(|ns| 1e9 / ns.max(f64::MIN_POSITIVE))),
            ns_per_record: Spread::of(ns()),
            shares: all.shares(),
            guest_memory_bytes: all.memory_bytes,
            file: self.file,
        }
    }
}

fn text(out: &mut dyn Write, screen: &Screen, report: &Report) -> io::Result<()> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let rows: Vec<_> = report
        .components
        .iter()
        .map(|of| {
            [
                plain(&of.file.display().to_string()),
                format!("{:.0}", of.records_per_second.min),
                format!("{:.0}", of.records_per_second.median),
                format!("{:.0}", of.records_per_second.max),
                format!("{:.0}", of.ns_per_record.median),
                percent(of.shares.guest),
                percent(of.shares.boundary),
                percent(of.shares.host),
                bytesize::ByteSize(of.guest_memory_bytes)
                    .display()
                    .iec()
                    .to_string(),
            ]
        })
        .collect();
    let head = [
        "COMPONENT",
        "MIN RECORDS/S",
        "MEDIAN",
        "MAX",
        "NS A RECORD",
        "GUEST",
        "BOUNDARY",
        "HOST",
        "GUEST MEMORY",
    ];
    let spared: &[&str] = &["HOST", "GUEST", "GUEST MEMORY", "MIN RECORDS/S", "MAX"];
    table(out, screen, (head, spared), &rows)?;
    if let [of, ..] = report.components.as_slice() {
        let size = bytesize::ByteSize(of.bytes as u64).display().iec();
        let (records, rounds) = (of.records, report.rounds);
        writeln!(out, "\n{records} records, {size}; {rounds} rounds")?;
    }
    match report.components.as_slice() {
        [new, old] => writeln!(out, "{}", verdict(new, old)),
        _ => Ok(()),
    }
}

/// Which one is faster, and whether that is more than what rounds differ by.
fn verdict(new: &Measured, old: &Measured) -> String {
    let name = |of: &Measured| plain(&file_name(&of.file));
    let (new_ns, old_ns) = (new.ns_per_record, old.ns_per_record);
    let change = (new_ns.median / old_ns.median.max(f64::MIN_POSITIVE) - 1.0) * 100.0;
    let less = if change < 0.0 { "less" } else { "more" };
    let apart = new_ns.max < old_ns.min || old_ns.max < new_ns.min;
    let sure = if apart {
        "in every round"
    } else {
        "by the medians; rounds overlap"
    };
    format!(
        "{} takes {:.1} % {less} time a record than {} ({sure})",
        name(new),
        change.abs(),
        name(old)
    )
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_rounds_is_found() {
        let spread = |values: &[f64]| {
            let Spread { min, median, max } = Spread::of(values.iter().copied());
            (min, median, max)
        };
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_eq!(spread(&[7.0]), (7.0, 7.0, 7.0));
    }

    fn measured(file: &str, min: f64, median: f64, max: f64) -> Measured {
        let ns_per_record = Spread { min, median, max };
        Measured {
            file: PathBuf::from(file),
            job: "clicks".to_owned(),
            sha256: "00".to_owned(),
            records: 1000,
            bytes: 50_000,
            repeats: 3,
            records_per_second: Spread {
                min: 1e9 / max,
                median: 1e9 / median,
                max: 1e9 / min,
            },
            ns_per_record,
            shares: Shares {
                guest: 0.6,
                boundary: 0.25,
                host: 0.15,
            },
            guest_memory_bytes: 2 << 20,
        }
    }

    #[test]
    fn two_are_compared_and_what_overlaps_is_said() {
        let (new, old) = (
            measured("a/new.wasm", 400.0, 500.0, 550.0),
            measured("old.wasm", 900.0, 1000.0, 1100.0),
        );
        assert_eq!(
            verdict(&new, &old),
            "new.wasm takes 50.0 % less time a record than old.wasm (in every round)"
        );
        assert_eq!(
            verdict(&old, &new),
            "old.wasm takes 100.0 % more time a record than new.wasm (in every round)"
        );
        let near = measured("near.wasm", 500.0, 505.0, 600.0);
        assert!(verdict(&near, &new).ends_with("(by the medians; rounds overlap)"));
        let report = Report {
            rounds: 10,
            components: vec![new, old],
        };
        let mut out = Vec::new();
        text(&mut out, &Screen::program(), &report).expect("a Vec takes all");
        let want = "\
COMPONENT   MIN RECORDS/S   MEDIAN      MAX  NS A RECORD  GUEST  BOUNDARY  HOST  GUEST MEMORY
a/new.wasm        1818182  2000000  2500000          500  60 %   25 %      15 %  2.0 MiB
old.wasm           909091  1000000  1111111         1000  60 %   25 %      15 %  2.0 MiB

1000 records, 48.8 KiB; 10 rounds
new.wasm takes 50.0 % less time a record than old.wasm (in every round)
";
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }
}
