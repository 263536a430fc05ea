//! Operators with several streams: two that become one, and one that becomes two.

use super::{Context, Flow};
use crate::call::Input;
use crate::job::{Run, Start, Strand};
use std::cell::RefCell;
use std::rc::Rc;

/// The items of the other stream of a [`union`](crate::Stream::union): of the same type as this one's.
#[diagnostic::on_unimplemented(
    message = "the two streams have different items: `{T}` in the first, `{Self}` in the second",
    label = "a stream of `{Self}`",
    note = "what follows `.union(…)` takes both alike: `.map(…)` one of them, or both, to the same type"
)]
pub trait SameItem<T> {
    /// The item as it is.
    fn same(self) -> T;
}

impl<T> SameItem<T> for T {
    #[inline]
    fn same(self) -> T {
        self
    }
}

/// See [`Stream::union`](crate::Stream::union).
#[derive(Debug)]
pub struct Union<P, Q> {
    first: P,
    second: Q,
    /// Where the first one's items come from.
    of_first: Vec<Start>,
}

impl<P, Q> Union<P, Q> {
    pub(crate) fn of(first: P, strands: &[Strand], second: Q) -> Self {
        let of_first = strands.iter().map(|strand| strand.start.clone()).collect();
        Union {
            first,
            second,
            of_first,
        }
    }
}

impl<'b, P: Flow<'b>, Q: Flow<'b>> Flow<'b> for Union<P, Q>
where
    Q::Item: SameItem<P::Item>,
{
    type Item = P::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(P::Item, &mut Context),
    ) {
        let number = Some(context.number);
        if self.of_first.iter().any(|start| start.number() == number) {
            return self.first.each(input, context, next);
        }
        self.second
            .each(input, context, |item, context| next(item.same(), context));
    }
}

/// An item on its way to a branch.
#[derive(Debug)]
pub(crate) struct BranchItem<T> {
    position: u32,
    time_ms: i64,
    own_ms: i64,
    item: T,
}

/// Items on their way to a branch.
pub(crate) type Shared<T> = Rc<RefCell<Vec<BranchItem<T>>>>;

/// The items of a branch: see [`Stream::also`](crate::Stream::also).
#[derive(Debug)]
pub struct BranchItems<T>(pub(crate) Shared<T>);

impl<'b, T> Flow<'b> for BranchItems<T> {
    type Item = T;
    /// What the partition had reached before a record is what it had when the record left the main
    /// chain, or what the branch's own `timed_by` has seen since; a job has one `timed_by` for a
    /// source, so one of the two says nothing.
    fn each(&mut self, _: Input<'b>, context: &mut Context, mut next: impl FnMut(T, &mut Context)) {
        let main_ms = std::mem::replace(&mut context.largest_ms, context.moment.partition_ms);
        let mut last = None;
        for BranchItem {
            position,
            time_ms,
            own_ms,
            item,
        } in self.0.take()
        {
            if last.replace(position) != Some(position) {
                context.begin(position, time_ms);
                context.own_ms = context.own_ms.max(own_ms);
            }
            context.time_ms = time_ms;
            next(item, context);
        }
        context.largest_ms = context.largest_ms.max(main_ms);
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
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(T, &mut Context),
    ) {
        let Some(branch) = &mut self.branch else {
            return self.prev.each(input, context, next);
        };
        let expect = context.expect;
        let mut copies = Vec::with_capacity(expect.items);
        self.prev.each(input, context, |item, context| {
            let (position, time_ms, own_ms) = (context.position, context.time_ms, context.own_ms);
            copies.push(BranchItem {
                position,
                time_ms,
                own_ms,
                item: item.clone(),
            });
            next(item, context);
        });
        context.expect = expect.of(copies.len());
        self.shared.replace(copies);
        branch.run(Input::Branch, context);
        context.expect = expect;
    }
}
