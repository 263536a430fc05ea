//! What reads the command line's output: a terminal of some width and its reader's zone of time, or
//! a program.

use anstyle::{AnsiColor, Style};
use comfy_table::Color;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::IsTerminal;

/// Where standard output and standard error go.
pub struct Screen {
    /// Columns of the terminal on standard output; none where there is no terminal.
    pub(super) width: Option<usize>,
    /// Standard error is a terminal, so that what is waited for can be drawn on it.
    pub(super) draws: bool,
    colors: bool,
    zone: TimeZone,
    is_read: fn() -> bool,
}

impl Screen {
    /// That of this process.
    pub fn of_process() -> Screen {
        let out = std::io::stdout();
        let width = terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0));
        let said = |key: &str| std::env::var(key).unwrap_or_default();
        let plain = !said("NO_COLOR").is_empty() || said("TERM") == "dumb";
        Screen {
            width: width.filter(|_| out.is_terminal()),
            draws: std::io::stderr().is_terminal() && said("TERM") != "dumb",
            colors: out.is_terminal() && !plain,
            zone: TimeZone::system(),
            is_read: out_is_read,
        }
    }

    /// A program reads it, in UTC.
    pub fn program() -> Screen {
        Screen {
            width: None,
            draws: false,
            colors: false,
            zone: TimeZone::UTC,
            is_read: || true,
        }
    }

    /// A terminal of so many columns.
    #[cfg(test)]
    pub(super) fn terminal(width: usize, colors: bool, zone: TimeZone) -> Screen {
        Screen {
            width: Some(width),
            colors,
            zone,
            ..Screen::program()
        }
    }

    /// An RFC 3339 time in the reader's zone. What is none stays as it is.
    pub(super) fn time(&self, rfc3339: &str) -> String {
        let Ok(time) = rfc3339.parse::<Timestamp>() else {
            return rfc3339.to_owned();
        };
        let here = time.to_zoned_datetime(self.zone.clone());
        here.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// Whether somebody still reads standard output, as far as the system knows.
    pub(super) fn is_read(&self) -> bool {
        (self.is_read)()
    }

    /// Whether colours are wanted.
    pub(super) fn colors(&self) -> bool {
        self.colors
    }

    /// The colour in which a table shows a word, if colours are wanted.
    pub(super) fn color(&self, word: &str) -> Option<Color> {
        match word {
            _ if !self.colors => None,
            "running" | "ok" => Some(Color::Green),
            "retrying" | "warn" => Some(Color::Yellow),
            "stopped" | "fail" => Some(Color::Red),
            _ => None,
        }
    }

    /// A level of a log, as wide as all of them, in its colour.
    pub(super) fn level(&self, level: &str) -> String {
        let color = match level {
            "ERROR" => AnsiColor::Red,
            "WARN" => AnsiColor::Yellow,
            "INFO" => AnsiColor::Green,
            _ => AnsiColor::Blue,
        };
        let style = match self.colors {
            true => color.on_default(),
            false => Style::new(),
        };
        format!("{style}{level:5}{style:#}")
    }
}

/// A pipe whose reader has ended says so without being written to.
fn out_is_read() -> bool {
    let out = std::io::stdout();
    let mut asked = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let known = poll(&mut asked, Some(&now));
    let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    known.is_err() || !asked[0].revents().intersects(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_readers_and_colours_only_where_wanted() {
        let zone = TimeZone::posix("CET-1").expect("a zone");
        let here = Screen::terminal(80, true, zone);
        assert_eq!(
            here.time("2026-11-29T14:03:07.812Z"),
            "2026-11-29 15:03:07 CET"
        );
        assert_eq!(
            Screen::program().time("2026-11-29T14:03:07.812Z"),
            "2026-11-29 14:03:07 UTC"
        );
        assert_eq!(here.time("soon"), "soon");
        assert_eq!(here.level("WARN"), "\u{1b}[33mWARN \u{1b}[0m");
        assert_eq!(Screen::program().level("WARN"), "WARN ");
        assert_eq!(here.color("stopped"), Some(Color::Red));
        assert_eq!(Screen::program().color("stopped"), None);
    }
}
