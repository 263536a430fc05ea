//! PostgreSQL: tables of a database.

use super::table_name;
use super::{ConnectorRules, Outside, SetMeans, SinkRules, TargetRules};
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// What its rows may be.
pub const POSTGRES_ROWS: RowLimits = RowLimits {
    key_bytes: 0..=limits::POSTGRES_KEY_BYTES_MAX,
    cell_bytes_max: limits::POSTGRES_ROW_BYTES_MAX,
    row_bytes_max: limits::POSTGRES_ROW_BYTES_MAX,
    measure: Measure::Cells,
    columns: ColumnNames::Fields,
};

/// PostgreSQL.
pub const POSTGRES: ConnectorRules = ConnectorRules {
    name: "postgres",
    doc: "Tables of a PostgreSQL database.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "table",
            rule: table,
            outside: Some(Outside::Tables),
            set: SetMeans::Target,
        },
        options: &[],
        keys: 0..=limits::POSTGRES_KEYS_MAX,
        key_kinds: &[
            Kind::Text,
            Kind::Bytes,
            Kind::Int,
            Kind::Uint,
            Kind::Bool,
            Kind::Time,
        ],
        columns: ColumnNames::Fields,
        raw: false,
        dynamic: false,
        limits: POSTGRES_ROWS,
        sending_bytes: limits::POSTGRES_SENDING_BYTES,
        guarantee: |_| Guarantee::Marked,
    }),
};

/// A table's name with or without its schema, `SCHEMA.TABLE`. It is taken as it is written, so
/// capital letters count.
fn table(name: &str) -> Result<(), String> {
    let too_long = |part: &str| {
        let (most, bytes) = (limits::POSTGRES_NAME_BYTES_MAX, part.len());
        (bytes > most).then(|| format!("{bytes} bytes, of {most} at most"))
    };
    table_name(name, "schema", too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_schema_or_none() {
        for good in ["clicks", "shop.clicks", "Clicks_2", "größe"] {
            assert_eq!(table(good), Ok(()), "{good}");
        }
        let long = "x".repeat(64);
        for bad in ["", ".", "a.", ".a", "a.b.c", "a b", "a;b", "a\"b", &long] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }
}
