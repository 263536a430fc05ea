//! MySQL and MariaDB: tables of a database.

use super::table_name;
use super::{ConnectorRules, OptionKind, OptionRules, Outside, SetMeans, SinkRules, TargetRules};
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// The option that says what becomes of keys that the table's collation calls equal.
pub const COLLATION: &str = "collation";

/// What its rows may be.
pub const MYSQL_ROWS: RowLimits = RowLimits {
    key_bytes: 0..=limits::MYSQL_KEY_BYTES_MAX,
    cell_bytes_max: limits::MYSQL_ROW_BYTES_MAX,
    row_bytes_max: limits::MYSQL_ROW_BYTES_MAX,
    measure: Measure::Cells,
    columns: ColumnNames::Fields,
};

/// MySQL and MariaDB.
pub const MYSQL: ConnectorRules = ConnectorRules {
    name: "mysql",
    doc: "Tables of a MySQL or MariaDB database.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "table",
            rule: table,
            outside: Some(Outside::Tables),
            set: SetMeans::Target,
        },
        options: &[OptionRules {
            name: COLLATION,
            kind: OptionKind::OneOf(&["exact", "accept"]),
            default: "exact",
            doc: "Keys of text that differ are different rows, or the job is refused; `accept`: those that the \
                  table's collation calls equal, such as `a` and `A`, are one.",
        }],
        keys: 0..=limits::MYSQL_KEYS_MAX,
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
        limits: MYSQL_ROWS,
        sending_bytes: limits::MYSQL_SENDING_BYTES,
        guarantee: |_| Guarantee::Marked,
    }),
};

/// A table's name with or without its database, `DATABASE.TABLE`.
fn table(name: &str) -> Result<(), String> {
    let too_long = |part: &str| {
        let (most, chars) = (limits::MYSQL_NAME_CHARS_MAX, part.chars().count());
        (chars > most).then(|| format!("{chars} characters, of {most} at most"))
    };
    table_name(name, "database", too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_database_or_none() {
        let most = "ü".repeat(64);
        for good in ["clicks", "shop.clicks", "Clicks_2", &most] {
            assert_eq!(table(good), Ok(()), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", ".", "a.", ".a", "a.b.c", "a b", "a`b", &long] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }
}
