//! A table read back: its rows by their keys, or one after the other; and cells of it mended.

use super::connection::Lane;
use super::merge::mutation;
use super::{HbaseSettings, provision};
use hbase_thrift::hbase::{BatchMutation, Mutation, THbaseSyncClient, TRowResult, TScan};
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::compare::{HeldCell, HeldRow, LastWrites};
use streamhost_core::contract::render::{self, Cell, RowRef};
use streamhost_core::job::{SinkSpec, names};
use streamhost_core::limits;
use streamhost_core::types::Kind;
use streamhost_engine::sink::{CancelSignal, HeldPlace, SinkError};

/// A sink's table.
pub(super) struct HbaseHeld {
    lane: Lane,
    table: String,
    /// The families of the sink's columns; none where only the data names them.
    families: BTreeSet<String>,
}

impl HbaseHeld {
    pub(super) fn new(spec: &SinkSpec, settings: HbaseSettings, cancel: CancelSignal) -> Self {
        HbaseHeld {
            lane: Lane::new(settings, cancel),
            table: spec.target.clone(),
            families: provision::families(&spec.columns).into_iter().collect(),
        }
    }
}

impl HeldPlace for HbaseHeld {
    fn writes(&self, row: &RowRef<'_>) -> (Vec<u8>, LastWrites) {
        let mut writes = LastWrites {
            is_erased: row.is_deleted(),
            ..LastWrites::default()
        };
        let text = |kind: Kind, bytes: &[u8]| {
            let mut value = Vec::with_capacity(bytes.len());
            render::text(kind, bytes, &mut value);
            Some(value)
        };
        for (name, cell) in row.named_cells() {
            match cell {
                Cell::Absent => {}
                Cell::Deleted => drop(writes.cells.insert(name.to_vec(), None)),
                Cell::Value(kind, bytes) => {
                    writes.cells.insert(name.to_vec(), text(kind, bytes));
                }
            }
        }
        // Of two with one name the later counts, also over a declared column.
        for extra in row.extra() {
            let value = text(extra.kind, extra.value);
            writes.cells.insert(extra.name.to_vec(), value);
        }
        (row.key().to_vec(), writes)
    }

    fn rows(&mut self, keys: &[Vec<u8>]) -> Result<Vec<HeldRow>, SinkError> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(limits::SCAN_ROWS_AT_ONCE) {
            let (table, some) = (self.table.as_bytes().to_vec(), some.to_vec());
            let rows = self
                .lane
                .call(|client| client.get_rows(table, some, BTreeMap::new()));
            let rows = rows.map_err(|failure| self.lane.error(failure, &self.table))?;
            found.extend(rows.into_iter().map(row));
        }
        Ok(found)
    }

    /// A scanner of its own for each call: one that waits for long is forgotten by the gateway.
    fn scan(&mut self, after: Option<&[u8]>) -> Result<Vec<HeldRow>, SinkError> {
        let most = limits::SCAN_ROWS_AT_ONCE as i32;
        // The first key behind another one is that with a zero byte more.
        let start = after.map_or_else(Vec::new, |after| [after, &[0]].concat());
        let scan = TScan {
            start_row: Some(start),
            stop_row: None,
            timestamp: None,
            columns: None,
            caching: Some(most),
            filter_string: None,
            batch_size: None,
            sort_columns: None,
            reversed: None,
            cache_blocks: Some(false),
        };
        let table = self.table.as_bytes().to_vec();
        let lane = &mut self.lane;
        let read = lane
            .call(|client| client.scanner_open_with_scan(table, scan, BTreeMap::new()))
            .and_then(|scanner| {
                let rows = lane.call(|client| client.scanner_get_list(scanner, most));
                // The gateway forgets it by itself, too.
                let _ = lane.call(|client| client.scanner_close(scanner));
                rows
            });
        let rows = read.map_err(|failure| self.lane.error(failure, &self.table))?;
        Ok(rows.into_iter().map(row).collect())
    }

    fn is_own(&self, column: &[u8]) -> bool {
        let family = names::family_and_qualifier(column).map(|(family, _)| family);
        let is_of = |family: &[u8]| {
            std::str::from_utf8(family).is_ok_and(|family| self.families.contains(family))
        };
        self.families.is_empty() || family.is_some_and(is_of)
    }

    fn mend(&mut self, at_ms: i64, rows: &[(Vec<u8>, LastWrites)]) -> Result<(), SinkError> {
        let (mut call, mut bytes) = (Vec::new(), 0);
        for (key, writes) in rows {
            let cells = writes.cells.iter();
            let all: Vec<Mutation> = cells
                .map(|(column, value)| mutation(column.clone(), value.clone()))
                .collect();
            let more: usize = writes.cells.values().flatten().map(Vec::len).sum();
            if bytes + more > limits::HBASE_CALL_BYTES_MAX && !call.is_empty() {
                self.send(std::mem::take(&mut call), at_ms)?;
                bytes = 0;
            }
            bytes += more;
            call.push(BatchMutation::new(key.clone(), all));
        }
        match call.is_empty() {
            true => Ok(()),
            false => self.send(call, at_ms),
        }
    }
}

impl HbaseHeld {
    fn send(&mut self, rows: Vec<BatchMutation>, at_ms: i64) -> Result<(), SinkError> {
        let sent = self.lane.mutate(&self.table, rows, at_ms);
        sent.map_err(|failure| self.lane.error(failure, &self.table))
    }
}

fn row(found: TRowResult) -> HeldRow {
    let cells = found.columns.unwrap_or_default().into_iter();
    let cell = |cell: hbase_thrift::hbase::TCell| HeldCell {
        value: cell.value.unwrap_or_default(),
        time_ms: cell.timestamp,
    };
    HeldRow {
        key: found.row.unwrap_or_default(),
        cells: cells.map(|(column, of)| (column, cell(of))).collect(),
    }
}
