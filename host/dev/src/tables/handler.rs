//! HBase's Thrift methods, each in terms of [`Tables`].

mod calls;

use super::Tables;
use super::change::When;
use super::fault::Fault;
use super::filter::Filters;
use super::rows::{Cell, Row, Selection};
use super::scan::Scan;
use super::schema::Column;
use super::stamps::LATEST_MS;
use calls::simple_scan;
use hbase_thrift::hbase::{
    BatchMutation, ColumnDescriptor, HbaseSyncHandler, Mutation, TAccessControlEntity, TAppend,
    TCell, TColumn, TIncrement, TRegionInfo, TRowResult, TScan, TThriftServerType,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use thrift::Result;

type Bytes = Vec<u8>;
/// Hints of HBase's own that mean nothing here.
type Attributes = BTreeMap<Bytes, Bytes>;

/// What the generated server calls.
pub(super) struct Handler(pub(super) Arc<Tables>);

fn cell(cell: &Cell) -> TCell {
    TCell::new(cell.value.to_vec(), cell.time_ms)
}

fn row_result(row: Row, sorted: bool) -> TRowResult {
    let cells = row.cells.iter();
    if sorted {
        let columns: Vec<TColumn> = cells
            .map(|of| TColumn::new(of.column.clone(), cell(of)))
            .collect();
        return TRowResult::new(row.key, None, columns);
    }
    let columns: BTreeMap<Bytes, TCell> = cells.map(|of| (of.column.clone(), cell(of))).collect();
    TRowResult::new(row.key, columns, None)
}

fn selection(columns: &[Bytes]) -> Selection {
    let split = |column: &Bytes| {
        let column = Column::new(column);
        (column.family.to_vec(), column.qualifier.map(<[u8]>::to_vec))
    };
    Selection(columns.iter().map(split).collect())
}

fn before(time_ms: i64) -> std::result::Result<i64, Fault> {
    When::new(time_ms).map(|_| time_ms)
}

impl HbaseSyncHandler for Handler {
    fn handle_enable_table(&self, table: Bytes) -> Result<()> {
        self.0.set_enabled(&table, true).map_err(Fault::told_as_io)
    }

    fn handle_disable_table(&self, table: Bytes) -> Result<()> {
        self.0.set_enabled(&table, false).map_err(Fault::told_as_io)
    }

    fn handle_is_table_enabled(&self, table: Bytes) -> Result<bool> {
        self.0
            .any_table(&table)
            .map(|table| table.is_enabled())
            .map_err(Fault::told_as_io)
    }

    /// Accepted: the store below compacts by itself.
    fn handle_compact(&self, table: Bytes) -> Result<()> {
        self.0
            .any_table(&table)
            .map(|_| ())
            .map_err(Fault::told_as_io)
    }

    fn handle_major_compact(&self, table: Bytes) -> Result<()> {
        self.handle_compact(table)
    }

    fn handle_get_table_names(&self) -> Result<Vec<Bytes>> {
        Ok(self.0.names().into_keys().collect())
    }

    fn handle_get_table_names_with_is_table_enabled(&self) -> Result<BTreeMap<Bytes, bool>> {
        Ok(self.0.names())
    }

    fn handle_get_column_descriptors(
        &self,
        table: Bytes,
    ) -> Result<BTreeMap<Bytes, ColumnDescriptor>> {
        let table = self.0.any_table(&table).map_err(Fault::told_as_io)?;
        Ok(table
            .families
            .values()
            .map(super::schema::Family::described)
            .collect())
    }

    /// One region, from the first row to the last.
    fn handle_get_table_regions(&self, table: Bytes) -> Result<Vec<TRegionInfo>> {
        let Ok(table) = self.0.any_table(&table) else {
            return Ok(Vec::new());
        };
        let name = format!("{},,{}", table.name, table.id).into_bytes();
        let id = i64::try_from(table.id).unwrap_or(i64::MAX);
        Ok(vec![TRegionInfo::new(
            Bytes::new(),
            Bytes::new(),
            id,
            name,
            1,
            b"localhost".to_vec(),
            0,
        )])
    }

    fn handle_create_table(&self, table: Bytes, families: Vec<ColumnDescriptor>) -> Result<()> {
        self.0.create(&table, &families).map_err(Fault::told)
    }

    fn handle_delete_table(&self, table: Bytes) -> Result<()> {
        self.0.delete(&table).map_err(Fault::told_as_io)
    }

    fn handle_get(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        _: Attributes,
    ) -> Result<Vec<TCell>> {
        self.get_cells(&table, &row, &column, 1, LATEST_MS)
    }

    fn handle_get_ver(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        versions: i32,
        _: Attributes,
    ) -> Result<Vec<TCell>> {
        self.get_cells(&table, &row, &column, versions, LATEST_MS)
    }

    fn handle_get_ver_ts(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        before_ms: i64,
        versions: i32,
        _: Attributes,
    ) -> Result<Vec<TCell>> {
        self.get_cells(&table, &row, &column, versions, before_ms)
    }

    fn handle_get_row(&self, table: Bytes, row: Bytes, _: Attributes) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &[row], &[], LATEST_MS)
    }

    fn handle_get_row_with_columns(
        &self,
        table: Bytes,
        row: Bytes,
        columns: Vec<Bytes>,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &[row], &columns, LATEST_MS)
    }

    fn handle_get_row_ts(
        &self,
        table: Bytes,
        row: Bytes,
        before_ms: i64,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &[row], &[], before_ms)
    }

    fn handle_get_row_with_columns_ts(
        &self,
        table: Bytes,
        row: Bytes,
        columns: Vec<Bytes>,
        before_ms: i64,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &[row], &columns, before_ms)
    }

    fn handle_get_rows(
        &self,
        table: Bytes,
        rows: Vec<Bytes>,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &rows, &[], LATEST_MS)
    }

    fn handle_get_rows_with_columns(
        &self,
        table: Bytes,
        rows: Vec<Bytes>,
        columns: Vec<Bytes>,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &rows, &columns, LATEST_MS)
    }

    fn handle_get_rows_ts(
        &self,
        table: Bytes,
        rows: Vec<Bytes>,
        before_ms: i64,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &rows, &[], before_ms)
    }

    fn handle_get_rows_with_columns_ts(
        &self,
        table: Bytes,
        rows: Vec<Bytes>,
        columns: Vec<Bytes>,
        before_ms: i64,
        _: Attributes,
    ) -> Result<Vec<TRowResult>> {
        self.get_rows(&table, &rows, &columns, before_ms)
    }

    fn handle_mutate_row(
        &self,
        table: Bytes,
        row: Bytes,
        mutations: Vec<Mutation>,
        _: Attributes,
    ) -> Result<()> {
        self.0
            .mutate_row(&table, &row, mutations, When::OnArrival)
            .map_err(Fault::told)
    }

    fn handle_mutate_row_ts(
        &self,
        table: Bytes,
        row: Bytes,
        mutations: Vec<Mutation>,
        time_ms: i64,
        _: Attributes,
    ) -> Result<()> {
        let when = When::new(time_ms).map_err(Fault::told)?;
        self.0
            .mutate_row(&table, &row, mutations, when)
            .map_err(Fault::told)
    }

    fn handle_mutate_rows(
        &self,
        table: Bytes,
        rows: Vec<BatchMutation>,
        _: Attributes,
    ) -> Result<()> {
        self.0
            .mutate_rows(&table, rows, When::OnArrival)
            .map_err(Fault::told_of_many)
    }

    fn handle_mutate_rows_ts(
        &self,
        table: Bytes,
        rows: Vec<BatchMutation>,
        time_ms: i64,
        _: Attributes,
    ) -> Result<()> {
        let when = When::new(time_ms).map_err(Fault::told)?;
        self.0
            .mutate_rows(&table, rows, when)
            .map_err(Fault::told_of_many)
    }

    fn handle_atomic_increment(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        value: i64,
    ) -> Result<i64> {
        let values = self
            .0
            .increment(vec![TIncrement::new(table, row, column, value)])
            .map_err(Fault::told)?;
        Ok(values.into_iter().sum()) // of the one
    }

    fn handle_delete_all(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        _: Attributes,
    ) -> Result<()> {
        self.delete(&table, &row, Some(&column), LATEST_MS)
    }

    fn handle_delete_all_ts(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        time_ms: i64,
        _: Attributes,
    ) -> Result<()> {
        self.delete(&table, &row, Some(&column), time_ms)
    }

    fn handle_delete_all_row(&self, table: Bytes, row: Bytes, _: Attributes) -> Result<()> {
        self.delete(&table, &row, None, LATEST_MS)
    }

    fn handle_increment(&self, increment: TIncrement) -> Result<()> {
        self.handle_increment_rows(vec![increment])
    }

    fn handle_increment_rows(&self, increments: Vec<TIncrement>) -> Result<()> {
        self.0
            .increment(increments)
            .map(|_| ())
            .map_err(Fault::told_as_io)
    }

    fn handle_delete_all_row_ts(
        &self,
        table: Bytes,
        row: Bytes,
        time_ms: i64,
        _: Attributes,
    ) -> Result<()> {
        self.delete(&table, &row, None, time_ms)
    }

    fn handle_scanner_open_with_scan(
        &self,
        table: Bytes,
        asked: TScan,
        _: Attributes,
    ) -> Result<i32> {
        let time_ms = asked.timestamp.unwrap_or(LATEST_MS);
        let columns = asked.columns.unwrap_or_default();
        let (start, stop) = (
            asked.start_row.unwrap_or_default(),
            asked.stop_row.unwrap_or_default(),
        );
        let scan = Scan {
            reversed: asked.reversed == Some(true),
            sorted: asked.sort_columns == Some(true),
            cells_max: asked
                .batch_size
                .and_then(|cells| usize::try_from(cells).ok())
                .filter(|&cells| cells > 0),
            filters: Filters::parse(&asked.filter_string.unwrap_or_default())
                .map_err(Fault::told_as_io)?,
            ..simple_scan(start, stop, &columns, time_ms)?
        };
        self.open_scanner(&table, scan)
    }

    fn handle_scanner_open(
        &self,
        table: Bytes,
        start: Bytes,
        columns: Vec<Bytes>,
        _: Attributes,
    ) -> Result<i32> {
        self.open_scanner(
            &table,
            simple_scan(start, Bytes::new(), &columns, LATEST_MS)?,
        )
    }

    fn handle_scanner_open_with_stop(
        &self,
        table: Bytes,
        start: Bytes,
        stop: Bytes,
        columns: Vec<Bytes>,
        _: Attributes,
    ) -> Result<i32> {
        self.open_scanner(&table, simple_scan(start, stop, &columns, LATEST_MS)?)
    }

    fn handle_scanner_open_with_prefix(
        &self,
        table: Bytes,
        prefix: Bytes,
        columns: Vec<Bytes>,
        _: Attributes,
    ) -> Result<i32> {
        let mut scan = simple_scan(Bytes::new(), Bytes::new(), &columns, LATEST_MS)?;
        scan.filters.row_prefixes.push(prefix);
        self.open_scanner(&table, scan)
    }

    fn handle_scanner_open_ts(
        &self,
        table: Bytes,
        start: Bytes,
        columns: Vec<Bytes>,
        before_ms: i64,
        _: Attributes,
    ) -> Result<i32> {
        self.open_scanner(
            &table,
            simple_scan(start, Bytes::new(), &columns, before_ms)?,
        )
    }

    fn handle_scanner_open_with_stop_ts(
        &self,
        table: Bytes,
        start: Bytes,
        stop: Bytes,
        columns: Vec<Bytes>,
        before_ms: i64,
        _: Attributes,
    ) -> Result<i32> {
        self.open_scanner(&table, simple_scan(start, stop, &columns, before_ms)?)
    }

    fn handle_scanner_get(&self, id: i32) -> Result<Vec<TRowResult>> {
        self.scan(id, 1)
    }

    fn handle_scanner_get_list(&self, id: i32, rows_max: i32) -> Result<Vec<TRowResult>> {
        self.scan(id, rows_max)
    }

    fn handle_scanner_close(&self, id: i32) -> Result<()> {
        self.0.close_scanner(id).map_err(Fault::told)
    }

    fn handle_get_region_info(&self, _: Bytes) -> Result<TRegionInfo> {
        Self::refuse("regions to look up by row; getTableRegions tells a table's only one")
    }

    fn handle_append(&self, append: TAppend) -> Result<Vec<TCell>> {
        let values = self.0.append(append).map_err(Fault::told_as_io)?;
        Ok(values
            .into_iter()
            .map(|(value, time_ms)| TCell::new(value, time_ms))
            .collect())
    }

    fn handle_check_and_put(
        &self,
        table: Bytes,
        row: Bytes,
        column: Bytes,
        expected: Bytes,
        put: Mutation,
        _: Attributes,
    ) -> Result<bool> {
        self.0
            .check_and_put(&table, &row, &column, &expected, put)
            .map_err(Fault::told)
    }

    fn handle_get_thrift_server_type(&self) -> Result<TThriftServerType> {
        Ok(TThriftServerType::ONE)
    }

    fn handle_get_cluster_id(&self) -> Result<String> {
        Ok("streamhost-dev".to_owned())
    }

    fn handle_grant(&self, _: TAccessControlEntity) -> Result<bool> {
        Self::refuse("access control to grant by")
    }

    fn handle_revoke(&self, _: TAccessControlEntity) -> Result<bool> {
        Self::refuse("access control to revoke by")
    }
}
