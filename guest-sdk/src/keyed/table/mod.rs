//! Tables that change: one value for each key, what became of it, and what is made of that.

mod grouped;
mod joined;

pub use grouped::GroupedTable;

use super::KeyedBy;
use super::process::Context;
use crate::cell::{Cell, KeyPart};
use crate::flow::Flow;
use crate::key::Key;
use crate::row::{ColumnDef, Row, RowShape, RowWriter};
use crate::stream::Stream;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// What became of one key of a [`table`](crate::KeyedBy::table): the value that it had, and the one
/// that it has now. One of them is there at least, and they differ.
///
/// As a row it is its key and a column `value`, and one that is gone deletes the row.
/// [`TableChange::row`] makes rows with other columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableChange<K, V> {
    /// The key.
    pub key: K,
    /// What it had. None: it was not there.
    pub before: Option<V>,
    /// What it has now. None: it is gone.
    pub after: Option<V>,
}

impl<K, V> TableChange<K, V> {
    /// The row to be written for it: `row` makes it of the key and the value, and a key that is gone
    /// is deleted.
    pub fn row<R: Row<Key = K>>(self, row: impl FnOnce(K, V) -> R) -> crate::Change<R> {
        match self.after {
            Some(value) => crate::Change::Put(row(self.key, value)),
            None => crate::Change::Delete(self.key),
        }
    }

    /// The same of other values; none where nothing has changed then.
    fn of_values<U: PartialEq>(self, f: impl Fn(V) -> Option<U>) -> Option<TableChange<K, U>> {
        let (before, after) = (self.before.and_then(&f), self.after.and_then(&f));
        TableChange::of(self.key, before, after)
    }
}

impl<K, V: PartialEq> TableChange<K, V> {
    /// None: nothing has changed.
    fn of(key: K, before: Option<V>, after: Option<V>) -> Option<Self> {
        (before != after).then_some(TableChange { key, before, after })
    }
}

impl<K: KeyPart, V: Cell> Row for TableChange<K, V> {
    type Key = K;
    const SHAPE: RowShape = RowShape {
        keys: &[ColumnDef::key::<K>("key")],
        key_columns: &[ColumnDef::key_column::<K>("key")],
        dynamic: false,
        headers: false,
        columns: &[ColumnDef {
            name: "value",
            kind: V::KIND,
            optional: V::OPTIONAL,
        }],
    };
    const DELETES: bool = true;
    #[inline]
    fn write_key(key: &K, out: &mut RowWriter) {
        out.key(key);
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        out.key(&self.key);
        match &self.after {
            Some(value) => out.cell(value),
            None => out.delete_row(1),
        }
    }
}

impl<'b, K, F, G> KeyedBy<'b, K, F, G>
where
    F: Flow<'b> + 'b,
{
    /// Keeps one value for each key, and gives each change of it: `f` makes the value of the one that
    /// is there and an item, and `None` takes the key out. What an item leaves as it was gives
    /// nothing.
    ///
    /// A [`running`](KeyedBy::running) reduction gives later values of a key, which a count behind it
    /// would take for further items. A [`TableChange`] says what it replaces, so that what is made of
    /// it stays right: [`group_by`](Stream::group_by), [`join_table`](Stream::join_table),
    /// [`map_values`](Stream::map_values), [`filter_values`](Stream::filter_values).
    ///
    /// ```
    /// use streamhost::{Job, Record, TableChange, console, job, kafka, testing};
    ///
    /// /// Where each user lives; a record without a value deletes one.
    /// fn city(record: Record<'_>) -> Result<(&str, Option<&str>), String> {
    ///     let city = if record.has_value() { Some(record.text()?) } else { None };
    ///     Ok((record.key_text()?, city))
    /// }
    ///
    /// /// How many users live in each city, as they move.
    /// #[job]
    /// fn cities() -> Job {
    ///     kafka("users")
    ///         .try_map(city)
    ///         .key_by(|(user, _)| *user)
    ///         .table(|_, (_, city)| city)
    ///         .group_by(|_user, city| *city)
    ///         .count()
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(cities);
    /// job.send("users", [("ada", "paris"), ("bob", "paris"), ("cleo", "rome")].map(Record::from));
    /// assert_eq!(job.rows("console"), ["key=paris value=1", "key=paris value=2", "key=rome value=1"]);
    /// job.send("users", [Record::from(("bob", "rome")), Record::without_value().with_key(b"ada")]);
    /// assert_eq!(job.rows("console"), ["key=paris value=1", "key=paris (deleted)", "key=rome value=2"]);
    /// ```
    ///
    /// It is a [`process`](KeyedBy::process) with the value as its state. Within a batch a key may
    /// change several times; sinks with keys write what comes last.
    pub fn table<V, P>(
        mut self,
        f: P,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, V>> + use<'b, K, F, G, V, P>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F::Item: Value<'b> + 'b,
        V: Value<'b> + Clone + PartialEq + 'b,
        P: Fn(Option<V>, F::Item) -> Option<V> + 'b,
    {
        self.name.get_or_insert_with(|| "table".into());
        gives_updates(self.process(
            move |key: K, item, state: &mut Option<V>, ctx: &mut Context<'_, TableChange<K, V>>| {
                let before = state.take();
                let after = f(before.clone(), item);
                state.clone_from(&after);
                if let Some(change) = TableChange::of(key, before, after) {
                    ctx.emit(change);
                }
            },
        ))
    }
}

/// What the last stage gives are later values of keys, no further items: what adds up is refused
/// behind it.
fn gives_updates<'b, F>(mut stream: Stream<'b, F>) -> Stream<'b, F> {
    if let Some(stage) = stream.plan.stages.last_mut() {
        stage.gives_updates = true;
    }
    stream
}

/// What is made of the changes of a [`table`](crate::KeyedBy::table).
impl<'b, K, V, F> Stream<'b, F>
where
    F: Flow<'b, Item = TableChange<K, V>> + 'b,
    K: 'b,
    V: 'b,
{
    /// The table with other values: `f` makes one of each. Changes that it makes none of are left
    /// out.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, ok, testing};
    ///
    /// /// Full names of users, in capitals.
    /// #[job]
    /// fn names() -> Job {
    ///     kafka("users")
    ///         .try_map(|record| {
    ///             let [id, name] = fields(record.text()?, ',')?;
    ///             ok((id, name))
    ///         })
    ///         .key_by(|(id, _)| *id)
    ///         .table(|_, (_, name)| Some(name))
    ///         .map_values(str::to_uppercase)
    ///         .filter_values(|name| name != "NOBODY")
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(names);
    /// job.send("users", ["1,ada", "2,bob", "1,Ada", "2,nobody"]);
    /// assert_eq!(job.rows("console"), ["key=1 value=ADA", "key=2 value=BOB", "key=2 (deleted)"]);
    /// ```
    pub fn map_values<U, M>(
        self,
        f: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, U>> + use<'b, K, V, F, U, M>>
    where
        U: PartialEq + 'b,
        M: Fn(V) -> U + 'b,
    {
        self.flat_map(move |change| change.of_values(|value| Some(f(value))))
    }

    /// The part of the table whose values `f` is true for: a key whose value is not any more is gone
    /// from it.
    pub fn filter_values<M>(
        self,
        f: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, V>> + use<'b, K, V, F, M>>
    where
        V: PartialEq,
        M: Fn(&V) -> bool + 'b,
    {
        self.flat_map(move |change| change.of_values(|value| f(&value).then_some(value)))
    }
}
