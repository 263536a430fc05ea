//! Rows of a table mended: in transactions that first lock the marks of the job's sinks. A batch of the
//! job moves its mark before it writes, so none can come in between, and the mark says which batches
//! are in the table.

use super::copy::timestamp;
use super::session::{Session, Values};
use super::types::SqlType;
use super::{Postgres, marks};
use crate::sql::{Database, Dialect, Failure, Mark};
use streamhost_core::compare::LastWrites;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::types::Kind;
use streamhost_engine::sink::{Passed, Written};
use tokio_postgres::types::ToSql;

/// Begins a transaction that keeps the batches of these marks out, and says what they have passed.
pub(super) fn lock(session: &Session, marks: &[Mark], table: i64) -> Result<Vec<Passed>, Failure> {
    Postgres::begin(session)?;
    let of = |mark: &Mark| {
        let held = marks::lock(session, mark, table)?.held()?;
        Ok(Passed {
            epoch: held.own.map(|marker| marker.epoch),
            offsets: held.offsets,
        })
    };
    marks.iter().map(of).collect()
}

/// Writes rows, one by one. What is refused for what is in it stays as it was.
pub(super) fn write(
    session: &Session,
    spec: &SinkSpec,
    types: &[Option<SqlType>],
    rows: &[Written],
) -> Result<(), Failure> {
    for (key, writes) in rows {
        let Some(row) = Row::of(spec, types, key, writes) else {
            continue;
        };
        session.batch("SAVEPOINT streamhost")?;
        match row.write(session) {
            Ok(()) => session.batch("RELEASE SAVEPOINT streamhost")?,
            Err(Failure::Content(_) | Failure::Together(_)) => {
                session.batch("ROLLBACK TO SAVEPOINT streamhost; RELEASE SAVEPOINT streamhost")?;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// A row that is written.
struct Row<'a> {
    spec: &'a SinkSpec,
    target: String,
    keys: Vec<String>,
    key_types: Vec<String>,
    /// The row itself goes.
    is_deleted: bool,
    /// Names, types and values; none: NULL.
    cells: Vec<(&'a str, String, Option<String>)>,
}

impl<'a> Row<'a> {
    /// None: it has a value whose own text is not known any more, or a key that no row has.
    fn of(
        spec: &'a SinkSpec,
        types: &[Option<SqlType>],
        key: &[u8],
        writes: &LastWrites,
    ) -> Option<Row<'a>> {
        let (key_types, types) = types.split_at(spec.keys.len());
        let mut row = Row {
            spec,
            target: Postgres::quoted_table(&spec.target),
            keys: key_values(spec, key_types, key)?,
            key_types: key_types
                .iter()
                .map(|sql| cast(sql.as_ref()))
                .collect::<Option<_>>()?,
            is_deleted: writes.cells.get(&b""[..]).is_some_and(Option::is_none),
            cells: Vec::new(),
        };
        for (column, sql) in spec.columns.iter().zip(types) {
            let Some(value) = writes.cells.get(column.name.as_bytes()) else {
                continue;
            };
            let value = match value {
                Some(text) => Some(input(column.kind, sql.as_ref()?, text)?),
                None => None,
            };
            row.cells.push((&column.name, cast(sql.as_ref())?, value));
        }
        Some(row)
    }

    /// `"k" = $1::text::int8 AND …`
    fn is_it(&self) -> String {
        let keys = self.spec.keys.iter().zip(&self.key_types).enumerate();
        let each = keys.map(|(at, (key, sql))| {
            let name = Postgres::quoted(&key.name);
            format!("{name} = ${}::text::{sql}", at + 1)
        });
        each.collect::<Vec<_>>().join(" AND ")
    }

    /// `$3::text::int8` of each cell.
    fn values(&self) -> impl Iterator<Item = (String, String)> {
        let first = self.keys.len() + 1;
        let cells = self.cells.iter().enumerate();
        cells.map(move |(at, (name, sql, _))| {
            (
                Postgres::quoted(name),
                format!("${}::text::{sql}", first + at),
            )
        })
    }

    /// In the place of the row with its key, or as a new one.
    fn write(&self, session: &Session) -> Result<(), Failure> {
        let (target, is_it) = (&self.target, self.is_it());
        let keys: Vec<&(dyn ToSql + Sync)> = self.keys.iter().map(|v| v as _).collect();
        if self.is_deleted {
            let sql = format!("DELETE FROM {target} WHERE {is_it}");
            return session.query(&sql, &keys).map(drop);
        }
        let cells = self.cells.iter().map(|(_, _, value)| value as _);
        let all: Vec<&(dyn ToSql + Sync)> = keys.iter().copied().chain(cells).collect();
        let there = match self.cells.is_empty() {
            true => session.query(&format!("SELECT 1 FROM {target} WHERE {is_it}"), &keys)?,
            false => {
                let sets = self
                    .values()
                    .map(|(name, value)| format!("{name} = {value}"));
                let sets = sets.collect::<Vec<_>>().join(", ");
                let sql = format!("UPDATE {target} SET {sets} WHERE {is_it} RETURNING 1");
                session.query(&sql, &all)?
            }
        };
        match there.is_empty() {
            true => self.insert(session, &all),
            false => Ok(()),
        }
    }

    fn insert(&self, session: &Session, all: Values<'_>) -> Result<(), Failure> {
        let keys = self.spec.keys.iter().map(|key| key.name.as_str());
        let names = Postgres::list(keys.chain(self.cells.iter().map(|(name, ..)| *name)));
        let keys = self.key_types.iter().enumerate();
        let keys = keys.map(|(at, sql)| format!("${}::text::{sql}", at + 1));
        let values: Vec<_> = keys.chain(self.values().map(|(_, value)| value)).collect();
        let (target, values) = (&self.target, values.join(", "));
        let sql = format!("INSERT INTO {target} ({names}) VALUES ({values})");
        session.query(&sql, all).map(drop)
    }
}

/// What text is cast to before it is assigned, which looks at lengths and scales as for any row.
pub(super) fn cast(sql: Option<&SqlType>) -> Option<String> {
    let sql = sql?;
    Some(match sql.is_enum {
        true => sql.shown.clone(),
        false => sql.name.clone(),
    })
}

/// The texts of a key's columns, as the server reads them. None: it is no key of this table.
pub(super) fn key_values(
    spec: &SinkSpec,
    types: &[Option<SqlType>],
    key: &[u8],
) -> Option<Vec<String>> {
    let texts: Vec<String> = match spec.keys.len() {
        1 => vec![String::from_utf8(key.to_vec()).ok()?],
        _ => serde_json::from_slice(key).ok()?,
    };
    let each = spec.keys.iter().zip(types).zip(texts);
    each.map(|((column, sql), text): ((&ColumnSpec, _), _)| {
        input(column.kind, sql.as_ref()?, text.as_bytes())
    })
    .collect()
}

/// A value's text as the server reads it, from the form in which it is compared. None: that form has
/// lost something of it.
fn input(kind: Kind, sql: &SqlType, text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    match kind {
        Kind::Bytes => Some(format!("\\x{text}")),
        Kind::Time if !sql.is_number() => Some(timestamp(text.parse().ok()?)),
        Kind::Json => {
            let value = serde_json::from_str(text).ok()?;
            is_exact(&value).then(|| text.to_owned())
        }
        _ => Some(text.to_owned()),
    }
}

/// Whether the text of a JSON value that was parsed says what it was: numbers that are no whole ones
/// of 64 bits may have been rounded.
fn is_exact(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => !number.is_f64(),
        serde_json::Value::Array(all) => all.iter().all(is_exact),
        serde_json::Value::Object(all) => all.values().all(is_exact),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_is_what_the_server_reads() {
        let sql = |name: &str| SqlType {
            name: name.to_owned(),
            is_enum: false,
            shown: name.to_owned(),
        };
        let cases = [
            (Kind::Text, "text", "a'\\b", Some("a'\\b")),
            (Kind::Bytes, "bytea", "00ff", Some("\\x00ff")),
            (Kind::Float, "float8", "0.1", Some("0.1")),
            (Kind::Time, "int8", "1700000000123", Some("1700000000123")),
            (
                Kind::Time,
                "timestamptz",
                "1700000000123",
                Some("2023-11-14 22:13:20.123+00"),
            ),
            (Kind::Time, "timestamptz", "infinity", None),
            (
                Kind::Json,
                "jsonb",
                "{\"a\":[1,\"x\",null]}",
                Some("{\"a\":[1,\"x\",null]}"),
            ),
            (Kind::Json, "jsonb", "{\"a\":[0.1]}", None),
            (Kind::Json, "text", "no json", None),
        ];
        for (kind, name, text, want) in cases {
            let found = input(kind, &sql(name), text.as_bytes());
            assert_eq!(found.as_deref(), want, "{kind:?} {name} {text}");
        }
    }
}
