//! `inspect`: what a component is, without a host.

use super::file;
use super::output::{Output, fields, plain};
use super::screen::Screen;
use super::{CliError, Host};
use crate::offline::OfflineJob;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::job::{JobSpec, MetricKind, MetricSpec, SinkSpec, StageSpec};
use streamhost_guest::{signature, wrap};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost inspect target/streamhost/clicks.wasm
  streamhost inspect clicks.wasm --output json | jq .stages")]
pub(super) struct Args {
    /// The component, as `streamhost build` made it
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// Why nothing can be said of a component.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is no component of ours.
    #[error("{}: {reason}", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        reason: String,
    },
    /// The engine does not start.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
}

/// What a component is.
#[derive(Debug, Serialize)]
struct Inspection {
    /// The file.
    file: PathBuf,
    /// Its length.
    size_bytes: usize,
    /// The SHA-256 of the file, as `history` shows it.
    sha256: String,
    /// The SDK that it was written with, where it says so.
    sdk_version: Option<String>,
    /// The keys that its signature names; none: it has no signature. A host proves it.
    signed_by: Option<Vec<String>>,
    /// What it asks of the host.
    imports: Vec<String>,
    /// What of that the host answers by itself, as it gives no files, clocks or network.
    stubbed: Vec<String>,
    /// Its job, with the names that no setting has changed.
    #[serde(flatten)]
    job: JobSpec,
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let bytes = file::read(&args.file)?;
    let found = inspect(args.file, &bytes, host)?;
    Ok(args
        .output
        .print(out, &found, |out, found| text(out, screen, found))?)
}

/// Shows what a component is, which proves as well that a host can load it.
pub(super) fn describe(
    file: &Path,
    bytes: &[u8],
    host: &dyn Host,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let found = inspect(file.to_owned(), bytes, host)?;
    Ok(text(out, &Screen::program(), &found)?)
}

fn inspect(path: PathBuf, bytes: &[u8], host: &dyn Host) -> Result<Inspection, InspectError> {
    let bad = |reason: String| InspectError::Component {
        path: path.clone(),
        reason,
    };
    let engine = |e: io::Error| InspectError::Engine(e.to_string());
    let cache = tempfile::tempdir().map_err(engine)?;
    let compiler = host.compiler().map_err(engine)?;
    let (settings, quiet) = (BTreeMap::new(), Arc::new(|_, _: &str| {}));
    let job = OfflineJob::load(bytes, &settings, (cache.path(), compiler), quiet)
        .map_err(|e| bad(format!("{e:#}")))?;
    Ok(Inspection {
        size_bytes: bytes.len(),
        sha256: job.compiled().digest.clone(),
        sdk_version: wrap::sdk_version(bytes),
        signed_by: signature::claims(bytes),
        imports: job.compiled().imports.clone(),
        stubbed: job.compiled().stubbed.clone(),
        job: job.spec().clone(),
        file: path,
    })
}

fn text(out: &mut dyn Write, screen: &Screen, found: &Inspection) -> io::Result<()> {
    let Inspection {
        file,
        size_bytes,
        sha256,
        sdk_version,
        signed_by,
        imports,
        stubbed,
        job,
    } = found;
    let size = bytesize::ByteSize(*size_bytes as u64).display().iec();
    let every = match job.every {
        Duration::ZERO => "as soon as records are there".to_owned(),
        every => format!("every {}", humantime::format_duration(every)),
    };
    let listed = |names: Vec<&str>| match names.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let own = imports.iter().filter(|name| !stubbed.contains(name));
    let own = listed(own.map(String::as_str).collect());
    let stubs = listed(stubbed.iter().map(String::as_str).collect());
    let sdk = sdk_version
        .as_deref()
        .map_or_else(|| "not said".to_owned(), str::to_owned);
    let signed = match signed_by {
        None => "no".to_owned(),
        Some(names) if names.is_empty() => "by a key without a name, as it says".to_owned(),
        Some(names) => format!("by {}, as it says; hosts prove it", names.join(", ")),
    };
    writeln!(out, "{}", plain(&job.name))?;
    let lines = [
        ("  file", file.display().to_string()),
        ("  size", size.to_string()),
        ("  sha256", sha256.clone()),
        ("  sdk", sdk),
        ("  signed", signed),
        ("  imports", own),
        ("  stubs", stubs),
        ("  batches", every),
    ];
    fields(out, screen, 10, &lines)?;
    for parameter in &job.parameters {
        let (name, default) = (plain(&parameter.name), plain(&parameter.default));
        writeln!(
            out,
            "param    `{name}` {}, {default} by default",
            parameter.kind
        )?;
    }
    for MetricSpec { name, kind } in &job.metrics {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
        };
        writeln!(out, "metric   `{}` {kind}", plain(name))?;
    }
    for source in &job.sources {
        let table = if source.table { ", as a table" } else { "" };
        let name = plain(&source.name);
        writeln!(out, "source   {} `{name}`{table}", plain(&source.connector))?;
    }
    job.stages
        .iter()
        .try_for_each(|stage| stage_text(out, job, stage))?;
    job.sinks.iter().try_for_each(|sink| sink_text(out, sink))
}

/// A stage, what feeds it, and what is kept of it.
fn stage_text(out: &mut dyn Write, job: &JobSpec, stage: &StageSpec) -> io::Result<()> {
    let name_of = |number: &u32| {
        let number = *number as usize;
        let name = match number.checked_sub(job.sources.len()) {
            None => &job.sources[number].name,
            Some(stage) => &job.stages[stage].name,
        };
        format!("`{}`", plain(name))
    };
    let inputs: Vec<_> = stage.inputs.iter().map(name_of).collect();
    writeln!(
        out,
        "stage    `{}` of {}",
        plain(&stage.name),
        inputs.join(" and ")
    )?;
    writeln!(out, "           {}", plain(&stage.fingerprint()))
}

/// What JSON calls a kind.
fn word(kind: &impl Serialize) -> String {
    let value = serde_json::to_value(kind).unwrap_or_default();
    plain(value.as_str().unwrap_or("?"))
}

/// An option in a list.
fn option(name: &str, value: &str) -> String {
    match value {
        "true" => format!(", {}", plain(name)),
        value => format!(", {}={}", plain(name), plain(value)),
    }
}

/// A sink and its columns.
fn sink_text(out: &mut dyn Write, sink: &SinkSpec) -> io::Result<()> {
    let on = sink.options.iter().filter(|(_, value)| *value != "false");
    let options: String = on.map(|(name, value)| option(name, value)).collect();
    writeln!(
        out,
        "sink     {} `{}`{options}",
        plain(&sink.connector),
        plain(&sink.name)
    )?;
    for key in &sink.keys {
        let kind = word(&key.kind);
        writeln!(out, "           {} {kind}, key", plain(&key.name))?;
    }
    for column in &sink.columns {
        let name = if column.name.is_empty() {
            "value"
        } else {
            &column.name
        };
        let optional = if column.optional { ", optional" } else { "" };
        let kind = word(&column.kind);
        writeln!(out, "           {} {kind}{optional}", plain(name))?;
    }
    if sink.headers {
        writeln!(out, "           and headers")?;
    }
    if sink.dynamic {
        writeln!(out, "           and columns that the rows name")?;
    }
    Ok(())
}
