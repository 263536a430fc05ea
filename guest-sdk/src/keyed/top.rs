//! The largest of what a batch or window came to.

use super::groups::{Finished, Group, Grouped, Window};
use super::number::Comparable;
use super::reduce::{Merge, Reduction};
use super::scoped::Batched;
use crate::call::Input;
use crate::cell::{Cell, Kind, Time};
use crate::flow::{Context, Flow};
use crate::key::Key;
use crate::row::{ColumnDef, Row, RowShape, RowWriter};
use crate::stream::Stream;
use crate::value::Value;
use std::cmp::Ordering;
use std::marker::PhantomData;

/// A key's place among those of its batch or window: see [`Stream::top`].
///
/// As a row it has the window's start and the rank, joined by `/`, as its key, and the columns
/// `key`, `value` and `until`, the window's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ranked<K, V> {
    /// The first one is 1.
    pub rank: u32,
    /// The key.
    pub key: K,
    /// What its items were reduced to.
    pub value: V,
    /// The window, or the batch's time.
    pub window: Window,
    /// The time of the batch that gave it out.
    pub batch: Time,
}

impl<K: Cell, V: Cell> Row for Ranked<K, V> {
    type Key = (Time, u32);
    const SHAPE: RowShape = RowShape {
        keys: &[ColumnDef::key::<str>("start/rank")],
        key_columns: &[
            ColumnDef::key_column::<Time>("start"),
            ColumnDef::key_column::<u32>("rank"),
        ],
        dynamic: false,
        headers: false,
        columns: &[
            ColumnDef {
                name: "key",
                kind: K::KIND,
                optional: K::OPTIONAL,
            },
            ColumnDef {
                name: "value",
                kind: V::KIND,
                optional: V::OPTIONAL,
            },
            ColumnDef {
                name: "until",
                kind: Kind::Time,
                optional: false,
            },
        ],
    };
    #[inline]
    fn write_key((start, rank): &(Time, u32), out: &mut RowWriter) {
        out.key_before(start, "/");
        out.key(rank);
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        Self::write_key(&(self.window.start, self.rank), out);
        out.cell(&self.key);
        out.cell(&self.value);
        out.cell(&self.window.end);
    }
}

/// The `n` largest by value; of equal ones those with the smaller keys, so that a replay ranks
/// alike.
#[derive(Debug)]
pub struct Top<K, V> {
    n: usize,
    of: PhantomData<(K, V)>,
}

impl<K: Ord, V: Comparable> Top<K, V> {
    fn insert(&self, all: &mut Vec<(K, V)>, new: (K, V)) {
        let stands_before = |old: &(K, V)| match new.1.compare(&old.1) {
            Ordering::Less => true,
            Ordering::Equal => old.0 <= new.0,
            Ordering::Greater => false,
        };
        let at = all.partition_point(stands_before);
        if at < self.n {
            all.insert(at, new);
            all.truncate(self.n);
        }
    }
}

impl<K: Ord, V: Comparable> Merge for Top<K, V> {
    type Acc = Vec<(K, V)>;
    type Value = Vec<(K, V)>;
    type Kept = Vec<(K, V)>;
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc) {
        other.into_iter().for_each(|new| self.insert(acc, new));
    }
    fn value(&self, acc: Self::Acc) -> Option<Self::Value> {
        Some(acc)
    }
    fn kept(&self, kept: Self::Kept) -> Self::Acc {
        kept
    }
    fn mistake(&self) -> Option<String> {
        let n = self.n;
        (!(1..=TOP_MAX).contains(&n)).then(|| format!("`.top({n})` is not 1 to {TOP_MAX} keys"))
    }
}

impl<K: Ord, V: Comparable> Reduction<Group<K, V>> for Top<K, V> {
    fn first(&self, group: Group<K, V>, _: Time) -> Self::Acc {
        vec![(group.key, group.value)]
    }
    fn add(&self, acc: &mut Self::Acc, group: Group<K, V>, _: Time) {
        self.insert(acc, (group.key, group.value));
    }
}

/// What [`Stream::top`] yields.
pub struct Ranks<'b, K: Ord, V: Comparable>(Grouped<'b, (Time, Time), Top<K, V>, Batched>);

impl<'b, K: Ord, V: Comparable> Flow<'b> for Ranks<'b, K, V> {
    type Item = Ranked<K, V>;
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(Ranked<K, V>, &mut Context),
    ) {
        self.0.each(input, context, |all, context| {
            let window = Window {
                start: all.key.0,
                end: all.key.1,
            };
            for (rank, (key, value)) in (1..).zip(all.value) {
                next(
                    Ranked {
                        rank,
                        key,
                        value,
                        window,
                        batch: all.batch,
                    },
                    context,
                );
            }
        });
    }
}

/// Ranks are kept in one value, which must not grow without bound.
const TOP_MAX: usize = 10_000;

impl<'b, F: Flow<'b> + 'b> Stream<'b, F> {
    /// The `n` keys with the largest values of each batch or window: `.window(…).count().top(10)`.
    /// Of equal values those with the smaller keys. It is a keyed stage, called `top`;
    /// [`named`](Stream::named) gives it another name.
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka, minutes, tumbling};
    ///
    /// #[job]
    /// fn trending() -> Job {
    ///     kafka("tags")
    ///         .try_map(|record| record.text())
    ///         .key_by(|tag| *tag)
    ///         .window(tumbling(minutes(5)))
    ///         .count()
    ///         .top(10)
    ///         .to(console())
    /// }
    /// ```
    pub fn top<K, V>(self, n: usize) -> Stream<'b, Ranks<'b, K, V>>
    where
        F::Item: Finished<Key = K, Value = V>,
        K: Key<'b> + Ord + Value<'b> + 'b,
        V: Comparable + Value<'b> + 'b,
    {
        let keyed = self
            .map(Finished::group)
            .key_by(|group: &Group<K, V>| (group.window.start, group.window.end));
        let top = Top { n, of: PhantomData };
        keyed.each_batch().reduction("top", top).then(Ranks)
    }
}

impl<'b, K: Ord, V: Comparable> Stream<'b, Ranks<'b, K, V>> {
    /// Names the stage, where a job has several tops.
    pub fn named(mut self, name: &str) -> Self {
        if let Some(stage) = self.plan.stages.last_mut() {
            stage.def.name = name.into();
        }
        self
    }
}
