//! `scan`: shows the rows of a table.

use super::CliError;
use super::output::{Format, Output, plain};
use super::servers::{Hbase, ServerError};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use streamhost_connectors::hbase::{TableReader, TableRow};
use streamhost_core::contract::render::readable;
use streamhost_core::types::Kind;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost scan visits
  streamhost scan visits --prefix v1 --limit 10
  streamhost scan visits --config streamhost.toml --output json | jq .columns

Rows come in the order of their keys, a line each: bytes that are no text in hexadecimal.")]
pub(super) struct Args {
    /// The table
    table: String,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Rows whose keys begin so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    hbase: Hbase,
}

pub(super) fn run(args: Args, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), CliError> {
    let settings = args.hbase.settings()?;
    let opened = TableReader::open(settings, &args.table, args.prefix.as_bytes());
    let mut table = opened.map_err(ServerError::from)?;
    let mut left = args.limit;
    while left > 0 {
        let rows = table.next(left).map_err(ServerError::from)?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            show(args.output.output, row, out)?;
        }
        left = left.saturating_sub(rows.len());
    }
    if !table.next(1).map_err(ServerError::from)?.is_empty() {
        out.flush()?;
        writeln!(err, "there are more rows: --limit N shows more")?;
    }
    Ok(())
}

fn show(format: Format, row: &TableRow, out: &mut dyn Write) -> io::Result<()> {
    let text = |bytes: &[u8]| readable(Kind::Bytes, bytes);
    let cells = row
        .cells
        .iter()
        .map(|(name, value)| (text(name), text(value)));
    match format {
        Format::Json => {
            let columns: Map<String, Value> = cells
                .map(|(name, value)| (name, Value::String(value)))
                .collect();
            writeln!(
                out,
                "{}",
                json!({"key": text(&row.key), "columns": columns})
            )
        }
        Format::Text => {
            let cells: String = cells
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            writeln!(out, "{}", plain(&format!("key={}{cells}", text(&row.key))))
        }
    }
}
