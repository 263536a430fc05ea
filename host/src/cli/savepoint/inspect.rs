//! What is in a savepoint, as it is shown.

use crate::cli::output::{count, fields, plain, table};
use crate::cli::screen::Screen;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use streamhost_core::job::{DeploymentRecord, StageSpec};
use streamhost_core::keyed::look::{Kept, PageStart, WantedKeys, page};
use streamhost_core::state::Most;
use streamhost_core::state::shape::{key_text, value_json};
use streamhost_core::types::{END_OF_TIME_MS, NO_TIME_MS, TopicOffsets};
use streamhost_core::{clock, limits};
use streamhost_storage::savepoint::{StageSummary, Summary};

/// Characters of a key or value that a table shows.
const CELL_CHARS_MAX: usize = 60;
/// The widest name before a value.
const NAME_WIDTH: usize = 12;

/// A savepoint.
#[derive(Serialize)]
pub(super) struct View {
    job: String,
    batch: u64,
    taken: String,
    /// The release that took it.
    program: String,
    /// It stopped its job, and is exact.
    stopped: bool,
    bytes: u64,
    version: u64,
    deployments: Vec<DeploymentView>,
    positions: TopicOffsets,
    watermark: Option<String>,
    records_in: u64,
    rows: BTreeMap<String, u64>,
    stages: Vec<StageView>,
    /// Dead letters that are remembered as retried or dropped.
    letters: u64,
}

#[derive(Serialize)]
struct DeploymentView {
    number: u64,
    version: u64,
    at: String,
    digest: String,
    settings: BTreeMap<String, String>,
    /// The component's length; null where it is not in the savepoint.
    component_bytes: Option<u64>,
}

#[derive(Serialize)]
struct StageView {
    name: String,
    keys: u64,
    entries: u64,
    bytes: u64,
    samples: Vec<SampleView>,
}

#[derive(Serialize)]
struct SampleView {
    key: String,
    /// Where its window begins and ends.
    window: Option<(String, String)>,
    value: String,
}

pub(super) fn view(found: &Summary, bytes: u64) -> View {
    let (record, checkpoint) = (&found.facts.record, &found.facts.checkpoint);
    let deployment = |d: &DeploymentRecord| DeploymentView {
        number: d.number,
        version: d.version,
        at: clock::rfc3339(d.at_ms),
        digest: d.digest.clone(),
        settings: d.settings.clone(),
        component_bytes: found.components.get(&d.digest).copied(),
    };
    let watermark_ms = checkpoint.times.watermark_ms;
    let is_time = watermark_ms > NO_TIME_MS && watermark_ms < END_OF_TIME_MS;
    View {
        job: record.name.clone(),
        batch: checkpoint.batch,
        taken: clock::rfc3339(found.facts.taken_ms),
        program: found.facts.program.clone(),
        stopped: found.facts.stopped,
        bytes,
        version: record.active().version,
        deployments: record.deployments.iter().rev().map(deployment).collect(),
        positions: checkpoint.committed.clone(),
        watermark: is_time.then(|| clock::rfc3339(watermark_ms)),
        records_in: checkpoint.counters.records_in,
        rows: checkpoint.counters.rows.clone(),
        stages: (found.stages.iter())
            .map(|stage| stage_view(found, stage))
            .collect(),
        letters: found.marks,
    }
}

fn stage_view(found: &Summary, stage: &StageSummary) -> StageView {
    let mut specs = found.facts.stages.iter();
    let spec = specs.find(|spec| spec.name == stage.name);
    let shape = found.facts.checkpoint.stages.get(&stage.name);
    let shape = shape.map_or("", |facts| facts.shape.0.as_str());
    StageView {
        name: stage.name.clone(),
        keys: stage.keys,
        entries: stage.entries,
        bytes: stage.bytes,
        samples: spec.map_or_else(Vec::new, |spec| samples(spec, stage, shape)),
    }
}

/// Some of the keys, as `state` shows them.
fn samples(spec: &StageSpec, stage: &StageSummary, value_shape: &str) -> Vec<SampleView> {
    let read = |from: &[u8], to: &[u8], most: Most| {
        let there = stage.samples.iter();
        let there = there.filter(|(key, _)| key.as_slice() >= from && key.as_slice() < to);
        most.of(there.cloned().map(Ok))
    };
    let most = limits::SAVEPOINT_SAMPLE_KEYS_MAX;
    let found = page(spec, &WantedKeys::All, PageStart::default(), most, read);
    let found = found.map_or_else(|_| Vec::new(), |page| page.entries);
    let sample = |kept: &Kept| {
        let is_other = (kept.joined).map_or(!spec.other_shape.is_empty(), |of| of.right);
        let shape = if is_other {
            &spec.other_shape
        } else {
            value_shape
        };
        let value = value_json(shape, &kept.value, limits::STATE_SHOWN_BYTES);
        let window = kept.window_ms;
        SampleView {
            key: key_text(&spec.key_shape, &kept.key).unwrap_or_else(|| words(&kept.key)),
            window: window.map(|(start, end)| (clock::rfc3339(start), clock::rfc3339(end))),
            value: value.map_or_else(|| words(&kept.value), |json| json.text),
        }
    };
    found.iter().map(sample).collect()
}

/// Bytes whose shape says nothing.
fn words(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

pub(super) fn said(out: &mut dyn Write, screen: &Screen, view: &View) -> io::Result<()> {
    let exact = match view.stopped {
        true => "stopped its job: it is exact",
        false => "its job went on",
    };
    let size = bytesize::ByteSize(view.bytes).display().iec();
    let rows = view.rows.iter();
    let rows: Vec<_> = rows
        .map(|(sink, rows)| format!("{rows} for {sink}"))
        .collect();
    let mut lines = vec![
        ("job", view.job.clone()),
        ("batch", view.batch.to_string()),
        (
            "taken",
            format!("{}, and {exact}", screen.time(&view.taken)),
        ),
        ("by", format!("streamhost {}, {size}", view.program)),
        ("version", view.version.to_string()),
        ("records", view.records_in.to_string()),
        ("rows", rows.join(", ")),
        (
            "letters",
            count(view.letters, "letter remembered", "letters remembered"),
        ),
    ];
    lines.extend(
        view.watermark
            .iter()
            .map(|at| ("watermark", screen.time(at))),
    );
    for (topic, partitions) in &view.positions {
        let at = partitions
            .iter()
            .map(|(id, offset)| format!("{id}: {offset}"));
        let at = at.collect::<Vec<_>>().join(", ");
        lines.push(("position", format!("{topic} {at}")));
    }
    fields(out, screen, NAME_WIDTH, &lines)?;
    writeln!(out)?;
    deployments_said(out, screen, &view.deployments)?;
    for stage in &view.stages {
        let size = bytesize::ByteSize(stage.bytes).display().iec();
        let keys = count(stage.keys, "key", "keys");
        writeln!(out, "\nstage {}: {keys}, {size}", plain(&stage.name))?;
        samples_said(out, screen, &stage.samples)?;
    }
    Ok(())
}

fn deployments_said(
    out: &mut dyn Write,
    screen: &Screen,
    all: &[DeploymentView],
) -> io::Result<()> {
    let row = |d: &DeploymentView| {
        let settings = d.settings.iter().map(|(k, v)| format!("{k}={v}"));
        [
            d.number.to_string(),
            d.version.to_string(),
            screen.time(&d.at),
            d.digest.chars().take(12).collect(),
            d.component_bytes
                .map_or_else(|| "not in it".to_owned(), |n| n.to_string()),
            settings.collect::<Vec<_>>().join(" "),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let head = ["DEPLOYMENT", "VERSION", "AT", "SHA256", "BYTES", "SETTINGS"];
    table(out, screen, (head, &["SHA256", "BYTES"]), &rows)
}

fn samples_said(out: &mut dyn Write, screen: &Screen, all: &[SampleView]) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let short = |text: &str| text.chars().take(CELL_CHARS_MAX).collect::<String>();
    let row = |sample: &SampleView| {
        let window = sample.window.as_ref();
        let window =
            window.map(|(start, end)| format!("{} to {}", screen.time(start), screen.time(end)));
        [
            short(&sample.key),
            window.unwrap_or_default(),
            short(&sample.value),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(out, screen, (["KEY", "WINDOW", "VALUE"], &[]), &rows)
}
