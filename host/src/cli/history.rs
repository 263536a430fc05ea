//! `history`: a job's deployments, newest first.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Output, table};
use crate::api::Deployment;
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

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    let path = job_path(&args.job, "/history")?;
    let history: Vec<Deployment> = args.daemon.client()?.get(&path, &[])?;
    Ok(args.output.print(out, history.as_slice(), text)?)
}

fn text(out: &mut dyn Write, history: &[Deployment]) -> io::Result<()> {
    let rows: Vec<_> = history.iter().map(row).collect();
    table(
        out,
        [
            "DEPLOYMENT",
            "VERSION",
            "ACTIVE",
            "AT",
            "BY",
            "SHA256",
            "SETTINGS",
            "REASON",
        ],
        &rows,
    )
}

fn row(deployment: &Deployment) -> [String; 8] {
    let by = match deployment.kind {
        DeploymentKind::Deploy => "deploy",
        DeploymentKind::Rollback => "rollback",
        DeploymentKind::AutomaticRollback => "automatic rollback",
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
        deployment.at.clone(),
        if deployment.reset {
            format!("{by} --reset-state")
        } else {
            by.to_owned()
        },
        deployment.digest.chars().take(12).collect(),
        settings.join(" "),
        deployment.reason.clone().unwrap_or_default(),
    ]
}
