//! Runs programs and keeps what they say.

use std::process::{Command, Stdio};

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// The command, for messages.
    pub command: String,
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Standard output, once the program ended well. Panics with all that it said if not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "`{}` failed:\n{}{}", self.command, self.out, self.err);
        self.out
    }

    /// The one line on standard error of a refusal (exit code 1). Panics if it is no such thing.
    #[track_caller]
    pub fn refusal(self) -> String {
        let told = format!("`{}` (exit {}):\n{}{}", self.command, self.code, self.out, self.err);
        assert_eq!(self.code, 1, "not refused: {told}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "not one line: {told}");
        assert!(!self.err.contains("panicked"), "a panic is no refusal: {told}");
        self.err.trim_end().to_owned()
    }

    /// The last line of standard output.
    #[track_caller]
    pub fn last_line(self) -> String {
        self.ok().lines().last().unwrap_or_default().to_owned()
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn say(command: &mut Command) -> Said {
    let name = format!("{command:?}").replace('"', "");
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
    Said {
        command: name,
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
