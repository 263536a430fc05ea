//! What the verbs print: JSON for programs, aligned tables for people.

use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::{self, Write};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs; the fields' names stay.
    Json,
}

/// The option that all verbs with an answer share.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Output {
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

impl Output {
    /// Prints a value as JSON, or as `text` prints it.
    pub(super) fn print<T: Serialize + ?Sized>(
        self,
        out: &mut dyn Write,
        value: &T,
        text: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.output {
            Format::Text => text(out, value),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
                writeln!(out)
            }
        }
    }
}

/// Prints rows under a head, columns aligned. A column whose cells are all numbers stands right.
pub(super) fn table<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(
        rows.iter()
            .map(|row| row.each_ref().map(|cell| plain(cell))),
    );
    let width = |c: usize| {
        lines
            .iter()
            .map(|line| line[c].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == '?');
    let right: [bool; N] =
        std::array::from_fn(|c| lines[1..].iter().all(|line| is_number(&line[c])));
    for line in &lines {
        let mut text = String::new();
        for (c, cell) in line.iter().enumerate() {
            let space = " ".repeat(widths[c] - cell.chars().count());
            let gap = if c == 0 { "" } else { "  " };
            text += &if right[c] {
                format!("{gap}{space}{cell}")
            } else {
                format!("{gap}{cell}{space}")
            };
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// A number and what it counts.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Text from elsewhere, safe for a terminal and on one line: control characters are shown, not
/// obeyed.
pub(super) fn plain(text: &str) -> String {
    let show = |c: char| match c {
        '\t' => " ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.trim_end_matches('\n').chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_tame() {
        let mut out = Vec::new();
        let rows = [
            ["a".into(), "7".into(), "x\u{1b}[2J".into()],
            ["longer".into(), "1000".into(), "y\nz".into()],
        ];
        table(&mut out, ["JOB", "N", "NOTE"], &rows).expect("a Vec takes all");
        let want = "JOB        N  NOTE\na          7  x\\u{1b}[2J\nlonger  1000  y\\nz\n";
        assert_eq!(String::from_utf8(out).expect("text"), want);
        let mut out = Vec::new();
        table(&mut out, ["JOB", "N"], &[]).expect("a Vec takes all");
        assert_eq!(out, b"JOB  N\n");
    }
}
