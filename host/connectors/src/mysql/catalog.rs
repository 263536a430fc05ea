//! A table as the catalog tells it.

use super::MySql;
use super::session::{Flavor, Session, value};
use super::types::{SqlType, made};
use crate::sql::{Column, Dialect, Failure, Table};
use mysql_async::{Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::job::connector::{COLLATION, table_parts};
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;
use streamhost_core::types::Kind;

/// What else is known of a table.
#[derive(Debug, Default)]
pub(super) struct More {
    /// What its rows are unique by.
    pub(super) indexes: Vec<Index>,
    /// Columns whose values the table counts up where a row has none.
    counted: BTreeSet<String>,
}

/// An index by which rows are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    name: String,
    columns: BTreeSet<String>,
    /// It is of the columns themselves, not of their beginnings or of what is computed from them.
    is_plain: bool,
}

impl Dialect for MySql {
    const SERVER: &'static str = "MySQL";
    /// Its database and name. A table has no number that stays when it is altered.
    type Id = String;
    type Type = SqlType;
    type More = More;

    fn quoted(name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn quoted_table(target: &str) -> String {
        match table_parts(target) {
            (Some(database), table) => {
                format!("{}.{}", Self::quoted(database), Self::quoted(table))
            }
            (None, table) => Self::quoted(table),
        }
    }

    fn made(kind: Kind) -> &'static str {
        made(kind)
    }

    fn name_fault(name: &str) -> Option<String> {
        let (most, chars) = (limits::MYSQL_NAME_CHARS_MAX, name.chars().count());
        match () {
            () if chars > most => Some(format!(
                "a column's name has at most {most} characters, and `{name}` has {chars}"
            )),
            () if name.ends_with(' ') => Some(format!(
                "a column's name does not end with a blank, as `{name}` does"
            )),
            () => None,
        }
    }

    fn nullable(name: &str, column: &Column<SqlType>) -> String {
        format!("MODIFY {} {} NULL", Self::quoted(name), column.sql.shown)
    }

    fn more_faults(table: &Table<Self>, spec: &SinkSpec) -> Vec<String> {
        if spec.options.is(COLLATION, "accept") {
            return Vec::new();
        }
        let fault = |key: &ColumnSpec| {
            let sql = &table.columns.get(&key.name)?.sql;
            let collation = sql.collation.as_ref().filter(|_| sql.is_blurred())?;
            Some(format!(
                "its key column {0} takes texts that {collation} calls equal, such as `a` and `A`, for one row: ALTER TABLE \
                 {1} MODIFY {0} {2} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, or accept it: --set sink.{3}.{COLLATION}=accept",
                Self::quoted(&key.name),
                Self::quoted_table(&spec.target),
                sql.shown,
                spec.name,
            ))
        };
        let texts = spec.keys.iter().filter(|key| key.kind == Kind::Text);
        texts.filter_map(fault).collect()
    }
}

const TABLE: &str = "\
    SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES \
    WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";

const COLUMNS: &str = "\
    SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, COLLATION_NAME, CHARACTER_OCTET_LENGTH, DATETIME_PRECISION, \
           IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL, LOWER(EXTRA) \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";

const UNIQUE: &str = "\
    SELECT INDEX_NAME, COLUMN_NAME, SUB_PART IS NULL FROM information_schema.STATISTICS \
    WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0";

/// Looks at a table; none if it is not there, or the user may do nothing with it.
pub(super) fn find(session: &Session, target: &str) -> Result<Option<Table<MySql>>, Failure> {
    let text = |of: &str| Value::Bytes(of.as_bytes().to_vec());
    let (database, name) = table_parts(target);
    let asked = vec![database.map_or(Value::NULL, text), text(name)];
    let found = session.query(TABLE, asked)?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let (database, name): (String, String) = (value(row, 0)?, value(row, 1)?);
    let kind: String = value(row, 2)?;
    let engine = value::<Option<String>>(row, 3)?.unwrap_or_default();
    let which = || vec![text(&database), text(&name)];
    let mut table: Table<MySql> = Table {
        id: format!("{database}.{name}"),
        columns: BTreeMap::new(),
        unique: Vec::new(),
        unfit: unfit(&kind, &engine, target),
        more: More::default(),
    };
    for row in session.query(COLUMNS, which())? {
        let (name, column, is_counted): (String, _, bool) = column_of(&row)?;
        if is_counted {
            table.more.counted.insert(name.clone());
        }
        table.columns.insert(name, column);
    }
    table.more.indexes = indexes(&session.query(UNIQUE, which())?)?;
    let plain = table.more.indexes.iter().filter(|index| index.is_plain);
    table.unique = plain.map(|index| index.columns.clone()).collect();
    Ok(Some(table))
}

/// Why rows cannot be written in transactions.
fn unfit(kind: &str, engine: &str, target: &str) -> Option<String> {
    match kind {
        "BASE TABLE" | "SYSTEM VERSIONED" if engine.eq_ignore_ascii_case("InnoDB") => None,
        "BASE TABLE" | "SYSTEM VERSIONED" => Some(format!(
            "its engine is {engine}, and only InnoDB has the transactions that are needed: ALTER TABLE {} ENGINE = InnoDB",
            MySql::quoted_table(target)
        )),
        "VIEW" | "SYSTEM VIEW" => Some("it is a view: name a table of rows".to_owned()),
        _ => Some("it is no table of rows: name one".to_owned()),
    }
}

/// A column by its name, and whether the table counts its values up.
fn column_of(row: &Row) -> Result<(String, Column<SqlType>, bool), Failure> {
    let name: String = value(row, 1)?;
    let extra: String = value(row, 7)?;
    let filled = if name == "binary" {
        value(row, 4)?
    } else {
        None
    };
    let is_counted = extra.contains("auto_increment");
    let column = Column {
        sql: SqlType {
            shown: value(row, 2)?,
            collation: value(row, 3)?,
            filled_bytes: filled,
            precision: value::<Option<u32>>(row, 5)?.unwrap_or(0),
            name,
        },
        is_required: value::<bool>(row, 6)? && !is_counted,
        is_made: extra.contains("virtual")
            || extra.contains("stored")
            || extra.contains("persistent"),
    };
    Ok((value(row, 0)?, column, is_counted))
}

fn indexes(rows: &[Row]) -> Result<Vec<Index>, Failure> {
    let mut all: BTreeMap<String, Index> = BTreeMap::new();
    for row in rows {
        let name: String = value(row, 0)?;
        let index = all.entry(name.clone()).or_insert_with(|| Index {
            name,
            columns: BTreeSet::new(),
            is_plain: true,
        });
        match value::<Option<String>>(row, 1)? {
            Some(column) => {
                index.is_plain &= value::<bool>(row, 2)?;
                index.columns.insert(column);
            }
            None => index.is_plain = false, // of an expression
        }
    }
    Ok(all.into_values().collect())
}

impl Table<MySql> {
    /// Whether a row may be taken for one with another key, as the two have a value in common in
    /// another unique index.
    pub(super) fn has_rivals(&self, spec: &SinkSpec) -> bool {
        let keys: BTreeSet<String> = spec.keys.iter().map(|key| key.name.clone()).collect();
        let given = |name: &String| {
            let mut all = spec.keys.iter().chain(&spec.columns);
            all.any(|column| column.name == *name)
        };
        let is_new = |name: &String| self.more.counted.contains(name) && !given(name);
        let is_rival = |index: &Index| {
            let within = index.is_plain && index.columns.is_superset(&keys);
            !within && !index.columns.iter().any(is_new)
        };
        self.more.indexes.iter().any(is_rival)
    }
}

/// The statement that makes a table for a sink's rows.
pub(super) fn create_table(flavor: Flavor, spec: &SinkSpec) -> String {
    let key = |column: &ColumnSpec| {
        let name = MySql::quoted(&column.name);
        format!("{name} {} NOT NULL", made_key(flavor, column.kind, spec))
    };
    let cell =
        |column: &ColumnSpec| format!("{} {}", MySql::quoted(&column.name), made(column.kind));
    let mut parts: Vec<String> = spec.keys.iter().map(key).collect();
    parts.extend(spec.columns.iter().map(cell));
    if spec.is_keyed() {
        let keys = MySql::list(spec.keys.iter().map(|key| key.name.as_str()));
        parts.push(format!("PRIMARY KEY ({keys})"));
    }
    let table = MySql::quoted_table(&spec.target);
    let parts = parts.join(", ");
    format!("CREATE TABLE {table} ({parts}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4")
}

/// The type that a key column is created with: texts and bytes share what an index has room for.
fn made_key(flavor: Flavor, kind: Kind, spec: &SinkSpec) -> String {
    /// What a number or a time takes in an index, at most.
    const FIXED_BYTES: usize = 16;
    /// A character of utf8mb4.
    const CHAR_BYTES: usize = 4;
    let of_any_length = |key: &&ColumnSpec| matches!(key.kind, Kind::Text | Kind::Bytes);
    let long = spec.keys.iter().filter(of_any_length).count();
    let fixed = (spec.keys.len() - long) * FIXED_BYTES;
    let bytes = limits::MYSQL_KEY_BYTES_MAX.saturating_sub(fixed) / long.max(1);
    // The ones that tell all texts apart, also by blanks at their ends.
    let collation = match flavor {
        Flavor::MySql => "utf8mb4_0900_bin",
        Flavor::MariaDb => "utf8mb4_nopad_bin",
    };
    match kind {
        Kind::Text => {
            let chars = bytes / CHAR_BYTES;
            format!("varchar({chars}) CHARACTER SET utf8mb4 COLLATE {collation}")
        }
        Kind::Bytes => format!("varbinary({bytes})"),
        kind => made(kind).to_owned(),
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
