//! A table by hand: rows that a person looks at. No job is part of it.

use super::HbaseSettings;
use super::connection::Lane;
use hbase_thrift::hbase::{THbaseSyncClient, TRowResult, TScan};
use std::collections::BTreeMap;
use streamhost_core::limits;
use streamhost_engine::sink::{CancelSignal, SinkError};

/// A row as it lies in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Its cells by column, `family:qualifier`.
    pub cells: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads the rows of a table in the order of their keys.
pub struct TableReader {
    lane: Lane,
    table: String,
    scanner: Option<i32>,
}

impl TableReader {
    /// Begins to read the rows whose keys begin so.
    ///
    /// # Errors
    /// The gateway is away, or there is no such table.
    pub fn open(settings: HbaseSettings, table: &str, prefix: &[u8]) -> Result<Self, SinkError> {
        let mut lane = Lane::new(settings, CancelSignal::default());
        let found = lane.families(table);
        if found
            .map_err(|failure| lane.error(failure, table))?
            .is_none()
        {
            return Err(SinkError::TableMissing {
                server: "HBase",
                what: "table",
                table: table.to_owned(),
                mend: "`deploy --create-tables` creates the tables of a job".to_owned(),
            });
        }
        let scan = TScan {
            start_row: Some(prefix.to_vec()),
            stop_row: after(prefix),
            timestamp: None,
            columns: None,
            caching: Some(limits::SCAN_ROWS_AT_ONCE as i32),
            filter_string: None,
            batch_size: None,
            sort_columns: None,
            reversed: None,
            cache_blocks: None,
        };
        let name = table.as_bytes().to_vec();
        let opened = lane.call(|client| client.scanner_open_with_scan(name, scan, BTreeMap::new()));
        Ok(TableReader {
            scanner: Some(opened.map_err(|failure| lane.error(failure, table))?),
            lane,
            table: table.to_owned(),
        })
    }

    /// The next rows, [`limits::SCAN_ROWS_AT_ONCE`] and so many at most; none at the end.
    ///
    /// # Errors
    /// What the gateway said.
    pub fn next(&mut self, most: usize) -> Result<Vec<TableRow>, SinkError> {
        let Some(scanner) = self.scanner else {
            return Ok(Vec::new());
        };
        let most = most.min(limits::SCAN_ROWS_AT_ONCE) as i32;
        let rows = self
            .lane
            .call(|client| client.scanner_get_list(scanner, most));
        let rows = rows.map_err(|failure| self.lane.error(failure, &self.table))?;
        if rows.is_empty() {
            self.close();
        }
        Ok(rows.into_iter().map(row).collect())
    }

    fn close(&mut self) {
        if let Some(scanner) = self.scanner.take() {
            // The gateway forgets it by itself, too.
            let _ = self.lane.call(|client| client.scanner_close(scanner));
        }
    }
}

impl Drop for TableReader {
    fn drop(&mut self) {
        self.close();
    }
}

/// The names of all tables.
///
/// # Errors
/// The gateway is away, or what answers there is none.
pub fn table_names(settings: HbaseSettings) -> Result<Vec<Vec<u8>>, SinkError> {
    let mut lane = Lane::new(settings, CancelSignal::default());
    let names = lane.call(|client| client.get_table_names());
    names.map_err(|failure| lane.error(failure, "all tables"))
}

fn row(found: TRowResult) -> TableRow {
    let cells = found.columns.unwrap_or_default().into_iter();
    TableRow {
        key: found.row.unwrap_or_default(),
        cells: cells
            .map(|(column, cell)| (column, cell.value.unwrap_or_default()))
            .collect(),
    }
}

/// The first key behind all that begin so; none where there is no such key.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut after = prefix[..=kept].to_vec();
    after[kept] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_a_prefix() {
        for (prefix, want) in [
            (&b"ab"[..], Some(&b"ac"[..])),
            (b"a\xff", Some(b"b")),
            (b"\xff\xff", None),
            (b"", None),
        ] {
            assert_eq!(after(prefix).as_deref(), want, "{prefix:?}");
        }
    }
}
