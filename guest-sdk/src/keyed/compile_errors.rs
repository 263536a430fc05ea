//! A forgotten scope, told in words: `.count()` straight after `.key_by(…)`.

use super::KeyedBy;
use super::groups::Grouped;
use super::number::{Comparable, Number};
use super::reduce::{Count, Distinct, Extreme, Fold, Reduce, Sum};
use super::scoped::Batched;
use crate::flow::Flow;
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
}
