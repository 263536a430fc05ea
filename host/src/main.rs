//! Arguments, logging, exit code.

use clap::Parser;
use std::fmt::{self, Debug};
use std::process::ExitCode;
use streamhost_guest::compiler;
use streamhost_host::cli::{self, Args, LogFormat, Screen};
use streamhost_host::hosting::RealHost;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

fn main() -> ExitCode {
    // A host runs itself so: it is no verb of the command line.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == compiler::VERB)
    {
        return compiler::serve(&mut std::io::stdout());
    }
    let args = Args::parse();
    let usual = if args.hosts() { "info" } else { "warn" };
    let asked = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|asked| !asked.trim().is_empty());
    let filter = match EnvFilter::try_new(asked.as_deref().unwrap_or(usual)) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!(
                "error: RUST_LOG: {error}: it is such as `debug`, or `warn,streamhost=debug`"
            );
            return ExitCode::from(2);
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match args.log_format() {
        LogFormat::Text => log.fmt_fields(debug_fn(text_field)).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    cli::run(
        args,
        &RealHost,
        &Screen::of_process(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
}

/// A field of a line of text. The job is what the line begins with already.
fn text_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        "job" => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}
