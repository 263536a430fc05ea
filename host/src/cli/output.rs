//! What the verbs print: JSON for programs, aligned tables for people, as wide as their terminal.

use super::screen::Screen;
use clap::{Args, ValueEnum};
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;
use streamhost_core::job::names;

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
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        global = true
    )]
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

/// The gap between two columns.
const GAP: u16 = 2;

/// Prints rows under a head, columns aligned. A column whose cells are all numbers stands right.
/// On a terminal that is too narrow the columns `spared` are left out, the first one first, and
/// then the longest cells are wrapped. Programs get every column, and a line for each row.
pub(super) fn table<const N: usize>(
    out: &mut dyn Write,
    screen: &Screen,
    (head, spared): ([&str; N], &[&'static str]),
    rows: &[[String; N]],
) -> io::Result<()> {
    let mut table = bare(screen);
    table.set_header(head);
    for row in rows {
        table.add_row(row.each_ref().map(|cell| {
            let cell = plain(cell);
            let color = screen.color(&cell);
            let shown = Cell::new(cell);
            match color {
                Some(color) => shown.fg(color),
                None => shown,
            }
        }));
    }
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == '?');
    for (c, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if c + 1 == N { 0 } else { GAP }));
        if rows.iter().all(|row| is_number(&row[c])) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let left_out = leave_out(&mut table, screen, head, spared);
    writeln!(out, "{}", table.trim_fmt())?;
    match left_out {
        0 => Ok(()),
        some => {
            let columns = count(some, "column", "columns");
            writeln!(out, "({columns} more on a wider terminal)")
        }
    }
}

/// Hides columns until the rest fits; how many.
fn leave_out<const N: usize>(
    table: &mut Table,
    screen: &Screen,
    head: [&str; N],
    spared: &[&'static str],
) -> u64 {
    let mut widths = table.column_max_content_widths();
    let most = screen.width.unwrap_or(usize::MAX);
    let mut left_out = 0;
    for name in spared {
        let shown = widths.iter().filter(|width| **width > 0).count();
        let all = widths
            .iter()
            .map(|width| usize::from(*width))
            .sum::<usize>();
        if all + usize::from(GAP) * shown.saturating_sub(1) <= most {
            break;
        }
        let at = head.iter().position(|head| head == name);
        if let Some(at) = at
            && let Some(column) = table.column_mut(at)
        {
            column.set_constraint(ColumnConstraint::Hidden);
            widths[at] = 0;
            left_out += 1;
        }
    }
    left_out
}

/// Prints names, in a column of this width, and what stands behind each. On a terminal what is long
/// is wrapped there.
pub(super) fn fields(
    out: &mut dyn Write,
    screen: &Screen,
    name_width: usize,
    lines: &[(&str, String)],
) -> io::Result<()> {
    let mut table = bare(screen);
    for (name, value) in lines {
        let value = plain(value);
        let color = screen.color(&value);
        let value = Cell::new(value);
        table.add_row([
            Cell::new(format!("{name:name_width$}")),
            color.map_or(value.clone(), |color| value.fg(color)),
        ]);
    }
    if let Some(names) = table.column_mut(0) {
        names.set_padding((0, 1));
        let width = Width::Fixed(u16::try_from(name_width + 1).unwrap_or(u16::MAX));
        names.set_constraint(ColumnConstraint::Absolute(width));
    }
    if let Some(values) = table.column_mut(1) {
        values.set_padding((0, 0));
    }
    writeln!(out, "{}", table.trim_fmt())
}

/// A table without lines, as wide as the terminal.
fn bare(screen: &Screen) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.style_text_only();
    match screen.width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width).unwrap_or(u16::MAX))
            .enforce_styling(), // only where the screen said a colour
        None => table
            .set_content_arrangement(ContentArrangement::Disabled)
            .force_no_tty(),
    };
    table
}

/// A number and what it counts.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// In about how long nothing is behind any more, if the lag goes on falling as it does.
pub(super) fn catching_up(lag: Option<u64>, change_per_second: Option<f64>) -> Option<String> {
    let (lag, change) = (lag.filter(|lag| *lag > 0)?, change_per_second?);
    let seconds = lag as f64 / -change;
    // One that hardly falls is not called so: of what takes weeks nobody knows the end.
    let is_told = change < 0.0 && seconds < 30.0 * 24.0 * 3600.0;
    is_told.then(|| {
        let time = Duration::from_secs(seconds.ceil() as u64);
        format!("caught up in about {}", humantime::format_duration(time))
    })
}

/// Text from elsewhere, safe for a terminal and on one line: control characters are shown, not
/// obeyed.
pub(super) fn plain(text: &str) -> String {
    let show = |c: char| match c {
        '\t' => " ".to_owned(),
        c => names::visible(c),
    };
    text.trim_end_matches('\n').chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn shown(screen: &Screen, rows: &[[String; 3]]) -> String {
        let mut out = Vec::new();
        table(&mut out, screen, (["JOB", "N", "NOTE"], &["N"]), rows).expect("a Vec takes all");
        String::from_utf8(out).expect("text")
    }

    fn rows() -> [[String; 3]; 2] {
        [
            ["a".into(), "7".into(), "x\u{1b}[2J".into()],
            ["longer".into(), "1000".into(), "y\nz and more words".into()],
        ]
    }

    #[test]
    fn tables_are_aligned_and_tame() {
        let want =
            "JOB        N  NOTE\na          7  x\\u{1b}[2J\nlonger  1000  y\\nz and more words\n";
        assert_eq!(shown(&Screen::program(), &rows()), want);
        assert_eq!(shown(&Screen::program(), &[]), "JOB  N  NOTE\n");
    }

    #[test]
    fn marks_of_direction_are_shown() {
        let shown = plain("safe\u{202e}cod.exe\u{200b}\r");
        assert_eq!(shown, "safe\\u{202e}cod.exe\\u{200b}\\r");
    }

    #[test]
    fn tables_fit_the_terminal() {
        let at = |width| shown(&Screen::terminal(width, false, TimeZone::UTC), &rows());
        assert_eq!(at(80), shown(&Screen::program(), &rows()));
        let spared = "JOB     NOTE\na       x\\u{1b}[2J\nlonger  y\\nz and more words\n(1 column more on a wider terminal)\n";
        assert_eq!(at(27), spared);
        let wrapped = "JOB     NOTE\na       x\\u{1b}[2J\nlonger  y\\nz and\n        more words\n(1 column more on a wider terminal)\n";
        assert_eq!(at(19), wrapped);
    }

    #[test]
    fn what_is_long_is_wrapped_behind_its_name() {
        let at = |screen: &Screen| {
            let mut out = Vec::new();
            let lines = [
                ("state", "stopped".into()),
                ("reason", "table `t` is gone".into()),
            ];
            fields(&mut out, screen, 8, &lines).expect("a Vec takes all");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(
            at(&Screen::program()),
            "state    stopped\nreason   table `t` is gone\n"
        );
        let narrow = Screen::terminal(20, true, TimeZone::UTC);
        assert_eq!(
            at(&narrow),
            "state    \u{1b}[38;5;9mstopped\u{1b}[39m\nreason   table `t`\n         is gone\n"
        );
    }
}
