//! What can be summed, and what can be compared.

use crate::cell::Time;
use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};

/// What [`sum`](crate::Scoped::sum) adds up: integers, to an `i64` or `u64`, and floats, to an
/// `f64`.
///
/// A sum of integers that is beyond 64 bits panics, which sets its group aside with these words.
/// The last digits of a sum of floats depend on the order in which it is made: across partitions
/// that is the same in every replay, and not more.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be summed",
    label = "not a number",
    note = "numbers are the integers up to 64 bits, `f32` and `f64`; others are added by `.fold(…)`"
)]
pub trait Number {
    /// What the sum is: `i64`, `u64` or `f64`.
    type Sum: Copy + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned;
    /// The number as a sum of itself.
    fn sum(self) -> Self::Sum;
    /// The sum as a float.
    fn float(sum: Self::Sum) -> f64;
    /// Adds two sums.
    fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Takes from a sum what was added before.
    fn subtract(a: Self::Sum, b: Self::Sum) -> Self::Sum;
}

const BEYOND: &str = "a sum is beyond 64 bits";

macro_rules! numbers {
    ($($sum:ty: $($own:ty)*, |$a:ident, $b:ident| $add:expr, $subtract:expr;)*) => { $($(
        impl Number for $own {
            type Sum = $sum;
            #[inline]
            fn sum(self) -> $sum {
                self as $sum
            }
            #[inline]
            fn float(sum: $sum) -> f64 {
                sum as f64
            }
            #[inline]
            fn add($a: $sum, $b: $sum) -> $sum {
                $add
            }
            #[inline]
            fn subtract($a: $sum, $b: $sum) -> $sum {
                $subtract
            }
        }
    )*)* };
}
numbers! {
    u64: u8 u16 u32 u64 usize, |a, b| a.checked_add(b).expect(BEYOND), a.checked_sub(b).expect(BEYOND);
    i64: i8 i16 i32 i64, |a, b| a.checked_add(b).expect(BEYOND), a.checked_sub(b).expect(BEYOND);
    f64: f32 f64, |a, b| a + b, a - b;
}

/// What [`min`](crate::Scoped::min), [`max`](crate::Scoped::max) and [`top`](crate::Stream::top)
/// compare: as `Ord`, and floats by their total order. Types of your own may implement it by way of
/// one that does:
///
/// ```
/// use std::cmp::Ordering;
/// use streamhost::Comparable;
///
/// struct Score { points: f64 }
///
/// impl Comparable for Score {
///     fn compare(&self, other: &Self) -> Ordering {
///         self.points.compare(&other.points)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared",
    label = "neither larger nor smaller",
    note = "numbers, text, bytes, `bool`, `Time`, and tuples, options and `Reverse` of these can; implement `Comparable` for others"
)]
pub trait Comparable {
    /// Which one is larger.
    fn compare(&self, other: &Self) -> Ordering;
}

macro_rules! ordered {
    ($($own:ty)*) => { $(
        impl Comparable for $own {
            #[inline]
            fn compare(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
    )* };
}
ordered! { () u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char str String [u8] Vec<u8> Time }

macro_rules! floats {
    ($($own:ty)*) => { $(
        impl Comparable for $own {
            #[inline]
            fn compare(&self, other: &Self) -> Ordering {
                self.total_cmp(other)
            }
        }
    )* };
}
floats! { f32 f64 }

impl<T: Comparable + ?Sized> Comparable for &T {
    #[inline]
    fn compare(&self, other: &Self) -> Ordering {
        (**self).compare(other)
    }
}

impl Comparable for Cow<'_, str> {
    #[inline]
    fn compare(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl<T: Comparable> Comparable for Reverse<T> {
    #[inline]
    fn compare(&self, other: &Self) -> Ordering {
        other.0.compare(&self.0)
    }
}

/// None is smaller than any.
impl<T: Comparable> Comparable for Option<T> {
    #[inline]
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        }
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),*))*) => { $(
        impl<$($part: Comparable),*> Comparable for ($($part,)*) {
            #[inline]
            fn compare(&self, other: &Self) -> Ordering {
                Ordering::Equal$(.then_with(|| self.$at.compare(&other.$at)))*
            }
        }
    )* };
}
tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }
