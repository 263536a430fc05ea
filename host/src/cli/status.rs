//! `status`: one job in full, or the list.

use super::CliError;
use super::client::{Which, job_path};
use super::list::{self, state};
use super::output::{Output, count, plain, table};
use crate::api::{JobState, JobStatus};
use std::io::{self, Write};
use std::time::Duration;
use streamhost_core::job::{SinkKind, SourceKind};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost status
  streamhost status clicks --output json")]
pub(super) struct Args {
    /// The job; all without it
    job: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    match &args.job {
        None => list::print(&args.daemon, args.output, out),
        Some(job) => {
            let path = job_path(job, "")?;
            let status: JobStatus = args.daemon.client()?.get(&path, &[])?;
            Ok(args.output.print(out, &status, text)?)
        }
    }
}

/// Up to where event time is complete, or why that cannot be said.
fn watermark(job: &JobStatus) -> String {
    let none = match job.state {
        JobState::Finished => "the end: every source has ended",
        _ => "none yet: no windows by event time, or a partition that has shown nothing",
    };
    job.watermark.clone().unwrap_or_else(|| none.to_owned())
}

fn text(out: &mut dyn Write, job: &JobStatus) -> io::Result<()> {
    let every = match job.every_ms {
        0 => "as soon as the pipeline is free".to_owned(),
        ms => humantime::format_duration(Duration::from_millis(ms)).to_string(),
    };
    let time = humantime::format_duration(Duration::from_millis(job.limits.time_ms));
    let bytes = |n: u64| bytesize::ByteSize(n).display().iec();
    let limits = format!(
        "{} of memory, {time} a call; batches of {}, {}",
        bytes(job.limits.memory_bytes),
        count(job.limits.batch_records, "record", "records"),
        bytes(job.limits.batch_bytes)
    );
    let waiting = job.waiting_for.as_ref();
    let waiting = waiting.map(|waiting| format!("{} (since {})", waiting.what, waiting.since));
    // Else nothing is known of what its component and settings make of it.
    let is_loaded = !job.sources.is_empty();
    let letters = if is_loaded {
        format!(" (topic {})", job.dead_letter_topic)
    } else {
        String::new()
    };
    let lines = [
        ("job", Some(job.job.clone())),
        ("state", Some(state(job.state).to_owned())),
        ("waiting for", waiting),
        ("last error", job.last_error.clone()),
        (
            "version",
            Some(format!(
                "{} (deployment {}, sha256 {})",
                job.version, job.deployment, job.digest
            )),
        ),
        ("records in", Some(job.records_in.to_string())),
        ("rows out", Some(job.rows_out.to_string())),
        (
            "dead letters",
            Some(format!("{}{letters}", job.dead_letters)),
        ),
        ("dropped", Some(job.dropped.to_string())),
        (
            "late",
            (!job.stages.is_empty()).then(|| job.late.to_string()),
        ),
        ("batches", Some(job.batches.to_string())),
        ("every", is_loaded.then_some(every)),
        (
            "lag",
            Some(job.lag.map_or_else(
                || "not known yet".to_owned(),
                |lag| count(lag, "record", "records"),
            )),
        ),
        (
            "watermark",
            (!job.stages.is_empty()).then(|| watermark(job)),
        ),
        ("group", is_loaded.then(|| job.group.clone())),
        ("lanes", Some(job.lanes.to_string())),
        ("limits", is_loaded.then_some(limits)),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "{name:13} {}", plain(&value))?;
        }
    }
    if is_loaded { places(out, job) } else { Ok(()) }
}

fn places(out: &mut dyn Write, job: &JobStatus) -> io::Result<()> {
    let mut rows = Vec::new();
    for source in &job.sources {
        let reached: Vec<_> = source
            .committed
            .iter()
            .map(|(partition, offset)| format!("{partition}:{offset}"))
            .collect();
        let name = source.name.clone();
        let kind = match source.kind {
            SourceKind::Kafka => "kafka",
            SourceKind::Socket => "socket",
            SourceKind::File => "file",
            SourceKind::Rate => "rate",
        };
        rows.push([
            "source".to_owned(),
            name,
            kind.to_owned(),
            source.target.clone(),
            reached.join(" "),
        ]);
    }
    for stage in &job.stages {
        let kept = format!(
            "{} keys, {}",
            stage.keys,
            bytesize::ByteSize(stage.bytes).display().iec()
        );
        rows.push([
            "stage".to_owned(),
            stage.name.clone(),
            String::new(),
            String::new(),
            kept,
        ]);
    }
    for sink in &job.sinks {
        let kind = match sink.kind {
            SinkKind::Hbase => "hbase",
            SinkKind::Kafka => "kafka",
            SinkKind::Console => "console",
        };
        let rows_out = count(sink.rows, "row", "rows");
        rows.push([
            "sink".to_owned(),
            sink.name.clone(),
            kind.to_owned(),
            sink.target.clone(),
            rows_out,
        ]);
    }
    writeln!(out)?;
    table(
        out,
        ["PLACE", "NAME", "KIND", "TOPIC OR TABLE", "REACHED"],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Jobs;
    use crate::control::fake::FakeJobs;

    #[test]
    fn of_a_job_that_cannot_be_loaded_nothing_is_invented() {
        let shown = |job: &JobStatus| {
            let mut out = Vec::new();
            text(&mut out, job).expect("a Vec takes all");
            String::from_utf8(out).expect("text")
        };
        let mut job = FakeJobs::with_clicks()
            .status("clicks")
            .expect("it is there");
        let all = shown(&job);
        let made = ["every ", "group ", "limits ", "(topic ", "PLACE "];
        assert!(made.iter().all(|name| all.contains(name)), "{all}");
        (job.sources, job.state) = (Vec::new(), JobState::Stopped);
        let less = shown(&job);
        assert!(
            !made.iter().any(|name| less.contains(name)) && less.contains("stopped"),
            "{less}"
        );
    }
}
