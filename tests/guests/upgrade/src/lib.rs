//! Jobs of every kind of record that a data folder holds. The variant says which: `plain` keeps
//! nothing and refuses what begins with `bad`; `windows` and `sessions` count by event time;
//! `running` counts the lines of a socket, which cannot be read twice.

#[path = "../../variant.rs"]
mod variant;

use streamhost::{Group, Job, Record, Row, Time, hbase, job, kafka, minutes};
use streamhost::{session, socket, tumbling};
use variant::variant;

/// How often something was there, and since when.
#[derive(Row)]
#[row(separator = "#")]
struct Counted<'a> {
    #[row(key)]
    what: &'a str,
    #[row(key)]
    from: Time,
    #[row("seen:count")]
    count: u64,
}

impl<'a> Counted<'a> {
    fn of(group: Group<&'a str, u64>) -> Self {
        Counted {
            what: group.key,
            from: group.window.start,
            count: group.value,
        }
    }
}

/// How often something was there until now.
#[derive(Row)]
struct Total<'a> {
    #[row(key)]
    what: &'a str,
    #[row("seen:count")]
    count: u64,
}

/// `WHAT MILLISECONDS`: something, and when it was.
fn event(record: Record<'_>) -> Result<(&str, Time), String> {
    let (what, ms) = record.text()?.split_once(' ').ok_or("it has no time")?;
    let ms = ms.parse().map_err(|_| "its time is no number")?;
    Ok((what, Time(ms)))
}

/// What the variant says.
#[job]
pub fn upgrade() -> Job {
    match variant() {
        "windows" => kafka("windows")
            .try_map(event)
            .timed_by(|(_, at)| *at)
            .key_by(|(what, _)| *what)
            .window(tumbling(minutes(1)))
            .count()
            .map(Counted::of)
            .to(hbase("windows")),
        "sessions" => kafka("sessions")
            .try_map(event)
            .timed_by(|(_, at)| *at)
            .key_by(|(what, _)| *what)
            .window(session(minutes(1)))
            .count()
            .map(Counted::of)
            .to(hbase("sessions")),
        "running" => socket("localhost:9999")
            .try_map(|line| line.text())
            .key_by(|line| *line)
            .running()
            .count()
            .map(|update| Total {
                what: update.key,
                count: update.value,
            })
            .to(hbase("running")),
        _ => kafka("plain")
            .try_map(|record| match record.text()? {
                bad if bad.starts_with("bad") => Err(format!("`{bad}` is bad")),
                what => Ok(Total { what, count: 1 }),
            })
            .to(hbase("plain")),
    }
}
