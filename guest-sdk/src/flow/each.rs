//! Operators that make something of each item by itself.

use super::{Context, Flow};
use crate::call::Input;
use crate::cell::Time;
use crate::reason::Refusal;

/// See [`Stream::map`](crate::Stream::map).
#[derive(Debug)]
pub struct Map<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, U, F: Fn(P::Item) -> U> Flow<'b> for Map<P, F> {
    type Item = U;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(U, &mut Context),
    ) {
        let Map(prev, f) = self;
        prev.each(input, context, |item, context| next(f(item), context));
    }
}

/// See [`Stream::try_map`](crate::Stream::try_map).
#[derive(Debug)]
pub struct TryMap<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, U, E: Refusal, F: Fn(P::Item) -> Result<U, E>> Flow<'b> for TryMap<P, F> {
    type Item = U;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(U, &mut Context),
    ) {
        let TryMap(prev, f) = self;
        prev.each(input, context, |item, context| match f(item) {
            Ok(item) => next(item, context),
            Err(refusal) => context.fault(refusal.reason()),
        });
    }
}

/// See [`Stream::filter`](crate::Stream::filter).
#[derive(Debug)]
pub struct Filter<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, F: Fn(&P::Item) -> bool> Flow<'b> for Filter<P, F> {
    type Item = P::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(P::Item, &mut Context),
    ) {
        let Filter(prev, f) = self;
        prev.each(input, context, |item, context| {
            if f(&item) {
                next(item, context);
            }
        });
    }
}

/// See [`Stream::inspect`](crate::Stream::inspect).
#[derive(Debug)]
pub struct Inspect<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, F: Fn(&P::Item)> Flow<'b> for Inspect<P, F> {
    type Item = P::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(P::Item, &mut Context),
    ) {
        let Inspect(prev, f) = self;
        prev.each(input, context, |item, context| {
            f(&item);
            next(item, context);
        });
    }
}

/// See [`Stream::flat_map`](crate::Stream::flat_map).
#[derive(Debug)]
pub struct FlatMap<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, I: IntoIterator, F: Fn(P::Item) -> I> Flow<'b> for FlatMap<P, F> {
    type Item = I::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(I::Item, &mut Context),
    ) {
        let FlatMap(prev, f) = self;
        prev.each(input, context, |item, context| {
            f(item).into_iter().for_each(|one| next(one, context))
        });
    }
}

/// See [`Stream::timed_by`](crate::Stream::timed_by).
#[derive(Debug)]
pub struct TimedBy<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, F: Fn(&P::Item) -> Time> Flow<'b> for TimedBy<P, F> {
    type Item = P::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(P::Item, &mut Context),
    ) {
        let TimedBy(prev, f) = self;
        prev.each(input, context, |item, context| {
            let before_ms = context.time_ms; // the record's, which a branch before this one goes by
            context.time_ms = f(&item).0;
            context.note(context.time_ms);
            next(item, context);
            context.time_ms = before_ms;
        });
    }
}
