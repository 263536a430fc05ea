//! `history`: a job's deployments, newest first.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Output, table};
use super::screen::Screen;
use crate::api::{CanaryDeployed, Deployment};
use std::io::{self, Write};
use streamhost_core::job::DeploymentKind;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost history clicks")]
pub(super) struct Args {
    /// The job
    job: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let path = job_path(&args.job, "/history")?;
    let history: Vec<Deployment> = args.daemon.client()?.get(&path, &[])?;
    Ok(args
        .output
        .print(out, history.as_slice(), |out, all| text(out, screen, all))?)
}

const HEAD: [&str; 9] = [
    "DEPLOYMENT",
    "VERSION",
    "ACTIVE",
    "AT",
    "BY",
    "SHA256",
    "SIGNED BY",
    "SETTINGS",
    "REASON",
];

fn text(out: &mut dyn Write, screen: &Screen, history: &[Deployment]) -> io::Result<()> {
    let rows: Vec<_> = history.iter().map(|entry| row(entry, screen)).collect();
    table(
        out,
        screen,
        (HEAD, &["SHA256", "SIGNED BY", "DEPLOYMENT"]),
        &rows,
    )?;
    let gone = history
        .first()
        .and_then(|entry| entry.undeployed_at.as_ref());
    gone.map_or(Ok(()), |at| {
        writeln!(out, "undeployed at {}", screen.time(at))
    })
}

fn row(deployment: &Deployment, screen: &Screen) -> [String; 9] {
    let by = match deployment.kind {
        DeploymentKind::Deploy => "deploy",
        DeploymentKind::Rollback => "rollback",
        DeploymentKind::AutomaticRollback => "automatic rollback",
        DeploymentKind::Canary => "canary",
    };
    let settings: Vec<_> = deployment
        .settings
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    [
        deployment.number.to_string(),
        deployment.version.to_string(),
        if deployment.active { "yes" } else { "" }.to_owned(),
        screen.time(&deployment.at),
        match (deployment.reset, deployment.replan) {
            _ if deployment.canary.is_some() => {
                let canary = deployment.canary.as_ref();
                let words =
                    |of: &CanaryDeployed| format!("{by}: version {} runs {}", of.version, of.share);
                canary.map(words).unwrap_or_default()
            }
            (true, _) => format!("{by} --reset-state"),
            (_, true) => format!("{by} --replan"),
            _ => by.to_owned(),
        },
        deployment.digest.chars().take(12).collect(),
        deployment.signed_by.clone().unwrap_or_default(),
        settings.join(" "),
        deployment.reason.clone().unwrap_or_default(),
    ]
}
