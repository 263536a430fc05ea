//! HBase: tables.

use super::{ConnectorRules, Outside, SetMeans, SinkRules, TargetRules};
use crate::job::names;
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// What its rows may be, where a gateway takes so many bytes at once. HBase bounds a cell together
/// with its key and column, so a row is bounded like a cell: then each fits.
pub const fn hbase_rows(bytes_max: usize) -> RowLimits {
    let row_bytes_max = bytes_max - 2 * limits::HBASE_KEY_BYTES_MAX;
    RowLimits {
        key_bytes: 1..=limits::HBASE_KEY_BYTES_MAX,
        cell_bytes_max: row_bytes_max,
        row_bytes_max,
        measure: Measure::Cells,
        columns: ColumnNames::FamilyAndQualifier,
    }
}

/// HBase.
pub const HBASE: ConnectorRules = ConnectorRules {
    name: "hbase",
    doc: "Tables of HBase, through a Thrift gateway.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "table",
            rule: names::table,
            outside: Some(Outside::Tables),
            set: SetMeans::Target,
        },
        options: &[],
        keys: 1..=1,
        key_kinds: &[Kind::Text, Kind::Bytes],
        columns: ColumnNames::FamilyAndQualifier,
        raw: false,
        dynamic: true,
        limits: hbase_rows(limits::HBASE_CELL_BYTES_MAX),
        sending_bytes: limits::HBASE_ANSWER_BYTES_MAX
            + limits::HBASE_CONNECTIONS_MAX * limits::HBASE_CALL_BYTES_MAX,
        guarantee: |_| Guarantee::Idempotent,
    }),
};
