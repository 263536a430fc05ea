//! `serve`: the daemon, against the Kafka and HBase of its configuration.

use super::daemon::{self, Daemon, Until};
use super::log_format::LogArgs;
use super::progress::said_while;
use super::reach;
use super::{CliError, Host};
use crate::config::Config;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost serve --config /etc/streamhost.toml
  streamhost serve --log-format json                  for programs that gather logs")]
pub(super) struct Args {
    /// The configuration [default: ./streamhost.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    out: &mut dyn Write,
    until: Until,
) -> Result<(), CliError> {
    let mut config = Config::load(args.config.as_deref())?;
    config.warn();
    // Who deploys to a daemon need not be whose files it may read.
    config.allow = config.allow.of_daemon();
    let daemon = Daemon::new(until)?;
    let (listener, address) = daemon::listen(config.control.listen)?;
    config.control.listen = address; // what the system chose, where it was asked to
    let what = "opening the data folder and taking up its jobs";
    let engine = said_while(what, || host.serve(&config)).map_err(CliError::Host)?;
    let servers = [&config.kafka.brokers, &config.hbase.addresses()];
    let [kafka, hbase] = reach::shown(servers);
    let data = config.data_dir.display();
    let scheme = match config.control.guard.tls {
        Some(_) => "https",
        None => "http",
    };
    writeln!(
        out,
        "kafka     {kafka}\nhbase     {hbase}\ndata      {data}\ncontrol   {scheme}://{address}\nready"
    )?;
    out.flush()?;
    daemon.answer(listener, engine, config.control.guard, config.telemetry)
}
