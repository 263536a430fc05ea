//! A table as the catalog tells it.

use super::Postgres;
use super::session::{Session, value};
use super::types::{SqlType, made};
use crate::sql::{Column, Dialect, Failure, Table};
use std::collections::BTreeMap;
use streamhost_core::job::connector::table_parts;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;
use streamhost_core::types::Kind;

impl Dialect for Postgres {
    const SERVER: &'static str = "PostgreSQL";
    /// Its number.
    type Id = i64;
    type Type = SqlType;
    /// Rights on it that the user of the session lacks.
    type More = Vec<&'static str>;

    fn quoted(name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn quoted_table(target: &str) -> String {
        match table_parts(target) {
            (Some(schema), table) => format!("{}.{}", Self::quoted(schema), Self::quoted(table)),
            (None, table) => Self::quoted(table),
        }
    }

    fn made(kind: Kind) -> &'static str {
        made(kind)
    }

    fn name_fault(name: &str) -> Option<String> {
        let (most, bytes) = (limits::POSTGRES_NAME_BYTES_MAX, name.len());
        (bytes > most)
            .then(|| format!("a column's name has at most {most} bytes, and `{name}` has {bytes}"))
    }

    fn nullable(name: &str, _: &Column<SqlType>) -> String {
        format!("ALTER COLUMN {} DROP NOT NULL", Self::quoted(name))
    }

    fn more_faults(table: &Table<Self>, spec: &SinkSpec) -> Vec<String> {
        rights(&table.more, spec).into_iter().collect()
    }
}

const TABLE: &str = "\
    SELECT c.oid::int8, c.relkind::text, \
           has_any_column_privilege(c.oid, 'INSERT'), has_any_column_privilege(c.oid, 'SELECT'), \
           has_any_column_privilege(c.oid, 'UPDATE'), has_database_privilege(current_database(), 'TEMP') \
    FROM pg_class c WHERE c.oid = to_regclass($1::text)";

const COLUMNS: &str = "\
    SELECT a.attname::text, coalesce(b.typname, t.typname)::text, coalesce(b.typtype, t.typtype)::text, \
           format_type(a.atttypid, a.atttypmod), \
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL, \
           a.attgenerated <> '' OR a.attidentity = 'a' \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype \
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped";

const UNIQUE: &str = "\
    SELECT array_agg(a.attname::text) \
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(att, n) \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att \
    WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid AND i.indimmediate \
          AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts \
    GROUP BY i.indexrelid";

/// Looks at a table; none if it is not there.
pub(super) fn find(session: &Session, target: &str) -> Result<Option<Table<Postgres>>, Failure> {
    let found = session.query(TABLE, &[&Postgres::quoted_table(target)])?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let id: i64 = value(row, 0)?;
    let unfit = match value::<&str>(row, 1)? {
        "r" | "p" => None,
        "v" | "m" => Some("it is a view: name a table of rows"),
        _ => Some("it is no table of this database: name a table of rows"),
    };
    let rights = [(2, "INSERT"), (3, "SELECT"), (4, "UPDATE"), (5, "TEMP")];
    let mut forbidden = Vec::new();
    for (column, right) in rights {
        if !value::<bool>(row, column)? {
            forbidden.push(right);
        }
    }
    let mut columns = BTreeMap::new();
    for row in session.query(COLUMNS, &[&id])? {
        let sql = SqlType {
            name: value(&row, 1)?,
            is_enum: value::<&str>(&row, 2)? == "e",
            shown: value(&row, 3)?,
        };
        let (is_required, is_made) = (value(&row, 4)?, value(&row, 5)?);
        let column = Column {
            sql,
            is_required,
            is_made,
        };
        columns.insert(value(&row, 0)?, column);
    }
    let mut unique = Vec::new();
    for row in session.query(UNIQUE, &[&id])? {
        unique.push(value::<Vec<String>>(&row, 0)?.into_iter().collect());
    }
    Ok(Some(Table {
        id,
        columns,
        unique,
        unfit: unfit.map(str::to_owned),
        more: forbidden,
    }))
}

/// What the user of the session may not do with it.
fn rights(forbidden: &[&str], spec: &SinkSpec) -> Option<String> {
    let is_needed = |right: &&&str| spec.is_keyed() || **right == "INSERT";
    let lacking: Vec<&str> = forbidden.iter().filter(is_needed).copied().collect();
    let rights: Vec<&str> = lacking.iter().filter(|r| **r != "TEMP").copied().collect();
    if !rights.is_empty() {
        let (table, rights) = (Postgres::quoted_table(&spec.target), rights.join(", "));
        return Some(format!(
            "the user may not {rights}: GRANT {rights} ON {table} TO the user"
        ));
    }
    (!lacking.is_empty()).then(|| {
        "the user may make no temporary table: GRANT TEMP ON the database TO the user".to_owned()
    })
}

/// The statement that makes a table for a sink's rows.
pub(super) fn create_table(spec: &SinkSpec) -> String {
    let column =
        |column: &ColumnSpec| format!("{} {}", Postgres::quoted(&column.name), made(column.kind));
    let mut parts: Vec<String> = spec.keys.iter().chain(&spec.columns).map(column).collect();
    if spec.is_keyed() {
        let keys = Postgres::list(spec.keys.iter().map(|key| key.name.as_str()));
        parts.push(format!("PRIMARY KEY ({keys})"));
    }
    let table = Postgres::quoted_table(&spec.target);
    format!("CREATE TABLE {table} ({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::Kind;

    fn column(name: &str, kind: Kind) -> ColumnSpec {
        ColumnSpec {
            name: name.to_owned(),
            kind,
            optional: false,
        }
    }

    fn spec() -> SinkSpec {
        SinkSpec {
            target: "shop.visits".to_owned(),
            keys: vec![column("site", Kind::Text), column("at", Kind::Time)],
            columns: vec![column("views", Kind::Int), column("a\"b", Kind::Uint)],
            ..SinkSpec::default()
        }
    }

    fn table() -> Table<Postgres> {
        let of = |name: &str, shown: &str| Column {
            sql: SqlType {
                name: name.to_owned(),
                is_enum: false,
                shown: shown.to_owned(),
            },
            is_required: false,
            is_made: false,
        };
        let columns = [
            ("site", of("text", "text")),
            ("at", of("timestamptz", "timestamp with time zone")),
            ("views", of("int4", "integer")),
            ("a\"b", of("numeric", "numeric(20,0)")),
        ];
        Table {
            id: 1,
            columns: columns.map(|(name, c)| (name.to_owned(), c)).into(),
            unique: vec![["site".to_owned(), "at".to_owned()].into()],
            unfit: None,
            more: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_made_as_it_is_wanted() {
        assert_eq!(
            create_table(&spec()),
            "CREATE TABLE \"shop\".\"visits\" (\"site\" text, \"at\" timestamptz, \"views\" bigint, \
             \"a\"\"b\" numeric(20), PRIMARY KEY (\"site\", \"at\"))"
        );
    }

    /// A change of the table, or of the job.
    type Change = fn(&mut Table<Postgres>, &mut SinkSpec);

    #[test]
    fn all_that_does_not_fit_is_said_with_what_to_do() {
        assert_eq!(table().fits(&spec()), Ok(()));
        let cases: [(Change, &str); 9] = [
            (
                |t, _| drop(t.columns.remove("views")),
                "ADD COLUMN \"views\" bigint",
            ),
            (
                |_, s| s.columns[0].kind = Kind::Text,
                "\"views\" is integer, and the job gives text",
            ),
            (
                |t, _| t.unique.clear(),
                "ADD PRIMARY KEY (\"site\", \"at\")",
            ),
            (
                |_, s| drop(s.keys.pop()),
                "not unique by the job's key \"site\"",
            ),
            (
                |t, _| {
                    let mut more = t.columns["views"].clone();
                    more.is_required = true;
                    t.columns.insert("more".to_owned(), more);
                },
                "\"more\" is NOT NULL without a default",
            ),
            (
                |t, _| t.unfit = Some("it is a view".to_owned()),
                "it is a view",
            ),
            (
                |t, _| t.more.push("UPDATE"),
                "GRANT UPDATE ON \"shop\".\"visits\"",
            ),
            (
                |_, s| s.columns[0].name = "site".to_owned(),
                "\"site\" twice",
            ),
            (
                |_, s| s.columns[0].name = "x".repeat(64),
                "has at most 63 bytes",
            ),
        ];
        for (change, part) in cases {
            let (mut table, mut spec) = (table(), spec());
            change(&mut table, &mut spec);
            match table.fits(&spec) {
                Err(Failure::Refused(words)) => assert!(words.contains(part), "{part}: {words}"),
                other => panic!("{part}: {other:?}"),
            }
        }
        let mut forbidden = table();
        forbidden.more = vec!["SELECT", "UPDATE", "TEMP"];
        let mut appends = spec();
        appends.keys.clear();
        assert_eq!(forbidden.fits(&appends), Ok(()), "which needs INSERT alone");
    }
}
