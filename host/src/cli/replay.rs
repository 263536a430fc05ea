//! `replay`: runs history through a version beside its job, and says what came of it.

use super::CliError;
use super::client::{Client, Which, job_path};
use super::file::{self, pair};
use super::output::{Output, count, plain, table};
use super::progress::Progress;
use super::savepoint;
use super::screen::Screen;
use super::shadow::columns_said;
use crate::api::{ReplayColumnView, ReplayRowView, ReplaySinkView, ReplayView};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How often it is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost replay clicks --diff                             # does the table hold what the records make?
  streamhost replay clicks --from 2026-11-29T00:00:00Z --to 2026-11-30T00:00:00Z --diff --rate 20000
  streamhost replay clicks --file fixed.wasm --diff           # what would the mended version have written?
  streamhost replay clicks --file fixed.wasm --write          # writes the rows that differ
  streamhost replay clicks --version 3 --sink clicks=clicks-trial --create-tables
  streamhost replay clicks --from 0=1000 --to 0=2000 --diff --detach
  streamhost replay clicks --state clicks-1204.savepoint --diff   # from its positions, with its state
  streamhost replay clicks --show
  streamhost replay clicks --stop

The job goes on; what it writes meanwhile stays. Ctrl-C stops the replay.")]
pub(super) struct Args {
    /// The job
    job: String,
    /// Where it begins: earliest, a time, or offsets such as 0=100,1=250 or orders:0=100; earliest
    /// without it
    #[arg(long, value_name = "TIME|OFFSETS")]
    from: Option<String>,
    /// Where it ends: now (where the job is), a time, or offsets
    #[arg(long, value_name = "TIME|OFFSETS", default_value = "now")]
    to: String,
    /// Run this version; the active one without it
    #[arg(long, value_name = "N", conflicts_with = "file")]
    version: Option<u64>,
    /// Run this component, which is not deployed
    #[arg(long, value_name = "FILE.wasm")]
    file: Option<PathBuf>,
    /// Begin from a savepoint of the job: its positions, and its state
    #[arg(long, value_name = "FILE.savepoint", conflicts_with_all = ["from", "empty_state"])]
    state: Option<PathBuf>,
    /// A setting beside those of the version
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Compare what is made with what the tables hold now
    #[arg(long)]
    diff: bool,
    /// The same, and write the rows that differ: what the job writes later stays above
    #[arg(long)]
    write: bool,
    /// With --write: delete rows and cells that are there and were not made
    #[arg(long, requires = "write")]
    delete_extra: bool,
    /// Send the rows of a sink to another table or topic
    #[arg(long, value_name = "NAME=OTHER", value_parser = pair)]
    sink: Vec<(String, String)>,
    /// Create other tables and topics that are missing
    #[arg(long, requires = "sink")]
    create_tables: bool,
    /// So many records a second at most
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Keyed stages begin empty, though records before --from are left out
    #[arg(long)]
    empty_state: bool,
    /// Begin it, and do not wait for its end
    #[arg(long)]
    detach: bool,
    /// Show the replay that runs, or ran last
    #[arg(long, conflicts_with_all = ["stop", "diff", "write", "sink", "file", "version", "state", "detach"])]
    show: bool,
    /// Stop the replay that runs
    #[arg(long, conflicts_with_all = ["diff", "write", "sink", "file", "version", "state", "detach"])]
    stop: bool,
    /// How many rows that differ are shown, of each sink
    #[arg(long, value_name = "N", default_value_t = 10)]
    samples: usize,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let (client, path) = (args.daemon.client()?, job_path(&args.job, "/replay")?);
    let mut view = match () {
        () if args.show => client.get(&path, &[])?,
        () if args.stop => stopped(&client, &path)?,
        () => {
            let begun = begin(&args, &client, &path, screen)?;
            match args.detach {
                true => begun,
                false => followed(begun, &client, &path, screen)?,
            }
        }
    };
    for sink in view.sinks.values_mut() {
        sink.samples.truncate(args.samples);
    }
    args.output
        .print(out, &view, |out, view| said(out, screen, view))?;
    match view.outcome.as_deref() {
        Some("failed") if !args.show => Err(CliError::Replay(plain(
            view.why.as_deref().unwrap_or("it did not say why"),
        ))),
        _ => Ok(()),
    }
}

fn begin(
    args: &Args,
    client: &Client,
    path: &str,
    screen: &Screen,
) -> Result<ReplayView, CliError> {
    let component = args.file.as_deref().map(file::read).transpose()?;
    file::settings(&args.set)?; // none is given twice
    let mut query: Vec<(&str, String)> = vec![("to", args.to.clone())];
    query.extend(args.from.clone().map(|from| ("from", from)));
    let both = |(key, value): &(String, String)| format!("{key}={value}");
    query.extend(args.set.iter().map(|set| ("set", both(set))));
    query.extend(args.sink.iter().map(|sink| ("sink", both(sink))));
    query.extend(args.version.map(|version| ("version", version.to_string())));
    query.extend(args.rate.map(|rate| ("rate", rate.to_string())));
    let flags = [
        ("diff", args.diff),
        ("write", args.write),
        ("delete-extra", args.delete_extra),
        ("create-tables", args.create_tables),
        ("empty-state", args.empty_state),
    ];
    let given = flags.into_iter().filter(|(_, given)| *given);
    query.extend(given.map(|(flag, _)| (flag, "true".to_owned())));
    let body = component.unwrap_or_default();
    let begun = match &args.state {
        None => {
            let _waits = Progress::begin(screen, "the daemon makes the version ready");
            client.post(path, &query, "application/wasm", &body)
        }
        Some(state) => {
            let file = savepoint::open(state)?;
            query.push(("state", "true".to_owned()));
            let length = (!body.is_empty()).then(|| body.len().to_string());
            query.extend(length.map(|length| ("component-bytes", length)));
            let _waits = Progress::begin(screen, "the daemon takes the savepoint, and checks it");
            client.upload_behind(path, &query, &body, &file)
        }
    };
    Ok(begun?)
}

/// Waits until it has ended. Ctrl-C stops it.
fn followed(
    mut view: ReplayView,
    client: &Client,
    path: &str,
    screen: &Screen,
) -> Result<ReplayView, CliError> {
    let runtime = Runtime::new().map_err(CliError::Control)?;
    let progress = Progress::begin(screen, goes_on(&view));
    while view.running {
        let interrupted = runtime.block_on(async {
            tokio::select! {
                told = tokio::signal::ctrl_c() => told.is_ok(),
                () = tokio::time::sleep(ASK_EVERY) => false,
            }
        });
        if interrupted {
            return stopped(client, path);
        }
        view = client.get(path, &[])?;
        progress.say(goes_on(&view));
    }
    Ok(view)
}

fn stopped(client: &Client, path: &str) -> Result<ReplayView, CliError> {
    client.delete(path)?;
    loop {
        let view: ReplayView = client.get(path, &[])?;
        if !view.running {
            return Ok(view);
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// How far it is.
fn goes_on(view: &ReplayView) -> String {
    let what = match &*view.phase {
        "running" => format!("{} of {} offsets", view.passed, view.offsets),
        "following" => format!("what the job wrote behind them: {}", records(view.followed)),
        "comparing" => "comparing with what is there".to_owned(),
        "writing" => "writing what differs".to_owned(),
        other => plain(other),
    };
    match &view.waiting_for {
        Some(waits) => format!("{what}; it waits: {}", plain(waits)),
        None => what,
    }
}

fn records(many: u64) -> String {
    count(many, "record", "records")
}

fn said(out: &mut dyn Write, screen: &Screen, view: &ReplayView) -> io::Result<()> {
    let job = plain(&view.job);
    let state = match (view.outcome.as_deref(), &view.why) {
        (Some("done"), _) => "is done".to_owned(),
        (Some(outcome), Some(why)) => format!("{}: {}", plain(outcome), plain(why)),
        _ => format!("runs: {}", goes_on(view)),
    };
    writeln!(out, "{job}: the replay of version {} {state}", view.version)?;
    let counted = |name: &str| view.counts.get(name).copied().unwrap_or(0);
    writeln!(
        out,
        "{} in {}; {}, {} late, {} dropped; {} run behind them to know what the job wrote since",
        records(view.records),
        count(view.batches, "batch", "batches"),
        count(counted("dead_letters"), "dead letter", "dead letters"),
        counted("late"),
        counted("dropped"),
        records(view.followed),
    )?;
    if let Some(savepoint) = &view.savepoint {
        let taken = plain(&savepoint.taken);
        writeln!(
            out,
            "it begins from the savepoint of batch {}, taken at {taken}",
            savepoint.batch
        )?;
    }
    for warning in &view.warnings {
        writeln!(out, "warning: {}", plain(warning))?;
    }
    for (sink, rows) in &view.delivered {
        let rows = count(*rows, "row", "rows");
        writeln!(out, "sink {}: {rows} written", plain(sink))?;
    }
    if view.sinks.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<[String; 8]> = view.sinks.iter().map(figures).collect();
    let head = [
        "",
        "ALIKE",
        "DIFFERING",
        "MISSING",
        "EXTRA",
        "OVERTAKEN",
        "MENDED",
        "UNMENDED",
    ];
    table(out, screen, (head, &[]), &rows)?;
    for (name, sink) in &view.sinks {
        samples(out, screen, (name, sink))?;
    }
    if view.running || view.outcome.as_deref() != Some("done") {
        return Ok(());
    }
    let beside = match &*view.extra_rows {
        "place" => "",
        "active" => {
            "; of rows that were not made only those are told that the active version makes"
        }
        _ => "; rows that were not made cannot be told here",
    };
    match (view.differing, view.writes) {
        (0, _) => writeln!(out, "\nno difference{beside}"),
        (_, false) => writeln!(out, "\n--write writes what differs and is missing{beside}"),
        (_, true) => Ok(()),
    }
}

fn figures((name, sink): (&String, &ReplaySinkView)) -> [String; 8] {
    [
        format!("{} ({})", plain(name), plain(&sink.place)),
        sink.alike.to_string(),
        sink.differing.to_string(),
        sink.missing.to_string(),
        sink.extra.to_string(),
        sink.overtaken.to_string(),
        sink.mended.to_string(),
        sink.unmended.to_string(),
    ]
}

fn samples(
    out: &mut dyn Write,
    screen: &Screen,
    (name, sink): (&str, &ReplaySinkView),
) -> io::Result<()> {
    columns_said(out, name, &sink.columns)?;
    if sink.samples.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<[String; 5]> = sink.samples.iter().flat_map(sample).collect();
    let head = ["IS", "KEY", "COLUMN", "THERE", "MADE"];
    table(out, screen, (head, &[]), &rows)
}

fn sample(row: &ReplayRowView) -> Vec<[String; 5]> {
    let none = || "(none)".to_owned();
    let shown = |value: &Option<String>| value.as_deref().map_or_else(none, plain);
    let column = |column: &ReplayColumnView| {
        [
            row.is.clone(),
            plain(&row.key),
            plain(&column.column),
            shown(&column.held),
            shown(&column.made),
        ]
    };
    row.columns.iter().map(column).collect()
}
