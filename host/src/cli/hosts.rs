//! `hosts` and `drain`: the hosts of a cluster.

use super::CliError;
use super::client::Which;
use super::output::{Output, table};
use super::screen::Screen;
use crate::api::HostStatus;
use std::io::{self, Write};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost hosts
  streamhost hosts --output json | jq '.[] | select(.lives) | .host'")]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let hosts: Vec<HostStatus> = args.daemon.client()?.get("/v1/hosts", &[])?;
    Ok(args
        .output
        .print(out, hosts.as_slice(), |out, hosts| text(out, screen, hosts))?)
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost drain h2            # then it may be stopped, and nothing waits for it
  streamhost drain h2 --undo")]
pub(super) struct DrainArgs {
    /// The host, as `streamhost hosts` lists it
    host: String,
    /// Let it run jobs again
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn drain(args: DrainArgs, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if args.host.is_empty() || !args.host.chars().all(fits) {
        return Err(CliError::HostName(args.host));
    }
    let body = serde_json::json!({ "undo": args.undo }).to_string();
    let path = format!("/v1/hosts/{}/drain", args.host);
    let client = args.daemon.client()?;
    let hosts: Vec<HostStatus> = client.post(&path, &[], "application/json", body.as_bytes())?;
    Ok(args
        .output
        .print(out, hosts.as_slice(), |out, hosts| text(out, screen, hosts))?)
}

fn text(out: &mut dyn Write, screen: &Screen, hosts: &[HostStatus]) -> io::Result<()> {
    let head = ["HOST", "STATE", "ADDRESS", "RELEASE", "JOBS"];
    let rows: Vec<_> = hosts.iter().map(row).collect();
    table(out, screen, (head, &["RELEASE", "ADDRESS"]), &rows)
}

fn row(host: &HostStatus) -> [String; 5] {
    let state = match (host.lives, host.draining, host.leads) {
        (false, ..) => "away",
        (true, true, _) => "draining",
        (true, false, true) => "live, leads",
        (true, false, false) => "live",
    };
    [
        host.host.clone(),
        state.to_owned(),
        host.address.clone(),
        host.version.clone(),
        host.jobs.join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_state_is_one_word_or_two() {
        let host = |lives, draining, leads| HostStatus {
            host: "h".to_owned(),
            address: "http://10.0.0.1:7070".to_owned(),
            version: "0".to_owned(),
            lives,
            leads,
            draining,
            jobs: vec!["a".to_owned(), "b".to_owned()],
        };
        let cases = [
            ((true, false, true), "live, leads"),
            ((true, false, false), "live"),
            ((true, true, true), "draining"),
            ((false, true, false), "away"),
        ];
        for ((lives, draining, leads), want) in cases {
            let row = row(&host(lives, draining, leads));
            assert_eq!((&*row[1], &*row[4]), (want, "a b"));
        }
    }
}
