//! `doctor`: whether all that a host and its author need is there, and what to do where it is not.

mod checks;

use super::CliError;
use super::client::Which;
use super::output::{Output, table};
use super::screen::Screen;
use crate::config::Config;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost doctor
  streamhost doctor --config /etc/streamhost/streamhost.toml
  streamhost doctor --output json | jq '.[] | select(.grade != \"ok\")'

The exit code is 1 where something fails, and 0 where there are only warnings.")]
pub(super) struct Args {
    /// The configuration [default: ./streamhost.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    grade: Grade,
    /// What is so.
    found: String,
    /// What to do about it; none where all is well.
    mend: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            check: check.into(),
            grade: Grade::Ok,
            found: found.into(),
            mend: None,
        }
    }

    fn warn(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        Finding {
            grade: Grade::Warn,
            mend: Some(mend.into()),
            ..Finding::ok(check, found)
        }
    }

    fn fail(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        Finding {
            grade: Grade::Fail,
            ..Finding::warn(check, found, mend)
        }
    }
}

/// Something fails, which is said above.
#[derive(Debug, thiserror::Error)]
#[error("{fails} of {all} checks failed: what to do stands beside each")]
pub struct Unwell {
    fails: usize,
    all: usize,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let mut found = checks::toolchain();
    found.extend(checks::time_service());
    let config = Config::load(args.config.as_deref());
    found.push(checks::config(args.config.as_deref(), &config));
    let config = config.unwrap_or_default();
    found.extend(
        config
            .warnings
            .iter()
            .map(|warning| checks::unsafe_setting(warning)),
    );
    let daemon = args.daemon.client().map_err(CliError::from);
    let daemon = daemon.and_then(|client| checks::Daemon::ask(client).map_err(CliError::from));
    found.extend(checks::daemon(&daemon));
    let daemon = daemon.ok();
    let servers = checks::Servers::of(&config, args.config.is_some(), daemon.as_ref());
    let kafka = checks::kafka(&servers.kafka);
    let topics = kafka.grade == Grade::Ok;
    found.push(kafka);
    found.push(checks::hbase(&servers.hbase, "hbase"));
    found.extend(
        config
            .other_hbase
            .iter()
            .map(|(name, settings)| checks::hbase(settings, &format!("hbase.{name}"))),
    );
    found.extend(config.postgres.values().map(checks::postgres));
    found.extend(config.mysql.values().map(checks::mysql));
    found.extend(config.elasticsearch.values().map(checks::elasticsearch));
    match &daemon {
        Some(daemon) => {
            found.extend(checks::disk_of(daemon));
            found.extend(checks::jobs(daemon));
            if topics {
                found.extend(checks::topics(daemon, &servers.kafka));
            }
        }
        None => found.extend(checks::data_folder(&config.data_dir)),
    }
    args.output
        .print(out, found.as_slice(), |out, found| text(out, screen, found))?;
    let fails = found.iter().filter(|one| one.grade == Grade::Fail).count();
    match fails {
        0 => Ok(()),
        fails => Err(Unwell {
            fails,
            all: found.len(),
        }
        .into()),
    }
}

fn text(out: &mut dyn Write, screen: &Screen, found: &[Finding]) -> io::Result<()> {
    let rows: Vec<_> = found
        .iter()
        .map(|one| {
            [
                one.grade.word().to_owned(),
                one.check.clone(),
                one.found.clone(),
                one.mend.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(
        out,
        screen,
        (["", "CHECK", "FOUND", "WHAT TO DO"], &[]),
        &rows,
    )
}
