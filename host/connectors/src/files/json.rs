//! Rows as lines of JSON, compressed or not. Pure.

use super::schema::{BATCH_MS, DELETED};
use flate2::write::GzEncoder;
use std::io::{self, Write};
use streamhost_core::contract::render::{self, Cell, RowRef};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{COMPRESSION, DELETES};
use streamhost_core::types::Kind;

/// What a name of such a file ends with.
pub(super) fn extension(spec: &SinkSpec) -> &'static str {
    match spec.options.text(COMPRESSION, "none") {
        "gzip" => "json.gz",
        "zstd" => "json.zst",
        _ => "json",
    }
}

/// Writes rows, those that delete too if `spec` says so.
pub(super) fn write<'a>(
    spec: &SinkSpec,
    time_ms: i64,
    rows: impl Iterator<Item = RowRef<'a>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let lines = Lines::new(spec, time_ms);
    match extension(spec) {
        "json.gz" => {
            // No time and no name in it: the same rows are the same bytes.
            let mut out = GzEncoder::new(out, flate2::Compression::default());
            lines.write(rows, &mut out)?;
            out.finish().map(drop)
        }
        "json.zst" => {
            let mut out = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            lines.write(rows, &mut out)?;
            out.finish().map(drop)
        }
        _ => lines.write(rows, out),
    }
}

struct Lines<'s> {
    spec: &'s SinkSpec,
    /// Each column's name and colon, keys first.
    names: Vec<Vec<u8>>,
    /// What follows the cells of rows that are there, and of those that are deleted.
    ends: [Vec<u8>; 2],
}

impl<'s> Lines<'s> {
    fn new(spec: &'s SinkSpec, time_ms: i64) -> Self {
        let named = |name: &String| {
            let mut out = Vec::new();
            render::json(Kind::Text, name.as_bytes(), &mut out);
            out.push(b':');
            out
        };
        let all = spec.keys.iter().chain(&spec.columns);
        let end = |deleted: bool| match spec.options.is(DELETES, "column") {
            false => Vec::new(),
            true => {
                let mut end = format!("\"{DELETED}\":{deleted},\"{BATCH_MS}\":").into_bytes();
                render::iso_time(&time_ms.to_le_bytes(), &mut end);
                end
            }
        };
        Lines {
            names: all.map(|column| named(&column.name)).collect(),
            ends: [end(false), end(true)],
            spec,
        }
    }

    fn write<'a>(
        &self,
        rows: impl Iterator<Item = RowRef<'a>>,
        out: &mut (impl Write + ?Sized),
    ) -> io::Result<()> {
        let mut line = Vec::new();
        for row in rows {
            line.clear();
            self.line(&row, &mut line);
            out.write_all(&line)?;
        }
        Ok(())
    }

    fn line(&self, row: &RowRef<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut names = self.names.iter();
        for (key, bytes) in self.spec.keys.iter().zip(row.keys()) {
            out.extend(names.next().into_iter().flatten());
            value(key.kind, bytes, out);
            out.push(b',');
        }
        for (name, cell) in names.zip(row.cells()) {
            if let Cell::Value(kind, bytes) = cell {
                out.extend(name);
                value(kind, bytes, out);
                out.push(b',');
            }
        }
        match &self.ends[usize::from(row.is_deleted())] {
            end if end.is_empty() => {
                if out.last() == Some(&b',') {
                    out.pop();
                }
            }
            end => out.extend(end),
        }
        out.extend(b"}\n");
    }
}

fn value(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Time => render::iso_time(bytes, out),
        Kind::Json => render::one_line(bytes, out),
        _ => render::json(kind, bytes, out),
    }
}
