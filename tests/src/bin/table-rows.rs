//! `table-rows GATEWAY TABLE [LIMIT]`: prints how many rows a table has, and the first LIMIT of
//! them (default 5), read through HBase's Thrift gateway. For the demo, and to play with.

use anyhow::{Context, Result};
use hbase_thrift::hbase::{HbaseSyncClient, THbaseSyncClient, TScan};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::transport::{TBufferedReadTransport, TBufferedWriteTransport, TIoChannel, TTcpChannel};

const ROWS_A_CALL: i32 = 1000;
const TRANSPORT_BYTES: usize = 1 << 16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [gateway, table, numbers @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: table-rows GATEWAY TABLE [LIMIT]");
    };
    let limit = numbers
        .first()
        .map_or(Ok(5), |limit| limit.parse())
        .context("LIMIT is a number")?;
    let mut out = std::io::stdout().lock();
    let mut rows = 0u64;
    scan(gateway, table, |key, cells| {
        rows += 1;
        if rows > limit {
            return Ok(());
        }
        write!(out, "  {key:<12}")?;
        cells
            .iter()
            .try_for_each(|(column, value)| write!(out, " {column}={value}"))?;
        Ok(writeln!(out)?)
    })?;
    writeln!(out, "  {rows} rows in {table}")?;
    Ok(())
}

/// Calls `show` with each row of the table: its key, and its cells by column.
fn scan(
    gateway: &str,
    table: &str,
    mut show: impl FnMut(&str, &BTreeMap<String, String>) -> Result<()>,
) -> Result<()> {
    let stream = TcpStream::connect(gateway).with_context(|| format!("no gateway at {gateway}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let (read, write) = TTcpChannel::with_stream(stream).split()?;
    let read = TBufferedReadTransport::with_capacity(TRANSPORT_BYTES, read);
    let write = TBufferedWriteTransport::with_capacity(TRANSPORT_BYTES, write);
    let mut client = HbaseSyncClient::new(
        TBinaryInputProtocol::new(read, true),
        TBinaryOutputProtocol::new(write, true),
    );
    let whole_table = TScan::new(None, None, None, None, None, None, None, None, None, None);
    let scanner = client
        .scanner_open_with_scan(table.as_bytes().to_vec(), whole_table, BTreeMap::new())
        .with_context(|| format!("table {table} cannot be read"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    loop {
        let rows = client.scanner_get_list(scanner, ROWS_A_CALL)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let cells = row.columns.unwrap_or_default();
            let cells = cells.iter().map(|(column, cell)| {
                (
                    text(column),
                    text(cell.value.as_deref().unwrap_or_default()),
                )
            });
            show(
                &text(row.row.as_deref().unwrap_or_default()),
                &cells.collect(),
            )?;
        }
    }
    Ok(client.scanner_close(scanner)?)
}
