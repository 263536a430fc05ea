//! A table read back, from front to back: its rows as of one moment; and rows of it mended.

use super::session::{Session, value};
use super::types::SqlType;
use super::{Postgres, mend};
use crate::connector::HeldContext;
use crate::sql::{Database, Dialect, Failure, Mark, missing};
use std::collections::BTreeMap;
use streamhost_core::compare::{HeldRow, LastWrites};
use streamhost_core::contract::render::{self, Cell, RowRef};
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;
use streamhost_core::types::Kind;
use streamhost_engine::sink::{CancelSignal, HeldPlace, Mending, Passed, SinkError, Written};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const MS_OF_DAY: i64 = 86_400_000;

/// A sink's table.
pub(super) struct PostgresHeld {
    database: Postgres,
    spec: SinkSpec,
    cancel: CancelSignal,
    /// None: not begun. Its transaction has a cursor.
    open: Option<Session>,
    /// The marks of the job's sinks that write it.
    marks: Vec<Mark>,
    /// The session whose transaction has locked them.
    locked: Option<Session>,
    /// The session that mends, between its transactions.
    idle: Option<Session>,
    /// The table's number in the catalog.
    table: i64,
    /// What the columns are in the table, once it was looked at: keys first.
    types: Vec<Option<SqlType>>,
}

impl PostgresHeld {
    /// For a sink whose rows have keys.
    pub(super) fn new(spec: &SinkSpec, database: Postgres, context: &HeldContext<'_>) -> Self {
        let mark = |sink: &String| {
            let sink = format!("{}.{sink}", context.owner);
            Mark::new(sink, &spec.target, Postgres::quoted_table)
        };
        PostgresHeld {
            database,
            types: vec![None; spec.keys.len() + spec.columns.len()],
            spec: spec.clone(),
            cancel: context.cancel.clone(),
            open: None,
            marks: context.sinks.iter().map(mark).collect(),
            locked: None,
            idle: None,
            table: 0,
        }
    }

    fn columns(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.spec.keys.iter().chain(&self.spec.columns)
    }

    fn error(&self, failure: Failure) -> SinkError {
        match self.cancel.is_cancelled() {
            true => SinkError::Cancelled,
            false => failure.error(
                Postgres::SERVER,
                &self.database.0.address(),
                &self.spec.target,
            ),
        }
    }

    /// Connects, and looks at the table.
    fn connect(&mut self) -> Result<Session, SinkError> {
        let session = self.database.connect(&self.cancel);
        let session = session.map_err(|failure| self.error(failure))?;
        let table = Postgres::find(&session, &self.spec.target);
        let table = table.map_err(|failure| self.error(failure))?;
        let table = table.ok_or_else(|| missing::<Postgres>(&session, &self.spec))?;
        table
            .fits(&self.spec)
            .map_err(|failure| self.error(failure))?;
        let of = |column: &ColumnSpec| table.columns.get(&column.name).map(|of| of.sql.clone());
        self.types = self.columns().map(of).collect();
        self.table = table.id;
        Ok(session)
    }

    /// What is asked of each column.
    fn expressions(&self) -> String {
        let columns = self.columns().zip(&self.types);
        let all = columns.map(|(column, sql)| expression(column, sql.as_ref()));
        all.collect::<Vec<_>>().join(", ")
    }

    fn begin(&mut self) -> Result<Session, SinkError> {
        let session = self.connect()?;
        let keys = Postgres::list(self.spec.keys.iter().map(|key| key.name.as_str()));
        let sql = format!(
            "BEGIN READ ONLY; DECLARE streamhost NO SCROLL CURSOR FOR SELECT {} FROM {} ORDER BY {keys}",
            self.expressions(),
            Postgres::quoted_table(&self.spec.target)
        );
        session.batch(&sql).map_err(|failure| self.error(failure))?;
        Ok(session)
    }

    /// The rows of these keys that are there.
    fn by_keys(&self, session: &Session, keys: &[Vec<u8>]) -> Result<Vec<HeldRow>, Failure> {
        let types = &self.types[..self.spec.keys.len()];
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); self.spec.keys.len()];
        for key in keys {
            let values = mend::key_values(&self.spec, types, key).into_iter();
            let each = columns.iter_mut().zip(values.flatten());
            each.for_each(|(column, value)| column.push(value));
        }
        let (mut arrays, mut names, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (key, sql)) in self.spec.keys.iter().zip(types).enumerate() {
            let (name, cast) = (
                Postgres::quoted(&key.name),
                mend::cast(sql.as_ref()).unwrap_or_default(),
            );
            arrays.push(format!("${}::text[]", at + 1));
            names.push(format!("streamhost_{at}"));
            same.push(format!("t.{name} = s.streamhost_{at}::{cast}"));
        }
        let sql = format!(
            "SELECT {} FROM {} AS t JOIN unnest({}) AS s ({}) ON {}",
            self.expressions(),
            Postgres::quoted_table(&self.spec.target),
            arrays.join(", "),
            names.join(", "),
            same.join(" AND "),
        );
        let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
        let rows = session.query(&sql, &values)?;
        let held = rows.iter().map(|row| {
            let (key, of) = self.written(row)?;
            Ok(HeldRow::of(key, of))
        });
        held.collect()
    }

    fn fetch(&self, session: &Session) -> Result<Vec<Written>, Failure> {
        let most = limits::REPLAY_ROWS_AT_ONCE;
        let rows = session.query(&format!("FETCH {most} FROM streamhost"), &[])?;
        rows.iter().map(|row| self.written(row)).collect()
    }

    /// A row as the cursor gives it: every column as text.
    fn written(&self, row: &Row) -> Result<Written, Failure> {
        let (mut keys, mut cells) = (Vec::new(), BTreeMap::new());
        for (at, column) in self.columns().enumerate() {
            let text = value::<Option<String>>(row, at)?;
            let of = text.map(|text| normal(column.kind, self.types[at].as_ref(), &text));
            match at < self.spec.keys.len() {
                true => keys.push(of),
                false => drop(cells.insert(column.name.clone().into_bytes(), of)),
            }
        }
        // That the row is there is a cell of its own: it may have no other.
        cells.insert(Vec::new(), Some(Vec::new()));
        let is_erased = false;
        Ok((key(&keys), LastWrites { is_erased, cells }))
    }
}

/// A row's key as text: its only one, or all of them.
fn key(keys: &[Option<Vec<u8>>]) -> Vec<u8> {
    let text = |key: &Option<Vec<u8>>| match key {
        Some(key) => String::from_utf8_lossy(key).into_owned(),
        None => "(none)".to_owned(),
    };
    match keys {
        [one] => text(one).into_bytes(),
        several => {
            serde_json::to_vec(&several.iter().map(text).collect::<Vec<_>>()).unwrap_or_default()
        } // texts have a JSON form
    }
}

/// What is asked of a column: the text of what it holds.
fn expression(column: &ColumnSpec, sql: Option<&SqlType>) -> String {
    let name = Postgres::quoted(&column.name);
    match column.kind {
        Kind::Bytes => format!("encode({name}, 'hex')"),
        Kind::Time if sql.is_some_and(|sql| !sql.is_number()) => {
            format!("(extract(epoch FROM {name}) * 1000)::bigint::text")
        }
        _ => format!("{name}::text"),
    }
}

/// A value's text in the one form in which both sides are compared.
fn normal(kind: Kind, sql: Option<&SqlType>, text: &str) -> Vec<u8> {
    let is = |name: &str| sql.is_some_and(|sql| sql.name == name);
    match kind {
        Kind::Float => match text.parse::<f64>() {
            Ok(float) => {
                let float = if is("float4") {
                    f64::from(float as f32)
                } else {
                    float
                };
                let mut out = Vec::new();
                render::text(kind, &float.to_le_bytes(), &mut out);
                out
            }
            Err(_) => text.as_bytes().to_vec(),
        },
        Kind::Time if is("date") => match text.parse::<i64>() {
            Ok(ms) => (ms.div_euclid(MS_OF_DAY) * MS_OF_DAY)
                .to_string()
                .into_bytes(),
            Err(_) => text.as_bytes().to_vec(),
        },
        Kind::Json => serde_json::from_str::<serde_json::Value>(text)
            .map_or_else(|_| text.to_owned(), |value| value.to_string())
            .into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

/// A cell of a row in that form.
fn made(kind: Kind, sql: Option<&SqlType>, bytes: &[u8]) -> Vec<u8> {
    if kind == Kind::Bytes {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        return hex.collect::<String>().into_bytes();
    }
    let mut text = Vec::new();
    render::text(kind, bytes, &mut text);
    normal(kind, sql, &String::from_utf8_lossy(&text))
}

impl HeldPlace for PostgresHeld {
    fn prepare(&mut self) -> Result<(), SinkError> {
        self.begin().map(drop)
    }

    fn writes(&self, row: &RowRef<'_>) -> Written {
        let keys: Vec<Option<Vec<u8>>> = self
            .spec
            .keys
            .iter()
            .zip(row.keys())
            .zip(&self.types)
            .map(|((column, bytes), sql)| Some(made(column.kind, sql.as_ref(), bytes)))
            .collect();
        let mut writes = LastWrites {
            is_erased: row.is_deleted(),
            ..LastWrites::default()
        };
        let types = &self.types[self.spec.keys.len()..];
        for (name, cell) in row.named_cells() {
            let column = self
                .spec
                .columns
                .iter()
                .position(|of| of.name.as_bytes() == name);
            let sql = column.and_then(|at| types[at].as_ref());
            let value = match cell {
                Cell::Absent => continue,
                Cell::Deleted => None,
                Cell::Value(kind, bytes) => Some(made(kind, sql, bytes)),
            };
            writes.cells.insert(name.to_vec(), value);
        }
        if !writes.is_erased {
            writes.cells.insert(Vec::new(), Some(Vec::new()));
        }
        (key(&keys), writes)
    }

    /// After an error it begins anew.
    fn next_written(&mut self) -> Option<Result<Vec<Written>, SinkError>> {
        let session = match self.open.take().map_or_else(|| self.begin(), Ok) {
            Ok(session) => session,
            Err(error) => return Some(Err(error)),
        };
        let rows = self.fetch(&session);
        let rows = rows.map_err(|failure| self.error(failure));
        if rows.is_ok() {
            self.open = Some(session);
        }
        Some(rows)
    }

    /// While it is locked; else it is read from front to back.
    fn rows(&mut self, keys: &[Vec<u8>]) -> Result<Vec<HeldRow>, SinkError> {
        let Some(session) = self.locked.take() else {
            return Ok(Vec::new());
        };
        let rows = self.by_keys(&session, keys);
        let rows = rows.map_err(|failure| self.error(failure))?;
        self.locked = Some(session);
        Ok(rows)
    }

    fn scan(&mut self, _: Option<&[u8]>) -> Result<Vec<HeldRow>, SinkError> {
        Ok(Vec::new())
    }

    fn is_own(&self, column: &[u8]) -> bool {
        let is_it = |of: &ColumnSpec| of.name.as_bytes() == column;
        column.is_empty() || self.spec.columns.iter().any(is_it)
    }

    fn mending(&self) -> Mending {
        Mending::Locked
    }

    fn lock(&mut self) -> Result<Vec<Passed>, SinkError> {
        self.locked = None; // which ends what may be under way
        let session = self.idle.take().map_or_else(|| self.connect(), Ok)?;
        let passed = mend::lock(&session, &self.marks, self.table);
        let passed = passed.map_err(|failure| self.error(failure))?;
        self.locked = Some(session);
        Ok(passed)
    }

    fn unlock(&mut self, keep: bool) -> Result<(), SinkError> {
        let Some(session) = self.locked.take() else {
            return Ok(());
        };
        let ended = session.batch(if keep { "COMMIT" } else { "ROLLBACK" });
        ended.map_err(|failure| self.error(failure))?;
        self.idle = Some(session);
        Ok(())
    }

    fn mend(&mut self, _: i64, rows: &[Written]) -> Result<(), SinkError> {
        let Some(session) = self.locked.take() else {
            return Err(self.error(Failure::Away("its lock is gone".to_owned())));
        };
        let written = mend::write(&session, &self.spec, &self.types, rows);
        written.map_err(|failure| self.error(failure))?;
        self.locked = Some(session);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_text() {
        let sql = |name: &str| SqlType {
            name: name.to_owned(),
            is_enum: false,
            shown: name.to_owned(),
        };
        let (float, time) = (0.1_f64.to_le_bytes(), 1_700_000_000_123_i64.to_le_bytes());
        let cases: [(Kind, &str, &[u8], &str); 8] = [
            (Kind::Text, "text", b"a", "a"),
            (Kind::Bytes, "bytea", b"\x00\xff", "00ff"),
            (Kind::Float, "float8", &float, "0.1"),
            (Kind::Float, "float4", &float, "0.1"),
            (Kind::Float, "float8", &1.0_f64.to_le_bytes(), "1"),
            (Kind::Time, "timestamptz", &time, "1700000000123"),
            (Kind::Time, "date", &time, "1699920000000"),
            (
                Kind::Json,
                "jsonb",
                b"{\"b\":1,\"a\":[true]}",
                "{\"a\": [true], \"b\": 1}",
            ),
        ];
        for (kind, name, bytes, held) in cases {
            let sql = sql(name);
            assert_eq!(
                made(kind, Some(&sql), bytes),
                normal(kind, Some(&sql), held),
                "{kind:?} {name}"
            );
        }
        let text = |key: &str| Some(key.as_bytes().to_vec());
        assert_eq!(key(&[text("a")]), b"a");
        assert_eq!(key(&[text("a"), None]), b"[\"a\",\"(none)\"]");
    }
}
