//! `deploy`: gives the daemon a component.

use super::CliError;
use super::canary;
use super::client::Which;
use super::dry_run::DryRun;
use super::file::{self, Component};
use super::output::{Output, plain};
use super::progress::Progress;
use super::screen::Screen;
use super::{savepoint, shadow};
use crate::api::{Deployed, ShadowView};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(mut_arg("file", |file| file.required(false).required_unless_present("from_savepoint")))]
#[command(after_help = "Examples:
  streamhost deploy clicks.wasm --create-tables
  streamhost deploy clicks.wasm --set source.clicks=clicks-eu --set every=1s
  streamhost deploy clicks.wasm --set sink.clicks=clicks2 --replan --dry-run
  streamhost deploy clicks.wasm --set every=                  # back to the job's own
  streamhost deploy clicks.wasm --shadow --for 10m            # beside the active version, compared with it
  streamhost deploy clicks.wasm --shadow --batches 100 --promote-if differing=0
  streamhost deploy clicks.wasm --canary 5%                   # of the keys; the rest goes on as before
  streamhost deploy clicks.wasm --canary partitions=0,1
  streamhost deploy clicks.wasm --name clicks-trial --set start=latest
  streamhost deploy --from-savepoint clicks.savepoint --dry-run
  streamhost deploy --from-savepoint clicks.savepoint --set sink.clicks=clicks2 --create-tables")]
pub(super) struct Args {
    #[command(flatten)]
    component: Component,
    /// Say what would be done, or be refused, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Run it beside the active version, on the same batches, and write nothing of it: `diff` shows
    /// how they differ, `promote` makes it active
    #[arg(long, conflicts_with_all = ["dry_run", "create_tables", "reset_state", "replan"])]
    shadow: bool,
    /// How long a shadow runs at most; 10m without it
    #[arg(long = "for", value_name = "TIME", requires = "shadow")]
    time: Option<String>,
    /// How many batches a shadow runs at most
    #[arg(long, value_name = "N", requires = "shadow")]
    batches: Option<u64>,
    /// Make the shadow active by itself at its end, if this is so then
    #[arg(long, value_name = "CONDITION", requires = "shadow")]
    promote_if: Option<String>,
    /// Begin a job from a savepoint, with the version, settings, positions and state that are in it;
    /// --set changes settings. The job must not be there
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["file", "shadow", "reset_state", "replan"])]
    from_savepoint: Option<PathBuf>,
    /// Begin it though an exactly-once sink holds rows from after the savepoint, or that is not known:
    /// it is given them again
    #[arg(long, requires = "from_savepoint", conflicts_with = "file")]
    repeat_rows: bool,
    /// Have it run this part of the records alone, and the active version the rest: a share of the
    /// keys (5%), or partitions (partitions=0,1). `promote --to` gives it more
    #[arg(long, value_name = "PART",
          conflicts_with_all = ["dry_run", "from_savepoint", "shadow", "reset_state", "replan"])]
    canary: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let request = args.component.request()?;
    let mut query: Vec<(&str, String)> = request
        .settings
        .iter()
        .map(|(k, v)| ("set", format!("{k}={v}")))
        .collect();
    query.extend(request.name.map(|name| ("name", name)));
    query.push(("reset-settings", request.reset_settings.to_string()));
    if !args.shadow {
        query.extend([
            ("create-tables", request.create_tables.to_string()),
            ("reset-state", request.reset_state.to_string()),
            ("replan", request.replan.to_string()),
        ]);
        query.extend(args.canary.clone().map(|share| ("canary", share)));
    }
    if let Some(file) = &args.from_savepoint {
        query.push(("repeat-rows", args.repeat_rows.to_string()));
        return restore(&args, file, &query, screen, out);
    }
    let bytes = file::read(args.component.file())?;
    let client = args.daemon.client()?;
    let size = bytesize::ByteSize(bytes.len() as u64).display().iec();
    let waits = Progress::begin(
        screen,
        format!("the daemon compiles {size} and checks them"),
    );
    if args.shadow {
        query.extend(args.time.map(|time| ("for", time)));
        query.extend(args.batches.map(|batches| ("batches", batches.to_string())));
        query.extend(args.promote_if.map(|condition| ("promote-if", condition)));
        let begun: ShadowView = client.post("/v1/shadows", &query, "application/wasm", &bytes)?;
        drop(waits);
        return Ok(args.output.print(out, &begun, shadow::begun)?);
    }
    if args.dry_run {
        let told: DryRun = client.post("/v1/check", &query, "application/wasm", &bytes)?;
        drop(waits);
        args.output.print(out, &told, DryRun::said)?;
        return Ok(told.refused()?);
    }
    let deployed: Deployed = client.post("/v1/jobs", &query, "application/wasm", &bytes)?;
    drop(waits);
    Ok(args.output.print(out, &deployed, said)?)
}

/// Begins a job from a savepoint.
fn restore(
    args: &Args,
    file: &Path,
    query: &[(&str, String)],
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let file = savepoint::open(file)?;
    let client = args.daemon.client()?;
    let waits = Progress::begin(screen, "the daemon takes the savepoint, and checks it");
    if args.dry_run {
        let told: DryRun = client.upload("/v1/restores/check", query, &file)?;
        drop(waits);
        args.output.print(out, &told, DryRun::said)?;
        return Ok(told.refused()?);
    }
    let deployed: Deployed = client.upload("/v1/restores", query, &file)?;
    drop(waits);
    Ok(args.output.print(out, &deployed, said)?)
}

/// One line: which version is active now.
pub(super) fn said(out: &mut dyn Write, deployed: &Deployed) -> io::Result<()> {
    let Deployed {
        version,
        deployment,
        changed,
        ..
    } = deployed;
    let (job, digest) = (plain(&deployed.job), plain(&deployed.digest));
    let (is, unchanged) = if *changed {
        ("is", "")
    } else {
        ("was", ": nothing changed")
    };
    let active = if *changed { "active" } else { "active already" };
    let paused = if deployed.paused {
        format!("; the job is paused: `streamhost resume {job}`")
    } else {
        String::new()
    };
    match deployed.canary.as_ref().filter(|_| *changed) {
        Some(begun) => canary::begun(out, deployed, begun)?,
        None => writeln!(
            out,
            "{job} version {version} {is} {active} (deployment {deployment}, sha256 {digest}){unchanged}{paused}"
        )?,
    }
    for change in &deployed.changes {
        writeln!(out, "changed: {}", plain(&change.to_string()))?;
    }
    if !deployed.kept.is_empty() {
        let kept = deployed.kept.iter();
        let kept: Vec<_> = kept.map(|(key, value)| format!("{key}={value}")).collect();
        writeln!(
            out,
            "as before: {} (`--set KEY=` takes one back)",
            plain(&kept.join(", "))
        )?;
    }
    deployed
        .warnings
        .iter()
        .try_for_each(|warning| writeln!(out, "warning: {}", plain(warning)))
}
