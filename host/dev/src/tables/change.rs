//! Calls that change cells. Each is made under its table's lock, as one atomic write.

use super::Tables;
use super::fault::{Fault, shown};
use super::schema::Column;
use super::stamps::LATEST_MS;
use super::write::{Changes, newest, row_key};
use hbase_thrift::hbase::{BatchMutation, Mutation, TAppend, TIncrement};
use std::collections::{BTreeMap, HashMap};

/// A cell's row and column.
type Place = (Vec<u8>, Vec<u8>);

/// The time of a call's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Milliseconds, as the client says.
    At(i64),
    /// The store's clock says.
    OnArrival,
}

impl When {
    /// Proves a client's time.
    pub(super) fn new(time_ms: i64) -> Result<Self, Fault> {
        match time_ms {
            LATEST_MS => Ok(When::OnArrival),
            0.. => Ok(When::At(time_ms)),
            _ => Err(Fault::Argument(format!(
                "Timestamp cannot be negative. ts={time_ms}"
            ))),
        }
    }
}

impl Tables {
    fn put_ms(&self, when: When) -> i64 {
        match when {
            When::At(time_ms) => time_ms,
            When::OnArrival => self.stamps.put_ms(),
        }
    }

    fn delete_ms(&self, when: When) -> i64 {
        match when {
            When::At(time_ms) => time_ms,
            When::OnArrival => self.stamps.delete_ms(),
        }
    }

    /// Mutations of one row; without a time its deletes come before its puts, as in HBase.
    pub(super) fn mutate_row(
        &self,
        table: &[u8],
        row: &[u8],
        mutations: Vec<Mutation>,
        when: When,
    ) -> Result<(), Fault> {
        let table = self.table(table)?;
        let _writing = table.lock()?;
        let mut changes = Changes::of(&table);
        row_key(row)?;
        let (deletes, puts): (Vec<_>, Vec<_>) = mutations.into_iter().partition(is_delete);
        if !deletes.is_empty() {
            let time_ms = self.delete_ms(when);
            deletes
                .iter()
                .try_for_each(|delete| changes.erase(row, &column_of(delete), time_ms))?;
        }
        let time_ms = self.put_ms(when);
        puts.into_iter().try_for_each(|put| {
            changes.put(
                row,
                &column_of(&put),
                put.value.unwrap_or_default(),
                time_ms,
            )
        })?;
        changes.commit(&self.database)
    }

    /// Mutations of many rows, all or none; without a time all puts come before all deletes, as in
    /// HBase.
    pub(super) fn mutate_rows(
        &self,
        table: &[u8],
        rows: Vec<BatchMutation>,
        when: When,
    ) -> Result<(), Fault> {
        if rows
            .iter()
            .all(|row| row.mutations.as_ref().is_none_or(Vec::is_empty))
        {
            return Ok(()); // HBase does not even look at the table
        }
        let table = self.table(table)?;
        let _writing = table.lock()?;
        let mut changes = Changes::of(&table);
        let mut deletes = Vec::new();
        let time_ms = self.put_ms(when);
        for BatchMutation { row, mutations } in rows {
            let row = row.unwrap_or_default();
            for mutation in mutations.unwrap_or_default() {
                if is_delete(&mutation) {
                    deletes.push((row.clone(), column_of(&mutation)));
                } else {
                    changes.put(
                        &row,
                        &column_of(&mutation),
                        mutation.value.unwrap_or_default(),
                        time_ms,
                    )?;
                }
            }
        }
        if !deletes.is_empty() {
            let time_ms = self.delete_ms(when);
            deletes
                .iter()
                .try_for_each(|(row, column)| changes.erase(row, column, time_ms))?;
        }
        changes.commit(&self.database)
    }

    /// Deletes a column, a family, or with `None` all of a row.
    pub(super) fn delete_cells(
        &self,
        table: &[u8],
        row: &[u8],
        column: Option<&[u8]>,
        when: When,
    ) -> Result<(), Fault> {
        let table = self.table(table)?;
        let _writing = table.lock()?;
        let mut changes = Changes::of(&table);
        let time_ms = self.delete_ms(when);
        match column {
            Some(column) => changes.erase(row, column, time_ms)?,
            None => changes.erase_row(row, time_ms)?,
        }
        changes.commit(&self.database)
    }

    /// Adds to counters and gives their new values, in the order of the call. All of one table's
    /// are one atomic write.
    pub(super) fn increment(&self, increments: Vec<TIncrement>) -> Result<Vec<i64>, Fault> {
        let mut by_table: BTreeMap<Vec<u8>, Vec<(usize, TIncrement)>> = BTreeMap::new();
        for (at, increment) in increments.into_iter().enumerate() {
            by_table
                .entry(increment.table.clone().unwrap_or_default())
                .or_default()
                .push((at, increment));
        }
        let mut values: Vec<(usize, i64)> = Vec::new();
        for (table, increments) in by_table {
            let cells = increments.iter().map(|(_, of)| {
                (
                    of.row.clone().unwrap_or_default(),
                    of.column.clone().unwrap_or_default(),
                )
            });
            let amounts: Vec<i64> = increments
                .iter()
                .map(|(_, of)| of.ammount.unwrap_or(0))
                .collect();
            let changed = self.update(&table, cells.collect(), |at, old| add(old, amounts[at]))?;
            for ((at, _), (value, _)) in increments.iter().zip(changed) {
                values.push((*at, value.try_into().map_or(0, i64::from_be_bytes)));
            }
        }
        values.sort_unstable();
        Ok(values.into_iter().map(|(_, value)| value).collect())
    }

    /// Appends to cells of one row and gives them as they are then, with their times.
    pub(super) fn append(&self, append: TAppend) -> Result<Vec<(Vec<u8>, i64)>, Fault> {
        let row = append.row.unwrap_or_default();
        let (columns, values) = (
            append.columns.unwrap_or_default(),
            append.values.unwrap_or_default(),
        );
        if columns.len() != values.len() || columns.is_empty() {
            return Err(Fault::Argument(format!(
                "append needs as many values as columns, at least one: there are {} and {}",
                values.len(),
                columns.len()
            )));
        }
        let cells = columns
            .into_iter()
            .map(|column| (row.clone(), column))
            .collect();
        self.update(&append.table.unwrap_or_default(), cells, |at, old| {
            Ok([old.unwrap_or_default(), &values[at]].concat())
        })
    }

    /// Changes cells by what they are; gives each one's new value and time.
    fn update(
        &self,
        table: &[u8],
        cells: Vec<Place>,
        change: impl Fn(usize, Option<&[u8]>) -> Result<Vec<u8>, Fault>,
    ) -> Result<Vec<(Vec<u8>, i64)>, Fault> {
        let table = self.table(table)?;
        let _writing = table.lock()?;
        let mut changes = Changes::of(&table);
        let mut pending: HashMap<Place, (Vec<u8>, i64)> = HashMap::new();
        let mut done = Vec::with_capacity(cells.len());
        for (at, (row, mut column)) in cells.into_iter().enumerate() {
            if Column::new(&column).qualifier.is_none() {
                column.push(b':'); // as HBase takes it here, and only here
            }
            let cell = (row, column);
            let old = match pending.get(&cell) {
                Some(old) => Some(old.clone()),
                None => newest(&table, &cell.0, Column::new(&cell.1))?
                    .map(|old| (old.value.to_vec(), old.time_ms)),
            };
            let value = change(at, old.as_ref().map(|(value, _)| value.as_slice()))?;
            let time_ms = self
                .stamps
                .put_ms()
                .max(old.map_or(0, |(_, time_ms)| time_ms));
            changes.put(&cell.0, &cell.1, value.clone(), time_ms)?;
            pending.insert(cell, (value.clone(), time_ms));
            done.push((value, time_ms));
        }
        changes.commit(&self.database)?;
        Ok(done)
    }

    /// Puts if the column's newest value is `expected`; an empty one also means that there is none.
    /// Whether it did.
    pub(super) fn check_and_put(
        &self,
        table: &[u8],
        row: &[u8],
        column: &[u8],
        expected: &[u8],
        put: Mutation,
    ) -> Result<bool, Fault> {
        if is_delete(&put) {
            return Err(Fault::Argument(
                "checkAndPut puts: a mutation that deletes is not taken".to_owned(),
            ));
        }
        let table = self.table(table)?;
        let _writing = table.lock()?;
        let column = Column::new(column);
        if column.qualifier.is_none() {
            return Err(Fault::Argument(format!(
                "no column qualifier in '{}'",
                shown(column.family)
            )));
        }
        let value = newest(&table, row, column)?.map(|cell| cell.value);
        if value.as_deref().unwrap_or_default() != expected {
            return Ok(false);
        }
        let mut changes = Changes::of(&table);
        changes.put(
            row,
            &column_of(&put),
            put.value.unwrap_or_default(),
            self.stamps.put_ms(),
        )?;
        changes.commit(&self.database)?;
        Ok(true)
    }
}

fn is_delete(mutation: &Mutation) -> bool {
    mutation.is_delete == Some(true)
}

fn column_of(mutation: &Mutation) -> Vec<u8> {
    mutation.column.clone().unwrap_or_default()
}

fn add(old: Option<&[u8]>, amount: i64) -> Result<Vec<u8>, Fault> {
    let old = match old {
        None => 0,
        Some(old) => i64::from_be_bytes(old.try_into().map_err(|_| Fault::NotACounter(old.len()))?),
    };
    Ok(old.wrapping_add(amount).to_be_bytes().to_vec())
}
