//! The reductions: how an item becomes an accumulator, and two accumulators one.

use super::number::{Comparable, Number};
use crate::cell::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// Accumulators of one reduction: merged wherever two parts of a key's items come together.
pub trait Merge {
    /// As a running reduction it gives a key but once, and never again with another value.
    const GIVES_ONCE: bool = false;
    /// It takes each item for one more: wrong where an item is a later value of an earlier one.
    const ADDS_UP: bool = false;
    /// What is kept.
    type Acc;
    /// What comes out.
    type Value;
    /// What an author makes of an older version's accumulator.
    type Kept;
    /// Takes in what another part of the items came to.
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc);
    /// The accumulator is of earlier batches.
    #[inline]
    fn resume(&self, acc: &mut Self::Acc) {
        let _ = acc;
    }
    /// None: there is nothing to say.
    fn value(&self, acc: Self::Acc) -> Option<Self::Value>;
    /// An accumulator of what an author migrated.
    fn kept(&self, kept: Self::Kept) -> Self::Acc;
    /// What its author gave it and cannot be, in words.
    fn mistake(&self) -> Option<String> {
        None
    }
}

/// How items are taken in, each with its event time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not reduce `{T}`",
    label = "no reduction of these items",
    note = "several at once are a tuple of one to twelve: `.aggregate(|each| (each.count(), each.sum(|sale| sale.cents)))`"
)]
pub trait Reduction<T>: Merge {
    /// The accumulator of one item.
    fn first(&self, item: T, at: Time) -> Self::Acc;
    /// Takes in one more item.
    fn add(&self, acc: &mut Self::Acc, item: T, at: Time);
}

/// See [`Scoped::count`](crate::Scoped::count).
#[derive(Debug)]
pub struct Count;

impl Merge for Count {
    const ADDS_UP: bool = true;
    type Acc = u64;
    type Value = u64;
    type Kept = u64;
    #[inline]
    fn merge(&self, acc: &mut u64, other: u64) {
        *acc += other;
    }
    #[inline]
    fn value(&self, acc: u64) -> Option<u64> {
        Some(acc)
    }
    fn kept(&self, kept: u64) -> u64 {
        kept
    }
}

impl<T> Reduction<T> for Count {
    #[inline]
    fn first(&self, _: T, _: Time) -> u64 {
        1
    }
    #[inline]
    fn add(&self, acc: &mut u64, _: T, _: Time) {
        *acc += 1;
    }
}

/// An item that can be taken out to be reduced with another one. Its bytes are the item's.
#[derive(Clone, Debug)]
pub struct Held<T>(Option<T>);

impl<T> Held<T> {
    fn take(&mut self) -> T {
        self.0
            .take()
            .expect("it is put back whenever it is taken out")
    }
}

impl<T: Serialize> Serialize for Held<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .as_ref()
            .expect("it is put back whenever it is taken out")
            .serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Held<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|item| Held(Some(item)))
    }
}

/// See [`Scoped::reduce`](crate::Scoped::reduce).
#[derive(Debug)]
pub struct Reduce<T, F>(F, PhantomData<T>);

impl<T, F: Fn(T, T) -> T> Reduce<T, F> {
    pub(crate) fn new(f: F) -> Self {
        Reduce(f, PhantomData)
    }
}

impl<T, F: Fn(T, T) -> T> Merge for Reduce<T, F> {
    type Acc = Held<T>;
    type Value = T;
    type Kept = T;
    #[inline]
    fn merge(&self, acc: &mut Held<T>, mut other: Held<T>) {
        acc.0 = Some((self.0)(acc.take(), other.take()));
    }
    #[inline]
    fn value(&self, acc: Held<T>) -> Option<T> {
        acc.0
    }
    fn kept(&self, kept: T) -> Held<T> {
        Held(Some(kept))
    }
}

impl<T, F: Fn(T, T) -> T> Reduction<T> for Reduce<T, F> {
    #[inline]
    fn first(&self, item: T, _: Time) -> Held<T> {
        Held(Some(item))
    }
    #[inline]
    fn add(&self, acc: &mut Held<T>, item: T, _: Time) {
        acc.0 = Some((self.0)(acc.take(), item));
    }
}

/// See [`Scoped::fold`](crate::Scoped::fold).
#[derive(Debug)]
pub struct Fold<I, A, M> {
    pub(crate) init: I,
    pub(crate) add: A,
    pub(crate) merge: M,
}

impl<Acc, I: Fn() -> Acc, A, M: Fn(&mut Acc, Acc)> Merge for Fold<I, A, M> {
    type Acc = Acc;
    type Value = Acc;
    type Kept = Acc;
    #[inline]
    fn merge(&self, acc: &mut Acc, other: Acc) {
        (self.merge)(acc, other);
    }
    #[inline]
    fn value(&self, acc: Acc) -> Option<Acc> {
        Some(acc)
    }
    fn kept(&self, kept: Acc) -> Acc {
        kept
    }
}

impl<T, Acc, I: Fn() -> Acc, A: Fn(&mut Acc, T), M: Fn(&mut Acc, Acc)> Reduction<T>
    for Fold<I, A, M>
{
    #[inline]
    fn first(&self, item: T, _: Time) -> Acc {
        let mut acc = (self.init)();
        (self.add)(&mut acc, item);
        acc
    }
    #[inline]
    fn add(&self, acc: &mut Acc, item: T, _: Time) {
        (self.add)(acc, item);
    }
}

/// See [`Scoped::sum`](crate::Scoped::sum).
#[derive(Debug)]
pub struct Sum<F, N>(pub(crate) F, pub(crate) PhantomData<N>);

impl<F, N: Number> Merge for Sum<F, N> {
    const ADDS_UP: bool = true;
    type Acc = N::Sum;
    type Value = N::Sum;
    type Kept = N::Sum;
    #[inline]
    fn merge(&self, acc: &mut N::Sum, other: N::Sum) {
        *acc = N::add(*acc, other);
    }
    #[inline]
    fn value(&self, acc: N::Sum) -> Option<N::Sum> {
        Some(acc)
    }
    fn kept(&self, kept: N::Sum) -> N::Sum {
        kept
    }
}

impl<T, N: Number, F: Fn(T) -> N> Reduction<T> for Sum<F, N> {
    #[inline]
    fn first(&self, item: T, _: Time) -> N::Sum {
        (self.0)(item).sum()
    }
    #[inline]
    fn add(&self, acc: &mut N::Sum, item: T, _: Time) {
        *acc = N::add(*acc, (self.0)(item).sum());
    }
}

/// See [`Scoped::min`](crate::Scoped::min) and [`Scoped::max`](crate::Scoped::max).
#[derive(Debug)]
pub struct Extreme<F, V> {
    pub(crate) of: F,
    /// How what takes an earlier one's place compares to it.
    pub(crate) wins: Ordering,
    pub(crate) value: PhantomData<V>,
}

impl<F, V: Comparable> Merge for Extreme<F, V> {
    type Acc = V;
    type Value = V;
    type Kept = V;
    #[inline]
    fn merge(&self, acc: &mut V, other: V) {
        if other.compare(acc) == self.wins {
            *acc = other;
        }
    }
    #[inline]
    fn value(&self, acc: V) -> Option<V> {
        Some(acc)
    }
    fn kept(&self, kept: V) -> V {
        kept
    }
}

impl<T, V: Comparable, F: Fn(T) -> V> Reduction<T> for Extreme<F, V> {
    #[inline]
    fn first(&self, item: T, _: Time) -> V {
        (self.of)(item)
    }
    #[inline]
    fn add(&self, acc: &mut V, item: T, _: Time) {
        self.merge(acc, (self.of)(item));
    }
}

/// See [`Scoped::distinct`](crate::Scoped::distinct). What is kept is whether the key was given in
/// an earlier batch.
#[derive(Debug)]
pub struct Distinct {
    /// A key of an earlier batch is not given again; in a window it is given when the window is.
    pub(crate) running: bool,
}

impl Merge for Distinct {
    const GIVES_ONCE: bool = true;
    type Acc = bool;
    type Value = ();
    type Kept = ();
    #[inline]
    fn merge(&self, _: &mut bool, _: bool) {}
    #[inline]
    fn resume(&self, seen: &mut bool) {
        *seen = self.running;
    }
    #[inline]
    fn value(&self, seen: bool) -> Option<()> {
        (!seen).then_some(())
    }
    fn kept(&self, (): ()) -> bool {
        self.running // what is open was not given yet
    }
}

impl<T> Reduction<T> for Distinct {
    #[inline]
    fn first(&self, _: T, _: Time) -> bool {
        false
    }
    #[inline]
    fn add(&self, _: &mut bool, _: T, _: Time) {}
}
