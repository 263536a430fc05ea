//! Two tables that are joined by their keys.

use super::super::process::Context;
use super::{TableChange, gives_updates};
use crate::flow::Flow;
use crate::key::Key;
use crate::stream::Stream;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// What a key has now in one of two tables.
#[derive(Serialize, Deserialize)]
enum Sided<K, V, U> {
    Left(K, Option<V>),
    Right(K, Option<U>),
}

impl<'b, F> Stream<'b, F> {
    /// Names the stage that makes these changes of tables, behind a
    /// [`join_table`](Stream::join_table): state is kept under its name. Without it the stage is called
    /// `join-table`.
    pub fn stage_named<K, V>(mut self, name: &str) -> Self
    where
        F: Flow<'b, Item = TableChange<K, V>>,
    {
        if let Some(stage) = self.plan.stages.last_mut() {
            stage.def.name = name.into();
        }
        self
    }
}

impl<'b, K, V, F> Stream<'b, F>
where
    F: Flow<'b, Item = TableChange<K, V>> + 'b,
    K: Key<'b> + Value<'b> + Clone + 'b,
    V: Value<'b> + 'b,
{
    /// A table of the keys that both tables have: `f` makes the value of those of the two. It follows
    /// the changes of both. Where a job joins several, [`stage_named`](Stream::stage_named) tells their
    /// stages apart.
    ///
    /// ```
    /// use streamhost::flow::Flow;
    /// use streamhost::{Job, Record, Stream, TableChange, console, job, kafka, ok, testing};
    ///
    /// fn values<'b>(topic: &str) -> Stream<'b, impl Flow<'b, Item = TableChange<&'b str, &'b str>> + use<'b>> {
    ///     kafka(topic)
    ///         .try_map(|record| {
    ///             let value = if record.has_value() { Some(record.text()?) } else { None };
    ///             ok((record.key_text()?, value))
    ///         })
    ///         .key_by(|(id, _)| *id)
    ///         .named(&format!("{topic}-by-id"))
    ///         .table(|_, (_, value)| value)
    /// }
    ///
    /// /// Names of users with what they pay for.
    /// #[job]
    /// fn plans() -> Job {
    ///     values("names")
    ///         .join_table(values("plans"), |_id, name, plan| format!("{name}: {plan}"))
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(plans);
    /// job.send("names", [Record::from(("1", "ada")), Record::from(("2", "bob"))]);
    /// job.send("plans", [Record::from(("1", "free"))]);
    /// assert_eq!(job.rows("console"), ["key=1 value=ada: free"]);
    /// job.send("names", [Record::from(("1", "Ada")), Record::without_value().with_key(b"1")]);
    /// assert_eq!(job.rows("console"), ["key=1 value=Ada: free", "key=1 (deleted)"]);
    /// ```
    pub fn join_table<F2, U, O, M>(
        self,
        other: Stream<'b, F2>,
        f: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, O>> + use<'b, K, V, F, F2, U, O, M>>
    where
        F2: Flow<'b, Item = TableChange<K, U>> + 'b,
        U: Value<'b> + 'b,
        O: PartialEq + 'b,
        M: Fn(&K, &V, &U) -> O + 'b,
    {
        self.joined(other, move |key, left, right| Some(f(key, left?, right?)))
    }

    /// A table of the keys of the first table: `f` makes the value, also where the other one does not
    /// have the key. It follows the changes of both.
    pub fn left_join_table<F2, U, O, M>(
        self,
        other: Stream<'b, F2>,
        f: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, O>> + use<'b, K, V, F, F2, U, O, M>>
    where
        F2: Flow<'b, Item = TableChange<K, U>> + 'b,
        U: Value<'b> + 'b,
        O: PartialEq + 'b,
        M: Fn(&K, &V, Option<&U>) -> O + 'b,
    {
        self.joined(other, move |key, left, right| Some(f(key, left?, right)))
    }

    fn joined<F2, U, O, M>(
        self,
        other: Stream<'b, F2>,
        f: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<K, O>> + use<'b, K, V, F, F2, U, O, M>>
    where
        F2: Flow<'b, Item = TableChange<K, U>> + 'b,
        U: Value<'b> + 'b,
        O: PartialEq + 'b,
        M: Fn(&K, Option<&V>, Option<&U>) -> Option<O> + 'b,
    {
        let left = self.map(|change| Sided::Left(change.key, change.after));
        let right = other.map(|change| Sided::Right(change.key, change.after));
        let both = left
            .union(right)
            .key_by(|sided: &Sided<K, V, U>| match sided {
                Sided::Left(key, _) | Sided::Right(key, _) => key.clone(),
            });
        gives_updates(both.named("join-table").process(
            move |key: K,
                  sided,
                  state: &mut Option<(Option<V>, Option<U>)>,
                  ctx: &mut Context<'_, TableChange<K, O>>| {
                let of =
                    |(left, right): &(Option<V>, Option<U>)| f(&key, left.as_ref(), right.as_ref());
                let mut both = state.take().unwrap_or((None, None));
                let before = of(&both);
                match sided {
                    Sided::Left(_, value) => both.0 = value,
                    Sided::Right(_, value) => both.1 = value,
                }
                let after = of(&both);
                *state = (both.0.is_some() || both.1.is_some()).then_some(both);
                if let Some(change) = TableChange::of(key, before, after) {
                    ctx.emit(change);
                }
            },
        ))
    }
}
