//! `run`: one job in the foreground, without a daemon.
//!
//! Its checkpoint is kept in `data-dir/run/NAME`, so another `run` goes on where it ended. It is
//! another life of the job than a daemon's of the same name: its consumer group and transactional
//! ids begin with `streamhost-run`, so a trial moves nothing of the daemon's. Shared are what the
//! settings name: topics, tables, dead letters, and a group that is set.

use super::daemon::{Daemon, Until};
use super::file::{self, Component};
use super::host::run_folder;
use super::log_format::LogArgs;
use super::output::{count, plain};
use super::progress::said_while;
use super::{CliError, Engine, Host};
use crate::api::{DeployRequest, Deployed, JobState, JobStatus};
use crate::config::Config;
use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::clock;

/// How often it is looked whether the job still runs.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often it is said how far the job is.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost run clicks.wasm                          against ./streamhost.toml
  streamhost run clicks.wasm --set until=end          to the topic's end, and no further
  streamhost run clicks.wasm --for 30s --set start=latest")]
pub(super) struct Args {
    #[command(flatten)]
    component: Component,
    /// End after this time, such as 30s
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// The configuration [default: ./streamhost.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    err: &mut dyn Write,
    until: Until,
) -> Result<(), CliError> {
    let mut request = args.component.request()?;
    request.reset_settings = true; // a trial runs as it is told here
    let bytes = file::read(args.component.file())?;
    let mut config = Config::load(args.config.as_deref())?;
    config.warn();
    let stem = args
        .component
        .file()
        .file_stem()
        .map_or_else(|| "job".into(), |stem| stem.to_string_lossy());
    config.data_dir = run_folder(&config, request.name.as_deref().unwrap_or(&stem));
    let daemon = Daemon::new(until)?;
    let what = "opening the data folder of the job";
    let engine = said_while(what, || host.foreground(&config)).map_err(CliError::Host)?;
    let before = engine.list(); // what earlier runs did
    let done = daemon.runtime.block_on(foreground(
        &engine,
        bytes,
        request,
        args.time,
        daemon.ending(),
        err,
    ));
    engine.stop();
    daemon.runtime.shutdown_background();
    if let Some(job) = done?
        && let Ok(status) = engine.status(&job)
    {
        let before = before
            .iter()
            .find(|before| before.job == job && before.epoch == status.epoch);
        writeln!(err, "{}", summary(before, &status))?;
    }
    Ok(())
}

/// Runs the job until the end, for its time, or until it stops by itself. None: it had not even
/// begun.
async fn foreground(
    engine: &Arc<dyn Engine>,
    bytes: Vec<u8>,
    request: DeployRequest,
    time: Option<Duration>,
    ending: impl Future<Output = ()>,
    err: &mut dyn Write,
) -> Result<Option<String>, CliError> {
    let mut ending = pin!(ending);
    let starting = Arc::clone(engine);
    let Deployed { job, warnings, .. } = tokio::select! {
        started = tokio::task::spawn_blocking(move || {
            said_while("compiling the component, and looking for topics and tables", || start(&*starting, bytes, request))
        }) => {
            started.map_err(|e| CliError::Host(e.into()))??
        }
        () = &mut ending => return Ok(None),
    };
    warnings
        .iter()
        .try_for_each(|warning| writeln!(err, "warning: {}", plain(warning)))?;
    let over = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut ending => Ok(Some(job)),
        () = over => Ok(Some(job)),
        stopped = stops(engine, &job) => stopped.map(|()| Some(job)),
    }
}

/// Deploys the job. Where an earlier `run` had just the same, it goes on or, if it was finished,
/// reads on.
fn start(
    engine: &dyn Engine,
    bytes: Vec<u8>,
    request: DeployRequest,
) -> Result<Deployed, CliError> {
    let deployed = engine.deploy(bytes, request, &|| true)?;
    if deployed.changed && !deployed.paused {
        return Ok(deployed); // it runs, or is finished already
    }
    engine.resume(&deployed.job, false)?;
    Ok(Deployed {
        warnings: Vec::new(),
        ..deployed
    })
}

/// Is done when the job is: every source has ended, or (an error) it cannot go on by itself.
async fn stops(engine: &Arc<dyn Engine>, job: &str) -> Result<(), CliError> {
    let mut said = clock::monotonic();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (engine, name) = (Arc::clone(engine), job.to_owned());
        match tokio::task::spawn_blocking(move || engine.status(&name)).await {
            Err(e) => return Err(CliError::Host(e.into())),
            Ok(Err(refusal)) => return Err(refusal.into()),
            Ok(Ok(status)) if status.state == JobState::Finished => return Ok(()),
            Ok(Ok(status)) if status.state == JobState::Stopped => {
                let reason = status
                    .last_error
                    .unwrap_or_else(|| "it did not say why".to_owned());
                return Err(CliError::Stopped {
                    job: job.to_owned(),
                    reason: plain(&reason),
                });
            }
            Ok(Ok(status)) => {
                if clock::since(said) >= SAY_EVERY {
                    said = clock::monotonic();
                    tracing::info!("{}", goes_on(&status));
                }
            }
        }
    }
}

/// How far a job is.
fn goes_on(job: &JobStatus) -> String {
    let waits = job.waiting_for.as_ref();
    if let Some(waiting) = waits.filter(|_| job.state == JobState::Retrying) {
        return format!("{} waits for {}", job.job, waiting.what);
    }
    let behind = job.lag.map_or_else(
        || "how many are behind is not known yet".to_owned(),
        |lag| count(lag, "record is behind", "records are behind"),
    );
    let read = count(job.records_in, "record in", "records in");
    format!("{}: {read}, {behind}", job.job)
}

/// What this run did, given what was done before it.
fn summary(before: Option<&JobStatus>, job: &JobStatus) -> String {
    let since = |of: fn(&JobStatus) -> u64| of(job).saturating_sub(before.map_or(0, of));
    let counts = [
        count(since(|job| job.records_in), "record in", "records in"),
        count(since(|job| job.rows_out), "row out", "rows out"),
        count(since(|job| job.dead_letters), "dead letter", "dead letters"),
        format!("{} dropped", since(|job| job.dropped)),
        count(since(|job| job.batches), "batch", "batches"),
    ];
    format!("{} ended: {}", plain(&job.job), counts.join(", "))
}
