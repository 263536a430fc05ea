//! The console: standard output.

use super::{ConnectorRules, SetMeans, SinkRules, TargetRules};
use crate::job::names;
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// What its rows may be: all that a component can answer.
pub const CONSOLE_ROWS: RowLimits = RowLimits {
    key_bytes: 0..=limits::GUEST_OUTPUT_BYTES_MAX,
    cell_bytes_max: limits::GUEST_OUTPUT_BYTES_MAX,
    row_bytes_max: limits::GUEST_OUTPUT_BYTES_MAX,
    measure: Measure::Cells,
    columns: ColumnNames::Fields,
};

/// The console.
pub const CONSOLE: ConnectorRules = ConnectorRules {
    name: "console",
    doc: "The host's standard output, a line a row.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "",
            rule: names::target,
            outside: None,
            set: SetMeans::Nothing {
                target: "standard output",
            },
        },
        options: &[],
        keys: 0..=1,
        key_kinds: &[Kind::Text, Kind::Bytes],
        columns: ColumnNames::Fields,
        raw: true,
        dynamic: true,
        limits: CONSOLE_ROWS,
        sending_bytes: limits::LINE_BYTES_MAX,
        guarantee: |_| Guarantee::AtLeastOnce,
    }),
};
