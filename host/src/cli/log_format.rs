//! How a host writes its log.

/// How the log on stderr is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line of text for people.
    #[default]
    Text,
    /// An object a line, for programs that gather logs: `timestamp`, `level`, `message`, and `job`
    /// where it is of one.
    Json,
}

/// What `serve`, `dev` and `run` take.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// How the log on stderr is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

impl LogArgs {
    pub(super) fn format(&self) -> LogFormat {
        self.log_format
    }
}
