//! Reductions of one value of each item. What they come to follows from the items and their event
//! times alone, in whatever order these meet.

use super::number::{Comparable, Number};
use super::reduce::{Count, Merge, Reduction};
use super::{Aggregate, sketch};
use crate::cell::Time;
use crate::key::Key;
use sketches_ddsketch::{Config, DDSketch};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// What is made of values, each with its item's event time.
pub trait OfValues<V>: Merge {
    /// The accumulator of one value.
    fn one(&self, value: V, at: Time) -> Self::Acc;
    /// Takes in one more value.
    #[inline]
    fn more(&self, acc: &mut Self::Acc, value: V, at: Time) {
        self.merge(acc, self.one(value, at));
    }
}

/// A reduction of one value of each item.
#[derive(Debug)]
pub struct By<F, V, A> {
    of: F,
    with: A,
    value: PhantomData<fn() -> V>,
}

impl<F, V, A> By<F, V, A> {
    pub(super) fn new(of: F, with: A) -> Self {
        By {
            of,
            with,
            value: PhantomData,
        }
    }
}

impl<F, V, A: Merge> Merge for By<F, V, A> {
    const GIVES_ONCE: bool = A::GIVES_ONCE;
    const ADDS_UP: bool = A::ADDS_UP;
    type Acc = A::Acc;
    type Value = A::Value;
    type Kept = A::Kept;
    #[inline]
    fn merge(&self, acc: &mut A::Acc, other: A::Acc) {
        self.with.merge(acc, other);
    }
    #[inline]
    fn value(&self, acc: A::Acc) -> Option<A::Value> {
        self.with.value(acc)
    }
    fn kept(&self, kept: A::Kept) -> A::Acc {
        self.with.kept(kept)
    }
    fn mistake(&self) -> Option<String> {
        self.with.mistake()
    }
}

impl<T, V, F: Fn(T) -> V, A: OfValues<V>> Reduction<T> for By<F, V, A> {
    #[inline]
    fn first(&self, item: T, at: Time) -> A::Acc {
        self.with.one((self.of)(item), at)
    }
    #[inline]
    fn add(&self, acc: &mut A::Acc, item: T, at: Time) {
        self.with.more(acc, (self.of)(item), at);
    }
}

impl<T, V, F: Fn(&T) -> V, A: OfValues<V>> Aggregate<T> for By<F, V, A> {
    #[inline]
    fn first(&self, item: &T, at: Time) -> A::Acc {
        self.with.one((self.of)(item), at)
    }
    #[inline]
    fn add(&self, acc: &mut A::Acc, item: &T, at: Time) {
        self.with.more(acc, (self.of)(item), at);
    }
}

/// Counts those for which it is true.
impl OfValues<bool> for Count {
    #[inline]
    fn one(&self, counts: bool, _: Time) -> u64 {
        u64::from(counts)
    }
}

/// See [`Scoped::avg`](crate::Scoped::avg). What is kept is a sum and how many numbers it is of.
#[derive(Debug)]
pub struct Avg<N>(PhantomData<fn() -> N>);

impl<N> Avg<N> {
    pub(super) fn new() -> Self {
        Avg(PhantomData)
    }
}

impl<N: Number> Merge for Avg<N> {
    const ADDS_UP: bool = true;
    type Acc = (N::Sum, u64);
    type Value = f64;
    type Kept = (N::Sum, u64);
    #[inline]
    fn merge(&self, (sum, count): &mut Self::Acc, other: Self::Acc) {
        *sum = N::add(*sum, other.0);
        *count += other.1;
    }
    #[inline]
    fn value(&self, (sum, count): Self::Acc) -> Option<f64> {
        (count > 0).then(|| N::float(sum) / count as f64)
    }
    fn kept(&self, kept: Self::Kept) -> Self::Acc {
        kept
    }
}

impl<N: Number> OfValues<N> for Avg<N> {
    #[inline]
    fn one(&self, number: N, _: Time) -> Self::Acc {
        (number.sum(), 1)
    }
}

/// See [`Scoped::first`](crate::Scoped::first) and [`Scoped::last`](crate::Scoped::last).
#[derive(Debug)]
pub struct Endmost<V> {
    /// How what takes an earlier one's place compares to it.
    wins: Ordering,
    of: PhantomData<fn() -> V>,
}

impl<V> Endmost<V> {
    pub(super) fn first() -> Self {
        Endmost {
            wins: Ordering::Less,
            of: PhantomData,
        }
    }

    pub(super) fn last() -> Self {
        Endmost {
            wins: Ordering::Greater,
            of: PhantomData,
        }
    }
}

impl<V: Comparable> Merge for Endmost<V> {
    type Acc = (Time, V);
    type Value = V;
    type Kept = (Time, V);
    #[inline]
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc) {
        if other.compare(acc) == self.wins {
            *acc = other;
        }
    }
    #[inline]
    fn value(&self, acc: Self::Acc) -> Option<V> {
        Some(acc.1)
    }
    fn kept(&self, kept: Self::Kept) -> Self::Acc {
        kept
    }
}

impl<V: Comparable> OfValues<V> for Endmost<V> {
    #[inline]
    fn one(&self, value: V, at: Time) -> Self::Acc {
        (at, value)
    }
}

/// Values are collected in one accumulator, which must not grow without bound.
pub(super) const COLLECT_MAX: usize = 10_000;

/// See [`Scoped::collect`](crate::Scoped::collect). What is kept is in order of time and value.
#[derive(Debug)]
pub struct Collect<V> {
    n: usize,
    of: PhantomData<fn() -> V>,
}

impl<V> Collect<V> {
    pub(super) fn new(n: usize) -> Self {
        Collect { n, of: PhantomData }
    }
}

impl<V: Comparable> Collect<V> {
    fn insert(&self, all: &mut Vec<(Time, V)>, new: (Time, V)) {
        let at = all.partition_point(|old| old.compare(&new) != Ordering::Greater);
        if at < self.n {
            all.insert(at, new);
            all.truncate(self.n);
        }
    }
}

impl<V: Comparable> Merge for Collect<V> {
    type Acc = Vec<(Time, V)>;
    type Value = Vec<V>;
    type Kept = Vec<(Time, V)>;
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc) {
        other.into_iter().for_each(|new| self.insert(acc, new));
    }
    fn value(&self, acc: Self::Acc) -> Option<Vec<V>> {
        Some(acc.into_iter().map(|(_, value)| value).collect())
    }
    fn kept(&self, kept: Self::Kept) -> Self::Acc {
        kept
    }
    fn mistake(&self) -> Option<String> {
        let n = self.n;
        let fits = (1..=COLLECT_MAX).contains(&n);
        (!fits).then(|| format!("`collect({n}, …)` is not 1 to {COLLECT_MAX} values"))
    }
}

impl<V: Comparable> OfValues<V> for Collect<V> {
    fn one(&self, value: V, at: Time) -> Self::Acc {
        vec![(at, value)]
    }
    #[inline]
    fn more(&self, acc: &mut Self::Acc, value: V, at: Time) {
        self.insert(acc, (at, value));
    }
}

/// See [`Scoped::approx_distinct`](crate::Scoped::approx_distinct).
#[derive(Debug)]
pub struct ApproxDistinct;

impl Merge for ApproxDistinct {
    type Acc = sketch::Distinct;
    type Value = u64;
    type Kept = sketch::Distinct;
    fn merge(&self, acc: &mut sketch::Distinct, other: sketch::Distinct) {
        acc.merge(other);
    }
    fn value(&self, acc: sketch::Distinct) -> Option<u64> {
        Some(acc.estimate())
    }
    fn kept(&self, kept: sketch::Distinct) -> sketch::Distinct {
        kept
    }
}

impl<'b, V: Key<'b>> OfValues<V> for ApproxDistinct {
    fn one(&self, value: V, at: Time) -> sketch::Distinct {
        let mut distinct = sketch::Distinct::default();
        self.more(&mut distinct, value, at);
        distinct
    }
    #[inline]
    fn more(&self, acc: &mut sketch::Distinct, value: V, _: Time) {
        match value.lend() {
            Some(bytes) => acc.insert(bytes),
            None => {
                let mut bytes = Vec::new();
                value.write(true, &mut bytes);
                acc.insert(&bytes);
            }
        }
    }
}

/// How far from the true number a percentile may be, relative to it.
const PERCENTILE_ERROR: f64 = 0.01;
/// So many bins of numbers above 0 are kept, and as many of those below: they span a range of
/// 10^17, beyond which the numbers nearest to 0 are taken for one.
const PERCENTILE_BINS_MAX: u32 = 2048;
/// A number that is nearer to 0 is taken for it.
const PERCENTILE_LEAST: f64 = 1e-9;

/// See [`Scoped::percentiles`](crate::Scoped::percentiles).
#[derive(Debug)]
pub struct Percentiles<const P: usize>(pub(super) [f64; P]);

impl<const P: usize> Merge for Percentiles<P> {
    type Acc = DDSketch;
    type Value = [f64; P];
    type Kept = DDSketch;
    fn merge(&self, acc: &mut DDSketch, other: DDSketch) {
        // All sketches are made by `one`, with the same bins.
        acc.merge(&other)
            .unwrap_or_else(|error| panic!("percentiles of two kinds were kept: {error}"));
    }
    fn value(&self, acc: DDSketch) -> Option<[f64; P]> {
        let percentile = |of_hundred: f64| acc.quantile(of_hundred / 100.0);
        Some(
            self.0
                .map(|part| percentile(part).ok().flatten().unwrap_or(f64::NAN)),
        )
    }
    fn kept(&self, kept: DDSketch) -> DDSketch {
        kept
    }
    fn mistake(&self) -> Option<String> {
        let wrong = self.0.iter().find(|part| !(0.0..=100.0).contains(*part))?;
        Some(format!(
            "`percentiles([…])` has {wrong}, and a percentile is a number from 0 to 100"
        ))
    }
}

impl<N: Number, const P: usize> OfValues<N> for Percentiles<P> {
    fn one(&self, number: N, at: Time) -> DDSketch {
        let bins = Config::new(PERCENTILE_ERROR, PERCENTILE_BINS_MAX, PERCENTILE_LEAST);
        let mut sketch = DDSketch::new(bins);
        self.more(&mut sketch, number, at);
        sketch
    }
    #[inline]
    fn more(&self, acc: &mut DDSketch, number: N, _: Time) {
        let number = N::float(number.sum());
        if number.is_finite() {
            acc.add(number);
        }
    }
}
