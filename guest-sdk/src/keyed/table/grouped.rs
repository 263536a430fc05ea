//! Groups of a table's keys, whose sums follow its changes.

use super::super::process::Context;
use super::{TableChange, gives_updates};
use crate::flow::Flow;
use crate::key::Key;
use crate::keyed::Number;
use crate::stream::Stream;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Keys of a table in groups: what [`Stream::group_by`] gives. Say next what is summed up.
#[must_use = "say what is summed up: `.count()`, `.sum(…)`, `.avg(…)`"]
pub struct GroupedTable<'b, K, V, F, Q, H> {
    stream: Stream<'b, F>,
    group: H,
    name: Option<String>,
    of: PhantomData<(K, V, Q)>,
}

impl<'b, K, V, F> Stream<'b, F>
where
    F: Flow<'b, Item = TableChange<K, V>> + 'b,
    K: 'b,
    V: 'b,
{
    /// Puts the keys of a table into groups. A key whose group changes with its value leaves the one
    /// that it was in, so that `count`, `sum` and `avg` are always those of the table as it stands. A
    /// group without keys is gone.
    pub fn group_by<Q, H>(self, group: H) -> GroupedTable<'b, K, V, F, Q, H>
    where
        Q: Key<'b>,
        H: Fn(&K, &V) -> Q,
    {
        GroupedTable {
            stream: self,
            group,
            name: None,
            of: PhantomData,
        }
    }
}

/// What a change of the table means for a group.
#[derive(Serialize, Deserialize)]
struct Moved<Q, S> {
    group: Q,
    /// A key had this, and has it no more.
    less: Option<S>,
    /// A key has this now.
    more: Option<S>,
}

/// What the keys of a group come to.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Tally<S> {
    keys: u64,
    sum: S,
}

impl<'b, K, V, F, Q, H> GroupedTable<'b, K, V, F, Q, H>
where
    F: Flow<'b, Item = TableChange<K, V>> + 'b,
    K: 'b,
    V: 'b,
    Q: Key<'b> + Value<'b> + Clone + PartialEq + 'b,
    H: Fn(&K, &V) -> Q + 'b,
{
    /// Names the stage, as [`KeyedBy::named`](crate::KeyedBy::named) does.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many keys each group has.
    pub fn count(
        self,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<Q, u64>> + use<'b, K, V, F, Q, H>> {
        self.tally("count", |_| 0_u64, |tally| tally.keys)
    }

    /// The sum of a number of each value. A sum of integers beyond 64 bits is a fault; one of floats
    /// is not exact to the last digits, as what leaves it is subtracted.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, ok, testing};
    ///
    /// /// The highest bid of each auction, summed up by category.
    /// #[job]
    /// fn highest() -> Job {
    ///     kafka("bids")
    ///         .try_map(|record| {
    ///             let [auction, category, price] = fields(record.text()?, ',')?;
    ///             ok((auction, category, price.parse::<u64>()?))
    ///         })
    ///         .key_by(|(auction, ..)| *auction)
    ///         .table(|best, (_, category, price)| match best {
    ///             Some((_, best)) if best >= price => Some((category, best)),
    ///             _ => Some((category, price)),
    ///         })
    ///         .group_by(|_auction, (category, _)| *category)
    ///         .sum(|(_, price)| *price)
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(highest);
    /// job.send("bids", ["1,books,5", "2,books,7", "1,books,3", "1,books,9"]);
    /// let rows = job.rows("console");
    /// assert_eq!(rows, ["key=books value=5", "key=books value=9", "key=books value=16"]);
    /// ```
    pub fn sum<N, M>(
        self,
        number: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<Q, N::Sum>> + use<'b, K, V, F, Q, H, N, M>>
    where
        N: Number + 'b,
        N::Sum: PartialEq,
        M: Fn(&V) -> N + 'b,
    {
        self.tally("sum", number, |tally| tally.sum)
    }

    /// The average of a number of each value.
    pub fn avg<N, M>(
        self,
        number: M,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<Q, f64>> + use<'b, K, V, F, Q, H, N, M>>
    where
        N: Number + 'b,
        M: Fn(&V) -> N + 'b,
    {
        self.tally("avg", number, |tally| {
            N::float(tally.sum) / tally.keys as f64
        })
    }

    fn tally<N, M, O, R>(
        self,
        verb: &str,
        number: M,
        result: R,
    ) -> Stream<'b, impl Flow<'b, Item = TableChange<Q, O>> + use<'b, K, V, F, Q, H, N, M, O, R>>
    where
        N: Number + 'b,
        M: Fn(&V) -> N + 'b,
        O: PartialEq + 'b,
        R: Fn(Tally<N::Sum>) -> O + 'b,
    {
        let GroupedTable {
            stream,
            group,
            name,
            of: _,
        } = self;
        let name = name.unwrap_or_else(|| verb.to_owned());
        let of = move |key: &K, value: Option<V>| {
            value.map(|value| (group(key, &value), number(&value).sum()))
        };
        let moved = stream.flat_map(move |TableChange { key, before, after }| {
            in_groups(of(&key, before), of(&key, after))
        });
        let keyed = moved.key_by(|moved: &Moved<Q, N::Sum>| moved.group.clone());
        gives_updates(keyed.named(&name).process(
            move |group: Q,
                  moved,
                  tally: &mut Option<Tally<N::Sum>>,
                  ctx: &mut Context<'_, TableChange<Q, O>>| {
                let before = tally.map(&result);
                *tally = changed::<Q, N>(*tally, &moved);
                let after = tally.map(&result);
                if let Some(change) = TableChange::of(group, before, after) {
                    ctx.emit(change);
                }
            },
        ))
    }
}

/// What a change means for the group that the key was in, and the one that it is in.
fn in_groups<Q: PartialEq, S>(
    before: Option<(Q, S)>,
    after: Option<(Q, S)>,
) -> impl Iterator<Item = Moved<Q, S>> {
    let moved = match (before, after) {
        (Some((group, less)), Some((same, more))) if group == same => [
            Some(Moved {
                group,
                less: Some(less),
                more: Some(more),
            }),
            None,
        ],
        (before, after) => [
            before.map(|(group, less)| Moved {
                group,
                less: Some(less),
                more: None,
            }),
            after.map(|(group, more)| Moved {
                group,
                less: None,
                more: Some(more),
            }),
        ],
    };
    moved.into_iter().flatten()
}

/// What a group comes to after a change. None: it has no keys.
fn changed<Q, N: Number>(
    tally: Option<Tally<N::Sum>>,
    moved: &Moved<Q, N::Sum>,
) -> Option<Tally<N::Sum>> {
    let mut tally = tally;
    if let Some(more) = moved.more {
        tally = Some(match tally {
            None => Tally { keys: 1, sum: more },
            Some(Tally { keys, sum }) => Tally {
                keys: keys + 1,
                sum: N::add(sum, more),
            },
        });
    }
    match (tally, moved.less) {
        (Some(Tally { keys, sum }), Some(less)) => (keys > 1).then(|| Tally {
            keys: keys - 1,
            sum: N::subtract(sum, less),
        }),
        (tally, _) => tally,
    }
}
