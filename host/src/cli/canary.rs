//! What is told of a version that runs a part of a job's records.

use super::output::{count, plain, table};
use super::screen::Screen;
use crate::api::{CanaryDeployed, CanaryStatus, Deployed, JobStatus, SideView};
use std::io::{self, Write};
use streamhost_core::job::Share;

/// What is told where a canary has been begun, or was given another part.
pub(super) fn begun(
    out: &mut dyn Write,
    deployed: &Deployed,
    canary: &CanaryDeployed,
) -> io::Result<()> {
    let (job, share) = (plain(&deployed.job), plain(&canary.share));
    let digest = plain(&canary.digest);
    writeln!(
        out,
        "{job} version {} runs {} beside version {} (deployment {}, sha256 {digest})",
        canary.version,
        of(&share),
        deployed.version,
        deployed.deployment,
    )?;
    let more = match canary.share.parse() {
        Ok(Share::Keys(parts)) if parts >= HALF => String::new(),
        _ => format!("`streamhost promote {job} --to 50%` gives it more, "),
    };
    writeln!(
        out,
        "`streamhost diff {job}` shows them side by side, {more}`streamhost promote {job}` gives it all, \
         `streamhost rollback {job}` takes it back"
    )
}

/// Half of the keys, in parts of 10,000.
const HALF: u16 = 5_000;

fn of(share: &str) -> String {
    match share.strip_prefix("partitions=") {
        Some(list) => format!("partitions {list}"),
        None => format!("{share} of the keys"),
    }
}

/// Both versions in a job's status.
pub(super) fn in_status(job: &JobStatus) -> Option<String> {
    let canary = job.canary.as_ref()?;
    Some(format!(
        "version {} runs {}: {}; version {}: {}",
        canary.version,
        of(&plain(&canary.share)),
        side(&canary.canary),
        job.version,
        side(&canary.active)
    ))
}

fn side(side: &SideView) -> String {
    let time = side
        .ns_per_record
        .map(|ns| format!(", {} a record", micros(ns)));
    format!(
        "{}, {} failed ({}){}",
        count(side.records, "record", "records"),
        side.failed,
        percent(side),
        time.unwrap_or_default()
    )
}

fn micros(ns: u64) -> String {
    format!("{:.1} µs", ns as f64 / 1000.0)
}

fn percent(side: &SideView) -> String {
    format!(
        "{:.1} %",
        side.failed as f64 * 100.0 / side.records.max(1) as f64
    )
}

/// Both versions side by side.
pub(super) fn side_by_side(
    out: &mut dyn Write,
    screen: &Screen,
    (job, active, canary): (&str, u64, &CanaryStatus),
) -> io::Result<()> {
    writeln!(
        out,
        "{}: version {} runs {} since {}, version {active} the rest",
        plain(job),
        canary.version,
        of(&plain(&canary.share)),
        screen.time(&canary.since),
    )?;
    if canary.by_key {
        writeln!(
            out,
            "both run all records, as keys are known only then; of each key what its own version made counts"
        )?;
    }
    writeln!(out)?;
    let number = |name: &str, of: fn(&SideView) -> u64| {
        [
            name.to_owned(),
            of(&canary.active).to_string(),
            of(&canary.canary).to_string(),
        ]
    };
    let time = |side: &SideView| side.ns_per_record.map_or_else(String::new, micros);
    let rows = [
        number("records", |side| side.records),
        number("rows", |side| side.rows),
        number("failed", |side| side.failed),
        [
            "failed of 100".to_owned(),
            percent(&canary.active),
            percent(&canary.canary),
        ],
        number("broken", |side| side.broken),
        number("late", |side| side.late),
        number("dropped", |side| side.dropped),
        [
            "time a record".to_owned(),
            time(&canary.active),
            time(&canary.canary),
        ],
    ];
    let (of_active, of_canary) = (
        format!("VERSION {active}"),
        format!("VERSION {}", canary.version),
    );
    table(out, screen, (["", &of_active, &of_canary], &[]), &rows)
}
