//! Arguments, logging, exit code.

use clap::Parser;
use std::process::ExitCode;
use streamhost_host::cli::{self, Args};
use streamhost_host::hosting::RealHost;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    let usual = if args.hosts() { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    cli::run(args, &RealHost, &mut std::io::stdout(), &mut std::io::stderr())
}
