//! Prints rows, one a line: `('hello', 3)`.

mod connector;

pub use connector::ConsoleConnector;

use std::io::{ErrorKind, Stdout, Write};
use streamhost_core::contract::render::{self, Cell, RowRef, RowsView};
use streamhost_core::job::connector::CONSOLE_ROWS;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, Kind, RowLimits, Rows};
use streamhost_engine::sink::{Delivery, Refusals, Sink, SinkError};

/// Lines are written in portions of about this many bytes, each of whole lines.
const PORTION_BYTES: usize = 64 << 10;

/// Rows as lines. A row is its key, if the sink's rows have one, and its cells, as a tuple: text in
/// single quotes, bytes as `b'…'`, numbers and times plain, a cell that is not there `null`, one
/// that is deleted `delete`; cells that only the data names follow as `name=…`. A deleted row is
/// `delete 'key'`.
pub struct ConsoleSink<W = Stdout> {
    keyed: bool,
    columns: Vec<ColumnSpec>,
    out: W,
}

impl ConsoleSink {
    /// Prints to standard output. Whole lines of several sinks may mingle there.
    pub fn new(spec: &SinkSpec) -> Self {
        ConsoleSink::to(spec, std::io::stdout())
    }
}

impl<W: Write + Send> ConsoleSink<W> {
    /// Prints to something else.
    pub fn to(spec: &SinkSpec, out: W) -> Self {
        ConsoleSink {
            keyed: spec.is_keyed(),
            columns: spec.columns.clone(),
            out,
        }
    }

    fn print(&mut self, rows: &[Rows]) -> std::io::Result<()> {
        let mut lines = Vec::with_capacity(PORTION_BYTES);
        for row in rows
            .iter()
            .flat_map(|rows| RowsView::new(rows, &self.columns))
        {
            line(&row, self.keyed, &mut lines);
            if lines.len() >= PORTION_BYTES {
                self.out.write_all(&lines)?;
                lines.clear();
            }
        }
        self.out.write_all(&lines)?;
        self.out.flush()
    }
}

impl<W: Write + Send> Sink for ConsoleSink<W> {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn limits(&self) -> RowLimits {
        CONSOLE_ROWS
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.keyed = spec.is_keyed();
        self.columns.clone_from(&spec.columns);
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        Ok(None)
    }

    fn deliver(
        &mut self,
        _: &Delivery<'_>,
        rows: &[Rows],
        _: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        self.print(rows).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => SinkError::Refused {
                server: "the console",
                name: "standard output".to_owned(),
                reason: "nobody reads it any more".to_owned(),
            },
            _ => SinkError::Away {
                server: "the console",
                address: "standard output".to_owned(),
                reason: error.to_string(),
            },
        })
    }
}

fn line(row: &RowRef<'_>, keyed: bool, out: &mut Vec<u8>) {
    if row.is_deleted() {
        out.extend_from_slice(b"delete ");
        quoted(row.key(), out);
        out.push(b'\n');
        return;
    }
    out.push(b'(');
    let mut first = true;
    let mut separate = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b", ");
        }
    };
    if keyed {
        separate(out);
        quoted(row.key(), out);
    }
    for cell in row.cells() {
        separate(out);
        match cell {
            Cell::Absent => out.extend_from_slice(b"null"),
            Cell::Deleted => out.extend_from_slice(b"delete"),
            Cell::Value(kind, bytes) => value(kind, bytes, out),
        }
    }
    for extra in row.extra() {
        separate(out);
        plain(&String::from_utf8_lossy(extra.name), out);
        out.push(b'=');
        value(extra.kind, extra.value, out);
    }
    out.extend_from_slice(b")\n");
}

fn value(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Text | Kind::Json => quoted(bytes, out),
        Kind::Bytes => hexed(bytes, out),
        Kind::Int | Kind::Uint | Kind::Float | Kind::Bool | Kind::Time => {
            render::text(kind, bytes, out)
        }
    }
}

/// As text, and as bytes if it is none: a key has no kind.
fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return hexed(bytes, out);
    };
    out.push(b'\'');
    plain(text, out);
    out.push(b'\'');
}

/// Text on one line, that cannot steer a terminal.
fn plain(text: &str, out: &mut Vec<u8>) {
    for char in text.chars() {
        if matches!(char, '\'' | '\\') || char.is_control() {
            out.extend(char.escape_default().map(|c| c as u8)); // ASCII all of it
        } else {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn hexed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"b'");
    out.extend(bytes.escape_ascii());
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::Spans;

    fn spec(keyed: bool, kinds: &[Kind]) -> SinkSpec {
        let column = |(i, &kind): (usize, &Kind)| ColumnSpec {
            name: format!("c{i}"),
            kind,
            optional: true,
        };
        SinkSpec {
            connector: "console".into(),
            name: "console".to_owned(),
            target: "console".to_owned(),
            keys: keyed.then(ColumnSpec::key).into_iter().collect(),
            dynamic: true,
            columns: kinds.iter().enumerate().map(column).collect(),
            ..SinkSpec::default()
        }
    }

    fn deliver<W: Write + Send>(sink: &mut ConsoleSink<W>, rows: Rows) -> Result<(), SinkError> {
        let spans = Spans::new();
        let delivery = Delivery {
            epoch: 1,
            batch: 1,
            time_ms: 0,
            digest: "",
            spans: &spans,
            version: 1,
        };
        sink.deliver(&delivery, &[rows], &mut crate::contract_tests::NoneRefused)
    }

    fn rows(items: &[&[u8]], width: usize) -> Rows {
        let mut rows = Rows {
            positions: vec![0; items.len() / width],
            ..Rows::default()
        };
        items.iter().for_each(|item| rows.cells.push(item));
        rows
    }

    #[test]
    fn rows_become_lines() {
        let number = 3_u64.to_le_bytes();
        let cases: [(bool, &[Kind], Rows, &str); 6] = [
            (
                true,
                &[Kind::Uint],
                rows(&[b"hello", &number], 2),
                "('hello', 3)\n",
            ),
            (
                false,
                &[Kind::Text, Kind::Uint],
                rows(&[b"", b"it's", &number], 3),
                "('it\\'s', 3)\n",
            ),
            (
                false,
                &[Kind::Bytes],
                rows(&[b"", b"a\xff'"], 2),
                "(b'a\\xff\\'')\n",
            ),
            (
                true,
                &[],
                rows(
                    "\u{1b}[2J\n\u{e9}"
                        .as_bytes()
                        .chunks(99)
                        .collect::<Vec<_>>()
                        .as_slice(),
                    1,
                ),
                "('\\u{1b}[2J\\n\u{e9}')\n",
            ),
            (
                true,
                &[Kind::Text, Kind::Text],
                Rows {
                    absent: vec![1],
                    deleted: vec![2],
                    ..rows(&[b"\xfe", b"", b""], 3)
                },
                "(b'\\xfe', null, delete)\n",
            ),
            (
                true,
                &[Kind::Bool],
                Rows {
                    absent: vec![1],
                    deleted_rows: vec![0],
                    ..rows(&[b"a", b"", b"b", &[1]], 2)
                },
                "delete 'a'\n('b', true)\n",
            ),
        ];
        for (keyed, kinds, rows, expected) in cases {
            let mut out = Vec::new();
            deliver(&mut ConsoleSink::to(&spec(keyed, kinds), &mut out), rows).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn cells_that_only_the_data_names_follow() {
        let mut rows = rows(&[b"k"], 1);
        rows.extra.rows.push(0);
        rows.extra.names.push(b"n");
        rows.extra.values.push(b"v");
        rows.extra.kinds.push(Kind::Text);
        let mut out = Vec::new();
        deliver(&mut ConsoleSink::to(&spec(true, &[]), &mut out), rows).unwrap();
        assert_eq!(out, b"('k', n='v')\n");
    }

    #[test]
    fn a_reader_that_left_stops_the_job_and_a_full_disk_does_not() {
        struct Broken(ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        for (kind, remedy) in [
            (ErrorKind::BrokenPipe, streamhost_engine::sink::Remedy::Stop),
            (
                ErrorKind::StorageFull,
                streamhost_engine::sink::Remedy::Retry,
            ),
        ] {
            let error = deliver(
                &mut ConsoleSink::to(&spec(true, &[]), Broken(kind)),
                rows(&[b"k"], 1),
            )
            .unwrap_err();
            assert_eq!(error.remedy(), remedy, "{error}");
        }
    }
}
