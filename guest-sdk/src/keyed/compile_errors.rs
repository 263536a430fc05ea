//! What authors forget or mix up behind `key_by`, told in words: the scope, as in `.count()` straight
//! after `.key_by(…)`; the reduction, as in `.window(…).map(…)`; keys of two types.

use super::KeyedBy;
use super::aggregate::Each;
use super::groups::Grouped;
use super::number::{Comparable, Number};
use super::reduce::{Count, Distinct, Extreme, Fold, Reduce, Sum};
use super::scoped::{Batched, Scoped};
use crate::flow::{Filter, FlatMap, Flow, Map, TryMap};
use crate::job::Job;
use crate::sink::Sink;
use crate::stream::Stream;

/// Never implemented: the verbs of [`Scoped`](crate::Scoped) that are called without a scope are
/// met by this text, not by `Iterator`'s.
#[diagnostic::on_unimplemented(
    message = "reduced over what: each batch, a window, or all time?",
    label = "no scope yet",
    note = "write `.each_batch()`, `.window(tumbling(minutes(5)))` or `.running()` before it"
)]
pub trait HasScope {}

const NEVER: &str = "its condition is never implemented, so nothing calls it";

#[doc(hidden)]
impl<'b, K, F: Flow<'b>, G> KeyedBy<'b, K, F, G> {
    pub fn count(self) -> Stream<'b, Grouped<'b, K, Count, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn aggregate<W, A>(self, _: W) -> Stream<'b, Grouped<'b, K, Count, Batched>>
    where
        W: FnOnce(Each<F::Item>) -> A,
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn avg<N: Number, H: Fn(F::Item) -> N>(
        self,
        _: H,
    ) -> Stream<'b, Grouped<'b, K, Sum<H, N>, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn distinct(self) -> Stream<'b, Grouped<'b, K, Distinct, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn sum<N: Number, H: Fn(F::Item) -> N>(
        self,
        _: H,
    ) -> Stream<'b, Grouped<'b, K, Sum<H, N>, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn min<V: Comparable, H: Fn(F::Item) -> V>(
        self,
        _: H,
    ) -> Stream<'b, Grouped<'b, K, Extreme<H, V>, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn max<V: Comparable, H: Fn(F::Item) -> V>(
        self,
        _: H,
    ) -> Stream<'b, Grouped<'b, K, Extreme<H, V>, Batched>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn reduce<R>(self, _: R) -> Stream<'b, Grouped<'b, K, Reduce<F::Item, R>, Batched>>
    where
        R: Fn(F::Item, F::Item) -> F::Item,
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn fold<Acc, I, A, M>(
        self,
        _: I,
        _: A,
        _: M,
    ) -> Stream<'b, Grouped<'b, K, Fold<I, A, M>, Batched>>
    where
        I: Fn() -> Acc,
        A: Fn(&mut Acc, F::Item),
        M: Fn(&mut Acc, Acc),
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn map<U, H: Fn(F::Item) -> U>(self, _: H) -> Stream<'b, Map<F, H>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn filter<H: Fn(&F::Item) -> bool>(self, _: H) -> Stream<'b, Filter<F, H>>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }

    pub fn to(self, _: impl Into<Sink>) -> Job<'b>
    where
        Self: HasScope,
    {
        unreachable!("{NEVER}")
    }
}

/// Never implemented: operators that stand where a reduction is missing are met by this text.
#[diagnostic::on_unimplemented(
    message = "reduced to what? There is a scope, and no reduction yet",
    label = "no reduction yet",
    note = "say what is made of each key's items: `.count()`, `.sum(…)`, `.reduce(…)`, `.fold(…)` and so on; its groups can be mapped",
    note = "what is to happen to each item by itself stands before `.key_by(…)`"
)]
pub trait HasReduction {}

#[doc(hidden)]
impl<'b, K, F: Flow<'b>, G, S> Scoped<'b, K, F, G, S> {
    pub fn map<U, H: Fn(F::Item) -> U>(self, _: H) -> Stream<'b, Map<F, H>>
    where
        Self: HasReduction,
    {
        unreachable!("{NEVER}")
    }

    pub fn try_map<U, E, H: Fn(F::Item) -> Result<U, E>>(self, _: H) -> Stream<'b, TryMap<F, H>>
    where
        Self: HasReduction,
    {
        unreachable!("{NEVER}")
    }

    pub fn filter<H: Fn(&F::Item) -> bool>(self, _: H) -> Stream<'b, Filter<F, H>>
    where
        Self: HasReduction,
    {
        unreachable!("{NEVER}")
    }

    pub fn flat_map<I: IntoIterator, H: Fn(F::Item) -> I>(self, _: H) -> Stream<'b, FlatMap<F, H>>
    where
        Self: HasReduction,
    {
        unreachable!("{NEVER}")
    }

    pub fn to(self, _: impl Into<Sink>) -> Job<'b>
    where
        Self: HasReduction,
    {
        unreachable!("{NEVER}")
    }
}

/// The key of the other side of a join or lookup: of the same type as this side's.
#[diagnostic::on_unimplemented(
    message = "the two sides have different keys: `{K}` on the left, `{Self}` on the right",
    label = "keyed by `{Self}`",
    note = "partners have the same key, of the same type: give both sides' `.key_by(…)` the same kind of key"
)]
pub trait SameKey<K> {}

impl<K> SameKey<K> for K {}
