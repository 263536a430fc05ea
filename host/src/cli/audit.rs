//! `audit`: who changed what, newest first.

use super::CliError;
use super::client::Which;
use super::output::{Output, table};
use super::screen::Screen;
use crate::api::{AuditEntry, AuditOutcome, AuditPage, AuditSetting};
use std::io::{self, Write};
use streamhost_core::limits;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every deploy, rollback, pause, resume, undeploy, retry and drop is listed, also when it was refused,
and what the host did by itself. --output json has all fields.

Examples:
  streamhost audit
  streamhost audit clicks --since 24h
  streamhost audit --limit 1000 --output json"
)]
pub(super) struct Args {
    /// Of this job alone
    job: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Not older than this: a duration such as 24h, or a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let (mut entries, mut before) = (Vec::new(), None::<u64>);
    loop {
        let left = args.limit as usize - entries.len();
        let mut query = vec![("limit", left.min(limits::AUDIT_PAGE_MAX).to_string())];
        query.extend(args.job.clone().map(|job| ("job", job)));
        query.extend(args.since.clone().map(|since| ("since", since)));
        query.extend(before.map(|before| ("before", before.to_string())));
        let page: AuditPage = client.get("/v1/audit", &query)?;
        let is_empty = page.entries.is_empty();
        entries.extend(page.entries);
        before = page.next;
        if before.is_none() || is_empty || entries.len() >= args.limit as usize {
            break;
        }
    }
    Ok(args
        .output
        .print(out, entries.as_slice(), |out, all| text(out, screen, all))?)
}

const HEAD: [&str; 8] = [
    "NUMBER", "AT", "WHO", "DID", "JOB", "VERSION", "OUTCOME", "WHAT",
];

fn text(out: &mut dyn Write, screen: &Screen, entries: &[AuditEntry]) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "nothing was changed that is noted");
    }
    let rows: Vec<_> = entries.iter().map(|entry| row(entry, screen)).collect();
    table(out, screen, (HEAD, &["NUMBER", "VERSION"]), &rows)
}

fn row(entry: &AuditEntry, screen: &Screen) -> [String; 8] {
    let by_host = entry.role.as_deref() == Some("host");
    let who = match (&entry.who, &entry.peer) {
        (Some(who), Some(peer)) => format!("{who} ({peer})"),
        (Some(who), None) => who.clone(),
        (None, Some(peer)) => format!("- ({peer})"),
        (None, None) => if by_host { "the host" } else { "-" }.to_owned(),
    };
    let outcome = match (entry.outcome, entry.status) {
        (AuditOutcome::UnderWay, _) => "under way".to_owned(),
        (AuditOutcome::Done, _) => "done".to_owned(),
        (AuditOutcome::Refused, Some(status)) => format!("refused ({status})"),
        (AuditOutcome::Refused, None) => "refused".to_owned(),
        (AuditOutcome::Failed, _) => "failed".to_owned(),
        (AuditOutcome::Unknown, _) => "unknown".to_owned(),
    };
    [
        entry.number.to_string(),
        screen.time(&entry.at),
        who,
        entry.verb.clone(),
        entry.job.clone().unwrap_or_else(|| "-".to_owned()),
        entry.version.map_or_else(String::new, |v| v.to_string()),
        outcome,
        what(entry),
    ]
}

/// What was asked for, which settings are others, and why.
fn what(entry: &AuditEntry) -> String {
    let settings = entry.settings.iter().map(setting);
    let words: Vec<String> = entry.options.iter().cloned().chain(settings).collect();
    let reason = entry.reason.iter().map(|reason| match words.is_empty() {
        true => reason.clone(),
        false => format!("({reason})"),
    });
    let all: Vec<String> = words.iter().cloned().chain(reason).collect();
    all.join(" ")
}

fn setting(setting: &AuditSetting) -> String {
    let AuditSetting {
        name,
        before,
        after,
    } = setting;
    match (before, after) {
        (Some(before), Some(after)) => format!("{name}={after}, was {before};"),
        (Some(before), None) => format!("{name} not set, was {before};"),
        (None, Some(after)) => format!("{name}={after};"),
        (None, None) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_who_did_what_and_how_it_went() {
        let set = |name: &str, before: Option<&str>, after: Option<&str>| AuditSetting {
            name: name.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let deploy = AuditEntry {
            number: 7,
            at: "2026-11-29T14:03:07.812Z".to_owned(),
            who: Some("ci".to_owned()),
            peer: Some("10.1.2.3".to_owned()),
            verb: "deploy".to_owned(),
            job: Some("clicks".to_owned()),
            options: vec!["reset-state".to_owned()],
            version: Some(3),
            settings: vec![
                set("every", Some("1s"), Some("2s")),
                set("group", None, Some("g")),
                set("idle", Some("5s"), None),
            ],
            outcome: AuditOutcome::Done,
            ..AuditEntry::default()
        };
        let refused = AuditEntry {
            number: 8,
            verb: "deploy".to_owned(),
            outcome: AuditOutcome::Refused,
            status: Some(422),
            reason: Some("that is no job".to_owned()),
            ..AuditEntry::default()
        };
        let own = AuditEntry {
            verb: "automatic-rollback".to_owned(),
            role: Some("host".to_owned()),
            reason: Some("it is unfit".to_owned()),
            outcome: AuditOutcome::Done,
            ..AuditEntry::default()
        };
        let screen = Screen::program();
        let cells = |entry: &AuditEntry| row(entry, &screen).join(" | ");
        assert_eq!(
            cells(&deploy),
            "7 | 2026-11-29 14:03:07 UTC | ci (10.1.2.3) | deploy | clicks | 3 | done | \
             reset-state every=2s, was 1s; group=g; idle not set, was 5s;"
        );
        assert!(cells(&refused).ends_with("| - | deploy | - |  | refused (422) | that is no job"));
        assert!(
            cells(&own).contains("| the host | automatic-rollback | - |  | done | it is unfit")
        );
    }
}
