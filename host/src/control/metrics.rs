//! The jobs' figures in Prometheus' text format. Pure.

use crate::api::{JobState, JobStatus};
use std::fmt::Write;

type Figure = (
    &'static str,
    &'static str,
    &'static str,
    fn(&JobStatus) -> Option<u64>,
);

/// Name, type, meaning and value of each figure that a job has once.
const FIGURES: [Figure; 9] = [
    (
        "records_in_total",
        "counter",
        "Records read, of durable batches.",
        |job| Some(job.records_in),
    ),
    (
        "rows_out_total",
        "counter",
        "Rows delivered, all sinks together.",
        |job| Some(job.rows_out),
    ),
    (
        "dead_letters_total",
        "counter",
        "Records sent to the dead letters.",
        |job| Some(job.dead_letters),
    ),
    (
        "dropped_total",
        "counter",
        "Records that the author filtered away.",
        |job| Some(job.dropped),
    ),
    (
        "late_total",
        "counter",
        "Records that came too late for a window or join.",
        |job| Some(job.late),
    ),
    (
        "batches_total",
        "counter",
        "Batches that are durable.",
        |job| Some(job.batches),
    ),
    (
        "lag_records",
        "gauge",
        "Records behind the ends of all partitions; absent while not known.",
        |job| job.lag,
    ),
    (
        "version",
        "gauge",
        "The version that the next batch runs.",
        |job| Some(job.version),
    ),
    (
        "deployment",
        "gauge",
        "The number of the deployment that is active.",
        |job| Some(job.deployment),
    ),
];

const STATES: [(JobState, &str); 5] = [
    (JobState::Running, "running"),
    (JobState::Paused, "paused"),
    (JobState::Retrying, "retrying"),
    (JobState::Stopped, "stopped"),
    (JobState::Finished, "finished"),
];

/// The whole answer of `/metrics`.
pub(super) fn render(jobs: &[JobStatus]) -> String {
    let mut text = String::new();
    head(&mut text, "host_info", "gauge", "The host's version.");
    line(
        &mut text,
        "host_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    head(&mut text, "jobs", "gauge", "Jobs that are deployed.");
    line(&mut text, "jobs", &[], jobs.len() as u64);
    for (name, kind, help, value) in FIGURES {
        let name = format!("job_{name}");
        head(&mut text, &name, kind, help);
        for job in jobs {
            if let Some(value) = value(job) {
                line(&mut text, &name, &[("job", &job.job)], value);
            }
        }
    }
    head(
        &mut text,
        "job_state",
        "gauge",
        "1 for the state that the job is in, 0 for the others.",
    );
    for job in jobs {
        for (state, name) in STATES {
            line(
                &mut text,
                "job_state",
                &[("job", &job.job), ("state", name)],
                u64::from(job.state == state),
            );
        }
    }
    watermarks(&mut text, jobs);
    stages_and_sinks(&mut text, jobs);
    text
}

fn watermarks(text: &mut String, jobs: &[JobStatus]) {
    head(
        text,
        "watermark_seconds",
        "gauge",
        "Event time up to which all partitions have come, since 1970; absent while none.",
    );
    for job in jobs {
        let watermark = job
            .watermark
            .as_deref()
            .and_then(|text| humantime::parse_rfc3339(text).ok());
        if let Some(seconds) =
            watermark.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        {
            line(
                text,
                "watermark_seconds",
                &[("job", &job.job)],
                seconds.as_secs(),
            );
        }
    }
}

fn stages_and_sinks(text: &mut String, jobs: &[JobStatus]) {
    head(
        text,
        "stage_keys",
        "gauge",
        "Entries that a keyed stage keeps.",
    );
    for job in jobs {
        for stage in &job.stages {
            line(
                text,
                "stage_keys",
                &[("job", &*job.job), ("stage", &*stage.name)],
                stage.keys,
            );
        }
    }
    head(
        text,
        "stage_bytes",
        "gauge",
        "Bytes that a keyed stage keeps.",
    );
    for job in jobs {
        for stage in &job.stages {
            line(
                text,
                "stage_bytes",
                &[("job", &*job.job), ("stage", &*stage.name)],
                stage.bytes,
            );
        }
    }
    head(
        text,
        "sink_rows_total",
        "counter",
        "Rows delivered to one sink.",
    );
    for job in jobs {
        for sink in &job.sinks {
            let labels = [
                ("job", &*job.job),
                ("sink", &*sink.name),
                ("place", &*sink.target),
            ];
            line(text, "sink_rows_total", &labels, sink.rows);
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        text,
        "# HELP streamhost_{name} {help}\n# TYPE streamhost_{name} {kind}"
    ); // a String takes all
}

fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let quote = |v: &str| {
        v.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let labels = labels
        .iter()
        .map(|(k, v)| format!("{k}=\"{}\"", quote(v)))
        .collect::<Vec<_>>()
        .join(",");
    let labels = if labels.is_empty() {
        labels
    } else {
        format!("{{{labels}}}")
    };
    let _ = writeln!(text, "streamhost_{name}{labels} {value}");
}
