//! A table as it is: looked at when a job is deployed, and whenever its sink is opened.

use super::Failure;
use crate::connector::all_of;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::limits;
use streamhost_core::types::Kind;

/// How a database writes what a table consists of.
pub(crate) trait Dialect: Sized + fmt::Debug {
    /// What it is called.
    const SERVER: &'static str;
    /// By what a table is known, whatever becomes of it.
    type Id: fmt::Debug;
    /// A column's type.
    type Type: ColumnType;
    /// What else is known of a table.
    type More: fmt::Debug;

    /// A name as it stands in a statement.
    fn quoted(name: &str) -> String;

    /// A table's name as it stands in a statement.
    fn quoted_table(target: &str) -> String;

    /// The type that a column of this kind is created with.
    fn made(kind: Kind) -> &'static str;

    /// What is wrong with a column's name.
    fn name_fault(name: &str) -> Option<String>;

    /// The statement by which a column may be NULL, without its `ALTER TABLE`.
    fn nullable(name: &str, column: &Column<Self::Type>) -> String;

    /// What else does not fit.
    fn more_faults(table: &Table<Self>, spec: &SinkSpec) -> Vec<String>;

    /// Names with commas between.
    fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        let all: Vec<String> = names.into_iter().map(Self::quoted).collect();
        all.join(", ")
    }
}

/// A type of a column.
pub(crate) trait ColumnType: fmt::Debug + Clone {
    /// Whether a column of this type takes cells of that kind. A value that is too large for it is
    /// the row's fault, not the column's.
    fn takes(&self, kind: Kind) -> bool;

    /// As users write it, such as `character varying(12)`.
    fn shown(&self) -> &str;
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table<D: Dialect> {
    pub(crate) id: D::Id,
    pub(crate) columns: BTreeMap<String, Column<D::Type>>,
    /// The columns of each index by which rows are unique.
    pub(crate) unique: Vec<BTreeSet<String>>,
    /// Why it is no table of rows.
    pub(crate) unfit: Option<String>,
    pub(crate) more: D::More,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column<T> {
    pub(crate) sql: T,
    /// Every row must have a value there, and nothing fills one in.
    pub(crate) is_required: bool,
    /// The table makes its value itself, always.
    pub(crate) is_made: bool,
}

impl<D: Dialect> Table<D> {
    /// Whether a sink's rows fit into it; else all that is in the way, each with what to do.
    pub(crate) fn fits(&self, spec: &SinkSpec) -> Result<(), Failure> {
        if let Some(reason) = &self.unfit {
            return Err(Failure::Refused(reason.clone()));
        }
        let mut faults = own_faults::<D>(spec);
        let table = D::quoted_table(&spec.target);
        for column in spec.keys.iter().chain(&spec.columns) {
            faults.extend(self.fault_of(column, &table));
        }
        let keys: BTreeSet<String> = spec.keys.iter().map(|key| key.name.clone()).collect();
        if !keys.is_empty() && faults.is_empty() && !self.unique.contains(&keys) {
            let names = D::list(spec.keys.iter().map(|key| key.name.as_str()));
            faults.push(format!(
                "its rows are not unique by the job's key {names}: ALTER TABLE {table} ADD PRIMARY KEY ({names}), or give \
                 the rows its own key"
            ));
        }
        let given = |name: &String| {
            let mut all = spec.keys.iter().chain(&spec.columns);
            all.any(|column| column.name == *name)
        };
        let lacking = self.columns.iter();
        for (name, column) in lacking.filter(|(name, column)| column.is_required && !given(name)) {
            faults.push(format!(
                "its column {} is NOT NULL without a default, and no row of the job has it: give the rows one, or ALTER \
                 TABLE {table} {}",
                D::quoted(name),
                D::nullable(name, column)
            ));
        }
        faults.extend(D::more_faults(self, spec));
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Failure::Refused(all_of(
                faults,
                limits::SQL_FAULTS_SHOWN_MAX,
            ))),
        }
    }

    fn fault_of(&self, wanted: &ColumnSpec, table: &str) -> Option<String> {
        let (name, kind) = (D::quoted(&wanted.name), wanted.kind);
        let Some(column) = self.columns.get(&wanted.name) else {
            return Some(format!(
                "it has no column {name}: ALTER TABLE {table} ADD COLUMN {name} {}",
                D::made(kind)
            ));
        };
        if column.is_made {
            return Some(format!(
                "its column {name} is made by the table itself: leave it out of the rows"
            ));
        }
        (!column.sql.takes(kind)).then(|| {
            format!(
                "its column {name} is {}, and the job gives {}, which is {}: change one of the two",
                column.sql.shown(),
                kind.word(),
                D::made(kind)
            )
        })
    }

    /// The types of a sink's columns, of which it has all.
    pub(crate) fn types(&self, columns: &[ColumnSpec]) -> Result<Vec<D::Type>, Failure> {
        let of = |column: &ColumnSpec| {
            let found = self.columns.get(&column.name);
            let missing =
                || Failure::Refused(format!("it has no column {}", D::quoted(&column.name)));
            found.map(|c| c.sql.clone()).ok_or_else(missing)
        };
        columns.iter().map(of).collect()
    }

    /// Those of a sink's columns in which a new row must have a value, by their places.
    pub(crate) fn required(&self, columns: &[ColumnSpec]) -> Vec<usize> {
        let is_required = |column: &ColumnSpec| {
            let found = self.columns.get(&column.name);
            found.is_some_and(|column| column.is_required)
        };
        let required = columns.iter().enumerate();
        let required = required.filter(|(_, column)| is_required(column));
        required.map(|(at, _)| at).collect()
    }
}

/// What no table could hold.
fn own_faults<D: Dialect>(spec: &SinkSpec) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for column in spec.keys.iter().chain(&spec.columns) {
        let name = &column.name;
        faults.extend(D::name_fault(name));
        if !seen.insert(name) {
            faults.push(format!(
                "the job's rows have {} twice, as key and as column: leave one out",
                D::quoted(name)
            ));
        }
    }
    faults
}
