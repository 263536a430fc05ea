//! Files as a sink: a folder that grows by files of whole batches.

use super::{ConnectorRules, OptionKind, OptionRules, Outside, SetMeans, SinkRules, TargetRules};
use crate::job::names;
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// The option that says how a file is compressed.
pub const COMPRESSION: &str = "compression";
/// The option that says by which part of time rows are put into folders.
pub const FOLDERS: &str = "folders";
/// The option that says what becomes of deletes.
pub const DELETES: &str = "deletes";

/// What its rows may be.
pub const FILES_ROWS: RowLimits = RowLimits {
    key_bytes: 0..=limits::FILES_ROW_BYTES_MAX,
    cell_bytes_max: limits::FILES_ROW_BYTES_MAX,
    row_bytes_max: limits::FILES_ROW_BYTES_MAX,
    measure: Measure::Json,
    columns: ColumnNames::Fields,
};

/// Files as a sink.
pub const FILES: ConnectorRules = ConnectorRules {
    name: "files",
    doc: "A folder of files, to which each batch adds whole ones.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "folder",
            rule: names::path,
            outside: Some(Outside::Files),
            set: SetMeans::Target,
        },
        options: &[
            OptionRules {
                name: COMPRESSION,
                kind: OptionKind::OneOf(&["none", "gzip", "zstd"]),
                default: "none",
                doc: "How each file is compressed.",
            },
            OptionRules {
                name: FOLDERS,
                kind: OptionKind::OneOf(&["none", "day", "hour"]),
                default: "none",
                doc: "Files are in folders by the batch's time, in UTC: `dt=2026-12-01`, and `hour=09` below it.",
            },
            OptionRules {
                name: DELETES,
                kind: OptionKind::OneOf(&["refuse", "column"]),
                default: "refuse",
                doc: "`column`: a row that deletes is a row with its key and `_deleted`; else it is a dead letter.",
            },
        ],
        keys: 0..=limits::FILES_KEYS_MAX,
        key_kinds: &Kind::ALL,
        columns: ColumnNames::Fields,
        raw: false,
        dynamic: false,
        limits: FILES_ROWS,
        sending_bytes: limits::FILES_SENDING_BYTES,
        guarantee: |_| Guarantee::Idempotent,
    }),
};
