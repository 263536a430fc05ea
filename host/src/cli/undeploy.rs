//! `undeploy`: stops a job and forgets it.

use super::CliError;
use super::client::{Which, job_path};
use super::output::{Output, plain};
use crate::api::JobStatus;
use std::io::Write;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost undeploy clicks
  streamhost undeploy sessions --yes      # with all that its keyed stages keep")]
pub(super) struct Args {
    /// The job
    job: String,
    /// Also where keyed stages keep something: it is deleted, and nothing brings it back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

pub(super) fn run(args: Args, out: &mut dyn Write) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    if !args.yes {
        let status: JobStatus = client.get(&job_path(&args.job, "")?, &[])?;
        if let Some(what) = kept(&status) {
            let job = args.job;
            return Err(CliError::WouldForget { job, what });
        }
    }
    client.delete(&job_path(&args.job, "")?)?;
    let done = serde_json::json!({ "job": args.job, "undeployed": true });
    Ok(args.output.print(out, &done, |out, _| {
        writeln!(
            out,
            "{} is undeployed; its rows, dead letters and consumer group stay, and a later deploy goes on at the group's \
             offsets unless --set start=… or --reset-state says otherwise; one with keyed stages begins anew at `start`, as \
             its state is gone",
            args.job
        )
    })?)
}

/// What goes with the job and cannot be had again.
fn kept(status: &JobStatus) -> Option<String> {
    let kept = status.stages.iter().filter(|stage| stage.keys > 0);
    let kept: Vec<_> = kept
        .map(|stage| {
            let (bytes, name) = (bytesize::ByteSize(stage.bytes), plain(&stage.name));
            format!("{} keys ({bytes}) of stage `{name}`", stage.keys)
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Deployed, JobState, StageStatus};
    use crate::control::fake::status_of;

    #[test]
    fn what_keyed_stages_keep_is_named_before_it_goes() {
        let stage = |name: &str, keys| StageStatus {
            name: name.into(),
            keys,
            bytes: 2048,
        };
        let with = |stages| JobStatus {
            stages,
            ..status_of("j", &Deployed::default(), JobState::Running)
        };
        assert_eq!(kept(&with(vec![])), None);
        assert_eq!(kept(&with(vec![stage("empty", 0)])), None);
        let named = kept(&with(vec![stage("sum", 7), stage("empty", 0)]));
        assert_eq!(named.as_deref(), Some("7 keys (2.0 KiB) of stage `sum`"));
    }
}
