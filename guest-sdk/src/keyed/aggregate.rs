//! Several reductions of the same items at once.

use super::number::{Comparable, Number};
use super::of_values::{ApproxDistinct, Avg, By, Collect, Endmost, Percentiles};
use super::reduce::{Count, Extreme, Merge, Reduction, Sum};
use crate::cell::Time;
use std::cmp::Ordering;
use std::marker::PhantomData;

/// One of the reductions that [`aggregate`](crate::Scoped::aggregate) has made at once: as a
/// [`Reduction`], but it only looks at the items.
pub trait Aggregate<T>: Merge {
    /// The accumulator of one item.
    fn first(&self, item: &T, at: Time) -> Self::Acc;
    /// Takes in one more item.
    fn add(&self, acc: &mut Self::Acc, item: &T, at: Time);
}

/// What can be made of each key's items, several at once: what the closure of
/// [`aggregate`](crate::Scoped::aggregate) is given.
pub struct Each<T>(PhantomData<fn(T)>);

impl<T> Each<T> {
    pub(super) fn new() -> Self {
        Each(PhantomData)
    }

    /// How many items there are.
    pub fn count(&self) -> Count {
        Count
    }

    /// How many items there are for which `f` is true.
    pub fn count_if<H: Fn(&T) -> bool>(&self, f: H) -> By<H, bool, Count> {
        By::new(f, Count)
    }

    /// The sum of a number of each item: see [`Scoped::sum`](crate::Scoped::sum).
    pub fn sum<N: Number, H: Fn(&T) -> N>(&self, number: H) -> Sum<H, N> {
        Sum(number, PhantomData)
    }

    /// The mean of a number of each item: see [`Scoped::avg`](crate::Scoped::avg).
    pub fn avg<N: Number, H: Fn(&T) -> N>(&self, number: H) -> By<H, N, Avg<N>> {
        By::new(number, Avg::new())
    }

    /// The least value that any item has. Of equal ones the first.
    pub fn min<V: Comparable, H: Fn(&T) -> V>(&self, value: H) -> Extreme<H, V> {
        extreme(value, Ordering::Less)
    }

    /// The largest value that any item has. Of equal ones the first.
    pub fn max<V: Comparable, H: Fn(&T) -> V>(&self, value: H) -> Extreme<H, V> {
        extreme(value, Ordering::Greater)
    }

    /// The earliest item's value: see [`Scoped::first`](crate::Scoped::first).
    pub fn first<V: Comparable, H: Fn(&T) -> V>(&self, value: H) -> By<H, V, Endmost<V>> {
        By::new(value, Endmost::first())
    }

    /// The latest item's value: see [`Scoped::last`](crate::Scoped::last).
    pub fn last<V: Comparable, H: Fn(&T) -> V>(&self, value: H) -> By<H, V, Endmost<V>> {
        By::new(value, Endmost::last())
    }

    /// The values of the `n` earliest items: see [`Scoped::collect`](crate::Scoped::collect).
    pub fn collect<V: Comparable, H: Fn(&T) -> V>(
        &self,
        n: usize,
        value: H,
    ) -> By<H, V, Collect<V>> {
        By::new(value, Collect::new(n))
    }

    /// About how many different values there are: see
    /// [`Scoped::approx_distinct`](crate::Scoped::approx_distinct).
    pub fn approx_distinct<'b, V: crate::Key<'b>, H: Fn(&T) -> V>(
        &self,
        value: H,
    ) -> By<H, V, ApproxDistinct> {
        By::new(value, ApproxDistinct)
    }

    /// Numbers below which so many of a hundred are: see
    /// [`Scoped::percentiles`](crate::Scoped::percentiles).
    pub fn percentiles<const P: usize, N: Number, H: Fn(&T) -> N>(
        &self,
        of_hundred: [f64; P],
        number: H,
    ) -> By<H, N, Percentiles<P>> {
        By::new(number, Percentiles(of_hundred))
    }
}

fn extreme<H, V>(of: H, wins: Ordering) -> Extreme<H, V> {
    Extreme {
        of,
        wins,
        value: PhantomData,
    }
}

impl<T> Aggregate<T> for Count {
    #[inline]
    fn first(&self, _: &T, _: Time) -> u64 {
        1
    }
    #[inline]
    fn add(&self, acc: &mut u64, _: &T, _: Time) {
        *acc += 1;
    }
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for Sum<F, N> {
    #[inline]
    fn first(&self, item: &T, _: Time) -> N::Sum {
        (self.0)(item).sum()
    }
    #[inline]
    fn add(&self, acc: &mut N::Sum, item: &T, _: Time) {
        *acc = N::add(*acc, (self.0)(item).sum());
    }
}

impl<T, V: Comparable, F: Fn(&T) -> V> Aggregate<T> for Extreme<F, V> {
    #[inline]
    fn first(&self, item: &T, _: Time) -> V {
        (self.of)(item)
    }
    #[inline]
    fn add(&self, acc: &mut V, item: &T, _: Time) {
        self.merge(acc, (self.of)(item));
    }
}

/// See [`Scoped::aggregate`](crate::Scoped::aggregate).
#[derive(Debug)]
pub struct All<A>(pub(super) A);

macro_rules! tuples {
    ($(($($part:ident $at:tt),*))*) => { $(
        impl<$($part: Merge),*> Merge for All<($($part,)*)> {
            const ADDS_UP: bool = false $(|| $part::ADDS_UP)*;
            type Acc = ($($part::Acc,)*);
            type Value = ($($part::Value,)*);
            type Kept = ($($part::Kept,)*);
            #[inline]
            fn merge(&self, acc: &mut Self::Acc, other: Self::Acc) {
                $(self.0.$at.merge(&mut acc.$at, other.$at);)*
            }
            #[inline]
            fn resume(&self, acc: &mut Self::Acc) {
                $(self.0.$at.resume(&mut acc.$at);)*
            }
            #[inline]
            fn value(&self, acc: Self::Acc) -> Option<Self::Value> {
                Some(($(self.0.$at.value(acc.$at)?,)*))
            }
            fn kept(&self, kept: Self::Kept) -> Self::Acc {
                ($(self.0.$at.kept(kept.$at),)*)
            }
            fn mistake(&self) -> Option<String> {
                None$(.or_else(|| self.0.$at.mistake()))*
            }
        }

        impl<T, $($part: Aggregate<T>),*> Reduction<T> for All<($($part,)*)> {
            #[inline]
            fn first(&self, item: T, at: Time) -> Self::Acc {
                ($(self.0.$at.first(&item, at),)*)
            }
            #[inline]
            fn add(&self, acc: &mut Self::Acc, item: T, at: Time) {
                $(self.0.$at.add(&mut acc.$at, &item, at);)*
            }
        }
    )* };
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}
