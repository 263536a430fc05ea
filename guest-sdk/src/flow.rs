//! Operators. Each drives the one before it, as iterators' `for_each` does, so a chain is one loop over a batch.
//!
//! An author names none of these types but [`Flow`], in a function that gives a part of a chain a name:
//!
//! ```
//! use streamhost::{Stream, flow::Flow, kafka};
//!
//! fn lines<'b>() -> Stream<'b, impl Flow<'b, Item = &'b str>> {
//!     kafka("lines").try_map(|record| record.text())
//! }
//! ```

use crate::columns::Column;
use crate::job::Run;
use crate::record::Record;
use crate::row::RowWriter;
use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

/// What a call brings.
#[derive(Clone, Copy, Debug)]
pub struct Input<'b>(pub(crate) Option<Batch<'b>>);

/// The records of a call. An [`Input`] without them is a branch's, whose items are handed over beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'b> {
    pub(crate) keys: Column<'b>,
    pub(crate) values: Column<'b>,
    pub(crate) times_ms: &'b [i64],
    pub(crate) absent_keys: &'b [u32],
    pub(crate) absent_values: &'b [u32],
}

/// What a call gives back.
#[derive(Default, Debug)]
pub(crate) struct Output {
    pub(crate) faults: Vec<Fault>,
    /// One for each sink.
    pub(crate) rows: Vec<RowWriter>,
}

/// One record that the author's function refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: u32,
    pub(crate) reason: String,
}

/// How much comes in. Output that starts at this size need not grow.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Expect {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// Where the loop stands, and where its output goes.
#[derive(Default, Debug)]
pub struct Cx {
    pub(crate) position: u32,
    pub(crate) expect: Expect,
    pub(crate) out: Output,
}

impl Cx {
    #[cold]
    pub(crate) fn fault(&mut self, reason: impl Display) {
        self.out.faults.push(Fault { position: self.position, reason: reason.to_string() });
    }
}

/// A chain of operators that yields items.
pub trait Flow<'b> {
    /// What it yields.
    type Item;
    /// Yields the items of one batch.
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, next: impl FnMut(Self::Item, &mut Cx));
}

/// The records of a source.
#[derive(Debug)]
pub struct Records;

/// Ascending positions, asked for in ascending order.
struct Positions<'b>(&'b [u32]);

impl Positions<'_> {
    #[inline]
    fn has(&mut self, position: u32) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == position => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}

impl<'b> Flow<'b> for Records {
    type Item = Record<'b>;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(Record<'b>, &mut Cx)) {
        let Some(batch) = input.0 else { return };
        let (mut no_keys, mut no_values) = (Positions(batch.absent_keys), Positions(batch.absent_values));
        let items = batch.keys.iter().zip(batch.values.iter()).zip(batch.times_ms);
        for (position, ((key, value), &time_ms)) in (0..).zip(items) {
            cx.position = position;
            let (no_key, no_value) = (no_keys.has(position), no_values.has(position));
            next(Record { key, value, time_ms, no_key, no_value }, cx);
        }
    }
}

/// See [`Stream::map`](crate::Stream::map).
#[derive(Debug)]
pub struct Map<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, U, F: Fn(P::Item) -> U> Flow<'b> for Map<P, F> {
    type Item = U;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(U, &mut Cx)) {
        let Map(prev, f) = self;
        prev.each(input, cx, |item, cx| next(f(item), cx));
    }
}

/// See [`Stream::try_map`](crate::Stream::try_map).
#[derive(Debug)]
pub struct TryMap<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, U, E: Display, F: Fn(P::Item) -> Result<U, E>> Flow<'b> for TryMap<P, F> {
    type Item = U;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(U, &mut Cx)) {
        let TryMap(prev, f) = self;
        prev.each(input, cx, |item, cx| match f(item) {
            Ok(item) => next(item, cx),
            Err(reason) => cx.fault(reason),
        });
    }
}

/// See [`Stream::filter`](crate::Stream::filter).
#[derive(Debug)]
pub struct Filter<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, F: Fn(&P::Item) -> bool> Flow<'b> for Filter<P, F> {
    type Item = P::Item;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(P::Item, &mut Cx)) {
        let Filter(prev, f) = self;
        prev.each(input, cx, |item, cx| {
            if f(&item) {
                next(item, cx);
            }
        });
    }
}

/// See [`Stream::flat_map`](crate::Stream::flat_map).
#[derive(Debug)]
pub struct FlatMap<P, F>(pub(crate) P, pub(crate) F);

impl<'b, P: Flow<'b>, I: IntoIterator, F: Fn(P::Item) -> I> Flow<'b> for FlatMap<P, F> {
    type Item = I::Item;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(I::Item, &mut Cx)) {
        let FlatMap(prev, f) = self;
        prev.each(input, cx, |item, cx| f(item).into_iter().for_each(|one| next(one, cx)));
    }
}

/// Items on their way to a branch, each with its record's position.
pub(crate) type Shared<T> = Rc<RefCell<Vec<(u32, T)>>>;

/// The items of a branch: see [`Stream::also`](crate::Stream::also).
#[derive(Debug)]
pub struct Beside<T>(pub(crate) Shared<T>);

impl<'b, T> Flow<'b> for Beside<T> {
    type Item = T;
    fn each(&mut self, _: Input<'b>, cx: &mut Cx, mut next: impl FnMut(T, &mut Cx)) {
        for (position, item) in self.0.take() {
            cx.position = position;
            next(item, cx);
        }
    }
}

/// Copies each item to a branch, which runs once a batch, after the main chain: see
/// [`Stream::also`](crate::Stream::also).
pub struct Also<'b, P, T> {
    pub(crate) prev: P,
    pub(crate) shared: Shared<T>,
    pub(crate) branch: Option<Box<dyn Run<'b> + 'b>>,
}

impl<'b, P: Flow<'b, Item = T>, T: Clone> Flow<'b> for Also<'b, P, T> {
    type Item = T;
    #[inline]
    fn each(&mut self, input: Input<'b>, cx: &mut Cx, mut next: impl FnMut(T, &mut Cx)) {
        let Some(branch) = &mut self.branch else { return self.prev.each(input, cx, next) };
        let expect = cx.expect;
        let mut copies = Vec::with_capacity(expect.items);
        self.prev.each(input, cx, |item, cx| {
            copies.push((cx.position, item.clone()));
            next(item, cx);
        });
        cx.expect = expect.of(copies.len());
        self.shared.replace(copies);
        branch.run(Input(None), cx);
        cx.expect = expect;
    }
}

impl Batch<'_> {
    pub(crate) fn expect(&self) -> Expect {
        Expect { items: self.values.ends.len(), bytes: self.values.data.len() }
    }
}

impl Expect {
    /// As much as this many of the items have, if they are like the others.
    fn of(self, items: usize) -> Expect {
        Expect { items, bytes: self.bytes / self.items.max(1) * items }
    }
}
