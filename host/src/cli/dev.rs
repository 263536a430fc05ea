//! `dev`: the daemon with an embedded broker and table store, for trying things out and for tests.

use super::daemon::{self, Daemon, Until};
use super::log_format::LogArgs;
use super::progress::said_while;
use super::screen::Screen;
use super::watch::Watch;
use super::{CliError, DevAddresses, Host};
use crate::access::Guard;
use crate::config::Config;
use crate::telemetry::TraceSettings;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost dev                                   Kafka on 9092, HBase on 9090, data in ./streamhost-data
  streamhost dev --kafka-port 0 --hbase-port 0     on free ports, which it prints
  streamhost dev --watch clicks                    builds, tests and swaps the job in ./clicks at each save

With --watch what does not build, or fails `cargo test`, is shown, and the version that runs goes on. Tables and
topics that are missing are created.")]
pub(super) struct Args {
    /// Where topics, tables and jobs are kept
    #[arg(long, value_name = "DIR", default_value = "./streamhost-data")]
    data: PathBuf,
    /// The broker's port on 127.0.0.1; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 9092)]
    kafka_port: u16,
    /// The table store's port on 127.0.0.1; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    hbase_port: u16,
    /// The control API's port on 127.0.0.1; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 7070)]
    control_port: u16,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Build, test and swap in the job of this folder whenever something in it is saved
    #[arg(long, value_name = "DIR")]
    watch: Option<PathBuf>,
}

pub(super) fn run(
    args: Args,
    host: &dyn Host,
    screen: &Screen,
    out: &mut dyn Write,
    until: Until,
) -> Result<(), CliError> {
    let begin = |folder: &PathBuf| Watch::begin(folder, &args.data, screen);
    let watch = args.watch.as_ref().map(begin).transpose()?;
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut config = Config {
        data_dir: args.data.clone(),
        ..Config::default()
    };
    let daemon = Daemon::new(until)?;
    let (listener, control) = daemon::listen(at(args.control_port))?;
    config.control.listen = control;
    let asked = DevAddresses {
        kafka: at(args.kafka_port),
        hbase: at(args.hbase_port),
    };
    let what = "opening the data folder, and taking up its topics, tables and jobs";
    let dev = said_while(what, || host.dev(config, asked)).map_err(CliError::Host)?;
    let DevAddresses { kafka, hbase } = dev.addresses;
    writeln!(
        out,
        "kafka     {kafka}\nhbase     {hbase}\ncontrol   http://{control}\nready"
    )?; // a contract: scripts read it
    out.flush()?;
    let (engine, ending) = (Arc::clone(&dev.engine), daemon.is_ending());
    std::thread::scope(|threads| {
        if let Some(watch) = watch {
            let (ending, tell) = (&ending, |text: &str| eprintln!("{text}"));
            threads.spawn(move || watch.run(&engine, ending, &tell));
        }
        daemon.answer(
            listener,
            dev.engine,
            Guard::default(),
            TraceSettings::default(),
        )
    })
}
