//! `diff`, `promote`, `drop-shadow`: a version that runs beside the active one, as its shadow or as
//! a canary.

use super::CliError;
use super::canary;
use super::client::{Which, job_path};
use super::deploy::said as deployed_said;
use super::output::{Output, count, plain, table};
use super::progress::Progress;
use super::screen::Screen;
use crate::api::{ColumnView, Deployed, JobStatus, LetterView, RowView, ShadowView, SinkView};
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost diff clicks
  streamhost diff clicks --samples 20
  streamhost diff clicks --output json")]
pub(super) struct DiffArgs {
    /// The job
    job: String,
    /// How many rows and dead letters that differ are shown, of each sink
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost promote clicks                      # the canary or shadow becomes active
  streamhost promote clicks --to 50%             # the canary runs half of the keys
  streamhost promote clicks --to partitions=0,1")]
pub(super) struct PromoteArgs {
    /// The job
    job: String,
    /// Have the canary run this part of the records, rather than all: 50%, partitions=0,1
    #[arg(long, value_name = "PART")]
    to: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost drop-shadow clicks")]
pub(super) struct DropArgs {
    /// The job
    job: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn diff(args: DiffArgs, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let status: JobStatus = client.get(&job_path(&args.job, "")?, &[])?;
    if let Some(canary) = &status.canary {
        let said = |out: &mut dyn Write, canary: &_| {
            canary::side_by_side(out, screen, (&status.job, status.version, canary))
        };
        return Ok(args.output.print(out, canary, said)?);
    }
    let path = job_path(&args.job, "/shadow")?;
    let mut view: ShadowView = client.get(&path, &[])?;
    for sink in view.sinks.values_mut() {
        sink.samples.truncate(args.samples);
    }
    view.dead_letters.samples.truncate(args.samples);
    Ok(args
        .output
        .print(out, &view, |out, view| said(out, screen, view))?)
}

pub(super) fn promote(
    args: PromoteArgs,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let waits = Progress::begin(screen, "the daemon makes it active");
    let path = job_path(&args.job, "/promote")?;
    let query: Vec<_> = args.to.into_iter().map(|share| ("to", share)).collect();
    let client = args.daemon.client()?;
    let deployed: Deployed = client.post(&path, &query, "application/json", b"")?;
    drop(waits);
    Ok(args.output.print(out, &deployed, deployed_said)?)
}

pub(super) fn forget(args: DropArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    client.delete(&job_path(&args.job, "/shadow")?)?;
    let done = serde_json::json!({ "job": args.job, "dropped": true });
    Ok(args.output.print(out, &done, |out, _| {
        writeln!(
            out,
            "the shadow of {} is gone; the active version runs on",
            args.job
        )
    })?)
}

/// What is told where a shadow has been started.
pub(super) fn begun(out: &mut dyn Write, view: &ShadowView) -> io::Result<()> {
    let job = plain(&view.job);
    writeln!(
        out,
        "{job} version {} runs as a shadow beside version {} until {} (sha256 {}): nothing of it is written",
        view.version,
        view.beside,
        plain(&view.until),
        plain(&view.digest),
    )?;
    writeln!(
        out,
        "`streamhost diff {job}` shows how they differ, `streamhost promote {job}` makes it active, `streamhost drop-shadow {job}` ends it"
    )
}

fn said(out: &mut dyn Write, screen: &Screen, view: &ShadowView) -> io::Result<()> {
    let (job, until) = (plain(&view.job), screen.time(&view.until));
    let state = match (&view.why, view.running) {
        (Some(why), _) => format!("has ended: {}", plain(why)),
        (None, true) => format!("runs until {until}"),
        (None, false) => "ends".to_owned(),
    };
    writeln!(
        out,
        "{job}: version {} beside version {}, {state}",
        view.version, view.beside
    )?;
    writeln!(
        out,
        "{} with {}; {} left out; begun {}; {}",
        count(view.batches, "batch", "batches"),
        count(view.records, "record", "records"),
        count(view.skipped, "batch", "batches"),
        count(view.forks, "time", "times"),
        count(view.faults, "fault", "faults"),
    )?;
    if let Some(fault) = &view.last_fault {
        writeln!(out, "it broke last on {}", plain(fault))?;
    }
    writeln!(out)?;
    figures(out, screen, view)?;
    for (name, sink) in &view.sinks {
        sink_said(out, screen, (name, sink))?;
    }
    letters_said(out, &view.dead_letters.samples)?;
    if view.differing == 0 && view.batches > 0 {
        writeln!(out, "\nno difference so far")?;
    }
    Ok(())
}

fn figures(out: &mut dyn Write, screen: &Screen, view: &ShadowView) -> io::Result<()> {
    let mut rows: Vec<[String; 6]> = Vec::new();
    for (name, sink) in &view.sinks {
        rows.push([
            format!("rows for {}", plain(name)),
            sink.alike.to_string(),
            sink.differing.to_string(),
            sink.reordered.to_string(),
            sink.only_active.to_string(),
            sink.only_shadow.to_string(),
        ]);
    }
    let letters = &view.dead_letters;
    rows.push([
        "dead letters".to_owned(),
        letters.alike.to_string(),
        letters.differing.to_string(),
        "0".to_owned(),
        letters.only_active.to_string(),
        letters.only_shadow.to_string(),
    ]);
    let head = [
        "",
        "ALIKE",
        "DIFFERING",
        "REORDERED",
        "ONLY ACTIVE",
        "ONLY SHADOW",
    ];
    table(out, screen, (head, &[]), &rows)?;
    writeln!(out)?;
    let counted = |(name, pair): (&String, &crate::api::PairView)| {
        [
            plain(name),
            pair.active.to_string(),
            pair.shadow.to_string(),
        ]
    };
    let rows: Vec<[String; 3]> = view.counts.iter().map(counted).collect();
    table(out, screen, (["", "ACTIVE", "SHADOW"], &[]), &rows)
}

/// Which columns of a sink differ, and in how many rows.
pub(super) fn columns_said(
    out: &mut dyn Write,
    sink: &str,
    columns: &BTreeMap<String, u64>,
) -> io::Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let columns = columns.iter();
    let columns = columns.map(|(name, n)| format!("{} in {n} rows", plain(name)));
    let columns: Vec<_> = columns.collect();
    writeln!(out, "\n{} differs in {}", plain(sink), columns.join(", "))
}

fn sink_said(
    out: &mut dyn Write,
    screen: &Screen,
    (name, sink): (&str, &SinkView),
) -> io::Result<()> {
    columns_said(out, name, &sink.columns)?;
    if sink.samples.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<[String; 5]> = sink.samples.iter().flat_map(sample).collect();
    let head = ["OF", "KEY", "COLUMN", "ACTIVE", "SHADOW"];
    table(out, screen, (head, &[]), &rows)
}

fn sample(row: &RowView) -> Vec<[String; 5]> {
    let key: Vec<_> = row.key.iter().map(|part| plain(part)).collect();
    let none = || "(none)".to_owned();
    let shown = |value: &Option<String>| value.as_deref().map_or_else(none, plain);
    let column = |column: &ColumnView| {
        [
            row.of.clone(),
            key.join(", "),
            plain(&column.column),
            shown(&column.active),
            shown(&column.shadow),
        ]
    };
    row.columns.iter().map(column).collect()
}

fn letters_said(out: &mut dyn Write, letters: &[LetterView]) -> io::Result<()> {
    for letter in letters {
        let of = letter.record.as_deref().or(letter.key.as_deref());
        let none = || "none".to_owned();
        writeln!(
            out,
            "\ndead letter of {} in `{}`: active: {}; shadow: {}",
            plain(of.unwrap_or("a group")),
            plain(&letter.stage),
            letter.active.as_deref().map_or_else(none, plain),
            letter.shadow.as_deref().map_or_else(none, plain),
        )?;
    }
    Ok(())
}
