//! Writes what a batch comes to, within its transaction.
//!
//! ```text
//! deletes ─► COPY keys ─► temporary table ─► DELETE … USING
//! each set of columns ─► COPY ─► temporary table ─► INSERT … ON CONFLICT DO UPDATE
//! without a key: COPY into the table itself
//! ```

use super::session::Session;
use super::types::SqlType;
use super::{Postgres, copy};
use crate::sql::{Attempt, Dialect, Failure, Merged, Table, Unit};
use streamhost_core::contract::render::Cell;
use streamhost_core::job::{ColumnSpec, SinkSpec};

/// The temporary table that rows go through: it has the columns' own types, so that the server reads
/// them, and none of the table's rules. A session has its own.
const STAGE: &str = "pg_temp.streamhost_rows";

/// How the rows of a sink go into its table.
pub(super) struct Shape {
    target: String,
    keys: Vec<ColumnSpec>,
    key_types: Vec<SqlType>,
    columns: Vec<ColumnSpec>,
    types: Vec<SqlType>,
    /// Columns in which a new row must have a value, by their places.
    required: Vec<usize>,
    /// The table's number in the catalog.
    pub(super) table: i64,
}

impl Shape {
    /// For a table that fits.
    pub(super) fn new(spec: &SinkSpec, table: &Table<Postgres>) -> Result<Self, Failure> {
        Ok(Shape {
            target: Postgres::quoted_table(&spec.target),
            key_types: table.types(&spec.keys)?,
            types: table.types(&spec.columns)?,
            keys: spec.keys.clone(),
            columns: spec.columns.clone(),
            required: table.required(&spec.columns),
            table: table.id,
        })
    }

    pub(super) fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The statements that make the temporary table, in the place of one for other columns.
    pub(super) fn stage(&self) -> Option<String> {
        let all = self.names(&(0..self.columns.len()).collect::<Vec<_>>());
        self.is_keyed().then(|| {
            format!(
                "DROP TABLE IF EXISTS {STAGE}; CREATE TEMPORARY TABLE streamhost_rows ON COMMIT DELETE ROWS AS \
                 SELECT {all} FROM {} WITH NO DATA",
                self.target
            )
        })
    }

    /// The names of keys and some columns.
    fn names(&self, columns: &[usize]) -> String {
        let keys = self.keys.iter().map(|key| key.name.as_str());
        let cells = columns.iter().map(|&at| self.columns[at].name.as_str());
        Postgres::list(keys.chain(cells))
    }

    /// `a."k" = b."k" AND …`
    fn same_key(&self) -> String {
        let same = |key: &ColumnSpec| format!("t.{0} = s.{0}", Postgres::quoted(&key.name));
        let all: Vec<String> = self.keys.iter().map(same).collect();
        all.join(" AND ")
    }

    /// `"a" = FROM."a", …`
    fn sets(&self, columns: &[usize], from: &str) -> String {
        let set = |&at: &usize| {
            let name = Postgres::quoted(&self.columns[at].name);
            format!("{name} = {from}.{name}")
        };
        let all: Vec<String> = columns.iter().map(set).collect();
        all.join(", ")
    }

    fn delete(&self) -> String {
        let (target, same) = (&self.target, self.same_key());
        format!("DELETE FROM {target} AS t USING {STAGE} AS s WHERE {same}")
    }

    /// Takes the rows from the temporary table, each in the place of one with its key. A new row
    /// needs a value in each required column; where rows do not have all of them, those that are
    /// there are changed first, as the server looks at that before it looks for the key.
    fn upsert(&self, columns: &[usize]) -> String {
        let (target, names) = (&self.target, self.names(columns));
        let keys = Postgres::list(self.keys.iter().map(|key| key.name.as_str()));
        let insert =
            format!("INSERT INTO {target} AS t ({names}) SELECT {names} FROM {STAGE} AS s");
        let is_whole = self.required.iter().all(|at| columns.contains(at));
        let same = self.same_key();
        match (columns.is_empty(), is_whole) {
            (true, true) => format!("{insert} ON CONFLICT ({keys}) DO NOTHING"),
            (false, true) => {
                let sets = self.sets(columns, "EXCLUDED");
                format!("{insert} ON CONFLICT ({keys}) DO UPDATE SET {sets}")
            }
            (is_empty, false) => {
                let sets = self.sets(columns, "s");
                let update = match is_empty {
                    true => String::new(),
                    false => {
                        format!("UPDATE {target} AS t SET {sets} FROM {STAGE} AS s WHERE {same}; ")
                    }
                };
                format!(
                    "{update}{insert} WHERE NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same})"
                )
            }
        }
    }

    fn line(&self, unit: &Unit<'_>, columns: &[usize], out: &mut Vec<u8>) {
        let has_key = unit.row.has_key();
        let mut tab = false;
        let mut separate = |out: &mut Vec<u8>| {
            if std::mem::replace(&mut tab, true) {
                out.push(b'\t');
            }
        };
        for ((key, sql), bytes) in self.keys.iter().zip(&self.key_types).zip(unit.row.keys()) {
            let cell = match has_key {
                true => Cell::Value(key.kind, bytes),
                false => Cell::Absent,
            };
            separate(out);
            copy::cell(cell, sql, out);
        }
        let mut wanted = columns.iter().peekable();
        for (at, cell) in unit.cells().enumerate() {
            if wanted.next_if_eq(&&at).is_some() {
                separate(out);
                copy::cell(cell, &self.types[at], out);
            }
        }
        out.push(b'\n');
    }
}

/// Writes units of a batch. Its session is in a transaction.
pub(super) struct Writer<'s> {
    session: &'s Session,
    shape: &'s Shape,
    /// Something may be in the temporary table.
    is_used: bool,
}

impl<'s> Writer<'s> {
    pub(super) fn new(session: &'s Session, shape: &'s Shape) -> Self {
        Writer {
            session,
            shape,
            is_used: false,
        }
    }

    fn write(&mut self, merged: &Merged<'_>, some: &[usize]) -> Result<(), Failure> {
        let erased = some.iter().copied();
        let erased: Vec<usize> = erased.filter(|&at| merged.units[at].is_erased).collect();
        if !erased.is_empty() {
            self.stage(merged, &[], &erased)?;
            self.session.batch(&self.shape.delete())?;
        }
        for (columns, units) in merged.groups(some) {
            match self.shape.is_keyed() {
                true => {
                    self.stage(merged, &columns, &units)?;
                    self.session.batch(&self.shape.upsert(&columns))?;
                }
                false if columns.is_empty() => {
                    let insert = format!("INSERT INTO {} DEFAULT VALUES", self.shape.target);
                    units.iter().try_for_each(|_| self.session.batch(&insert))?;
                }
                false => self.copy(&self.shape.target, merged, &columns, &units)?,
            }
        }
        Ok(())
    }

    fn stage(
        &mut self,
        merged: &Merged<'_>,
        columns: &[usize],
        units: &[usize],
    ) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_used, true) {
            self.session.batch(&format!("TRUNCATE {STAGE}"))?;
        }
        self.copy(STAGE, merged, columns, units)
    }

    fn copy(
        &self,
        into: &str,
        merged: &Merged<'_>,
        columns: &[usize],
        units: &[usize],
    ) -> Result<(), Failure> {
        let sql = format!("COPY {into} ({}) FROM STDIN", self.shape.names(columns));
        let mut units = units.iter();
        self.session.copy(&sql, |out| match units.next() {
            Some(&at) => {
                self.shape.line(&merged.units[at], columns, out);
                true
            }
            None => false,
        })
    }
}

impl Attempt for Writer<'_> {
    fn attempt(&mut self, merged: &Merged<'_>, some: &[usize]) -> Result<(), Failure> {
        self.session.batch("SAVEPOINT streamhost")?;
        match self.write(merged, some) {
            Ok(()) => self.session.batch("RELEASE SAVEPOINT streamhost"),
            Err(refused @ (Failure::Content(_) | Failure::Together(_))) => {
                let back = "ROLLBACK TO SAVEPOINT streamhost; RELEASE SAVEPOINT streamhost";
                self.session.batch(back)?;
                Err(refused)
            }
            Err(failure) => Err(failure),
        }
    }
}
