//! The command line: one file a verb. Verbs that read or change jobs talk to a daemon's control
//! API; `serve`, `dev` and `run` are the host itself, which comes in through the trait [`Host`].

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

mod audit;
mod bench;
mod build;
mod client;
mod completions;
mod consume;
mod daemon;
mod dead_letters;
mod deploy;
mod dev;
mod doctor;
mod dry_run;
mod file;
mod history;
mod host;
mod hosts;
mod inspect;
mod list;
mod log_format;
mod logs;
mod new;
mod output;
mod pause;
mod produce;
mod progress;
mod reach;
mod records;
mod replay;
mod resume;
mod rollback;
mod run;
mod savepoint;
mod scan;
mod screen;
mod canary;
mod shadow;
mod serve;
mod servers;
mod shown;
mod sign;
mod state;
mod status;
mod test;
mod told;
mod toolchain;
mod top;
mod undeploy;
mod watch;

pub use host::{Dev, DevAddresses, Engine, Host, HostError};
pub use log_format::LogFormat;
pub use screen::Screen;

/// Kafka to HBase through WebAssembly functions that are swapped without a restart.
#[derive(Debug, Parser)]
#[command(name = "streamhost", version = crate::built::VERSION, about, after_help = AFTER)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "Environment:
  STREAMHOST_URL             the daemon's address, if not http://127.0.0.1:7070
  STREAMHOST_TOKEN           the daemon's token, if it wants one
  STREAMHOST_CA              the authority of an https daemon's certificate, if not one of the system's
  STREAMHOST_WASM_TOOLCHAIN  the Rust toolchain that `build` takes
  NO_COLOR                   no colours, on terminals too
  RUST_LOG                   what is logged to stderr, such as `debug`";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a new job's project from a template
    New(new::Args),
    /// Compile the job in a folder to a WebAssembly component, and print its path
    Build(build::Args),
    /// Show what a component is: its job, sources, stages and sinks
    Inspect(inspect::Args),
    /// Sign a component, for hosts that take nothing else; make a key
    Sign(sign::Args),
    /// Run a component on records of a file or topic, without a host
    Test(test::Args),
    /// Measure how fast a component is, without a host; two of them in turns
    Bench(bench::Args),
    /// Run one job in the foreground, without a daemon
    Run(run::Args),
    /// Run the daemon, against the Kafka and HBase in streamhost.toml
    Serve(serve::Args),
    /// Run the daemon with an embedded Kafka broker and an embedded HBase table store
    Dev(dev::Args),
    /// Give the daemon a component to run, new or better
    Deploy(deploy::Args),
    /// List the daemon's jobs
    List(list::Args),
    /// Show one job, or list all
    Status(status::Args),
    /// Show all jobs live, and one of them closer
    Top(top::Args),
    /// Show a job's deployments, newest first
    History(history::Args),
    /// Show how a shadow of a job differs from its active version, or a canary beside it
    Diff(shadow::DiffArgs),
    /// Make the canary or shadow of a job active, or give a canary a larger part
    Promote(shadow::PromoteArgs),
    /// End the shadow of a job
    DropShadow(shadow::DropArgs),
    /// Run history through a version beside a job: compare, mend, or fill another table
    Replay(replay::Args),
    /// Go back to an older version
    Rollback(rollback::Args),
    /// Stop a job after the batch under way, until `resume`
    Pause(pause::Args),
    /// Go on after `pause`, try again after `stopped`, or read on after `finished`
    Resume(resume::Args),
    /// Write a job's checkpoint into a file while it runs, or show what is in one
    Savepoint(savepoint::Args),
    /// Stop a job and forget it; its rows and dead letters stay
    Undeploy(undeploy::Args),
    /// List the hosts of the cluster, with their jobs
    Hosts(hosts::Args),
    /// Have a host give its jobs to the others, so that it may be stopped
    Drain(hosts::DrainArgs),
    /// Show who changed what, newest first
    Audit(audit::Args),
    /// Show the last lines of a job's log
    Logs(logs::Args),
    /// List, show, retry and drop a job's dead letters
    DeadLetters(dead_letters::Args),
    /// Show what a keyed stage keeps
    State(state::Args),
    /// Put lines into a topic
    Produce(produce::Args),
    /// Show the records of a topic
    Consume(consume::Args),
    /// Show the rows of a table
    Scan(scan::Args),
    /// Look whether all is there that a host and its author need, and say what to do
    Doctor(doctor::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
    /// Print the manual page, or write one for each command
    Man(completions::ManArgs),
}

/// Why a verb is not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// A host's name cannot be.
    #[error("`{0}` cannot be a host's name: `streamhost hosts` lists them")]
    HostName(String),
    /// The component's file.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// The file of a savepoint.
    #[error(transparent)]
    Savepoint(#[from] savepoint::SavepointFileError),
    /// The new project.
    #[error(transparent)]
    New(#[from] new::NewError),
    /// The component that is looked at.
    #[error(transparent)]
    Inspect(#[from] inspect::InspectError),
    /// The signature of a component.
    #[error(transparent)]
    Sign(#[from] sign::SignError),
    /// The test of a component.
    #[error(transparent)]
    Test(#[from] test::TestError),
    /// A folder cannot be written.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The build.
    #[error(transparent)]
    Build(#[from] build::BuildError),
    /// The folder that is watched.
    #[error(transparent)]
    Watch(#[from] watch::WatchError),
    /// The terminal.
    #[error(transparent)]
    Top(#[from] top::TopError),
    /// Something that is needed is not there.
    #[error(transparent)]
    Unwell(#[from] doctor::Unwell),
    /// A dry run of a deploy says that it would be refused.
    #[error(transparent)]
    WouldBeRefused(#[from] dry_run::WouldBeRefused),
    /// A topic or table.
    #[error(transparent)]
    Server(#[from] servers::ServerError),
    /// `streamhost.toml`.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A setting is given twice.
    #[error("--set {0}=… is given twice: which one is meant?")]
    SetTwice(String),
    /// What would go cannot be had again, and its user did not say that it may.
    #[error(
        "`{job}` keeps {what}, which go with it: say `streamhost undeploy {job} --yes` if they may"
    )]
    WouldForget {
        /// The job.
        job: String,
        /// What it keeps.
        what: String,
    },
    /// An address is taken, or cannot be.
    #[error("cannot listen on {address}: {error}; {mend}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        error: io::Error,
        /// How to mend it.
        mend: &'static str,
    },
    /// The host did not start.
    #[error("{0}")]
    Host(HostError),
    /// The control API failed.
    #[error("the control API cannot go on: {0}")]
    Control(io::Error),
    /// The job of `run` was refused.
    #[error(transparent)]
    Refused(#[from] crate::api::Refusal),
    /// The job of `run` stopped by itself.
    #[error("job `{job}` stopped: {reason}")]
    Stopped {
        /// Its name.
        job: String,
        /// Its last error.
        reason: String,
    },
    /// The job that was shown is stopped, which is said already.
    #[error("the job is stopped")]
    IsStopped,
    /// A replay came to nothing.
    #[error("the replay cannot go on: {0}")]
    Replay(String),
    /// Nothing more can be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Args {
    /// Whether the verb is the host itself, whose log is worth more.
    pub fn hosts(&self) -> bool {
        matches!(self.verb, Verb::Run(_) | Verb::Serve(_) | Verb::Dev(_))
    }

    /// How the log is written.
    pub fn log_format(&self) -> LogFormat {
        match &self.verb {
            Verb::Run(args) => args.log.format(),
            Verb::Serve(args) => args.log.format(),
            Verb::Dev(args) => args.log.format(),
            _ => LogFormat::Text,
        }
    }
}

/// The exit code of `status` for a job that is stopped.
const EXIT_STOPPED: u8 = 3;

/// Does what the arguments say: 0 done, 1 refused or failed with one clear line on `err`, 2 wrong
/// usage, 3 the job that is shown is stopped.
pub fn run(
    args: Args,
    host: &dyn Host,
    screen: &Screen,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let done = verb(args.verb, host, screen, (&mut *out, &mut *err));
    let done = match (done, out.flush()) {
        (Ok(()), Err(e)) => Err(CliError::Output(e)),
        (done, _) => done,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::IsStopped) => ExitCode::from(EXIT_STOPPED),
        // The reader has enough.
        Err(CliError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(err, "error: {e}"); // there is nowhere left to say more
            ExitCode::from(if matches!(e, CliError::SetTwice(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn verb(
    verb: Verb,
    host: &dyn Host,
    screen: &Screen,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> Result<(), CliError> {
    match verb {
        Verb::New(args) => new::run(args, screen, out),
        Verb::Build(args) => build::run(args, host, out, err),
        Verb::Inspect(args) => inspect::run(args, host, screen, out),
        Verb::Sign(args) => sign::run(args, out, err),
        Verb::Test(args) => test::run(args, host, out, err),
        Verb::Bench(args) => bench::run(args, host, screen, (out, err)),
        Verb::Run(args) => run::run(args, host, err, daemon::Until::Signal),
        Verb::Serve(args) => serve::run(args, host, out, daemon::Until::Signal),
        Verb::Dev(args) => dev::run(args, host, screen, out, daemon::Until::Signal),
        Verb::Deploy(args) => deploy::run(args, screen, out),
        Verb::List(args) => list::run(args, screen, out),
        Verb::Status(args) => status::run(args, screen, out),
        Verb::Top(args) => top::run(args, screen),
        Verb::History(args) => history::run(args, screen, out),
        Verb::Diff(args) => shadow::diff(args, screen, out),
        Verb::Promote(args) => shadow::promote(args, screen, out),
        Verb::DropShadow(args) => shadow::forget(args, out),
        Verb::Replay(args) => replay::run(args, screen, out),
        Verb::Rollback(args) => rollback::run(args, screen, out),
        Verb::Pause(args) => pause::run(args, screen, out),
        Verb::Resume(args) => resume::run(args, screen, out),
        Verb::Savepoint(args) => savepoint::run(args, screen, out),
        Verb::Undeploy(args) => undeploy::run(args, out),
        Verb::Hosts(args) => hosts::run(args, screen, out),
        Verb::Drain(args) => hosts::drain(args, screen, out),
        Verb::Audit(args) => audit::run(args, screen, out),
        Verb::Logs(args) => logs::run(args, screen, out),
        Verb::DeadLetters(args) => dead_letters::run(args, screen, out),
        Verb::State(args) => state::run(args, screen, out),
        Verb::Produce(args) => produce::run(args, &mut io::stdin().lock(), err),
        Verb::Consume(args) => consume::run(args, screen, out),
        Verb::Scan(args) => scan::run(args, out, err),
        Verb::Doctor(args) => doctor::run(args, screen, out),
        Verb::Completions(args) => completions::run(args, out),
        Verb::Man(args) => completions::man(args, out),
    }
}

#[cfg(test)]
mod tests;
