//! `status`: one job in full, or the list.

use super::CliError;
use super::canary;
use super::client::{Which, job_path};
use super::list::{self, state};
use super::output::{Output, catching_up, count, fields, plain, table};
use super::screen::Screen;
use super::told::Told;
use crate::api::{BudgetStatus, JobState, JobStatus, MemoryPart, ParameterStatus};
use std::io::{self, Write};
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost status
  streamhost status clicks --output json

With a job that is stopped the exit code is 3.")]
pub(super) struct Args {
    /// The job; all without it
    job: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(job) = &args.job else {
        return list::print(&args.daemon, args.output, screen, out);
    };
    let path = job_path(job, "")?;
    let shown: Told = args.daemon.client()?.get(&path, &[])?;
    args.output
        .print(out, &shown, |out, shown| text(out, screen, shown))?;
    match shown.status.state {
        JobState::Stopped => Err(CliError::IsStopped),
        _ => Ok(()),
    }
}

/// Up to where event time is complete, or why that cannot be said.
fn watermark(job: &JobStatus, screen: &Screen) -> String {
    let none = match job.state {
        JobState::Finished => "the end: every source has ended",
        _ => "none yet: no windows by event time, or a partition that has shown nothing",
    };
    let time = job.watermark.as_ref();
    time.map_or_else(|| none.to_owned(), |time| screen.time(time))
}

/// The version that runs, and what it is.
fn version(job: &JobStatus) -> String {
    let digest: String = job.digest.chars().take(12).collect();
    let (version, deployment) = (job.version, job.deployment);
    format!("{version} (deployment {deployment}, sha256 {digest})")
}

/// The version that runs beside the active one, or did so last.
fn shadow(job: &JobStatus) -> Option<String> {
    let shadow = job.shadow.as_ref()?;
    let state = match (&shadow.why, shadow.running) {
        (Some(why), _) => format!("has ended: {}", plain(why)),
        (None, true) => "runs".to_owned(),
        (None, false) => "ends".to_owned(),
    };
    Some(format!(
        "version {} {state}: {} batches, {} left out, {} rows alike, {} differing: `streamhost diff {}`",
        shadow.version,
        shadow.batches,
        shadow.skipped,
        shadow.alike,
        shadow.differing,
        plain(&job.job)
    ))
}

/// History that is run through a version beside the job, or was last.
fn replay(job: &JobStatus) -> Option<String> {
    let replay = job.replay.as_ref()?;
    let (passed, offsets) = (replay.passed, replay.offsets);
    let state = match &replay.outcome {
        None => format!("is {}, {passed} of {offsets} offsets", plain(&replay.phase)),
        Some(outcome) => plain(outcome),
    };
    Some(format!(
        "of version {} {state}, {} rows differ: `streamhost replay {} --show`",
        replay.version,
        replay.differing,
        plain(&job.job)
    ))
}

/// For how long a version that proves unfit is rolled back.
fn probation(job: &JobStatus, screen: &Screen) -> Option<String> {
    let probation = job.probation.as_ref()?;
    let more = match probation.batches {
        0 => String::new(),
        left => format!(", and {} more", count(left, "batch", "batches")),
    };
    Some(format!(
        "until {}{more}: if this version proves unfit or goes over its budget, version {} takes over again",
        screen.time(&probation.until),
        probation.version
    ))
}

/// The version's budgets, and what was used of each.
fn budgets(job: &JobStatus) -> Option<String> {
    let one = |budget: &BudgetStatus| {
        let usual = if budget.usual { ", as usual" } else { "" };
        let (name, used) = (plain(&budget.budget), plain(&budget.used));
        format!("{name} {}{usual}: {used}", plain(&budget.most))
    };
    let all: Vec<_> = job.budgets.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What it waits for, and since when.
fn waiting(job: &JobStatus, screen: &Screen) -> Option<String> {
    let waiting = job.waiting_for.as_ref()?;
    let since = screen.time(&waiting.since);
    (job.state == JobState::Retrying).then(|| format!("{} (since {since})", waiting.what))
}

/// An error that is over, with its time; none while the job is stopped by it.
fn past_error(shown: &Told, screen: &Screen) -> Option<String> {
    let error = shown.status.last_error.as_ref()?;
    match (shown.status.state, &shown.moving.last_error_at) {
        (JobState::Stopped, _) => None,
        (_, Some(at)) => Some(format!("{error} (at {})", screen.time(at))),
        (_, None) => Some(error.clone()),
    }
}

/// A count, and how many of them come in a second.
fn with_rate(count: u64, rate: Option<f64>) -> String {
    match rate {
        Some(rate) => format!("{count} ({rate:.1} a second)"),
        None => count.to_string(),
    }
}

fn lag(shown: &Told) -> String {
    let Some(lag) = shown.status.lag else {
        return "not known yet".to_owned();
    };
    let mut text = count(lag, "record", "records");
    if let Some(seconds) = shown.moving.lag_seconds.filter(|_| lag > 0) {
        let age = Duration::from_secs(seconds.max(0.0) as u64);
        text.push_str(&format!(", {} old", humantime::format_duration(age)));
    }
    if let Some(words) = catching_up(Some(lag), shown.moving.lag_change_per_second) {
        text.push_str(&format!(", {words}"));
    }
    text
}

/// A batch that is not durable yet, and which step it is in since when.
fn under_way(shown: &Told, screen: &Screen) -> Option<String> {
    let runs = matches!(shown.status.state, JobState::Running | JobState::Retrying);
    let batch = shown.moving.under_way.as_ref().filter(|_| runs)?;
    let records = count(batch.records, "record", "records");
    Some(format!(
        "batch {} of {records}, in `{}` since {}",
        batch.batch,
        plain(&batch.step),
        screen.time(&batch.since)
    ))
}

fn timeless(records: u64) -> Option<String> {
    let counted = count(records, "record", "records");
    let text = format!("{counted} without a time of their own, which had that of their batch");
    (records > 0).then_some(text)
}

fn every(job: &JobStatus) -> String {
    match job.every_ms {
        0 => "as soon as the pipeline is free".to_owned(),
        ms => humantime::format_duration(Duration::from_millis(ms)).to_string(),
    }
}

/// What the parameters are, and what else they would be.
fn parameters(job: &JobStatus) -> Option<String> {
    let one = |parameter: &ParameterStatus| {
        let (name, value) = (plain(&parameter.name), plain(&parameter.value));
        match parameter.value == parameter.default {
            true => format!("{name}={value}"),
            false => format!("{name}={value} (default {})", plain(&parameter.default)),
        }
    };
    let all: Vec<_> = job.parameters.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn limits(job: &JobStatus) -> String {
    let time = humantime::format_duration(Duration::from_millis(job.limits.time_ms));
    let bytes = |n: u64| bytesize::ByteSize(n).display().iec();
    format!(
        "{} of memory, {time} a call; batches of {}, {}",
        bytes(job.limits.memory_bytes),
        count(job.limits.batch_records, "record", "records"),
        bytes(job.limits.batch_bytes)
    )
}

/// The most that the job may hold, and of what.
fn memory(job: &JobStatus) -> Option<String> {
    let parts = &job.limits.host_memory;
    let bytes = |n: u64| bytesize::ByteSize(n).display().iec().to_string();
    let part = |part: &MemoryPart| format!("{} {}", part.name, bytes(part.bytes));
    let named: Vec<_> = parts.iter().map(part).collect();
    let sum = bytes(parts.iter().map(|part| part.bytes).sum());
    (!parts.is_empty()).then(|| format!("up to {sum}: {}", named.join(", ")))
}

fn dead_letters(job: &JobStatus, is_loaded: bool) -> String {
    match is_loaded {
        true => format!("{} (topic {})", job.dead_letters, job.dead_letter_topic),
        false => job.dead_letters.to_string(),
    }
}

fn text(out: &mut dyn Write, screen: &Screen, shown: &Told) -> io::Result<()> {
    let job = &shown.status;
    let is = |state: JobState| job.state == state;
    let stopped_by = shown.moving.reason.as_ref().or(job.last_error.as_ref());
    let since = |time: &String| screen.time(time);
    // Else nothing is known of what its component and settings make of it.
    let is_loaded = !job.sources.is_empty();
    let timed = !job.stages.is_empty();
    let lines = [
        ("job", Some(job.job.clone())),
        ("state", Some(state(job.state).to_owned())),
        ("since", shown.moving.since.as_ref().map(since)),
        (
            "reason",
            stopped_by.filter(|_| is(JobState::Stopped)).cloned(),
        ),
        ("waiting for", waiting(job, screen)),
        ("last error", past_error(shown, screen)),
        ("version", Some(version(job))),
        ("probation", probation(job, screen)),
        ("over budget", job.over_budget.clone()),
        ("budgets", budgets(job)),
        ("shadow", shadow(job)),
        ("canary", canary::in_status(job)),
        ("replay", replay(job)),
        (
            "records in",
            Some(with_rate(job.records_in, shown.moving.records_per_second)),
        ),
        (
            "rows out",
            Some(with_rate(job.rows_out, shown.moving.rows_per_second)),
        ),
        ("dead letters", Some(dead_letters(job, is_loaded))),
        ("dropped", Some(job.dropped.to_string())),
        ("late", timed.then(|| job.late.to_string())),
        ("timeless", timeless(job.timeless)),
        ("batches", Some(job.batches.to_string())),
        (
            "checkpoint",
            shown.moving.last_checkpoint_at.as_ref().map(since),
        ),
        ("under way", under_way(shown, screen)),
        ("every", is_loaded.then(|| every(job))),
        ("lag", Some(lag(shown))),
        ("watermark", timed.then(|| watermark(job, screen))),
        ("host", job.host.as_deref().map(plain)),
        ("group", is_loaded.then(|| job.group.clone())),
        ("lanes", Some(job.lanes.to_string())),
        ("parameters", parameters(job)),
        ("limits", is_loaded.then(|| limits(job))),
        ("memory", memory(job)),
    ];
    let known = lines.into_iter();
    let known: Vec<_> = known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    fields(out, screen, NAME_WIDTH, &known)?;
    if is_loaded {
        places(out, screen, job)
    } else {
        Ok(())
    }
}

/// How wide the names of a status are.
const NAME_WIDTH: usize = 13;

fn places(out: &mut dyn Write, screen: &Screen, job: &JobStatus) -> io::Result<()> {
    let mut rows = Vec::new();
    for source in &job.sources {
        let reached: Vec<_> = source
            .committed
            .iter()
            .map(|(partition, offset)| format!("{partition}:{offset}"))
            .collect();
        let name = source.name.clone();
        rows.push([
            "source".to_owned(),
            name,
            source.connector.clone(),
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
        let rows_out = count(sink.rows, "row", "rows");
        rows.push([
            "sink".to_owned(),
            sink.name.clone(),
            sink.connector.clone(),
            sink.target.clone(),
            rows_out,
        ]);
    }
    writeln!(out)?;
    let head = ["PLACE", "NAME", "KIND", "TOPIC OR TABLE", "REACHED"];
    table(out, screen, (head, &["KIND"]), &rows)?;
    event_times(out, screen, job)
}

/// How far event time has come in each partition, and when it jumped.
fn event_times(out: &mut dyn Write, screen: &Screen, job: &JobStatus) -> io::Result<()> {
    let mut rows = Vec::new();
    for source in &job.sources {
        for (id, time) in &source.event_times {
            let jumped = source.jumps.get(id).map_or_else(String::new, |jump| {
                let (at, from) = (screen.time(&jump.at), screen.time(&jump.from));
                format!("{at}, from {from}")
            });
            rows.push([
                source.name.clone(),
                id.to_string(),
                screen.time(time),
                jumped,
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let head = ["SOURCE", "PARTITION", "EVENT TIME", "JUMPED"];
    table(out, screen, (head, &["JUMPED"]), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Jobs;
    use crate::cli::told::{Moving, UnderWay};
    use crate::control::fake::FakeJobs;

    /// The fake's job, as a daemon says it.
    fn clicks() -> Told {
        let status = FakeJobs::with_clicks().status("clicks");
        let moving = Moving {
            since: Some("2026-11-21T08:00:00Z".to_owned()),
            records_per_second: Some(20.04),
            lag_seconds: Some(70.2),
            lag_change_per_second: Some(-2.0),
            under_way: Some(UnderWay {
                batch: 7,
                records: 5000,
                step: "transform".to_owned(),
                since: "2026-11-21T08:00:09Z".to_owned(),
            }),
            ..Moving::default()
        };
        Told::of(status.expect("it is there"), moving)
    }

    fn on(screen: &Screen, shown: &Told) -> String {
        let mut out = Vec::new();
        text(&mut out, screen, shown).expect("a Vec takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn of_a_job_that_cannot_be_loaded_nothing_is_invented() {
        let mut shown = clicks();
        let all = on(&Screen::program(), &shown);
        let made = ["every ", "group ", "limits ", "(topic ", "PLACE "];
        assert!(made.iter().all(|name| all.contains(name)), "{all}");
        (shown.status.sources, shown.status.state) = (Vec::new(), JobState::Stopped);
        let less = on(&Screen::program(), &shown);
        assert!(
            !made.iter().any(|name| less.contains(name)) && less.contains("stopped"),
            "{less}"
        );
    }

    #[test]
    fn the_reason_that_is_shown_holds_now() {
        let mut shown = clicks();
        shown.moving.last_error_at = Some("2026-11-21T07:00:00Z".to_owned());
        shown.status.last_error = Some("it was away".to_owned());
        let said = on(&Screen::program(), &shown);
        assert!(
            said.contains("last error    it was away (at 2026-11-21 07:00:00 UTC)\n"),
            "{said}"
        );
        assert!(
            !said.contains("reason ") && !said.contains("waiting for "),
            "{said}"
        );
        shown.status.state = JobState::Retrying;
        let said = on(&Screen::program(), &shown);
        assert!(
            said.contains("waiting for   Kafka (since 2026-11-21 08:00:00 UTC)\n"),
            "{said}"
        );
        let batch =
            "under way     batch 7 of 5000 records, in `transform` since 2026-11-21 08:00:09 UTC\n";
        assert!(said.contains(batch), "{said}");
        shown.status.state = JobState::Stopped;
        let said = on(&Screen::program(), &shown);
        assert!(
            said.contains("reason        it was away\n") && !said.contains("last error"),
            "{said}"
        );
        assert!(!said.contains("under way"), "{said}");
        let set = "parameters    min-quantity=7 (default 5)\n";
        assert!(said.contains(set), "{said}");
        assert!(
            said.contains("records in    1000 (20.0 a second)\n"),
            "{said}"
        );
        assert!(
            said.contains("lag           5 records, 1m 10s old, caught up in about 3s\n"),
            "{said}"
        );
    }

    #[test]
    fn a_partition_whose_event_time_jumped_is_seen() {
        let mut shown = clicks();
        let said = on(&Screen::program(), &shown);
        let head = "SOURCE  PARTITION  EVENT TIME               JUMPED\n";
        let line = "clicks          0  2026-11-21 08:00:00 UTC";
        assert!(said.contains(&format!("{head}{line}\n")), "{said}");
        assert!(said.contains("timeless      1 record without"), "{said}");
        let jump = crate::api::JumpStatus {
            at: "2026-11-21T07:59:00.000Z".to_owned(),
            from: "2026-11-20T08:00:00.000Z".to_owned(),
            to: "2026-11-21T08:00:00.000Z".to_owned(),
        };
        shown.status.sources[0].jumps.insert(0, jump);
        let said = on(&Screen::program(), &shown);
        let jumped = "2026-11-21 07:59:00 UTC, from 2026-11-20 08:00:00 UTC";
        assert!(said.contains(&format!("{line}  {jumped}\n")), "{said}");
        shown.status.sources[0].event_times.clear();
        shown.status.timeless = 0;
        let said = on(&Screen::program(), &shown);
        assert!(
            !said.contains("JUMPED") && !said.contains("timeless"),
            "{said}"
        );
    }

    #[test]
    fn sixty_columns_are_enough() {
        let zone = jiff::tz::TimeZone::UTC;
        let mut shown = clicks();
        shown.status.last_error = Some("the broker said a long word or two ".repeat(4));
        let said = on(&Screen::terminal(60, false, zone), &shown);
        assert!(
            said.lines().all(|line| line.chars().count() <= 60),
            "{said}"
        );
    }
}
