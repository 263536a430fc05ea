//! HBase: tables.

use super::{ConnectorRules, SetMeans, SinkRules, TargetRules};
use crate::job::names;
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// HBase bounds a cell together with its key and column, so a row is bounded like a cell: then each
/// fits.
const ROW_BYTES_MAX: usize = limits::HBASE_CELL_BYTES_MAX - 2 * limits::HBASE_KEY_BYTES_MAX;

/// HBase.
pub const HBASE: ConnectorRules = ConnectorRules {
    name: "hbase",
    doc: "Tables of HBase, through a Thrift gateway.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "table",
            rule: names::table,
            set: SetMeans::Target,
        },
        options: &[],
        keys: 1..=1,
        key_kinds: &[Kind::Text, Kind::Bytes],
        columns: ColumnNames::FamilyAndQualifier,
        raw: false,
        limits: RowLimits {
            key_bytes: 1..=limits::HBASE_KEY_BYTES_MAX,
            cell_bytes_max: ROW_BYTES_MAX,
            row_bytes_max: ROW_BYTES_MAX,
            measure: Measure::Cells,
            columns: ColumnNames::FamilyAndQualifier,
        },
        guarantee: |_| Guarantee::Idempotent,
    }),
};
