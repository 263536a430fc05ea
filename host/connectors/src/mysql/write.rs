//! Writes what a batch comes to, within its transaction, by statements of many rows each.
//!
//! ```text
//! deletes ─► DELETE … WHERE key IN (…)
//! each set of columns ─► INSERT … ON DUPLICATE KEY UPDATE, or where a new row would lack something UPDATE
//! without a key: INSERT
//! ```

use super::MySql;
use super::session::Session;
use super::types::SqlType;
use super::value::{key_fault, value};
use crate::sql::{Attempt, Dialect, Failure, Merged, Table, Unit};
use mysql_async::Value;
use streamhost_core::contract::render::Cell;
use streamhost_core::job::connector::COLLATION;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;

/// What a row adds to a statement beside its bytes, at most: of each value, and of the whole.
const VALUE_BYTES: usize = 16;
const HEAD_BYTES: usize = 1024;

/// How the rows of a sink go into its table.
pub(super) struct Shape {
    target: String,
    keys: Vec<ColumnSpec>,
    key_types: Vec<SqlType>,
    columns: Vec<ColumnSpec>,
    types: Vec<SqlType>,
    /// Columns in which a new row must have a value, by their places.
    required: Vec<usize>,
    /// A row may meet one with another key in an index of the table.
    has_rivals: bool,
    /// Keys that differ are different rows.
    is_exact: bool,
    /// The table's database and name.
    pub(super) table: String,
}

impl Shape {
    /// For a table that fits.
    pub(super) fn new(spec: &SinkSpec, table: &Table<MySql>) -> Result<Self, Failure> {
        Ok(Shape {
            target: MySql::quoted_table(&spec.target),
            key_types: table.types(&spec.keys)?,
            types: table.types(&spec.columns)?,
            keys: spec.keys.clone(),
            columns: spec.columns.clone(),
            required: table.required(&spec.columns),
            has_rivals: spec.is_keyed() && table.has_rivals(spec),
            is_exact: !spec.options.is(COLLATION, "accept"),
            table: table.id.clone(),
        })
    }

    fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    fn is_whole(&self, columns: &[usize]) -> bool {
        !self.is_keyed() || self.required.iter().all(|at| columns.contains(at))
    }

    /// The statement that writes so many rows with all columns.
    pub(super) fn whole(&self) -> String {
        self.insert(&(0..self.columns.len()).collect::<Vec<_>>(), 1)
    }

    fn column(&self, at: usize) -> String {
        MySql::quoted(&self.columns[at].name)
    }

    /// Writes so many rows, each in the place of one with its key.
    fn insert(&self, columns: &[usize], rows: usize) -> String {
        let keys = self.keys.iter().map(|key| key.name.as_str());
        let cells = columns.iter().map(|&at| self.columns[at].name.as_str());
        let names = MySql::list(keys.chain(cells));
        let row = format!("({})", listed("?", self.keys.len() + columns.len()));
        let mut sql = format!("INSERT INTO {} ({names}) VALUES ", self.target);
        sql.push_str(&listed(&row, rows));
        if self.is_keyed() {
            sql.push_str(" ON DUPLICATE KEY UPDATE ");
            sql.push_str(&self.changes(columns));
        }
        sql
    }

    /// What becomes of a row that is there. Where it may have another key, that is an error: a
    /// subquery of two rows.
    fn changes(&self, columns: &[usize]) -> String {
        let set = |&at: &usize| {
            let name = self.column(at);
            format!("{name} = VALUES({name})")
        };
        let mut all: Vec<String> = columns.iter().map(set).collect();
        let first = MySql::quoted(&self.keys[0].name);
        if self.has_rivals {
            let same = |key: &ColumnSpec| {
                let name = MySql::quoted(&key.name);
                format!("{name} <=> VALUES({name})")
            };
            let same: Vec<String> = self.keys.iter().map(same).collect();
            let guard = format!(
                "{first} = IF({}, {first}, (SELECT {first} UNION ALL SELECT {first}))",
                same.join(" AND ")
            );
            all.insert(0, guard);
        } else if all.is_empty() {
            all.push(format!("{first} = {first}"));
        }
        all.join(", ")
    }

    fn is_it(&self) -> String {
        let same = |key: &ColumnSpec| format!("{} = ?", MySql::quoted(&key.name));
        let all: Vec<String> = self.keys.iter().map(same).collect();
        all.join(" AND ")
    }

    fn delete(&self, rows: usize) -> String {
        let target = &self.target;
        match &self.keys[..] {
            [one] => {
                let name = MySql::quoted(&one.name);
                format!(
                    "DELETE FROM {target} WHERE {name} IN ({})",
                    listed("?", rows)
                )
            }
            _ => {
                let one = format!("({})", self.is_it());
                format!(
                    "DELETE FROM {target} WHERE {}",
                    vec![one; rows].join(" OR ")
                )
            }
        }
    }

    fn update(&self, columns: &[usize]) -> String {
        let set = |&at: &usize| format!("{} = ?", self.column(at));
        let sets: Vec<String> = columns.iter().map(set).collect();
        let (target, sets) = (&self.target, sets.join(", "));
        format!("UPDATE {target} SET {sets} WHERE {}", self.is_it())
    }

    fn keys_of(&self, unit: &Unit<'_>, out: &mut Vec<Value>) -> Result<(), Failure> {
        let has_key = unit.row.has_key();
        for ((key, sql), bytes) in self.keys.iter().zip(&self.key_types).zip(unit.row.keys()) {
            if !has_key {
                out.push(Value::NULL);
                continue;
            }
            if self.is_exact
                && let Some(fault) = key_fault(key.kind, bytes, sql)
            {
                return Err(Failure::Content(fault));
            }
            out.push(value(Cell::Value(key.kind, bytes), sql)?);
        }
        Ok(())
    }

    fn cells_of(
        &self,
        unit: &Unit<'_>,
        columns: &[usize],
        out: &mut Vec<Value>,
    ) -> Result<(), Failure> {
        let mut wanted = columns.iter().peekable();
        for (at, cell) in unit.cells().enumerate() {
            if wanted.next_if_eq(&&at).is_some() {
                out.push(value(cell, &self.types[at])?);
            }
        }
        Ok(())
    }
}

/// So many of the same, with commas between.
fn listed(one: &str, count: usize) -> String {
    let mut all = String::with_capacity(count * (one.len() + 1));
    for n in 0..count {
        if n > 0 {
            all.push(',');
        }
        all.push_str(one);
    }
    all
}

/// The bytes of some values.
fn bytes_of(values: &[Value]) -> usize {
    let of = |value: &Value| match value {
        Value::Bytes(bytes) => bytes.len() + VALUE_BYTES,
        _ => VALUE_BYTES,
    };
    values.iter().map(of).sum()
}

/// How many of `rows` rows of so many values one statement takes: always one of the same few numbers,
/// so that the server has read the statement before.
fn portion(rows: usize, values: usize, most: usize) -> usize {
    let mut portion = most;
    while portion > 1 && (portion > rows || portion * values > limits::MYSQL_STATEMENT_VALUES_MAX) {
        portion /= 4;
    }
    portion
}

/// Appends the values of a row.
type Values<'f> = dyn Fn(&Unit<'_>, &mut Vec<Value>) -> Result<(), Failure> + 'f;

/// Rows that go by statements of the same form.
struct Form<'f> {
    /// The statement for so many rows.
    sql: &'f dyn Fn(usize) -> String,
    /// The values of one row.
    values: &'f Values<'f>,
    /// Values of a row.
    width: usize,
    /// The most rows of a statement.
    most: usize,
}

/// Writes units of a batch. Its session is in a transaction.
pub(super) struct Writer<'s> {
    session: &'s Session,
    shape: &'s Shape,
}

impl<'s> Writer<'s> {
    pub(super) fn new(session: &'s Session, shape: &'s Shape) -> Self {
        Writer { session, shape }
    }

    fn write(&self, merged: &Merged<'_>, some: &[usize]) -> Result<(), Failure> {
        let shape = self.shape;
        let erased = some.iter().copied();
        let erased: Vec<usize> = erased.filter(|&at| merged.units[at].is_erased).collect();
        if !erased.is_empty() {
            let delete = Form {
                sql: &|rows| shape.delete(rows),
                values: &|unit, out| shape.keys_of(unit, out),
                width: shape.keys.len(),
                most: limits::MYSQL_DELETE_ROWS,
            };
            self.send(&delete, merged, &erased)?;
        }
        for (columns, units) in merged.groups(some) {
            if !shape.is_whole(&columns) {
                self.update(merged, &columns, &units)?;
                continue;
            }
            let insert = Form {
                sql: &|rows| shape.insert(&columns, rows),
                values: &|unit, out| {
                    shape.keys_of(unit, out)?;
                    shape.cells_of(unit, &columns, out)
                },
                width: shape.keys.len() + columns.len(),
                most: limits::MYSQL_STATEMENT_ROWS,
            };
            self.send(&insert, merged, &units)?;
        }
        Ok(())
    }

    /// Gathers rows until they fill a statement.
    fn send(&self, form: &Form<'_>, merged: &Merged<'_>, units: &[usize]) -> Result<(), Failure> {
        let most_bytes = limits::MYSQL_STATEMENT_BYTES.min(self.session.packet_bytes / 2);
        let (mut values, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for &at in units {
            let begun = values.len();
            (form.values)(&merged.units[at], &mut values)?;
            let own = bytes_of(&values[begun..]);
            self.fits(own)?;
            if rows > 0 && bytes + own > most_bytes {
                let next = values.split_off(begun);
                self.flush(form, std::mem::replace(&mut values, next), rows)?;
                (rows, bytes) = (0, 0);
            }
            (rows, bytes) = (rows + 1, bytes + own);
            if rows == portion(usize::MAX, form.width, form.most) {
                self.flush(form, std::mem::take(&mut values), rows)?;
                (rows, bytes) = (0, 0);
            }
        }
        self.flush(form, values, rows)
    }

    fn flush(&self, form: &Form<'_>, values: Vec<Value>, mut rows: usize) -> Result<(), Failure> {
        let mut values = values.into_iter();
        while rows > 0 {
            let portion = portion(rows, form.width, form.most);
            let own = values.by_ref().take(portion * form.width).collect();
            self.session.exec(&(form.sql)(portion), own)?;
            rows -= portion;
        }
        Ok(())
    }

    /// A row that the server could not be sent.
    fn fits(&self, bytes: usize) -> Result<(), Failure> {
        let most = self.session.packet_bytes;
        match bytes + HEAD_BYTES > most {
            false => Ok(()),
            true => Err(Failure::Content(format!(
                "the row has {bytes} bytes, more than the server's max_allowed_packet of {most} takes"
            ))),
        }
    }

    /// Changes rows that are there, one by one: a new one would lack a value.
    fn update(
        &self,
        merged: &Merged<'_>,
        columns: &[usize],
        units: &[usize],
    ) -> Result<(), Failure> {
        let (shape, sql) = (self.shape, self.shape.update(columns));
        for &at in units {
            let mut values = Vec::new();
            shape.cells_of(&merged.units[at], columns, &mut values)?;
            shape.keys_of(&merged.units[at], &mut values)?;
            self.fits(bytes_of(&values))?;
            let found = match columns.is_empty() {
                true => 0,
                false => self.session.exec(&sql, values)?,
            };
            if found == 0 {
                let lacks = shape.required.iter().find(|at| !columns.contains(at));
                let lacks = lacks.map(|&at| shape.column(at)).unwrap_or_default();
                return Err(Failure::Content(format!(
                    "no row has its key, and a new one needs a value in the column {lacks}, which is NOT NULL without a default"
                )));
            }
        }
        Ok(())
    }
}

impl Attempt for Writer<'_> {
    fn attempt(&mut self, merged: &Merged<'_>, some: &[usize]) -> Result<(), Failure> {
        self.session.text("SAVEPOINT streamhost")?;
        match self.write(merged, some) {
            Ok(()) => self.session.text("RELEASE SAVEPOINT streamhost"),
            Err(refused @ Failure::Content(_)) => {
                self.session.text("ROLLBACK TO SAVEPOINT streamhost")?;
                Err(refused)
            }
            Err(failure) => Err(failure),
        }
    }
}
