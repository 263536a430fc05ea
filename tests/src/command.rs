//! Runs programs and keeps what they say.

use crate::sizes::{PROGRAM_TIME, SOON};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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
        assert_eq!(
            self.code, 0,
            "`{}` failed:\n{}{}",
            self.command, self.out, self.err
        );
        self.out
    }

    /// The one line on standard error of a refusal (exit code 1). Panics if it is no such thing.
    #[track_caller]
    pub fn refusal(self) -> String {
        let told = format!(
            "`{}` (exit {}):\n{}{}",
            self.command, self.code, self.out, self.err
        );
        assert_eq!(self.code, 1, "not refused: {told}");
        assert_eq!(
            self.err.trim_end().lines().count(),
            1,
            "not one line: {told}"
        );
        assert!(
            !self.err.contains("panicked"),
            "a panic is no refusal: {told}"
        );
        self.err.trim_end().to_owned()
    }

    /// The last line of standard output.
    #[track_caller]
    pub fn last_line(self) -> String {
        self.ok().lines().last().unwrap_or_default().to_owned()
    }
}

/// Runs a command to its end. Panics with what it said if that does not come.
#[track_caller]
pub fn say(command: &mut Command) -> Said {
    say_within(PROGRAM_TIME, command)
}

#[track_caller]
fn say_within(limit: Duration, command: &mut Command) -> Said {
    let name = format!("{command:?}").replace('"', "");
    let said = |output: Output| Said {
        command: name.clone(),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
    let pid = child.id().to_string();
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    if let Ok(output) = ended.recv_timeout(limit) {
        return said(
            output.unwrap_or_else(|error| panic!("`{name}` cannot be waited for: {error}")),
        );
    }
    _ = Command::new("kill").args(["-KILL", &pid]).status();
    // What it started may hold its output open.
    let told = ended.recv_timeout(SOON).ok().and_then(Result::ok).map(said);
    let told = told.map_or_else(
        || "it is not known what it said".to_owned(),
        |said| said.out + &said.err,
    );
    panic!("`{name}` did not end within {limit:?}, and was killed:\n{told}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_named_with_what_it_said() {
        let hung = || {
            say_within(
                Duration::from_millis(200),
                Command::new("sh").args(["-c", "echo here; exec tail -f /dev/null"]),
            )
        };
        let said = std::panic::catch_unwind(hung).unwrap_err();
        let said = said.downcast_ref::<String>().expect("it says something");
        assert!(
            said.contains("did not end within 200ms, and was killed:\nhere\n"),
            "{said}"
        );
    }
}
