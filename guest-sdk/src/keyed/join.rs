//! Two streams become one: by key and time, or by key and what a table says.

use super::compile_errors::SameKey;
use super::place::{is_behind, signed};
use super::windows::Within;
use super::{End, KeyedBy, behind, stage};
use crate::call::{Input, Keyed, Positions};
use crate::describe::StageKind;
use crate::flow::{Context, Deletion, Flow};
use crate::job::{Index, Schemas, StageNode};
use crate::key::{Key, too_long};
use crate::limits::KEYED_KEY_BYTES_MAX;
use crate::schema::schema;
use crate::stream::Stream;
use crate::value::{Value, decode, encode};
use serde::Serialize;
use std::marker::PhantomData;

/// One side of a join or lookup: each item as it is.
struct Side<K, G> {
    key: G,
    to: Index,
    side: u8,
    /// How far behind an item may be; none: it cannot be late.
    lateness_ms: Option<i64>,
    /// It is a table: records without a value delete its keys.
    table: bool,
    /// How many of them went in.
    deleted: usize,
    out: Keyed,
    of: PhantomData<K>,
}

impl<'b, K: Key<'b>, G> Side<K, G> {
    fn new(key: G, to: &Index, side: u8, lateness_ms: Option<i64>, table: bool) -> Self {
        Side {
            key,
            to: to.clone(),
            side,
            lateness_ms,
            table,
            deleted: 0,
            out: Keyed::default(),
            of: PhantomData,
        }
    }

    /// Puts in the deletions of records before this position, in their order among the items.
    fn delete_before(&mut self, position: Option<u32>, context: &mut Context) {
        while let Some(deletion) = context.deletions.get(self.deleted) {
            if position.is_some_and(|position| deletion.position >= position) {
                break;
            }
            self.deleted += 1;
            let Deletion {
                position,
                time_ms,
                key,
            } = deletion;
            let (position, time_ms) = (*position, *time_ms);
            let Keyed { keys, .. } = &mut self.out;
            let written = match key {
                Some(key) if key.len() > KEYED_KEY_BYTES_MAX => Err(too_long(key.len())),
                Some(key) => K::from_text(key, &mut keys.data),
                None => Err("the record has neither a value nor a key to delete".into()),
            };
            if let Err(reason) = written {
                keys.data
                    .truncate(keys.ends.last().map_or(0, |&end| end as usize));
                context.fault_at(position, reason);
                continue;
            }
            self.out.deleted.push(self.out.keys.ends.len() as u32);
            self.out.keys.end();
            self.out.values.end();
            self.out.times_ms.push(time_ms);
            self.out.at(position);
        }
    }
}

impl<'b, T: Serialize, K: Key<'b>, G: Fn(&T) -> K> End<T> for Side<K, G> {
    #[inline]
    fn take(&mut self, item: T, context: &mut Context) {
        if let Some(lateness_ms) = self.lateness_ms {
            let Some(time_ms) = context.event_time_ms() else {
                return;
            };
            if is_behind(time_ms, lateness_ms, context) {
                return context.late();
            }
        }
        if self.table {
            self.delete_before(Some(context.position), context);
        }
        if self.out.values.ends.capacity() == 0 {
            self.out.values.data.reserve(context.expect.bytes);
            self.out.values.ends.reserve(context.expect.items);
            self.out.keys.ends.reserve(context.expect.items);
            self.out.times_ms.reserve(context.expect.items);
            self.out.positions.reserve(context.expect.items);
        }
        let keys = &mut self.out.keys;
        let before = keys.data.len();
        (self.key)(&item).write(true, &mut keys.data);
        let written = match keys.data.len() - before {
            bytes if bytes > KEYED_KEY_BYTES_MAX => Err(too_long(bytes)),
            _ => encode(&item, &mut self.out.values)
                .map_err(|error| format!("the item cannot be written: {error}")),
        };
        if let Err(reason) = written {
            keys.data.truncate(before);
            return context.fault(reason);
        }
        keys.end();
        self.out.times_ms.push(context.time_ms);
        self.out.at(context.position);
    }

    fn flush(&mut self, context: &mut Context) {
        if self.table {
            self.delete_before(None, context);
        }
        let out = std::mem::take(&mut self.out);
        if !out.keys.ends.is_empty() {
            context.out.keyed.push(Keyed {
                stage: self.to.get() as u32,
                side: self.side,
                ..out
            });
        }
    }
}

impl<'b, K, F, G> KeyedBy<'b, K, F, G>
where
    F: Flow<'b> + 'b,
{
    /// Pairs items of two streams that have one key and are at most so far apart in event time:
    /// each pair once, when the later one comes.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, minutes, within};
    ///
    /// #[job]
    /// fn paid() -> Job {
    ///     let payments = kafka("payments")
    ///         .try_map(|r| fields::<2>(r.text()?, ',').map_err(String::from))
    ///         .key_by(|[order, _]| *order);
    ///     kafka("orders")
    ///         .try_map(|r| fields::<2>(r.text()?, ',').map_err(String::from))
    ///         .key_by(|[order, _]| *order)
    ///         .join(payments, within(minutes(5)), |[order, item], [_, cents]| format!("{order}: {item} for {cents}"))
    ///         .to(console())
    /// }
    /// ```
    pub fn join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        within: Within,
        f: J,
    ) -> Stream<'b, Joined<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, F2::Item) -> U,
    {
        self.two(right, "join", timed(within, false), Joined(f, Sides::new()))
    }

    /// As [`join`](KeyedBy::join), and each left item without a partner too, with `None`, once none
    /// can come any more.
    pub fn left_join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        within: Within,
        f: J,
    ) -> Stream<'b, LookedUp<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, Option<F2::Item>) -> U,
    {
        self.two(
            right,
            "left-join",
            timed(within, true),
            LookedUp(f, Sides::new()),
        )
    }

    /// Each item with what a table says of its key: the table's last item of that key, or `None`.
    ///
    /// A source that feeds tables alone is read from its beginning to its end before anything else
    /// begins, and followed from there on. A record of it without a value does not run the table's
    /// chain: it deletes from the table the key that its own key is, as text (`7` for the number
    /// 7).
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka};
    ///
    /// #[job]
    /// fn greetings() -> Job {
    ///     let names = kafka("names").try_map(|r| Ok::<_, String>((r.key_text()?, r.text()?))).key_by(|(id, _)| *id);
    ///     kafka("visits")
    ///         .try_map(|visit| visit.text())
    ///         .key_by(|id| *id)
    ///         .lookup(names, |id, name| format!("{id} is {}", name.map_or("a stranger", |(_, name)| name)))
    ///         .to(console())
    /// }
    /// ```
    pub fn lookup<K2, F2, G2, J, U>(
        self,
        table: KeyedBy<'b, K2, F2, G2>,
        f: J,
    ) -> Stream<'b, LookedUp<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, Option<F2::Item>) -> U,
    {
        self.two(
            table,
            "lookup",
            StageKind::Lookup,
            LookedUp(f, Sides::new()),
        )
    }

    fn two<K2, F2, G2, W>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        verb: &str,
        kind: StageKind,
        flow: W,
    ) -> Stream<'b, W>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
    {
        let index = Index::default();
        let name = self.name.unwrap_or_else(|| verb.into());
        let table = kind == StageKind::Lookup;
        let lateness_ms = match kind {
            StageKind::Join { lateness_ms, .. } => Some(signed(lateness_ms)),
            _ => None,
        };
        let mut plan = self.stream.feed(
            &index,
            0,
            false,
            Side::new(self.key, &index, 0, lateness_ms, false),
        );
        if right.name.is_some() || right.version > 0 {
            plan.mistakes.push(format!(
                "stage `{name}` is named, and its version counted, on its left side alone: leave `.named(…)` and \
                 `.version(…)` out on the other"
            ));
        }
        plan.extend(right.stream.feed(
            &index,
            1,
            table,
            Side::new(right.key, &index, 1, lateness_ms, table),
        ));
        let def = stage(name, self.version, kind);
        let shapes = Schemas {
            key: K::shape,
            value: schema::<F::Item>,
            other: Some(schema::<F2::Item>),
            old: None,
        };
        behind(
            plan,
            StageNode {
                index,
                def,
                shapes,
                keeps_late: false,
                gives_updates: false,
                adds_up: false,
                combine: None,
                migrate: None,
            },
            flow,
        )
    }
}

fn timed(within: Within, left: bool) -> StageKind {
    StageKind::Join {
        within_ms: within.within_ms(),
        lateness_ms: within.lateness_ms(),
        left,
    }
}

/// Reads both sides of a pair. Not bounds on what follows: a type that cannot be read would be told
/// again at each of the operators behind it.
struct Sides<'b, L, R> {
    left: fn(&str, &'b [u8]) -> L,
    right: fn(&str, &'b [u8]) -> R,
}

impl<'b, L: Value<'b>, R: Value<'b>> Sides<'b, L, R> {
    fn new() -> Self {
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
        mut next: impl FnMut(L, Option<R>, &mut Context),
    ) {
        let Sides { left, right } = self;
        let Input::Pairs(pairs) = input else {
            panic!("stage `{}` is given pairs, not {input:?}", context.stage)
        };
        let mut absent = Positions(pairs.absent_rights);
        let items = pairs
            .lefts
            .iter()
            .zip(pairs.rights.iter())
            .zip(pairs.times_ms);
        for (position, ((one, other), &time_ms)) in (0..).zip(items) {
            context.of_pair(position, time_ms);
            let other = if absent.has(position) {
                None
            } else {
                Some(right(&context.stage, other))
            };
            next(left(&context.stage, one), other, context);
        }
    }
}

/// See [`KeyedBy::join`].
pub struct Joined<'b, L, R, J>(J, Sides<'b, L, R>);
/// See [`KeyedBy::lookup`] and [`KeyedBy::left_join`].
pub struct LookedUp<'b, L, R, J>(J, Sides<'b, L, R>);

impl<'b, L, R, U, J: Fn(L, R) -> U> Flow<'b> for Joined<'b, L, R, J> {
    type Item = U;
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(U, &mut Context),
    ) {
        let Joined(f, sides) = self;
        sides.each(input, context, |left, right, context| {
            let Some(right) = right else {
                panic!(
                    "stage `{}` is given a left item without a right one",
                    context.stage
                )
            };
            next(f(left, right), context);
        });
    }
}

impl<'b, L, R, U, J: Fn(L, Option<R>) -> U> Flow<'b> for LookedUp<'b, L, R, J> {
    type Item = U;
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(U, &mut Context),
    ) {
        let LookedUp(f, sides) = self;
        sides.each(input, context, |left, right, context| {
            next(f(left, right), context)
        });
    }
}
