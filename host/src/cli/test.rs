//! `test`: runs a component on records of a file or topic, without a host.

use super::file;
use super::output::{Format, Output, count, plain};
use super::records::{self, InputForm};
use super::{CliError, Host};
use crate::config::Config;
use crate::offline::{Cuts, Found, Input, InputError, OfflineJob, TopicSample};
use serde::Serialize;
use similar::TextDiff;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamhost_core::job::JobSpec;
use streamhost_core::limits;
use streamhost_engine::guest::LogSink;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost test clicks.wasm --input clicks.csv                        rows and dead letters, a line each
  streamhost test clicks.wasm --input clicks.csv --expect expected.txt  and compared with a file
  streamhost test clicks.wasm --input clicks.csv --expect expected.txt --update
  streamhost test paid.wasm --input orders=orders.csv --input payments=payments.jsonl
  streamhost test clicks.wasm --from-topic clicks --partition 0 --offset 100 --count 50

A file of lines (.csv, .txt, …) holds a record's value in each line. One of JSON lines (.jsonl, .ndjson, .json)
holds objects such as {\"key\": \"k\", \"value\": \"text, or any JSON\", \"time\": \"2026-01-31T08:00:00Z\", \"partition\": 0,
\"source\": \"clicks\"}; `value` alone must be there, and null is a record without a value.

The job runs from nothing to the end of its sources: once with the input as one batch, which is shown, and once
with a batch for each record; where the two come to different results, that is said.")]
pub(super) struct Args {
    /// The component, as `streamhost build` made it
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Records from a file; for a job with several sources, each with its source's name
    #[arg(
        long,
        value_name = "[SOURCE=]FILE",
        required_unless_present = "from_topic"
    )]
    input: Vec<String>,
    /// How the files hold records, if not as their names say
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<InputForm>,
    /// Records from a topic of the configuration's Kafka
    #[arg(long, value_name = "[SOURCE=]TOPIC")]
    from_topic: Option<String>,
    /// The topic's partition
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// The first offset in it
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
    /// How many records of it
    #[arg(long, default_value_t = 100, value_parser = sample_size)]
    count: usize,
    /// The configuration that names the Kafka [default: ./streamhost.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, as for `deploy`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = file::pair)]
    set: Vec<(String, String)>,
    /// Compare what comes with the lines of this file
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write what comes into the file of --expect
    #[arg(long, requires = "expect")]
    update: bool,
    #[command(flatten)]
    output: Output,
}

/// Why a test is not passed, or not even run.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The component, or the topic.
    #[error("{0:#}")]
    Job(anyhow::Error),
    /// The records.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Nothing to measure by.
    #[error("{}: there are no records in it: a bench needs one at least", path.display())]
    NoRecords {
        /// The file.
        path: PathBuf,
    },
    /// The file of expected lines.
    #[error("{}: {error}", path.display())]
    Expected {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Something else came.
    #[error(
        "what came is not what {} expects (- expected, + came): mend the job, or accept it with --update",
        path.display()
    )]
    Unexpected {
        /// The file.
        path: PathBuf,
    },
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    rows: &'a [crate::offline::SinkRow],
    dead_letters: &'a [crate::offline::Letter],
    records_in: u64,
    dropped: u64,
    late: u64,
    /// Lines that only one batch gives (`-`), or only batches of one record (`+`).
    differences: &'a [String],
}

fn sample_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=limits::SAMPLE_RECORDS_MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {}", limits::SAMPLE_RECORDS_MAX)),
    }
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), CliError> {
    let log = Arc::new(|level: tracing::Level, line: &str| eprintln!("{level}: {}", plain(line)));
    let job = load(&args.file, &args.set, host, log)?;
    let input = input(&args, job.spec())?;
    let found = job.run(&input, Cuts::Whole).map_err(TestError::Job)?;
    let single = job.run(&input, Cuts::Single).map_err(TestError::Job)?;
    let differences = differences(&found, &single);

    match args.output.output {
        Format::Text => found
            .lines()
            .iter()
            .try_for_each(|line| writeln!(out, "{}", plain(line)))?,
        Format::Json => {
            let report = Report {
                rows: &found.rows,
                dead_letters: &found.letters,
                records_in: found.records_in,
                dropped: found.dropped,
                late: found.late,
                differences: &differences,
            };
            args.output.print(out, &report, |_, _| Ok(()))?;
        }
    }
    said(err, &found, &differences)?;
    match args.expect {
        Some(path) => expect(&path, args.update, &found, err),
        None => Ok(()),
    }
}

/// Loads a component, to be run without a host.
pub(super) fn load(
    file: &Path,
    set: &[(String, String)],
    host: &dyn Host,
    log: LogSink,
) -> Result<OfflineJob, CliError> {
    let bytes = file::read(file)?;
    let settings = file::settings(set)?;
    let cache = tempfile::tempdir().map_err(|e| TestError::Job(e.into()))?;
    let compiler = host.compiler().map_err(|e| TestError::Job(e.into()))?;
    let job = OfflineJob::load(&bytes, &settings, (cache.path(), compiler), log);
    Ok(job.map_err(|error| TestError::Job(error.context(file.display().to_string())))?)
}

fn input(args: &Args, job: &JobSpec) -> Result<Input, CliError> {
    let mut input = Input::default();
    records::read(&args.input, args.format, job, &mut input).map_err(TestError::from)?;
    if let Some(text) = &args.from_topic {
        let (source, topic) = records::of_source(text, job);
        let sample = TopicSample {
            topic,
            source,
            partition: args.partition,
            offset: args.offset,
            count: args.count,
        };
        let kafka = Config::load(args.config.as_deref())?.kafka;
        sample
            .read(&kafka, job, &mut input)
            .map_err(TestError::Job)?;
    }
    Ok(input)
}

/// What a reader of the sinks finds otherwise if every record is a batch of its own.
fn differences(whole: &Found, single: &Found) -> Vec<String> {
    let (whole, single) = (whole.at_the_end(), single.at_the_end());
    let (whole, single) = (texts(&whole), texts(&single));
    TextDiff::from_slices(&whole, &single)
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value()))
        .collect()
}

fn texts(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

fn said(err: &mut dyn Write, found: &Found, differences: &[String]) -> io::Result<()> {
    let counts = [
        count(found.records_in, "record in", "records in"),
        count(found.rows.len() as u64, "row out", "rows out"),
        count(found.letters.len() as u64, "dead letter", "dead letters"),
        format!("{} dropped", found.dropped),
        format!("{} late", found.late),
    ];
    writeln!(err, "{}", counts.join(", "))?;
    if differences.is_empty() {
        return Ok(());
    }
    writeln!(
        err,
        "note: the results depend on how records are cut into batches, which differs from run to run \
         (- all in one batch, + one batch for each record):"
    )?;
    let shown = limits::DIFFERENCES_SHOWN_MAX;
    for line in differences.iter().take(shown) {
        writeln!(err, "  {}", plain(line))?;
    }
    match differences.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(err, "  and {more} more"),
    }
}

fn expect(path: &Path, update: bool, found: &Found, err: &mut dyn Write) -> Result<(), CliError> {
    let failed = |error| TestError::Expected {
        path: path.to_owned(),
        error,
    };
    let came: String = found
        .lines()
        .iter()
        .map(|line| plain(line) + "\n")
        .collect();
    if update {
        std::fs::write(path, came).map_err(failed)?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(path).map_err(failed)?;
    if expected == came {
        writeln!(err, "as {} expects", path.display())?;
        return Ok(());
    }
    let diff = TextDiff::from_lines(&expected, &came);
    let name = path.display().to_string();
    let diff = diff
        .unified_diff()
        .context_radius(2)
        .header(&name, "came")
        .to_string();
    err.write_all(diff.as_bytes())?;
    Err(TestError::Unexpected {
        path: path.to_owned(),
    }
    .into())
}
