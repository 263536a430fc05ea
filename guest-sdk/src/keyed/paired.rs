//! What follows a join or lookup: its pairs, read from the host's bytes.

use crate::call::{Input, Positions};
use crate::flow::{Context, Flow};
use crate::value::{Value, decode};

/// Reads both sides of a pair. Not bounds on what follows: a type that cannot be read would be told
/// again at each of the operators behind it.
pub(crate) struct Sides<'b, L, R> {
    left: fn(&str, &'b [u8]) -> L,
    right: fn(&str, &'b [u8]) -> R,
}

impl<'b, L: Value<'b>, R: Value<'b>> Sides<'b, L, R> {
    pub(crate) fn new() -> Self {
        Sides {
            left: item,
            right: item,
        }
    }
}

fn item<'b, T: Value<'b>>(stage: &str, bytes: &'b [u8]) -> T {
    decode(bytes)
        .unwrap_or_else(|reason| panic!("stage `{stage}`: a joined item cannot be read: {reason}"))
}

impl<'b, L, R> Sides<'b, L, R> {
    fn each(
        &self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(Option<L>, Option<R>, &mut Context),
    ) {
        let Sides { left, right } = self;
        let Input::Pairs(pairs) = input else {
            panic!("stage `{}` is given pairs, not {input:?}", context.stage)
        };
        let mut no_left = Positions(pairs.absent_lefts);
        let mut no_right = Positions(pairs.absent_rights);
        let items = pairs
            .lefts
            .iter()
            .zip(pairs.rights.iter())
            .zip(pairs.times_ms);
        for (position, ((one, other), &time_ms)) in (0..).zip(items) {
            context.of_pair(position, time_ms);
            let one = (!no_left.has(position)).then(|| left(&context.stage, one));
            let other = (!no_right.has(position)).then(|| right(&context.stage, other));
            next(one, other, context);
        }
    }
}

/// What a join of this kind must be given.
fn given<T>(item: Option<T>, side: &str, context: &Context) -> T {
    item.unwrap_or_else(|| {
        panic!(
            "stage `{}` is given a pair without its {side} item",
            context.stage
        )
    })
}

/// See [`KeyedBy::join`](crate::KeyedBy::join).
pub struct Joined<'b, L, R, J>(pub(crate) J, pub(crate) Sides<'b, L, R>);
/// See [`KeyedBy::lookup`](crate::KeyedBy::lookup) and [`KeyedBy::left_join`](crate::KeyedBy::left_join).
pub struct LookedUp<'b, L, R, J>(pub(crate) J, pub(crate) Sides<'b, L, R>);
/// See [`KeyedBy::right_join`](crate::KeyedBy::right_join).
pub struct RightJoined<'b, L, R, J>(pub(crate) J, pub(crate) Sides<'b, L, R>);
/// See [`KeyedBy::outer_join`](crate::KeyedBy::outer_join).
pub struct OuterJoined<'b, L, R, J>(pub(crate) J, pub(crate) Sides<'b, L, R>);

macro_rules! flows {
    ($($own:ident($($of:ty),*): |$f:ident, $left:ident, $right:ident, $context:ident| $made:expr;)*) => { $(
        impl<'b, L, R, U, J: Fn($($of),*) -> U> Flow<'b> for $own<'b, L, R, J> {
            type Item = U;
            fn each(
                &mut self,
                input: Input<'b>,
                context: &mut Context,
                mut next: impl FnMut(U, &mut Context),
            ) {
                let $own($f, sides) = self;
                sides.each(input, context, |$left, $right, $context| next($made, $context));
            }
        }
    )* };
}
flows! {
    Joined(L, R): |f, left, right, context| f(given(left, "left", context), given(right, "right", context));
    LookedUp(L, Option<R>): |f, left, right, context| f(given(left, "left", context), right);
    RightJoined(Option<L>, R): |f, left, right, context| f(left, given(right, "right", context));
    OuterJoined(Option<L>, Option<R>): |f, left, right, context| f(left, right);
}
